//! Runs streaming jobs: pulls rows, steps the dataflow, commits each epoch whole, publishes it.

mod epoch;
mod error;
mod event_time;
mod http;
mod job;
mod jobs;
mod letters;
mod lookups;
mod outbox;
mod settings;
mod sink;
mod source;
mod status;
mod topic;

pub use error::{BoxError, Error};
pub use http::{Submit, router};
pub use job::{Ended, Job, Parts, Stop};
pub use jobs::{JobDetail, JobError, JobInfo, JobState, Jobs, Submitted, Surroundings};
pub use lookups::FileLookups;
pub use outbox::{Outbox, OutputRecord};
pub use settings::{Settings, Sync};
pub use sink::{PublishError, PublishLimits, Publisher, SinkEncoder, Sinks};
pub use source::{BadRecord, PollLimits, Polled, PolledQueue, SourceReader, Sources};
pub use status::Status;
pub use topic::{TopicPublisher, TopicSinks, TopicSources};
