//! What becomes of a record that cannot be handled: a dead letter with its original bytes, or a
//! counted and logged loss somebody asked for, or the end of the task.

use bytes::Bytes;
use connect_sdk::Error;
use model::{Message, Timestamp, properties};

use crate::task::TaskEnv;

/// A record that cannot be handled, and where it was met.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    /// The record as it came.
    pub(crate) original: Bytes,
    /// Its key, if it had one.
    pub(crate) key: Option<String>,
    /// What else travelled with it.
    pub(crate) properties: Vec<(String, String)>,
    /// Topic, queue and offset, if it came from the broker.
    pub(crate) origin: Option<(String, u32, u64)>,
    /// Where it was met, in words.
    pub(crate) place: String,
    /// What was being done: reading, decoding or writing it.
    pub(crate) stage: Stage,
    /// One sentence.
    pub(crate) why: String,
}

/// What was being done to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Read,
    Decode,
    Write,
}

impl Stage {
    /// Kafka Connect's word for it.
    fn name(self) -> &'static str {
        match self {
            Self::Read => "TASK_POLL",
            Self::Decode => "VALUE_CONVERTER",
            Self::Write => "TASK_PUT",
        }
    }
}

/// Judges failed records by the connector's policy: dead letters to be sent, or an error if the
/// task must not go on.
pub(crate) fn judge(
    env: &TaskEnv,
    failed: Vec<Failed>,
    queues: u32,
) -> Result<Vec<Message>, Error> {
    let Some(first) = failed.first() else {
        return Ok(Vec::new());
    };
    let common = &env.config.common;
    let tolerated = common.text("errors.tolerance") == Some("all");
    if env.config.dead_letters.is_none() && !tolerated {
        let more = match failed.len() {
            1 => String::new(),
            count => format!(", and {} more", count - 1),
        };
        return Err(Error::poison(format!(
            "{}: {}{more}",
            first.place, first.why
        )));
    }
    for record in &failed {
        if common.boolean("errors.log.enable") || env.config.dead_letters.is_none() {
            let shown = common
                .boolean("errors.log.include.messages")
                .then(|| String::from_utf8_lossy(&record.original));
            tracing::warn!(connector = env.config.name, task = env.number, place = record.place, why = record.why, record = ?shown, "a record cannot be handled");
        }
    }
    env.count_failed(failed.len());
    let letter =
        |(number, record): (usize, Failed)| letter(env, record, number as u32 % queues.max(1));
    Ok(failed.into_iter().enumerate().filter_map(letter).collect())
}

fn letter(env: &TaskEnv, record: Failed, queue: u32) -> Option<Message> {
    let topic = env.config.dead_letters.clone()?;
    let mut message = Message::new(topic, queue, record.original);
    message.born = Timestamp(env.clock.wall());
    for (name, value) in &record.properties {
        message.properties.set(name, value);
    }
    if let Some(key) = &record.key {
        message.properties.set(properties::KEYS, key);
    }
    if env
        .config
        .common
        .boolean("errors.deadletterqueue.context.headers.enable")
    {
        let mut say = |name: &str, value: &dyn std::fmt::Display| {
            message
                .properties
                .set(&format!("__connect.errors.{name}"), value);
        };
        if let Some((topic, queue, offset)) = &record.origin {
            say("topic", topic);
            say("partition", queue);
            say("offset", offset);
        }
        say("connector.name", &env.config.name);
        say("task.id", &env.number);
        say("stage", &record.stage.name());
        say("class.name", &env.config.description.name);
        say("place", &record.place);
        say("exception.message", &record.why);
    }
    Some(message)
}
