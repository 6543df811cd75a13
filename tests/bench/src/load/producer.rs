//! One producing connection: requests out, answers in, and how long each took.

use std::net::SocketAddr;

use anyhow::{Context, Result};

use super::frame::{FIRST_OPAQUE, Template};
use super::ledger::Marks;
use super::link::Link;
use super::reply;
use super::report::Timed;
use super::slots::{Sent, Slots};

/// Bytes that may wait to be written before no more requests are made.
const WAITING: usize = 4 << 20;

pub struct Producer {
    pub link: Link,
    slots: Slots,
}

/// What became of the requests of all producers.
#[derive(Debug, Default)]
pub struct Answers {
    pub acknowledged: Marks,
    /// Messages refused, and with which code the last one.
    pub refused: u64,
    pub refusal: Option<i32>,
    /// From the intended time to the answer, of requests that were accepted.
    pub latency: Timed,
    /// From the intended time to the write: what the generator itself was late.
    pub lateness: Timed,
}

impl Producer {
    pub fn connect(broker: SocketAddr, depth: u32) -> Result<Producer> {
        Ok(Producer {
            link: Link::connect(broker)?,
            slots: Slots::new(depth),
        })
    }

    pub fn has_room(&self) -> bool {
        !self.slots.is_full() && self.link.out.len() < WAITING
    }

    pub fn under_way(&self) -> usize {
        self.slots.under_way()
    }

    /// Puts a request into the outgoing bytes.
    pub fn send(&mut self, template: &Template, queue: u32, sent: Sent) {
        let slot = self.slots.enter(sent).expect("a place was free");
        template.write(&mut self.link.out, slot, queue, sent.first, sent.intended);
    }

    /// Takes the answers that have come by `now`.
    pub fn answers(&mut self, batch: u32, now: u64, answers: &mut Answers) -> Result<()> {
        while let Some(frame) = self.link.frame()? {
            let reply = reply::read(frame)?;
            let slot = u32::try_from(reply.opaque).unwrap_or(0);
            let sent = slot
                .checked_sub(FIRST_OPAQUE)
                .and_then(|slot| self.slots.leave(slot))
                .with_context(|| format!("an answer to {}, which nobody asked", reply.opaque))?;
            answers.lateness.record(sent.written - sent.intended);
            if reply.code == 0 {
                answers.latency.record(now - sent.intended);
                for number in sent.first..sent.first + u64::from(batch) {
                    answers.acknowledged.add(number);
                }
            } else {
                answers.refused += u64::from(batch);
                answers.refusal = Some(reply.code);
            }
        }
        Ok(())
    }
}
