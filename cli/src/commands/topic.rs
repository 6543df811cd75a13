//! `millstream topic`.

use anyhow::Result;
use client::{Client, NewTopic};
use model::Topic as TopicName;
use serde::Serialize;

use crate::arguments::{Global, Topic};
use crate::commands::confirm;
use crate::output;

#[derive(Serialize)]
struct Row {
    topic: String,
    queues: usize,
    messages: i64,
}

#[derive(Serialize)]
struct QueueRow {
    broker: String,
    queue: u32,
    first: i64,
    end: i64,
    last_stored: String,
}

pub async fn run(global: &Global, client: &Client, command: &Topic) -> Result<()> {
    let admin = client.admin();
    match command {
        Topic::List { all } => {
            let mut rows = Vec::new();
            let topics = match all {
                true => admin.topics().await?,
                false => visible(client).await?,
            };
            for topic in topics {
                let queues = admin.topic_offsets(&topic).await?;
                let messages = queues
                    .iter()
                    .map(|(_, offset)| offset.max_offset - offset.min_offset)
                    .sum();
                rows.push(Row {
                    topic: topic.to_string(),
                    queues: queues.len(),
                    messages,
                });
            }
            output::rows(
                global.output,
                &rows,
                &["TOPIC", "QUEUES", "MESSAGES"],
                |row| {
                    vec![
                        row.topic.clone(),
                        row.queues.to_string(),
                        row.messages.to_string(),
                    ]
                },
            );
        }
        Topic::Describe { topic } => {
            let queues = admin.topic_offsets(&TopicName::parse(topic)?).await?;
            let rows: Vec<_> = queues
                .into_iter()
                .map(|(queue, offset)| QueueRow {
                    broker: queue.broker.to_string(),
                    queue: queue.number,
                    first: offset.min_offset,
                    end: offset.max_offset,
                    last_stored: output::time(offset.last_update_timestamp),
                })
                .collect();
            output::rows(
                global.output,
                &rows,
                &["BROKER", "QUEUE", "FIRST", "END", "LAST STORED"],
                |row| {
                    vec![
                        row.broker.clone(),
                        row.queue.to_string(),
                        row.first.to_string(),
                        row.end.to_string(),
                        row.last_stored.clone(),
                    ]
                },
            );
        }
        Topic::Create { topic, queues } => {
            admin
                .create_topic(&NewTopic::new(TopicName::parse(topic)?, *queues))
                .await?;
            eprintln!("topic {topic} has {queues} queues");
        }
        Topic::Delete { topic, yes } => {
            confirm(*yes, &format!("topic {topic}"))?;
            admin.delete_topic(&TopicName::parse(topic)?).await?;
            eprintln!("topic {topic} is deleted");
        }
    }
    Ok(())
}

/// The topics that people have made.
pub async fn visible(client: &Client) -> Result<Vec<TopicName>, client::Error> {
    let admin = client.admin();
    let cluster = admin.cluster().await?;
    let mut topics = admin.topics().await?;
    topics.retain(|topic| !hidden(topic, &cluster));
    Ok(topics)
}

/// System topics, and those that brokers and clusters name after themselves.
fn hidden(topic: &TopicName, cluster: &protocol::body::ClusterInfo) -> bool {
    let name = topic.as_str();
    topic.is_system()
        || name.ends_with("_REPLY_TOPIC")
        || (&cluster.cluster_addr_table)
            .into_iter()
            .any(|(cluster, brokers)| {
                cluster == name || brokers.iter().any(|broker| broker == name)
            })
}
