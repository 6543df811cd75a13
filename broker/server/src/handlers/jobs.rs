//! Requests of our own: epochs of jobs and connectors.

use std::sync::Arc;

use delivery::{EpochCommit, Epochs};
use metadata::{TopicConfig, Topics};
use protocol::headers::{FenceJob, FenceJobReply, ForgetJob, GetJobState};
use protocol::{CommitEpoch, EpochCommitted, Frame, JobState, ReadFields, Reply, check_job_name};

use super::Identity;
use crate::respond::Refusal;

/// Answers `COMMIT_EPOCH`: outputs and offsets appear together.
pub async fn commit_epoch(
    epochs: &Arc<Epochs>,
    topics: &Topics,
    identity: &Identity,
    request: &Frame,
) -> Result<Reply, Refusal> {
    let asked = CommitEpoch::decode(&request.body)?;
    for output in &asked.outputs {
        if topics.get(output.topic.as_str()).is_none() {
            if !identity.auto_create_topics {
                return Err(delivery::Error::NoSuchTopic {
                    topic: output.topic.to_string(),
                }
                .into());
            }
            topics.get_or_create(&output.topic, || {
                TopicConfig::with_queues(identity.default_queues)
            })?;
            identity.topics_changed();
        }
    }
    let commit = EpochCommit {
        job: asked.job,
        generation: asked.generation,
        shard: asked.shard,
        epoch: asked.epoch,
        group: asked.group,
        offsets: asked.offsets,
        outputs: asked.outputs,
        positions: asked.metadata.into_iter().collect(),
    };
    let committed = epochs.commit(commit).await?;
    let mut appended = std::collections::BTreeMap::new();
    for output in committed.appended {
        appended.entry(output.queue).or_insert(output.queue_offset);
    }
    let reply = EpochCommitted {
        appended: appended.into_iter().collect(),
        repeated: committed.repeated,
    };
    Ok(Reply::success().body(reply.encode()))
}

/// Answers `FENCE_JOB`: from now on only the caller may commit epochs of the job.
pub fn fence_job(epochs: &Epochs, request: &Frame) -> Result<Reply, Refusal> {
    let header = FenceJob::read_fields(&request.header.ext)?;
    check_job_name(header.job)?;
    Ok(Reply::success().header(&FenceJobReply {
        generation: epochs.fence(header.job)?,
    }))
}

/// Answers `GET_JOB_STATE`: where the successor of a shard goes on.
pub fn job_state(epochs: &Epochs, request: &Frame) -> Result<Reply, Refusal> {
    let header = GetJobState::read_fields(&request.header.ext)?;
    let state = epochs.state(header.job, header.shard);
    let state = JobState {
        epoch: state.epoch,
        positions: state.positions,
    };
    Ok(Reply::success().body(state.encode()))
}

/// Answers `FORGET_JOB`: a later job of the same name starts over.
pub fn forget_job(epochs: &Epochs, request: &Frame) -> Result<Reply, Refusal> {
    let header = ForgetJob::read_fields(&request.header.ext)?;
    check_job_name(header.job)?;
    epochs.forget(header.job)?;
    Ok(Reply::success())
}
