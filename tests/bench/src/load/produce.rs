//! The sending part of a run, and what it cost.

use std::num::NonZeroU64;

use anyhow::Result;
use rustix::thread::set_current_timer_slack;

use super::catch_up::CatchUp;
use super::frame::Template;
use super::group::Group;
use super::plan::Plan;
use super::producer::Answers;
use super::report::{CaughtUp, Cost, Produced};
use super::schedule::Schedule;
use super::slots::Sent;
use super::spread::Lanes;
use super::subscription::CLASSES;
use super::traffic::Traffic;
use crate::clock::{now, own_cpu};
use crate::usage::Usage;

/// Time for connections and held pulls to stand before the first message is due, in ns.
const SETTLING: u64 = 200_000_000;
/// Requests made before the sockets are looked at again.
const AT_ONCE: u32 = 256;
/// How late the kernel may wake this thread, in ns; at a high rate later, so that a wake-up
/// serves several messages and not the generator is what is measured.
const TIMER_SLACK: u64 = 1_000;
const LOOSE_TIMER_SLACK: u64 = 20_000;
const HIGH_RATE: f64 = 20_000.0;

/// What is sent, and what else happens meanwhile.
pub struct Sending<'a> {
    pub plan: &'a Plan,
    pub templates: &'a [Template],
    /// A group that joins later, and how many messages it has to find.
    pub backlog: Option<(Group, u64)>,
}

/// Sends until time or messages are used up and every request is answered.
///
/// With a backlog it ends when that is read, and what it did to the others comes beside.
pub fn produce(
    sending: Sending<'_>,
    traffic: &mut Traffic,
    answers: &mut Answers,
) -> Result<(Produced, Option<CaughtUp>)> {
    set_current_timer_slack(NonZeroU64::new(timer_slack(sending.plan)))?;
    let Sending {
        plan,
        templates,
        backlog,
    } = sending;
    let process = plan.process;
    let begin = settle(traffic, answers)?;
    let mut stream = Stream::new(plan, templates, begin);
    let (measured_from, end) = (
        begin + (plan.warm_up * 1e9) as u64,
        begin + (plan.seconds * 1e9) as u64,
    );
    let mut catch_up = backlog.map(|(group, messages)| {
        let at = measured_from + (plan.backlog_after * 1e9) as u64;
        CatchUp::new(group, messages, at)
    });
    let mut mark = Mark::now(process, answers)?;
    let mut warm = plan.warm_up == 0.0;
    loop {
        let time = now();
        if !warm && time >= measured_from {
            warm = true;
            mark = Mark::now(process, answers)?;
            answers.latency.reset();
            answers.lateness.reset();
            for group in &mut traffic.groups {
                group.time_from(time);
            }
        }
        let read = match &mut catch_up {
            Some(catch_up) => catch_up.step(traffic, answers, time)?,
            None => false,
        };
        let more = !read && time < end && stream.sent < plan.messages;
        if more {
            stream.send(traffic, time);
        } else if traffic.under_way() == 0 {
            break;
        }
        let due = if more { stream.due(traffic) } else { None };
        traffic.turn(due, answers)?;
        traffic.still_alive("requests are not answered")?;
    }
    let produced = mark.produced(process, stream.sent, answers)?;
    let caught_up = catch_up.map(|catch_up| catch_up.finish(traffic, answers));
    Ok((produced, caught_up.transpose()?))
}

fn timer_slack(plan: &Plan) -> u64 {
    match plan.rate {
        Some(rate) if rate > HIGH_RATE => LOOSE_TIMER_SLACK,
        _ => TIMER_SLACK,
    }
}

/// Lets connections and held pulls stand; the time of the first message.
fn settle(traffic: &mut Traffic, answers: &mut Answers) -> Result<u64> {
    let begin = now() + SETTLING;
    while now() < begin {
        traffic.turn(Some(begin), answers)?;
    }
    Ok(begin)
}

/// Requests in the order they are due, dealt out to connections, topics and queues.
struct Stream<'a> {
    plan: &'a Plan,
    templates: &'a [Template],
    schedule: Schedule,
    lanes: Lanes,
    /// The connection whose turn it is.
    turn: usize,
    /// Messages so far, and so the number of the next.
    sent: u64,
}

impl<'a> Stream<'a> {
    fn new(plan: &'a Plan, templates: &'a [Template], begin: u64) -> Stream<'a> {
        Stream {
            plan,
            templates,
            schedule: Schedule::new(plan.pace(), plan.batch, begin),
            lanes: Lanes::new(plan.spread, plan.topics.max(1) * plan.queues),
            turn: 0,
            sent: 0,
        }
    }

    /// Sends what is due and has a place, up to a bound.
    fn send(&mut self, traffic: &mut Traffic, now: u64) {
        for _ in 0..AT_ONCE {
            let Some(index) = self.free(traffic) else {
                return;
            };
            if self.sent >= self.plan.messages {
                return;
            }
            let Some(intended) = self.schedule.take(now) else {
                return;
            };
            let lane = self.lanes.draw();
            let (topic, queue) = (lane / self.plan.queues, lane % self.plan.queues);
            let template = match self.plan.properties {
                true => (self.sent % CLASSES) as usize,
                false => topic as usize,
            };
            let sent = Sent {
                intended,
                written: now,
                first: self.sent,
            };
            traffic.producers[index].send(&self.templates[template], queue, sent);
            self.sent += u64::from(self.plan.batch);
            self.turn = (index + 1) % traffic.producers.len();
        }
    }

    /// When there is something to do again; `None` if only an answer can bring it.
    fn due(&self, traffic: &Traffic) -> Option<u64> {
        self.free(traffic)?;
        Some(self.schedule.next().unwrap_or(0))
    }

    /// The next connection in turn that has a place.
    fn free(&self, traffic: &Traffic) -> Option<usize> {
        let count = traffic.producers.len();
        let mut all = (0..count).map(|step| (self.turn + step) % count);
        all.find(|index| traffic.producers[*index].has_room())
    }
}

/// Where the measured part begins.
struct Mark {
    time: u64,
    own_cpu: f64,
    broker: Option<Usage>,
    acknowledged: u64,
}

impl Mark {
    fn now(process: Option<u32>, answers: &Answers) -> Result<Mark> {
        Ok(Mark {
            time: now(),
            own_cpu: own_cpu(),
            broker: process.map(Usage::of).transpose()?,
            acknowledged: answers.acknowledged.count(),
        })
    }

    fn produced(&self, process: Option<u32>, sent: u64, answers: &Answers) -> Result<Produced> {
        let end = Mark::now(process, answers)?;
        let seconds = (end.time - self.time) as f64 / 1e9;
        let measured = end.acknowledged - self.acknowledged;
        let broker = end.broker.zip(self.broker);
        Ok(Produced {
            sent,
            acknowledged: end.acknowledged,
            refused: answers.refused,
            refusal: answers.refusal,
            measured,
            messages_a_second: measured as f64 / seconds,
            cost: Cost {
                seconds,
                own_cpu_seconds: end.own_cpu - self.own_cpu,
                broker: broker.map(|(after, before)| after.since(&before)),
            },
            broker_micros: None,
            latency: answers.latency.summary(),
            lateness: answers.lateness.summary(),
        })
    }
}
