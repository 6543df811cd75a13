//! What the epoch loop asks of sinks, and of whoever publishes an epoch.

use crate::{BoxError, Outbox, OutputRecord};
use async_trait::async_trait;
use dataflow::{Delta, Sink};

/// Turns the change that arrived at a sink into records.
pub trait SinkEncoder: Send {
    /// Records for one epoch's change, in the order in which they are to be written.
    fn encode(&mut self, delta: &Delta) -> Result<Vec<OutputRecord>, BoxError>;
}

/// Opens the encoders of a job's sinks.
pub trait Sinks: Send {
    fn open(&mut self, sink: &Sink) -> Result<Box<dyn SinkEncoder>, BoxError>;
}

/// Makes an epoch's records and source positions visible to the world, together.
#[async_trait]
pub trait Publisher: Send {
    /// Publishes an epoch. Epochs come in order, each perhaps more than once: one that has been
    /// published changes nothing.
    async fn publish(&mut self, outbox: &Outbox) -> Result<(), PublishError>;

    /// What is visible at once: an epoch is kept below it where it can be made smaller.
    fn limits(&self) -> PublishLimits {
        PublishLimits::default()
    }
}

/// How much can be published at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishLimits {
    pub records: usize,
    /// Bytes of all records, and of a single one.
    pub bytes: usize,
}

/// No limit.
impl Default for PublishLimits {
    fn default() -> Self {
        Self {
            records: usize::MAX,
            bytes: usize::MAX,
        }
    }
}

/// Why an epoch was not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The same epoch can be tried again.
    #[error("the epoch may be published later")]
    Retry(#[source] BoxError),
    /// Another run of the job has taken over.
    #[error("another run of this job has taken over")]
    Fenced,
    /// No retry mends it.
    #[error("the epoch is refused")]
    Refused(#[source] BoxError),
}
