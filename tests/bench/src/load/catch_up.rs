//! A backlog that is read while messages are sent and read at a fixed rate.

use anyhow::{Result, ensure};

use super::group::Group;
use super::producer::Answers;
use super::report::{CaughtUp, Latency};
use super::traffic::Traffic;
use crate::clock::now;

/// Waits for its time, reads, and tells what that did to the others.
pub struct CatchUp {
    /// The group that reads the backlog, until it joins.
    waiting: Option<Group>,
    messages: u64,
    /// When it joins, in ns.
    at: u64,
    produced_before: Latency,
    received_before: Latency,
}

impl CatchUp {
    pub fn new(group: Group, messages: u64, at: u64) -> CatchUp {
        CatchUp {
            waiting: Some(group),
            messages,
            at,
            produced_before: Latency::default(),
            received_before: Latency::default(),
        }
    }

    /// Lets the group join once its time has come; true when it has read everything.
    pub fn step(&mut self, traffic: &mut Traffic, answers: &mut Answers, now: u64) -> Result<bool> {
        if now < self.at {
            return Ok(false);
        }
        if let Some(group) = self.waiting.take() {
            self.at = now;
            self.produced_before = answers.latency.summary();
            answers.latency.reset();
            self.received_before = first(traffic);
            traffic.join(group)?;
        }
        Ok(traffic.groups.last().is_some_and(Group::is_done))
    }

    /// Takes the group away; fails unless it had every message of the backlog once.
    pub fn finish(self, traffic: &mut Traffic, answers: &Answers) -> Result<CaughtUp> {
        ensure!(
            self.waiting.is_none(),
            "messages were no longer sent when the backlog's turn came"
        );
        let seconds = (now() - self.at) as f64 / 1e9;
        let backlog = traffic.leave().map(|group| group.report());
        let backlog = backlog.unwrap_or_default();
        ensure!(
            backlog.delivered == self.messages,
            "of {} messages of the backlog {} came in time",
            self.messages,
            backlog.delivered
        );
        Ok(CaughtUp {
            backlog,
            seconds,
            produced_before: self.produced_before,
            produced_during: answers.latency.summary(),
            received_before: self.received_before,
            received_during: first(traffic),
        })
    }
}

/// Times of the first group.
fn first(traffic: &mut Traffic) -> Latency {
    let group = traffic.groups.first_mut();
    group.map(Group::take_latency).unwrap_or_default()
}
