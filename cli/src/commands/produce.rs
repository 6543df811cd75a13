//! `millstream produce`.

use std::io::{BufRead, IsTerminal};

use anyhow::Result;
use client::{Client, ProducerSettings};
use futures::stream::{self, StreamExt, TryStreamExt};
use model::{Message, Topic, properties};

use crate::arguments::Produce;
use crate::failure::{Exit, Failure, counted};
use crate::progress::Progress;

/// Sends under way at a time.
const AT_ONCE: usize = 64;

/// Sends every argument, or every line of standard input, and says how many were acknowledged.
pub async fn run(client: &Client, produce: &Produce) -> Result<()> {
    let topic = Topic::parse(&produce.topic)?;
    let producer = client.producer(ProducerSettings::default());
    let given = produce.messages.iter().cloned().map(Ok);
    let lines = std::io::stdin().lock();
    let bodies: Box<dyn Iterator<Item = std::io::Result<String>>> =
        match produce.messages.is_empty() {
            true => Box::new(lines.lines()),
            false => Box::new(given),
        };
    let template = template(produce, &topic)?;
    let sends = bodies
        .filter(|body| !body.as_ref().is_ok_and(String::is_empty))
        .map(|body| {
            let (producer, mut message) = (producer.clone(), template.clone());
            async move {
                message.body = body?.into();
                anyhow::Ok(producer.send(message).await?)
            }
        });
    // Whoever types the lines sees how many there are.
    let long = produce.messages.is_empty() && !std::io::stdin().is_terminal();
    let progress = long.then(|| Progress::of("sent", None));
    let sent = stream::iter(sends)
        .buffered(AT_ONCE)
        .try_fold(0, async |count, _| {
            let sent = count + 1;
            if let Some(progress) = &progress {
                progress.at(sent as u64);
            }
            Ok(sent)
        })
        .await?;
    drop(progress);
    eprintln!("{} sent to {topic}", counted(sent, "message"));
    Ok(())
}

fn template(produce: &Produce, topic: &Topic) -> Result<Message> {
    let mut message = Message::new(topic.clone(), 0, "");
    if let Some(tag) = &produce.tag {
        message.properties.set(properties::TAGS, tag);
    }
    if let Some(key) = &produce.key {
        message.properties.set(properties::KEYS, key);
    }
    for property in &produce.properties {
        let (name, value) = property.split_once('=').ok_or_else(|| {
            Failure::new(
                Exit::Usage,
                "usage",
                format!("--property {property:?} is not NAME=VALUE"),
            )
            .why("it has no `=` between a name and a value")
            .fix("as in  --property colour=blue")
        })?;
        if properties::is_reserved(name) {
            return Err(Failure::new(
                Exit::Usage,
                "usage",
                format!("the property {name} belongs to the protocol"),
            )
            .why("client and broker set it, and rely on what it says")
            .fix("choose another name; a tag and a key have their own  --tag  and  --key")
            .into());
        }
        message.properties.set(name, value);
    }
    Ok(message)
}
