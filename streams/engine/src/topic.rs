//! Topics as sources and sinks of a job, and the commit that makes an epoch visible.

mod encoder;
mod envelope;
mod options;
mod publisher;
mod source;

pub use encoder::TopicSinks;
pub use publisher::TopicPublisher;
pub use source::TopicSources;

pub(crate) use options::TopicOptions;
