//! A listener that remembers what it was brought, and does with it what a test says.

use std::sync::Arc;

use async_trait::async_trait;
use client::{Batch, Listener, Outcome};
use model::StoredMessage;
use parking_lot::Mutex;

use crate::house::text;

type Judge = dyn Fn(&StoredMessage) -> Outcome + Send + Sync;

/// Cheap to clone; all clones see the same messages.
#[derive(Clone)]
pub struct Inbox {
    seen: Arc<Mutex<Vec<StoredMessage>>>,
    judge: Arc<Judge>,
}

impl Inbox {
    /// Is done with everything.
    pub fn new() -> Inbox {
        Inbox::judging(|_| Outcome::Done)
    }

    /// A batch is wanted again if one of its messages is.
    pub fn judging(judge: impl Fn(&StoredMessage) -> Outcome + Send + Sync + 'static) -> Inbox {
        Inbox {
            seen: Arc::default(),
            judge: Arc::new(judge),
        }
    }

    pub fn len(&self) -> usize {
        self.seen.lock().len()
    }

    pub fn texts(&self) -> Vec<String> {
        self.seen.lock().iter().map(text).collect()
    }

    pub fn messages(&self) -> Vec<StoredMessage> {
        self.seen.lock().clone()
    }
}

#[async_trait]
impl Listener for Inbox {
    async fn consume(&self, batch: Batch) -> Outcome {
        self.seen.lock().extend(batch.iter().cloned());
        match batch
            .iter()
            .all(|message| (self.judge)(message) == Outcome::Done)
        {
            true => Outcome::Done,
            false => Outcome::Again,
        }
    }
}
