//! Brings messages to a listener: shares queues with its group, keeps how far it has come, and
//! brings again what failed.
//!
//! ```text
//! sharing ─► a reader for each queue ─► handlers ─► listener
//!   ▲              │ pulls                 │ done: the commit point moves on
//!   │ 20 s, or     ▼                       │ again: sent back, or tried in place
//!   │ a notice   progress ◄────────────────┘ kept every 5 s
//! ```

mod consumption;
mod listener;
mod locks;
mod member;
mod process_queue;
mod progress;
mod pulling;
mod settings;
mod share;
mod sharing;
mod work;

use std::sync::Arc;
use std::time::Duration;

use model::Topic;
use protocol::body::CheckClientRequest;
use protocol::{ExtFields, Frame, RequestCode, body};
use tokio::sync::mpsc;

use crate::route::BrokerQueue;
use crate::{Client, Error, Filter};
use consumption::Consumption;
use progress::Progress;

pub use listener::{Batch, Listener, Outcome};
pub use settings::{ConsumeFrom, PushSettings};

/// How often progress is kept.
const KEEP: Duration = Duration::from_secs(5);

/// A consumer that is not started yet.
pub struct PushConsumerBuilder {
    client: Client,
    settings: PushSettings,
    subscriptions: Vec<(Topic, Filter)>,
}

/// A running consumer. Dropped without [`PushConsumer::shutdown`] it stops all the same, but
/// what it did in the last seconds may come again.
pub struct PushConsumer {
    inner: Arc<Consumption>,
}

impl Client {
    /// A consumer that brings messages to a listener once it is started.
    pub fn push_consumer(&self, settings: PushSettings) -> PushConsumerBuilder {
        PushConsumerBuilder {
            client: self.clone(),
            settings,
            subscriptions: Vec::new(),
        }
    }
}

impl PushConsumerBuilder {
    /// Wants the messages of a topic that the filter keeps. All members of a group have to want
    /// the same.
    pub fn subscribe(mut self, topic: Topic, filter: Filter) -> PushConsumerBuilder {
        self.subscriptions.push((topic, filter));
        self
    }

    /// Joins the group and begins. Topics that do not exist yet are read once they do.
    ///
    /// Fails when the broker cannot read an SQL filter, and when this client already has a
    /// consumer in the group.
    pub async fn start(self, listener: impl Listener) -> Result<PushConsumer, Error> {
        let PushConsumerBuilder {
            client,
            settings,
            subscriptions,
        } = self;
        let group = settings.group.clone();
        let tasks = client.tasks().clone();
        let broker = client.pull_consumer(group.clone());
        let progress = Progress::open(&settings, broker, &tasks).await?;
        let (work, batches) = mpsc::unbounded_channel();
        let inner = Arc::new(Consumption::new(
            client.clone(),
            settings,
            Arc::new(listener),
            progress,
            work,
        ));
        for (topic, filter) in subscriptions {
            check(&inner, &topic, &filter).await?;
            inner.subscribe(topic, filter);
        }
        if inner.settings.shares() {
            inner.subscribe(group.retry_topic(), Filter::All);
        }
        let member = Arc::downgrade(&inner);
        if !client.members().consumer_joins(&group, member) {
            return Err(Error::Illegal {
                why: format!("this client already has a consumer in group {group}"),
            });
        }
        client.forget_greetings();
        tasks.spawn("share queues", inner.clone().share_on());
        tasks.spawn("keep progress", keep_on(inner.clone()));
        if inner.settings.locks() {
            tasks.spawn("renew locks", inner.clone().renew_locks());
        }
        if !inner.settings.ordered {
            let batches = Arc::new(tokio::sync::Mutex::new(batches));
            for _ in 0..inner.settings.concurrency.max(1) {
                tasks.spawn("handle batches", inner.clone().handle_all(batches.clone()));
            }
        }
        Ok(PushConsumer { inner })
    }
}

impl PushConsumer {
    /// Wants a further topic, or other messages of one; members of the group have to follow.
    pub async fn subscribe(&self, topic: Topic, filter: Filter) -> Result<(), Error> {
        check(&self.inner, &topic, &filter).await?;
        self.inner.subscribe(topic, filter);
        self.inner.client.heartbeat().await;
        self.inner.changed.notify_one();
        Ok(())
    }

    /// Wants a topic no longer.
    pub async fn unsubscribe(&self, topic: &Topic) {
        self.inner.subscriptions.lock().remove(topic);
        self.inner.client.heartbeat().await;
        self.inner.changed.notify_one();
    }

    /// The queues in its hands now.
    pub fn queues(&self) -> Vec<BrokerQueue> {
        self.inner.queues.lock().keys().cloned().collect()
    }

    /// Stops in good order: batches under way are finished if they are within `limit`, progress
    /// is kept, locks are given back, and the group is left.
    pub async fn shutdown(self, limit: Duration) {
        let inner = &self.inner;
        inner.stopped.raise();
        if inner
            .client
            .clock()
            .timeout(limit, inner.idle())
            .await
            .is_err()
        {
            let (group, limit_ms) = (inner.group(), limit.as_millis());
            tracing::warn!(%group, limit_ms, "batches were still being handled when a consumer stopped");
        }
        inner.keep_progress().await;
        inner.client.members().consumer_leaves(inner.group());
        inner
            .client
            .unregister(None, Some(inner.group().as_str()))
            .await;
    }
}

impl Drop for PushConsumer {
    fn drop(&mut self) {
        self.inner.stopped.raise();
        self.inner
            .client
            .members()
            .consumer_leaves(self.inner.group());
    }
}

async fn keep_on(inner: Arc<Consumption>) {
    loop {
        tokio::select! {
            biased;
            () = inner.stopping() => return,
            () = inner.client.clock().sleep(KEEP) => inner.keep_progress().await,
        }
    }
}

/// Asks a broker whether it can read the filter, if it is one that brokers read.
async fn check(inner: &Consumption, topic: &Topic, filter: &Filter) -> Result<(), Error> {
    if !matches!(filter, Filter::Sql(_)) {
        return Ok(());
    }
    let client = &inner.client;
    let route = match client.routes().of(topic).await {
        Err(Error::NoRoute { .. }) => return Ok(()),
        route => route?,
    };
    let body = body::encode_standard(&CheckClientRequest {
        client_id: client.id().to_owned(),
        group: inner.group().to_string(),
        namespace: None,
        subscription_data: filter.subscription(topic.as_str(), client.clock().wall()),
    });
    for address in route
        .brokers
        .iter()
        .filter_map(|broker| broker.master.as_ref())
    {
        let code = RequestCode::CHECK_CLIENT_CONFIG;
        client
            .demand(
                address,
                Frame::request(code, ExtFields::new(), body.clone()),
            )
            .await?;
    }
    Ok(())
}
