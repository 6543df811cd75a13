//! `millstream group`.

use anyhow::{Result, bail};
use client::Client;
use model::ConsumerGroup;
use serde::Serialize;

use crate::arguments::{Global, Group};
use crate::commands::{confirm, searched};
use crate::failure::{Exit, Failure};
use crate::output;

#[derive(Serialize)]
struct Row {
    group: String,
    clients: usize,
    lag: i64,
}

#[derive(Serialize)]
struct QueueRow {
    topic: String,
    broker: String,
    queue: u32,
    committed: i64,
    end: i64,
    lag: i64,
}

pub async fn run(global: &Global, client: &Client, command: &Group) -> Result<()> {
    let admin = client.admin();
    match command {
        Group::List => {
            let mut rows = Vec::new();
            for name in admin.groups().await?.into_keys() {
                let group = ConsumerGroup::stored(&name)?;
                let lag = admin
                    .group_progress(&group, None)
                    .await?
                    .iter()
                    .map(|(_, offset)| offset.broker_offset - offset.consumer_offset)
                    .sum();
                let clients = admin
                    .group_connections(&group)
                    .await?
                    .iter()
                    .map(|(_, connections)| connections.connection_set.len())
                    .sum();
                rows.push(Row {
                    group: name,
                    clients,
                    lag,
                });
            }
            output::rows(global.output, &rows, &["GROUP", "CLIENTS", "LAG"], |row| {
                vec![
                    row.group.clone(),
                    row.clients.to_string(),
                    row.lag.to_string(),
                ]
            });
        }
        Group::Describe { group } => {
            let known = admin.groups().await?;
            if !known.contains_key(group) {
                bail!(
                    Failure::new(
                        Exit::NotFound,
                        "group.not-found",
                        format!("consumer group {group:?} does not exist")
                    )
                    .why(searched(
                        group,
                        "groups",
                        known.keys().map(String::as_str).collect()
                    ))
                    .fix("see them all:  millstream group list")
                );
            }
            let progress = admin
                .group_progress(&ConsumerGroup::parse(group)?, None)
                .await?;
            let rows: Vec<_> = progress
                .into_iter()
                .map(|(queue, offset)| QueueRow {
                    topic: queue.topic.to_string(),
                    broker: queue.broker.to_string(),
                    queue: queue.number,
                    committed: offset.consumer_offset,
                    end: offset.broker_offset,
                    lag: offset.broker_offset - offset.consumer_offset,
                })
                .collect();
            output::rows(
                global.output,
                &rows,
                &["TOPIC", "BROKER", "QUEUE", "COMMITTED", "END", "LAG"],
                |row| {
                    vec![
                        row.topic.clone(),
                        row.broker.clone(),
                        row.queue.to_string(),
                        row.committed.to_string(),
                        row.end.to_string(),
                        row.lag.to_string(),
                    ]
                },
            );
        }
        Group::Delete { group, yes } => {
            confirm(*yes, &format!("consumer group {group} with its positions"))?;
            admin
                .delete_group(&ConsumerGroup::parse(group)?, true)
                .await?;
            eprintln!("consumer group {group} is deleted");
        }
    }
    Ok(())
}
