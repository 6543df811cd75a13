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
}
