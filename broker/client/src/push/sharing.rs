//! Taking the queues that are ours and letting go of the others, again and again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use model::Topic;
use protocol::RequestCode;
use protocol::body::{self, ConsumerIds};
use protocol::headers::ConsumerGroupNamed;

use super::consumption::Consumption;
use super::process_queue::ProcessQueue;
use super::share::share_of;
use crate::Error;
use crate::connections::unreadable;
use crate::pull_consumer::request;
use crate::route::{BrokerQueue, Route};

/// How often the queues are shared anew without anybody asking for it.
const EVERY: Duration = Duration::from_secs(20);
/// How soon after a sharing that left something open.
const SOON: Duration = Duration::from_secs(1);

impl Consumption {
    /// Shares until the consumer stops.
    pub(crate) async fn share_on(self: Arc<Self>) {
        let mut complained = false;
        loop {
            let open = tokio::select! {
                biased;
                () = self.stopping() => return,
                open = self.share() => open,
            };
            match &open {
                // Said once, not every second.
                Some(why) if !std::mem::replace(&mut complained, true) => {
                    tracing::warn!(group = %self.group(), why, "not every queue has a reader yet");
                }
                Some(_) => {}
                None => complained = false,
            }
            let rest = if open.is_some() { SOON } else { EVERY };
            tokio::select! {
                biased;
                () = self.stopping() => return,
                () = self.client.clock().sleep(rest) => {}
                () = self.changed.notified() => {}
            }
        }
    }

    /// Shares every topic once; says what is left open, if anything.
    async fn share(self: &Arc<Self>) -> Option<String> {
        let topics: BTreeSet<Topic> = self.subscriptions.lock().keys().cloned().collect();
        self.drop_where(|queue| !topics.contains(&queue.topic));
        let mut open = None;
        let mut routes = Vec::new();
        for topic in &topics {
            match self.client.routes().of(topic).await {
                Ok(route) => routes.push(route),
                Err(why) => open = Some(why.to_string()),
            }
        }
        // A broker counts us as a member only when it has heard of us.
        self.client.greet().await;
        for route in &routes {
            match self.share_topic(route).await {
                Ok(left) => open = open.or(left),
                Err(why) => open = Some(why.to_string()),
            }
        }
        open
    }

    async fn share_topic(self: &Arc<Self>, route: &Route) -> Result<Option<String>, Error> {
        let mine = match self.settings.shares() {
            false => route.readable.clone(),
            true => {
                let members = self.members(route).await?;
                if !members.iter().any(|member| member == self.client.id()) {
                    return Ok(Some(
                        "the broker does not count us as a member yet".to_owned(),
                    ));
                }
                share_of(self.client.id(), &members, &route.readable)
            }
        };
        self.drop_where(|queue| queue.topic == route.topic && !mine.contains(queue));
        let (new, busy): (Vec<_>, Vec<_>) = {
            let queues = self.queues.lock();
            let new = mine
                .iter()
                .filter(|queue| !queues.contains_key(queue))
                .cloned();
            let leaving = self.leaving.lock();
            new.partition(|queue| !leaving.contains(queue))
        };
        let granted = match self.settings.locks() {
            true => self.lock(&new, route).await,
            false => new.iter().map(|queue| (queue.clone(), None)).collect(),
        };
        let mut open = None;
        if let Some(queue) = busy.first() {
            open = Some(format!("queue {queue} is still being let go of"));
        }
        if granted.len() < new.len() {
            open = Some("a queue is locked by another member".to_owned());
        }
        for (queue, locked_until) in granted {
            match self.progress.start(&queue).await {
                Ok(next) => self.take(ProcessQueue::new(queue, next, locked_until)),
                Err(why) => open = Some(why.to_string()),
            }
        }
        Ok(open)
    }

    /// Ids of the group's members, sorted.
    async fn members(&self, route: &Route) -> Result<Vec<String>, Error> {
        let code = RequestCode::GET_CONSUMER_LIST_BY_GROUP;
        let masters = route
            .brokers
            .iter()
            .filter_map(|broker| broker.master.as_ref());
        let header = ConsumerGroupNamed {
            group: self.group().as_str(),
        };
        // Every broker of the topic has heard every member: the first that answers will do.
        let mut outcome = Err(Error::NoQueues {
            topic: route.topic.clone(),
            access: "readable",
        });
        for address in masters {
            outcome = self.client.demand(address, request(code, &header)).await;
            if let Ok(answer) = &outcome {
                let ids: ConsumerIds =
                    body::decode(&answer.body).map_err(unreadable(address, code))?;
                let mut ids = ids.consumer_id_list;
                ids.sort();
                return Ok(ids);
            }
        }
        outcome.map(|_| Vec::new())
    }

    fn take(self: &Arc<Self>, queue: ProcessQueue) {
        let queue = Arc::new(queue);
        tracing::debug!(group = %self.group(), queue = %queue.queue, from = %queue.next(), "takes a queue");
        self.queues
            .lock()
            .insert(queue.queue.clone(), queue.clone());
        let name = format!("consume {}", queue.queue);
        self.client
            .tasks()
            .spawn(name, self.clone().read_queue(queue));
    }

    /// Drops queues; their readers let go of them in good order.
    pub(crate) fn drop_where(&self, unwanted: impl Fn(&BrokerQueue) -> bool) {
        let mut queues = self.queues.lock();
        let mut leaving = self.leaving.lock();
        queues.retain(|name, queue| {
            let drop = unwanted(name);
            if drop {
                leaving.insert(name.clone());
                queue.drop_it();
            }
            !drop
        });
    }

    /// A dropped queue may be taken again from now on.
    pub(crate) fn let_go(&self, queue: &BrokerQueue) {
        self.leaving.lock().remove(queue);
    }
}
