//! A source task: poll, encode, commit rows and position together, acknowledge.
//!
//! While a commit is under way the next batch is polled already, and no more than that one: a
//! broker that is slow makes the source wait.

use std::pin::pin;

use connect_sdk::{Error, Positions, Source, SourceBatch};
use model::Message;

use super::encode::Messages;
use super::{Finish, Orders, TaskEnv, TaskError};
use crate::committer::Committer;
use crate::dead_letter::{Failed, Stage, judge};
use crate::positions::merged;

pub(super) async fn run(env: &TaskEnv, begun: Orders) -> Result<Finish, TaskError> {
    let topic = &env.config.topics[0];
    let wanted = env
        .config
        .common
        .integer("topic.queues")
        .and_then(|queues| u32::try_from(queues).ok())
        .unwrap_or(8);
    let queues = env.ask(|| env.broker.ensure_topic(topic, wanted)).await?;
    let letter_queues = env.dead_letter_queues().await?;
    let mut committer = Committer::open(env).await?;
    let from = stored_positions(env).await?;
    let opening = env
        .config
        .connector
        .source(env.options.clone(), from, env.context());
    let mut source = tokio::select! {
        opened = opening => opened?,
        () = env.ended(begun) => return Ok(Finish::Ordered),
    };
    let mut messages = Messages::new(&env.config, queues);
    let mut waiting: Option<SourceBatch> = None;
    loop {
        let Some(orders) = env.hold(begun).await else {
            return Ok(Finish::Ordered);
        };
        let batch = match waiting.take() {
            Some(batch) => batch,
            None => tokio::select! {
                polled = source.poll() => match polled? {
                    Some(batch) => batch,
                    None => return Ok(Finish::AtEnd),
                },
                () = env.other_orders(orders) => continue,
            },
        };
        let (positions, records) = (batch.positions.clone(), batch.records.len());
        let outputs = outputs(env, &mut messages, batch, letter_queues)?;
        let next = commit(env, &mut committer, source.as_mut(), outputs, &positions).await?;
        env.count(records);
        if records > 0 {
            env.uses(topic).await;
        }
        source.acknowledge(&positions).await?;
        match next {
            None => {}
            Some(Ok(Some(batch))) => waiting = Some(batch),
            Some(Ok(None)) => return Ok(Finish::AtEnd),
            Some(Err(error)) => return Err(error.into()),
        }
    }
}

/// Where every partition of the connector stands, whichever task wrote it.
async fn stored_positions(env: &TaskEnv) -> Result<Positions, TaskError> {
    let job = env.config.job();
    let mut shards = Vec::new();
    for shard in 0..env.shards {
        shards.push(env.ask(|| env.broker.shard(&job, shard)).await?);
    }
    Ok(merged(&shards))
}

/// The messages of a batch, dead letters behind the rest.
fn outputs(
    env: &TaskEnv,
    messages: &mut Messages,
    batch: SourceBatch,
    letter_queues: u32,
) -> Result<Vec<Message>, Error> {
    let failed = batch.poisoned.into_iter().map(|poisoned| Failed {
        original: poisoned.original,
        key: None,
        properties: Vec::new(),
        origin: None,
        place: poisoned.place,
        stage: Stage::Read,
        why: poisoned.why,
    });
    let letters = judge(env, failed.collect(), letter_queues)?;
    let mut outputs = messages.make(batch.records, env.clock.wall())?;
    outputs.extend(letters);
    Ok(outputs)
}

/// Commits, and polls once meanwhile. Returns what that found, if it came in time.
async fn commit(
    env: &TaskEnv,
    committer: &mut Committer,
    source: &mut dyn Source,
    outputs: Vec<Message>,
    positions: &Positions,
) -> Result<Option<Result<Option<SourceBatch>, Error>>, TaskError> {
    let mut committing = pin!(committer.rows(env, outputs, positions));
    let mut next = None;
    loop {
        tokio::select! {
            biased;
            committed = &mut committing => return committed.map(|()| next),
            polled = source.poll(), if next.is_none() => next = Some(polled),
        }
    }
}
