//! Reading one queue for as long as it is in our hands, and letting go of it in good order.

use std::sync::Arc;
use std::time::Duration;

use model::StoredMessage;
use protocol::headers::{PullFlags, PullMessage};
use protocol::{RequestCode, ResponseCode};
use tokio::sync::mpsc;

use super::consumption::{Consumption, Subscription};
use super::process_queue::ProcessQueue;
use super::work::Work;
use crate::Error;
use crate::pull_consumer::{pulled, request, wire_offset, wire_queue};
use crate::pulled::PullStatus;

/// How long a broker may hold a pull that finds nothing.
const HOLD: Duration = Duration::from_secs(15);
/// How long a pull may take in all.
const LIMIT: Duration = Duration::from_secs(30);
/// Rest after a pull that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(3);
/// Rest after a pull that the broker was too busy for.
const AFTER_FLOW_CONTROL: Duration = Duration::from_millis(20);

impl Consumption {
    /// Reads the queue until it is dropped or the consumer stops; then keeps how far it came
    /// and gives its lock back.
    pub(crate) async fn read_queue(self: Arc<Self>, queue: Arc<ProcessQueue>) {
        let _busy = self.busy();
        if self.settings.ordered {
            let (work, batches) = mpsc::unbounded_channel();
            let handle = self.clone().handle_in_order(queue.clone(), batches);
            tokio::join!(self.pull_all(&queue, &work), handle);
        } else {
            self.pull_all(&queue, &self.work).await;
        }
        if !self.client.tasks().shutdown().is_requested() {
            self.keep_progress_of(&queue).await;
            if self.settings.locks() {
                self.unlock(&queue.queue).await;
            }
        }
        self.let_go(&queue.queue);
    }

    async fn pull_all(&self, queue: &Arc<ProcessQueue>, work: &mpsc::UnboundedSender<Work>) {
        tokio::select! {
            biased;
            () = queue.dropped() => {}
            () = self.stopping() => {}
            () = self.pull_on(queue, work) => {}
        }
    }

    async fn pull_on(&self, queue: &Arc<ProcessQueue>, work: &mpsc::UnboundedSender<Work>) {
        let settings = &self.settings;
        let clock = self.client.clock();
        let mut introduced = false;
        loop {
            queue
                .has_room(settings.held_messages, settings.held_bytes)
                .await;
            let Some(subscription) = self.subscription(&queue.queue.topic) else {
                // Not wanted any more: the next sharing drops it.
                return queue.dropped().await;
            };
            let why = match self.pull(queue, &subscription).await {
                Ok((era, messages)) => {
                    introduced = false;
                    for batch in messages.chunks(settings.batch.max(1)) {
                        let batch = Work {
                            queue: queue.clone(),
                            era,
                            messages: batch.into(),
                        };
                        work.send(batch).ok();
                    }
                    continue;
                }
                Err(why) => why,
            };
            match why.code() {
                Some(ResponseCode::FLOW_CONTROL) => clock.sleep(AFTER_FLOW_CONTROL).await,
                // The broker was restarted, or the subscription is new: it has to hear of us.
                Some(
                    ResponseCode::SUBSCRIPTION_NOT_EXIST | ResponseCode::SUBSCRIPTION_NOT_LATEST,
                ) if !introduced => {
                    introduced = true;
                    self.client.heartbeat().await;
                }
                _ => {
                    self.report(&queue.queue, "a pull failed", &why);
                    clock.sleep(AFTER_FAILURE).await;
                }
            }
        }
    }

    /// One pull, noted in the queue. Gives what has to be handled, and the era it belongs to.
    async fn pull(
        &self,
        queue: &ProcessQueue,
        subscription: &Subscription,
    ) -> Result<(u64, Vec<StoredMessage>), Error> {
        let from = queue.next();
        let id = queue.queue.id();
        let commits = self.settings.shares();
        let flags = match commits {
            true => PullFlags::SUSPEND | PullFlags::COMMIT_OFFSET,
            false => PullFlags::SUSPEND,
        };
        let header = PullMessage {
            group: self.group().as_str(),
            topic: id.topic.as_str(),
            queue: wire_queue(&id),
            queue_offset: wire_offset(from),
            max_messages: i32::try_from(self.settings.pull).unwrap_or(i32::MAX).max(1),
            flags,
            commit_offset: if commits {
                wire_offset(queue.commit_point())
            } else {
                0
            },
            suspend_timeout_ms: HOLD.as_millis() as i64,
            subscription: None,
            subscription_version: subscription.version,
            expression_type: Some(subscription.filter.language()),
            max_message_bytes: None,
            request_source: None,
            proxy_forward_client_id: None,
            broker: Some(&queue.queue.broker),
        };
        let routes = self.client.routes();
        let route = routes.of(&id.topic).await?;
        let address = route.address_of(&queue.queue)?;
        let request = request(RequestCode::PULL_MESSAGE, &header).binary();
        let answer = self.client.connections().ask(address, request, LIMIT).await;
        if matches!(answer, Err(Error::Unreachable { .. })) {
            routes.forget(&id.topic);
        }
        let mut pulled = pulled(address, answer?, from, &subscription.filter)?;
        if pulled.status == PullStatus::OffsetMoved && pulled.next != from {
            let queue_id = &queue.queue;
            tracing::info!(group = %self.group(), queue = %queue_id, %from, to = %pulled.next, "a queue goes on elsewhere");
            queue.move_to(pulled.next);
            self.keep_progress_of(queue).await;
            return Ok((0, Vec::new()));
        }
        let retry = self.group().retry_topic();
        for message in &mut pulled.messages {
            restore_topic(message, &retry);
        }
        let wall = self.client.clock().wall();
        let era = queue.fetched(from, &pulled.messages, pulled.next, wall);
        Ok(era.map_or((0, Vec::new()), |era| (era, pulled.messages)))
    }
}

/// A message that comes again says where it belongs.
fn restore_topic(stored: &mut StoredMessage, retry: &model::Topic) {
    let message = &mut stored.message;
    if message.topic != *retry {
        return;
    }
    let origin = message.properties.get(model::properties::RETRY_TOPIC);
    if let Some(topic) = origin.and_then(|topic| model::Topic::stored(topic).ok()) {
        message.topic = topic;
    }
}
