//! `millstream consume`.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::time::Duration;

use anyhow::Result;
use client::{Client, Filter, PullConsumer};
use futures::future::try_join_all;
use model::{ConsumerGroup, QueueId, QueueOffset, StoredMessage, Topic};
use serde_json::json;

use crate::arguments::{Consume, Global, Output};
use crate::output;

/// The group of readers that leave no trace.
const READER: &str = "CID_MILLSTREAM_CLI";
const HOLD: Duration = Duration::from_millis(500);
const AT_A_TIME: u32 = 256;

/// Prints messages until there were enough, until the topic is drained, until nobody reads, or for ever.
pub async fn run(global: &Global, client: &Client, consume: &Consume) -> Result<()> {
    let topic = Topic::parse(&consume.topic)?;
    let group = ConsumerGroup::parse(consume.group.as_deref().unwrap_or(READER))?;
    let commits = consume.group.is_some();
    let consumer = client.pull_consumer(group);
    let filter = match (&consume.filter, &consume.tag) {
        (Some(condition), _) => Filter::sql(condition.clone()),
        (None, Some(tags)) => Filter::tags(tags)?,
        (None, None) => Filter::All,
    };
    let mut positions = start(&consumer, &topic, commits).await?;
    let mut left = consume.count.unwrap_or(u64::MAX);
    let mut hold = Duration::ZERO;
    while left > 0 {
        let asked = positions
            .iter()
            .map(|(queue, next)| consumer.pull(queue, *next, AT_A_TIME, &filter, hold));
        let answers = try_join_all(asked).await?;
        let (mut came, mut behind) = (false, false);
        let mut moved = Vec::new();
        for ((queue, next), pulled) in positions.iter_mut().zip(answers) {
            *next = pulled.next;
            behind |= pulled.next < pulled.max;
            for message in pulled.messages {
                came = true;
                if left == 0 {
                    break;
                }
                if !print(global.output, &message)? {
                    *next = message.queue_offset;
                    left = 0;
                    break;
                }
                left -= 1;
                *next = message.queue_offset.plus(1);
            }
            moved.push((queue.clone(), *next));
            if left == 0 {
                break;
            }
        }
        if commits {
            for (queue, next) in &moved {
                consumer.commit(queue, *next).await?;
            }
        }
        if !came && !behind {
            if consume.drain {
                break;
            }
            hold = HOLD;
        }
    }
    Ok(())
}

async fn start(
    consumer: &PullConsumer,
    topic: &Topic,
    commits: bool,
) -> Result<BTreeMap<QueueId, QueueOffset>> {
    let mut positions = BTreeMap::new();
    for queue in consumer.queues(topic).await? {
        let kept = if commits {
            consumer.committed(&queue).await?
        } else {
            None
        };
        let next = match kept {
            Some(next) => next,
            None => consumer.min_offset(&queue).await?,
        };
        positions.insert(queue, next);
    }
    Ok(positions)
}

/// Prints one message; false once the reader, such as `head`, has seen enough.
fn print(format: Output, stored: &StoredMessage) -> Result<bool> {
    let message = &stored.message;
    let line = match format {
        Output::Table => message.body.to_vec(),
        Output::Json => {
            let properties: BTreeMap<_, _> = message
                .properties
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            let line = json!({
                "topic": message.topic.as_str(),
                "queue": message.queue,
                "offset": stored.queue_offset.0,
                "stored": output::time(stored.stored.0),
                "id": stored.message_id().to_string(),
                "properties": properties,
                "body": String::from_utf8_lossy(&message.body),
            });
            line.to_string().into_bytes()
        }
    };
    let mut out = std::io::stdout().lock();
    match out.write_all(&line).and_then(|()| out.write_all(b"\n")) {
        Err(why) if why.kind() == ErrorKind::BrokenPipe => Ok(false),
        written => Ok(written.map(|()| true)?),
    }
}
