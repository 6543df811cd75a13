//! The inside of a push consumer, shared by its tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{ConsumerGroup, Topic};
use parking_lot::Mutex;
use protocol::body::SubscriptionData;
use runtime::Signal;
use tokio::sync::{Notify, mpsc, watch};

use super::listener::Listener;
use super::process_queue::ProcessQueue;
use super::progress::Progress;
use super::settings::PushSettings;
use super::work::Work;
use crate::route::BrokerQueue;
use crate::{Client, Error, Filter};

/// What every task of one consumer works with. Its parts are in the files beside this one:
/// sharing queues, locking them, pulling, handling, keeping progress.
pub(crate) struct Consumption {
    pub(crate) client: Client,
    pub(crate) settings: PushSettings,
    pub(crate) listener: Arc<dyn Listener>,
    pub(crate) progress: Progress,
    /// Guards a plain map.
    pub(crate) subscriptions: Mutex<BTreeMap<Topic, Subscription>>,
    /// Guards a plain map of the queues in our hands.
    pub(crate) queues: Mutex<BTreeMap<BrokerQueue, Arc<ProcessQueue>>>,
    /// Queues that were dropped and are not let go of yet. Locked after `queues`, never before.
    pub(crate) leaving: Mutex<BTreeSet<BrokerQueue>>,
    /// Signalled when the queues have to be shared anew.
    pub(crate) changed: Notify,
    /// Batches for whichever handler is free. Bounded by what each queue may hold.
    pub(crate) work: mpsc::UnboundedSender<Work>,
    pub(crate) stopped: Signal,
    /// Tasks that still do something; counted so that the end can wait for them.
    busy: watch::Sender<usize>,
    /// Wall time in milliseconds.
    pub(crate) started: i64,
}

/// What is wanted of a topic, and since when.
#[derive(Clone)]
pub(crate) struct Subscription {
    pub(crate) filter: Filter,
    /// Milliseconds since 1970.
    pub(crate) version: i64,
}

impl Consumption {
    pub(crate) fn new(
        client: Client,
        settings: PushSettings,
        listener: Arc<dyn Listener>,
        progress: Progress,
        work: mpsc::UnboundedSender<Work>,
    ) -> Consumption {
        Consumption {
            started: client.clock().wall(),
            client,
            settings,
            listener,
            progress,
            subscriptions: Mutex::default(),
            queues: Mutex::default(),
            leaving: Mutex::default(),
            changed: Notify::new(),
            work,
            stopped: Signal::default(),
            busy: watch::Sender::new(0),
        }
    }

    pub(crate) fn group(&self) -> &ConsumerGroup {
        &self.settings.group
    }

    pub(crate) fn subscribe(&self, topic: Topic, filter: Filter) {
        let subscription = Subscription {
            filter,
            version: self.client.clock().wall(),
        };
        self.subscriptions.lock().insert(topic, subscription);
    }

    pub(crate) fn subscription(&self, topic: &Topic) -> Option<Subscription> {
        self.subscriptions.lock().get(topic).cloned()
    }

    pub(crate) fn subscription_data(&self) -> Vec<SubscriptionData> {
        let subscriptions = self.subscriptions.lock();
        let data = subscriptions.iter().map(|(topic, subscription)| {
            let (filter, version) = (&subscription.filter, subscription.version);
            filter.subscription(topic.as_str(), version)
        });
        data.collect()
    }

    pub(crate) fn held_queues(&self) -> Vec<Arc<ProcessQueue>> {
        self.queues.lock().values().cloned().collect()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.is_raised()
    }

    /// Resolves once the consumer is asked to stop, by its owner or with all tasks.
    pub(crate) async fn stopping(&self) {
        let shutdown = self.client.tasks().shutdown();
        tokio::select! {
            biased;
            () = shutdown.requested() => {}
            () = self.stopped.raised() => {}
        }
    }

    /// Counts a task until the guard is dropped.
    pub(crate) fn busy(self: &Arc<Self>) -> Busy {
        self.busy.send_modify(|count| *count += 1);
        Busy {
            consumption: self.clone(),
        }
    }

    /// Resolves when nobody is busy.
    pub(crate) async fn idle(&self) {
        let mut busy = self.busy.subscribe();
        let outcome = busy.wait_for(|count| *count == 0).await;
        outcome.expect("the sender lives in self");
    }

    /// Tells the broker, or the disk, how far every queue is.
    pub(crate) async fn keep_progress(&self) {
        for queue in self.held_queues() {
            self.keep_progress_of(&queue).await;
        }
        self.progress.flush().await;
    }

    pub(crate) async fn keep_progress_of(&self, queue: &ProcessQueue) {
        let Some(offset) = queue.to_keep() else {
            return;
        };
        match self.progress.keep(&queue.queue, offset).await {
            Ok(()) => queue.kept(offset),
            Err(why) => self.report(&queue.queue, "its progress could not be kept", &why),
        }
    }

    pub(crate) fn report(&self, queue: &BrokerQueue, what: &str, why: &Error) {
        tracing::warn!(group = %self.group(), %queue, %why, "{what}");
    }
}

/// Somebody does something.
pub(crate) struct Busy {
    consumption: Arc<Consumption>,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.consumption.busy.send_modify(|count| *count -= 1);
    }
}
