//! Topics as sources and sinks of a job, and the commit that makes an epoch visible.

mod encoder;
mod envelope;
mod group_offsets;
mod options;
mod publisher;
mod queues;
mod source;
mod start;

pub use encoder::TopicSinks;
pub use publisher::TopicPublisher;
pub use source::TopicSources;

pub(crate) use options::TopicOptions;
