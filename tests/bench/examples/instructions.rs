//! The work of a message without sockets and without threads, for counting its instructions.
//!
//! ```text
//! instructions decode|decode-binary|append|pull|filtered|tagged|sql92 MESSAGES
//! ```
//! `cargo xtask instructions` runs it under callgrind with a number of messages and with twice
//! as many: the difference is what they cost, whatever the start took.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::error::Error;
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use delivery::{Filter, Hold, LongPolls, Pull, PullStatus, Pulls};
use metadata::{MemoryTables, Metadata, TopicConfig};
use model::{Checksum, ConsumerGroup, Message, PropertiesView, QueueId, QueueOffset, Topic};
use protocol::headers::SendMessage;
use protocol::{ExtFields, Frame, ReadFields, RequestCode};
use runtime::{RealDisk, Rng, SimClock, Tasks};
use store::{MessageStore, Records, Settings};

const BODY: usize = 1_024;
/// Messages that arrive in one read, or go out in one answer.
const TOGETHER: usize = 32;
/// Bytes kept in memory: more than there is to pull.
const HOT: usize = 64 << 20;
/// Messages there are to pull.
const BACKLOG: usize = 4_096;
const TOPIC: &str = "Instructions";
const CONDITION: &str = "a > 5 AND b IN ('x','y')";
const KEY: &str = "7F0000010000A2B1C3D4E5F60718293A0000000000000000";

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [what, messages] = &words[..] else {
        return Err("what and how many messages are needed".into());
    };
    let messages: usize = messages.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    match what.as_str() {
        "decode" => decode(messages, |request| request),
        "decode-binary" => decode(messages, Frame::binary),
        "append" => runtime.block_on(append(messages)),
        "pull" => runtime.block_on(pull(messages)),
        "filtered" => runtime.block_on(filtered(Some("SQL92"), CONDITION, messages)),
        "tagged" => runtime.block_on(filtered(None, "p1", messages)),
        "sql92" => sql92(messages),
        _ => Err(format!(
            "{what} is none of decode, decode-binary, append, pull, filtered, tagged, sql92"
        )
        .into()),
    }
}

/// Frames as the Java client writes them, or in the form of ours, cut from one buffer, header
/// read into its type.
fn decode(messages: usize, form: impl Fn(Frame) -> Frame) -> Result<(), Box<dyn Error>> {
    let header = SendMessage {
        producer_group: "mill-bench",
        topic: TOPIC,
        default_topic: "TBW102",
        default_topic_queues: 4,
        queue: 3,
        sys_flag: 0,
        born: 1_795_361_320_735,
        flag: 0,
        properties: "UNIQ_KEY\u{1}7F0000010000A2B1C3D4E5F60718293A\u{2}WAIT\u{1}true\u{2}",
        reconsume_times: 0,
        unit_mode: false,
        max_reconsume_times: None,
        batch: false,
        broker: Some("broker-a"),
    };
    let body = Bytes::from(vec![b'x'; BODY]);
    let request = Frame::request(RequestCode::SEND_MESSAGE_V2, ExtFields::of(&header), body);
    let mut one = BytesMut::new();
    form(request).encode(&mut one);
    let arrived = one.repeat(TOGETHER);
    for _ in 0..messages / TOGETHER {
        let mut buffer = BytesMut::from(&arrived[..]);
        while let Some(frame) = Frame::decode(&mut buffer)? {
            black_box(SendMessage::read_fields(&frame.header.ext)?);
        }
    }
    Ok(())
}

/// Messages made into records and written to a store, as many at a time as arrive together.
async fn append(messages: usize) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let store = open(folder.path(), HOT)?;
    fill(&store, messages).await
}

/// Messages read by one group without a filter, from memory.
async fn pull(messages: usize) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let store = open(folder.path(), HOT)?;
    fill(&store, BACKLOG).await?;
    scan(store, Filter::All, messages).await
}

/// Messages of 100 bytes and sixteen properties looked at for one group, from the page cache.
/// Most do not match.
async fn filtered(
    language: Option<&str>,
    expression: &str,
    messages: usize,
) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let store = open(folder.path(), 0)?;
    let filter = Filter::parse(language, expression)?;
    let message = |number: usize| {
        let mut message = Message::new(Topic::parse(TOPIC)?, 0, Bytes::from_static(&[7; 100]));
        let properties = &mut message.properties;
        properties.set("UNIQ_KEY", format!("{KEY}{number:016X}"));
        properties.set("WAIT", "true");
        with_class(properties, number % 100);
        Ok(message)
    };
    append_all(&store, BACKLOG, message).await?;
    scan(store, filter, messages).await
}

/// Reads the first messages of a queue, over and over, until so many were looked at.
async fn scan(store: MessageStore, filter: Filter, messages: usize) -> Result<(), Box<dyn Error>> {
    let metadata = Metadata::over(Arc::new(MemoryTables::default()))?;
    metadata
        .topics
        .put(Topic::parse(TOPIC)?, TopicConfig::with_queues(1))?;
    let clock = SimClock::new(1_700_000_000_000).clock();
    let (topics, offsets) = (metadata.topics.clone(), metadata.offsets.clone());
    let pulls = Pulls::new(store, topics, offsets, LongPolls::default(), clock);
    let mut request = Pull {
        group: ConsumerGroup::parse("mill-bench")?,
        queue: QueueId::new(Topic::parse(TOPIC)?, 0),
        offset: QueueOffset(0),
        max_messages: TOGETHER,
        filter,
        hold: Hold::AnswerAtOnce,
    };
    let mut scanned = 0;
    while scanned < messages {
        let pulled = pulls.pull(&request).await?;
        if !matches!(pulled.status, PullStatus::Found | PullStatus::NoneMatched) {
            return Err(format!("a pull at {} found nothing", request.offset.0).into());
        }
        scanned += (pulled.next.0 - request.offset.0) as usize;
        let behind = pulled.next.0 + TOGETHER as u64 > BACKLOG as u64;
        request.offset = if behind { QueueOffset(0) } else { pulled.next };
        black_box(pulled.records);
    }
    Ok(())
}

/// One condition over messages with sixteen properties, where they lie in the record.
fn sql92(messages: usize) -> Result<(), Box<dyn Error>> {
    struct Lookup<'a>(PropertiesView<'a>);
    impl sql_filter::PropertyLookup for Lookup<'_> {
        fn get(&self, name: &str) -> Option<&str> {
            self.0.get(name)
        }
    }
    let filter = sql_filter::Filter::parse(CONDITION)?;
    let mut properties = model::Properties::default();
    properties.set("UNIQ_KEY", KEY);
    properties.set("WAIT", "true");
    with_class(&mut properties, 17);
    let text = properties.as_text().to_owned();
    let view = PropertiesView::new(text.as_bytes());
    for _ in 0..messages {
        if !filter.matches(&Lookup(black_box(view))) {
            return Err("the condition holds, and was not found to".into());
        }
    }
    Ok(())
}

fn with_class(properties: &mut model::Properties, class: usize) {
    properties.set("TAGS", if class == 0 { "p1" } else { "rest" });
    properties.set("KEYS", format!("order-{class:03}"));
    properties.set("a", class % 10);
    properties.set("b", ["x", "y", "z", "w"][class / 10 % 4]);
    for number in 0..10 {
        let value = format!("value-{class:03}-{number}");
        properties.set(&format!("property-{number}"), value);
    }
}

/// A store that keeps so many bytes in memory, and whose background work never becomes due: its
/// clock stands still.
fn open(folder: &std::path::Path, hot_bytes: usize) -> Result<MessageStore, Box<dyn Error>> {
    let settings = Settings {
        segment_bytes: 256 << 20,
        hot_bytes,
        refuse_percent: 101,
        clean_percent: 101,
        ..Settings::default()
    };
    let clock = SimClock::new(1_700_000_000_000).clock();
    let tasks = Tasks::simulated(clock.clone(), Rng::seeded(1));
    let (store, _) = MessageStore::open(
        folder.join("store"),
        settings,
        RealDisk::new(),
        clock,
        tasks,
    )?;
    Ok(store)
}

async fn fill(store: &MessageStore, messages: usize) -> Result<(), Box<dyn Error>> {
    let body = Bytes::from(vec![7; BODY]);
    let message = |number: usize| {
        let mut message = Message::new(Topic::parse(TOPIC)?, 0, body.clone());
        // As many digits for every message, or later ones would cost more.
        let key = format!("7F00000100000000{number:016X}");
        message.properties.set("UNIQ_KEY", key);
        message.properties.set("WAIT", "true");
        Ok(message)
    };
    append_all(store, messages, message).await
}

async fn append_all(
    store: &MessageStore,
    messages: usize,
    message: impl Fn(usize) -> Result<Message, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let host: SocketAddr = ([127, 0, 0, 1], 10_911).into();
    for first in (0..messages).step_by(TOGETHER) {
        let mut records = Records::with_capacity(TOGETHER, TOGETHER * (BODY + 64));
        for number in first..first + TOGETHER {
            records.push(&message(number)?.view(), host, Checksum::Record)?;
        }
        for appended in store.append_each(records).await {
            appended?;
        }
    }
    Ok(())
}
