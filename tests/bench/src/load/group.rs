//! One consumer group: a held pull for each queue, and every record looked at.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use bytes::{Bytes, BytesMut};
use model::record::{RecordView, view};
use model::{batch, properties};
use protocol::headers::{PullFlags, PullMessage, PullReply};
use protocol::{ExtFields, Frame, Language, ReadFields, RequestCode, ResponseCode};

use super::frame::read_body;
use super::ledger::Marks;
use super::link::Link;
use super::report::{Consumed, Latency, Timed};
use super::subscription::Subscription;

/// Messages asked for at once, as the Java client does; RocketMQ gives no more from memory.
const AT_ONCE: i32 = 32;
/// How long a broker may hold a pull, as the Java client says.
const HOLD_MS: i64 = 15_000;

/// A queue of a topic, as a group reads it.
#[derive(Clone, Debug)]
struct Cursor {
    topic: usize,
    queue: u32,
    next: u64,
    begin: u64,
    /// Where reading ends, once that is known.
    end: Option<u64>,
}

pub struct Group {
    pub link: Link,
    name: String,
    topics: Vec<String>,
    subscription: Subscription,
    cursors: Vec<Cursor>,
    pub delivered: Marks,
    latency: Timed,
    /// Messages that were due earlier are not timed.
    timed_from: u64,
    pulls: u64,
}

impl Group {
    /// Starts at the beginning of `queues` queues of each topic, with a pull for each.
    pub fn join(
        broker: SocketAddr,
        name: String,
        topics: &[String],
        queues: u32,
        subscription: Subscription,
    ) -> Result<Group> {
        let cursor = |topic, queue| Cursor {
            topic,
            queue,
            next: 0,
            begin: 0,
            end: None,
        };
        let cursors = (0..topics.len())
            .flat_map(|topic| (0..queues).map(move |queue| cursor(topic, queue)))
            .collect();
        let mut group = Group {
            link: Link::connect(broker)?,
            name,
            topics: topics.to_vec(),
            subscription,
            cursors,
            delivered: Marks::default(),
            latency: Timed::default(),
            timed_from: 0,
            pulls: 0,
        };
        for index in 0..group.cursors.len() {
            group.pull(index);
        }
        Ok(group)
    }

    /// Times only messages that are due from now on.
    pub fn time_from(&mut self, moment: u64) {
        self.timed_from = moment;
        self.latency.reset();
    }

    /// The times so far; those to come are counted from zero.
    pub fn take_latency(&mut self) -> Latency {
        let summary = self.latency.summary();
        self.latency.reset();
        summary
    }

    /// Tells where each queue ends; queues as they were joined.
    pub fn end_at(&mut self, ends: &[u64]) {
        for (cursor, end) in self.cursors.iter_mut().zip(ends) {
            cursor.end = Some(*end);
        }
    }

    /// Whether every queue was read to its end.
    pub fn is_done(&self) -> bool {
        self.cursors
            .iter()
            .all(|cursor| cursor.end.is_some_and(|end| cursor.next >= end))
    }

    /// Takes what has come by `now`, and asks for more.
    pub fn receive(&mut self, now: u64) -> Result<()> {
        while let Some(mut frame) = self.link.frame()? {
            let frame = Frame::decode(&mut frame)?.context("a frame was cut too short")?;
            if frame.header.flag.is_response() {
                let index = usize::try_from(frame.header.opaque)?;
                self.answered(index, frame, now)?;
            }
        }
        Ok(())
    }

    pub fn report(&self) -> Consumed {
        let scanned = self.cursors.iter().map(|cursor| cursor.next - cursor.begin);
        Consumed {
            group: self.name.clone(),
            filter: self.subscription.expression().1,
            delivered: self.delivered.count(),
            measured: 0,
            scanned: scanned.sum(),
            pulls: self.pulls,
            received_bytes: self.link.received,
            latency: self.latency.summary(),
            cost: None,
        }
    }

    fn answered(&mut self, index: usize, frame: Frame, now: u64) -> Result<()> {
        let code = frame.header.response_code();
        let at = self.cursors.get(index).context("an answer nobody asked")?;
        let before = at.next;
        match code {
            ResponseCode::SUCCESS => self.records(index, frame.body.clone(), now)?,
            ResponseCode::PULL_NOT_FOUND | ResponseCode::PULL_RETRY_IMMEDIATELY => {}
            ResponseCode::SYSTEM_BUSY => return self.again(index),
            ResponseCode::PULL_OFFSET_MOVED => {
                bail!("queue {} does not have offset {before}", at.queue)
            }
            _ => bail!("a pull got {}: {}", code.0, frame.header.remark()),
        }
        let reply = PullReply::read_fields(&frame.header.ext)?;
        let next = u64::try_from(reply.next_begin_offset)?;
        let cursor = &mut self.cursors[index];
        ensure!(
            next >= cursor.next,
            "queue {} went back from {} to {next}",
            cursor.queue,
            cursor.next
        );
        ensure!(
            self.subscription != Subscription::All || next == cursor.next,
            "queue {} goes on at {next} after {}",
            cursor.queue,
            cursor.next
        );
        cursor.next = next;
        self.again(index)
    }

    fn again(&mut self, index: usize) -> Result<()> {
        let cursor = &self.cursors[index];
        if cursor.end.is_none_or(|end| cursor.next < end) {
            self.pull(index);
        }
        Ok(())
    }

    fn records(&mut self, index: usize, records: Bytes, now: u64) -> Result<()> {
        let mut rest = &records[..];
        while !rest.is_empty() {
            let record = view(rest)?;
            rest = &rest[record.bytes.len()..];
            if record.sys_flag.is_inner_batch() {
                self.inner(index, &record, now)?;
            } else {
                self.message(index, record.queue_offset.0, record.body, now)?;
            }
        }
        Ok(())
    }

    /// Messages that are stored as one record; those before our offset were already taken.
    fn inner(&mut self, index: usize, record: &RecordView<'_>, now: u64) -> Result<()> {
        let entries = batch::decode(&Bytes::copy_from_slice(record.body))?;
        let base = record.properties.get(properties::INNER_BASE);
        let base: u64 = base.context("an inner batch has no base")?.parse()?;
        for (entry, offset) in entries.iter().zip(base..) {
            if offset >= self.cursors[index].next {
                self.message(index, offset, &entry.body, now)?;
            }
        }
        Ok(())
    }

    fn message(&mut self, index: usize, offset: u64, body: &[u8], now: u64) -> Result<()> {
        let cursor = &mut self.cursors[index];
        let contiguous = self.subscription == Subscription::All;
        ensure!(
            offset == cursor.next || (!contiguous && offset > cursor.next),
            "queue {}: offset {offset} came, {} was next",
            cursor.queue,
            cursor.next
        );
        cursor.next = offset + 1;
        let (number, intended) = read_body(body).context("a message is not of this run")?;
        ensure!(
            self.delivered.add(number),
            "message {number} came twice to {}",
            self.name
        );
        if intended >= self.timed_from {
            self.latency.record(now.saturating_sub(intended));
        }
        Ok(())
    }

    fn pull(&mut self, index: usize) {
        self.pulls += 1;
        let cursor = &self.cursors[index];
        let (language, expression) = self.subscription.expression();
        let header = PullMessage {
            group: &self.name,
            topic: &self.topics[cursor.topic],
            queue: cursor.queue as i32,
            queue_offset: cursor.next as i64,
            max_messages: AT_ONCE,
            flags: PullFlags::SUBSCRIPTION | PullFlags::SUSPEND,
            commit_offset: 0,
            suspend_timeout_ms: HOLD_MS,
            subscription: Some(&expression),
            subscription_version: 0,
            expression_type: Some(language),
            max_message_bytes: None,
            request_source: None,
            proxy_forward_client_id: None,
            broker: None,
        };
        let fields = ExtFields::of(&header);
        let mut request = Frame::request(RequestCode::PULL_MESSAGE, fields, Bytes::new()).binary();
        request.header.language = Language::Java;
        request.header.opaque = index as i32;
        let mut out = BytesMut::new();
        request.encode(&mut out);
        self.link.out.extend_from_slice(&out);
    }
}
