//! Locks on queues whose messages are handled in order: one member of the group at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use protocol::body::{self, LockReply, LockRequest};
use protocol::{ExtFields, Frame, RequestCode};
use runtime::Moment;

use super::consumption::Consumption;
use super::progress::message_queue;
use crate::Error;
use crate::connections::unreadable;
use crate::error::Address;
use crate::route::{BrokerQueue, Route};

/// How often locks are renewed.
const RENEW: Duration = Duration::from_secs(20);
/// How long a lock is relied on; the broker keeps it for a minute.
const TRUSTED: Duration = Duration::from_secs(30);

impl Consumption {
    /// Locks as many of these queues as are free; each with the time until when it is ours.
    pub(crate) async fn lock(
        &self,
        queues: &[BrokerQueue],
        route: &Route,
    ) -> Vec<(BrokerQueue, Option<Moment>)> {
        let mut locked = Vec::new();
        for (broker, queues) in by_broker(queues) {
            let until = self.client.clock().now() + TRUSTED;
            let Some(address) = route.master(&broker) else {
                continue;
            };
            match self.ask_for_locks(address, &queues).await {
                Ok(granted) => {
                    let granted = queues.into_iter().filter(|queue| granted.contains(queue));
                    locked.extend(granted.map(|queue| (queue, Some(until))));
                }
                Err(why) => {
                    tracing::warn!(group = %self.group(), %why, "queues could not be locked");
                }
            }
        }
        locked
    }

    /// Renews the locks until the consumer stops.
    pub(crate) async fn renew_locks(self: Arc<Self>) {
        loop {
            tokio::select! {
                biased;
                () = self.stopping() => return,
                () = self.client.clock().sleep(RENEW) => self.renew().await,
            }
        }
    }

    async fn renew(&self) {
        let held: Vec<BrokerQueue> = self.queues.lock().keys().cloned().collect();
        for (_, queues) in by_broker(&held) {
            let until = self.client.clock().now() + TRUSTED;
            let Ok(address) = self.address_of(&queues[0]).await else {
                continue;
            };
            match self.ask_for_locks(&address, &queues).await {
                Ok(granted) => {
                    for queue in self.held_queues() {
                        if granted.contains(&queue.queue) {
                            queue.locked(until);
                        }
                    }
                    // Somebody else has them now; what we know of them is of no use any more.
                    let asked: BTreeSet<&BrokerQueue> = queues.iter().collect();
                    self.drop_where(|queue| asked.contains(queue) && !granted.contains(queue));
                    if granted.len() < queues.len() {
                        self.changed.notify_one();
                    }
                }
                Err(why) => {
                    tracing::warn!(group = %self.group(), %why, "locks could not be renewed");
                }
            }
        }
    }

    pub(crate) async fn unlock(&self, queue: &BrokerQueue) {
        let outcome = async {
            let address = self.address_of(queue).await?;
            let request =
                self.lock_request(RequestCode::UNLOCK_BATCH_MQ, std::slice::from_ref(queue));
            self.client.demand(&address, request).await
        };
        if let Err(why) = outcome.await {
            self.report(queue, "a lock could not be given back", &why);
        }
    }

    async fn address_of(&self, queue: &BrokerQueue) -> Result<Address, Error> {
        let route = self.client.routes().of(&queue.topic).await?;
        Ok(route.address_of(queue)?.clone())
    }

    async fn ask_for_locks(
        &self,
        address: &Address,
        queues: &[BrokerQueue],
    ) -> Result<BTreeSet<BrokerQueue>, Error> {
        let code = RequestCode::LOCK_BATCH_MQ;
        let request = self.lock_request(code, queues);
        let answer = self.client.demand(address, request).await?;
        let reply: LockReply = body::decode(&answer.body).map_err(unreadable(address, code))?;
        Ok(reply
            .locked
            .iter()
            .filter_map(crate::admin::broker_queue)
            .collect())
    }

    fn lock_request(&self, code: RequestCode, queues: &[BrokerQueue]) -> Frame {
        let body = body::encode_standard(&LockRequest {
            client_id: self.client.id().to_owned(),
            consumer_group: self.group().to_string(),
            mq_set: queues.iter().map(message_queue).collect(),
            only_this_broker: false,
        });
        Frame::request(code, ExtFields::new(), body)
    }
}

fn by_broker(queues: &[BrokerQueue]) -> BTreeMap<Arc<str>, Vec<BrokerQueue>> {
    let mut brokers: BTreeMap<Arc<str>, Vec<BrokerQueue>> = BTreeMap::new();
    for queue in queues {
        brokers
            .entry(queue.broker.clone())
            .or_default()
            .push(queue.clone());
    }
    brokers
}
