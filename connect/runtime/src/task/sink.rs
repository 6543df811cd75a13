//! A sink task: pull, decode, write, flush, and only then commit the group's offsets.
//!
//! One pull per queue is under way or waiting to be handled, never more: a target that is slow
//! stops the pulling. Dead letters are durable before the position behind them is.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use connect_sdk::{Error, Positions, Sink};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use model::{QueueId, QueueOffset};
use runtime::Moment;

use super::decode::{Batches, failed};
use super::{Finish, Orders, TaskEnv, TaskError, broker_error};
use crate::broker::{BrokerError, Pulled};
use crate::committer::Committer;
use crate::dead_letter::{Stage, judge};

/// Messages of one pull at most.
const PULL_MESSAGES: usize = 1_024;
/// How long the broker may hold a pull that finds nothing.
const PULL_WAIT: Duration = Duration::from_secs(10);
/// How often to look for a topic that is not there yet.
const TOPIC_WAIT: Duration = Duration::from_millis(500);
/// How often to look for queues that a topic has got since.
const QUEUES_WAIT: Duration = Duration::from_secs(3);

type Pull = BoxFuture<'static, (QueueId, u64, Result<Pulled, BrokerError>)>;

pub(super) async fn run(env: &TaskEnv, begun: Orders) -> Result<Finish, TaskError> {
    let letter_queues = env.dead_letter_queues().await?;
    let mut committer = Committer::open(env).await?;
    let Some(all) = every_queue(env, begun).await? else {
        return Ok(Finish::Ordered);
    };
    let all_queues = all.len();
    let queues = all.into_iter().skip(env.number).step_by(env.count.max(1));
    let opening = env
        .config
        .connector
        .sink(env.options.clone(), env.context());
    let mut sink = tokio::select! {
        opened = opening => opened?,
        () = env.ended(begun) => return Ok(Finish::Ordered),
    };
    let batches = Batches::new(&env.config, sink.takes())?;
    let own = sink.position().await?.unwrap_or_default();
    let pulls = FuturesUnordered::new();
    let mut ahead = Vec::new();
    for queue in queues {
        let (from, committed) = start(env, &queue, &own).await?;
        let is_own = own.queue(queue.topic.as_str(), queue.number).is_some();
        if is_own && committed != Some(QueueOffset(from)) {
            ahead.push((queue.clone(), QueueOffset(from)));
        }
        pulls.push(pull(env, queue, from));
    }
    // Killed between flush and commit: nobody else would tell the group, if nothing more comes.
    if !ahead.is_empty() {
        committer.offsets(env, env.config.group(), ahead).await?;
    }
    let delivery = Delivery {
        env,
        sink,
        batches,
        committer,
        letter_queues,
        pending: Pending::default(),
    };
    delivery.run(begun, pulls, all_queues).await
}

/// All topics' queues; every so-manieth is a task's. Waits for topics that are not there yet.
/// `None` if the run shall end.
async fn every_queue(env: &TaskEnv, begun: Orders) -> Result<Option<Vec<QueueId>>, TaskError> {
    let mut all = Vec::new();
    for topic in &env.config.topics {
        let count = loop {
            if let Some(count) = env.ask(|| env.broker.queues(topic)).await? {
                break count;
            }
            env.struggling(&format!("topic {topic} does not exist yet"));
            if env.pause_or_stop(TOPIC_WAIT).await || env.orders.borrow().restarts != begun.restarts
            {
                return Ok(None);
            }
        };
        all.extend((0..count).map(|number| QueueId::new(topic.clone(), number)));
    }
    Ok(Some(all))
}

/// Resolves when the topics no longer have so many queues.
async fn other_queues(env: &TaskEnv, known: usize) {
    loop {
        env.clock.sleep(QUEUES_WAIT).await;
        let mut now = 0;
        for topic in &env.config.topics {
            // A topic that is away for a moment, or a broker, is no reason to begin anew.
            match env.broker.queues(topic).await {
                Ok(Some(count)) => now += count as usize,
                _ => {
                    now = known;
                    break;
                }
            }
        }
        if now != known {
            return;
        }
    }
}

/// Where to go on in a queue: the target's own position, else the group's, else as configured.
/// Beside it what the group has committed.
async fn start(
    env: &TaskEnv,
    queue: &QueueId,
    own: &Positions,
) -> Result<(u64, Option<QueueOffset>), TaskError> {
    let bounds = env.ask(|| env.broker.bounds(queue)).await?;
    let (min, max) = (bounds.min.0, bounds.max.0);
    let group = env.config.group();
    let committed = env.ask(|| env.broker.committed(&group, queue)).await?;
    if let Some(kept) = own.queue(queue.topic.as_str(), queue.number) {
        if kept > max {
            return Err(Error::config(
                format!("the target holds queue {queue} up to offset {kept}, but the queue ends at {max}: the topic was made anew"),
                "empty the target, or give the connector another one",
            )
            .into());
        }
        return Ok((kept.max(min), committed));
    }
    let from = match committed {
        Some(committed) if committed.0 <= max => committed.0.max(min),
        Some(committed) => {
            tracing::warn!(connector = env.config.name, %queue, committed = committed.0, max, "the group is ahead of the queue, which was made anew: reading starts over");
            min
        }
        None if env.config.common.text("start") == Some("latest") => max,
        None => min,
    };
    Ok((from, committed))
}

fn pull(env: &TaskEnv, queue: QueueId, from: u64) -> Pull {
    let (broker, group) = (env.broker.clone(), env.config.group());
    Box::pin(async move {
        let pulled = broker
            .pull(&group, &queue, QueueOffset(from), PULL_MESSAGES, PULL_WAIT)
            .await;
        (queue, from, pulled)
    })
}

/// A task at work.
struct Delivery<'a> {
    env: &'a TaskEnv,
    sink: Box<dyn Sink>,
    batches: Batches,
    committer: Committer,
    letter_queues: u32,
    pending: Pending,
}

/// What was handled and not yet committed.
#[derive(Default)]
struct Pending {
    since: Option<Moment>,
    rows: usize,
    queues: BTreeMap<QueueId, Moved>,
}

/// How far a queue has moved.
#[derive(Clone, Copy, Default)]
struct Moved {
    /// Everything before is written or dead-lettered.
    handled: u64,
    /// Behind the last batch given to the sink; `None` if it was given nothing.
    written: Option<u64>,
}

impl Delivery<'_> {
    async fn run(
        mut self,
        begun: Orders,
        mut pulls: FuturesUnordered<Pull>,
        all_queues: usize,
    ) -> Result<Finish, TaskError> {
        let env = self.env;
        let mut other_queues = pin!(other_queues(env, all_queues));
        let common = &env.config.common;
        let interval = common
            .duration("flush.interval")
            .unwrap_or(Duration::from_secs(1));
        let rows = common
            .integer("flush.rows")
            .and_then(|rows| usize::try_from(rows).ok())
            .unwrap_or(10_000);
        let Some(mut orders) = env.hold(begun).await else {
            return Ok(Finish::Ordered);
        };
        loop {
            let due = self.pending.since.map(|since| since + interval);
            tokio::select! {
                biased;
                () = env.other_orders(orders) => {
                    self.flush().await?;
                    match env.hold(begun).await {
                        Some(now) => orders = now,
                        None => return Ok(Finish::Ordered),
                    }
                }
                () = until(env, due) => self.flush().await?,
                () = &mut other_queues => {
                    self.flush().await?;
                    return Ok(Finish::Outdated);
                }
                Some((queue, from, pulled)) = pulls.next() => {
                    let pulled = pulled.map_err(broker_error)?;
                    let next = pulled.next.0;
                    self.deliver(&queue, from, pulled).await?;
                    pulls.push(pull(env, queue, next));
                    if self.pending.rows >= rows {
                        self.flush().await?;
                    }
                }
            }
        }
    }

    /// Gives what was pulled to the sink, and what is no record to the dead letters.
    async fn deliver(
        &mut self,
        queue: &QueueId,
        from: u64,
        pulled: Pulled,
    ) -> Result<(), TaskError> {
        if pulled.next.0 <= from {
            return Ok(());
        }
        let next = pulled.next.0;
        let decoded = self.batches.make(queue, from, pulled);
        let mut bad = decoded.failed;
        let given = decoded.batch.records.len();
        let mut moved = self.pending.queues.get(queue).copied().unwrap_or_default();
        if given > 0 {
            let refused = self.sink.write(decoded.batch).await?;
            self.pending.rows += given.saturating_sub(refused.len());
            moved.written = Some(next);
            self.env.uses(&queue.topic).await;
            let messages = &decoded.messages;
            bad.extend(refused.into_iter().filter_map(|refused| {
                Some(failed(
                    messages.get(refused.row)?,
                    Stage::Write,
                    refused.why,
                ))
            }));
        }
        let letters = judge(self.env, bad, self.letter_queues)?;
        if !letters.is_empty() {
            self.committer.messages(self.env, letters).await?;
        }
        moved.handled = next;
        self.pending.queues.insert(queue.clone(), moved);
        self.pending
            .since
            .get_or_insert_with(|| self.env.clock.now());
        Ok(())
    }

    /// Makes everything durable outside, then commits the group's offsets.
    async fn flush(&mut self) -> Result<(), TaskError> {
        let pending = std::mem::take(&mut self.pending);
        if pending.queues.is_empty() {
            return Ok(());
        }
        let named = self.sink.flush().await?;
        let position = |(queue, moved): (QueueId, Moved)| {
            let named = named.queue(queue.topic.as_str(), queue.number);
            let next = match (moved.written, named) {
                (None, _) => moved.handled,
                (Some(written), Some(named)) if named >= written => moved.handled,
                // The sink holds the rest back: it is pulled again after a restart.
                (Some(_), named) => named?,
            };
            Some((queue, QueueOffset(next)))
        };
        let offsets: Vec<_> = pending.queues.into_iter().filter_map(position).collect();
        self.committer
            .offsets(self.env, self.env.config.group(), offsets)
            .await?;
        self.env.count(pending.rows);
        Ok(())
    }
}

async fn until(env: &TaskEnv, due: Option<Moment>) {
    match due {
        Some(due) => env.clock.sleep_until(due).await,
        None => std::future::pending().await,
    }
}
