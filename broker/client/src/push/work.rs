//! Handling what was pulled: batches go to the listener, and what fails comes again.

use std::sync::Arc;
use std::time::Duration;

use model::{StoredMessage, properties};
use protocol::RequestCode;
use protocol::headers::SendBack;
use tokio::sync::mpsc;

use super::consumption::Consumption;
use super::listener::{Batch, Outcome};
use super::process_queue::ProcessQueue;
use crate::Error;
use crate::pull_consumer::request;

/// Rest before a batch is handled again that could not be sent back.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// How often a handler looks whether a lost lock is back.
const LOOK_FOR_LOCK: Duration = Duration::from_millis(200);
/// The delay level that says: as often as it came.
const BY_ATTEMPTS: i32 = 0;
/// The delay level that says: it is given up.
const GIVE_UP: i32 = -1;

/// A batch on its way to the listener.
pub(crate) struct Work {
    pub(crate) queue: Arc<ProcessQueue>,
    pub(crate) era: u64,
    pub(crate) messages: Arc<[StoredMessage]>,
}

impl Work {
    fn is_current(&self) -> bool {
        self.queue.is_current(self.era)
    }
}

/// Batches waiting for a free handler.
pub(crate) type Queue = Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<Work>>>;

impl Consumption {
    /// Takes batches, one at a time, until the consumer stops.
    pub(crate) async fn handle_all(self: Arc<Self>, work: Queue) {
        loop {
            let next = async { work.lock().await.recv().await };
            let next = tokio::select! {
                biased;
                () = self.stopping() => return,
                next = next => next,
            };
            let Some(work) = next else { return };
            self.handle(work).await;
        }
    }

    async fn handle(self: &Arc<Self>, work: Work) {
        if !work.is_current() {
            return;
        }
        let _busy = self.busy();
        let failed = match self.consume(&work).await {
            None => return,
            Some(Outcome::Done) => Vec::new(),
            Some(Outcome::Again) if !self.settings.shares() => {
                let queue = &work.queue.queue;
                tracing::warn!(group = %self.group(), %queue, "a broadcast batch failed, and comes not again");
                Vec::new()
            }
            Some(Outcome::Again) => self.send_back_all(&work).await,
        };
        let wall = self.client.clock().wall();
        if failed.is_empty() {
            return work.queue.done(work.era, &work.messages, wall);
        }
        let (gone, kept): (Vec<_>, Vec<_>) = work
            .messages
            .iter()
            .cloned()
            .partition(|message| !failed.contains(&message.queue_offset));
        work.queue.done(work.era, &gone, wall);
        self.handle_later(Work {
            messages: kept.into(),
            ..work
        });
    }

    /// Handles batches of one queue, each before the next, until the queue is dropped.
    pub(crate) async fn handle_in_order(
        self: Arc<Self>,
        queue: Arc<ProcessQueue>,
        mut work: mpsc::UnboundedReceiver<Work>,
    ) {
        loop {
            let next = tokio::select! {
                biased;
                () = self.stopping() => return,
                () = queue.dropped() => return,
                next = work.recv() => next,
            };
            let Some(mut work) = next else { return };
            while work.is_current() {
                if self.over(&queue).await {
                    return;
                }
                match self.consume(&work).await {
                    None => return,
                    Some(Outcome::Done) => {
                        let wall = self.client.clock().wall();
                        queue.done(work.era, &work.messages, wall);
                        break;
                    }
                    Some(Outcome::Again) => work = self.again_in_order(work).await,
                }
                if work.messages.is_empty() {
                    break;
                }
                tokio::select! {
                    biased;
                    () = self.stopping() => return,
                    () = self.client.clock().sleep(self.settings.suspend) => {}
                }
            }
        }
    }

    /// Waits while the queue's lock is lost; whether the queue is out of our hands.
    async fn over(&self, queue: &ProcessQueue) -> bool {
        loop {
            if self.is_stopped() || queue.is_dropped() {
                return true;
            }
            if queue.may_go_on(self.client.clock().now()) {
                return false;
            }
            self.client.clock().sleep(LOOK_FOR_LOCK).await;
        }
    }

    /// The batch as it comes again: counted once more, without what has come too often.
    async fn again_in_order(self: &Arc<Self>, work: Work) -> Work {
        let mut kept = Vec::with_capacity(work.messages.len());
        for message in work.messages.iter() {
            let attempts = u32::try_from(message.message.reconsume_times).unwrap_or(0);
            let spent = self.settings.shares()
                && self.settings.retries.is_some_and(|most| attempts >= most);
            if spent {
                match self.send_back(&work.queue, message, GIVE_UP).await {
                    Ok(()) => {
                        let wall = self.client.clock().wall();
                        work.queue
                            .done(work.era, std::slice::from_ref(message), wall);
                        continue;
                    }
                    Err(why) => {
                        self.report(&work.queue.queue, "a message could not be given up", &why)
                    }
                }
            }
            let mut message = message.clone();
            message.message.reconsume_times = message.message.reconsume_times.saturating_add(1);
            kept.push(message);
        }
        Work {
            messages: kept.into(),
            ..work
        }
    }

    /// What the listener says. `None` when everything stops and nobody can know.
    async fn consume(self: &Arc<Self>, work: &Work) -> Option<Outcome> {
        let batch = Batch {
            queue: work.queue.queue.clone(),
            messages: work.messages.clone(),
        };
        let listener = self.listener.clone();
        // On a task of its own, so that a panic costs this batch and nothing else.
        let consuming = async move { listener.consume(batch).await };
        let consumed = self.client.tasks().spawn("consume", consuming);
        match consumed.await {
            Ok(outcome) => Some(outcome),
            Err(runtime::TaskError::Panicked { message, .. }) => {
                let queue = &work.queue.queue;
                tracing::error!(group = %self.group(), %queue, message, "a listener panicked");
                Some(Outcome::Again)
            }
            Err(runtime::TaskError::Stopped { .. }) => None,
        }
    }

    /// Sends every message back to its broker; returns the offsets of those that could not be.
    async fn send_back_all(&self, work: &Work) -> Vec<model::QueueOffset> {
        let mut failed = Vec::new();
        for message in work.messages.iter() {
            if let Err(why) = self.send_back(&work.queue, message, BY_ATTEMPTS).await {
                self.report(&work.queue.queue, "a message could not be sent back", &why);
                failed.push(message.queue_offset);
            }
        }
        failed
    }

    async fn send_back(
        &self,
        queue: &ProcessQueue,
        message: &StoredMessage,
        delay_level: i32,
    ) -> Result<(), Error> {
        let id = message.message_id().to_string();
        let origin = message
            .message
            .properties
            .get(properties::ORIGIN_MESSAGE_ID);
        let retries = self.settings.retries;
        let header = SendBack {
            log_offset: i64::try_from(message.log_offset.0).unwrap_or(i64::MAX),
            group: self.group().as_str(),
            delay_level,
            origin_message_id: Some(origin.unwrap_or(&id)),
            origin_topic: Some(message.message.topic.as_str()),
            unit_mode: false,
            max_reconsume_times: retries.map(|most| i32::try_from(most).unwrap_or(i32::MAX)),
            broker: Some(&queue.queue.broker),
        };
        let request = request(RequestCode::CONSUMER_SEND_MSG_BACK, &header);
        let route = self.client.routes().of(&queue.queue.topic).await?;
        let address = route.address_of(&queue.queue)?;
        self.client.demand(address, request).await?;
        Ok(())
    }

    /// Hands a batch to the listener again, here and after a rest.
    fn handle_later(self: &Arc<Self>, work: Work) {
        let (consumption, busy) = (self.clone(), self.busy());
        self.client.tasks().spawn("consume again", async move {
            tokio::select! {
                biased;
                () = consumption.stopping() => {}
                () = consumption.client.clock().sleep(AFTER_FAILURE) => {
                    consumption.work.send(work).ok();
                }
            }
            drop(busy);
        });
    }
}
