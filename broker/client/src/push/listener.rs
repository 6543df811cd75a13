//! What an application does with the messages a push consumer brings.

use std::ops::Deref;
use std::sync::Arc;

use async_trait::async_trait;
use model::StoredMessage;

use crate::route::BrokerQueue;

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The messages are done with.
    Done,
    /// All of them are wanted again: later, after a growing delay; at once and in place when
    /// order matters. Too often, and they end in the group's dead-letter topic.
    Again,
}

/// Messages of one queue, in its order. At least one.
#[derive(Clone, Debug)]
pub struct Batch {
    pub queue: BrokerQueue,
    pub messages: Arc<[StoredMessage]>,
}

impl Deref for Batch {
    type Target = [StoredMessage];

    fn deref(&self) -> &[StoredMessage] {
        &self.messages
    }
}

/// Handles batches, several at a time unless order matters. One that panics wants its batch
/// again. A function from [`Batch`] to a future of [`Outcome`] is a listener.
#[async_trait]
pub trait Listener: Send + Sync + 'static {
    async fn consume(&self, batch: Batch) -> Outcome;
}

#[async_trait]
impl<F, R> Listener for F
where
    F: Fn(Batch) -> R + Send + Sync + 'static,
    R: Future<Output = Outcome> + Send,
{
    async fn consume(&self, batch: Batch) -> Outcome {
        self(batch).await
    }
}
