//! Headers of our own requests for jobs.

use crate::fields::headers;

headers! {
    /// Code 7002: from now on only the caller may commit epochs of the job.
    pub struct FenceJob<'a> {
        job: &'a str = b"job",
    }

    /// Reply to 7002.
    pub struct FenceJobReply {
        /// What the caller's commits must carry.
        generation: u64 = b"generation",
    }

    /// Code 7003: what a shard of the job has committed. The answer's body is a job state.
    pub struct GetJobState<'a> {
        job: &'a str = b"job",
        shard: u32 = b"shard",
    }

    /// Code 7004: a later job of the same name starts over.
    pub struct ForgetJob<'a> {
        job: &'a str = b"job",
    }
}
