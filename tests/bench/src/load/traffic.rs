//! The one loop of a run: what is due is sent, what has come is read, on one thread.

use std::os::fd::OwnedFd;

use anyhow::{Result, ensure};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

use super::group::Group;
use super::link::Link;
use super::producer::{Answers, Producer};
use crate::clock::{now, timespec};

/// Longest time without anything coming while something is awaited, in ns.
const PATIENCE: u64 = 20_000_000_000;
/// Longest sleep while nothing is due, in ns.
const NAP: u64 = 100_000_000;
const EVENTS: usize = 128;
/// What epoll calls the alarm; links have lower numbers.
const ALARM: u64 = u64::MAX;

/// The connections of a run. Producers come first, then groups.
pub struct Traffic {
    epoll: OwnedFd,
    /// Ends a sleep to the microsecond: epoll's own time-out is rounded up to a millisecond.
    alarm: OwnedFd,
    armed: bool,
    pub producers: Vec<Producer>,
    pub groups: Vec<Group>,
    /// Whose bytes the kernel did not take all of.
    blocked: Vec<bool>,
    events: Vec<epoll::Event>,
    /// Messages of one request.
    batch: u32,
    last_event: u64,
}

impl Traffic {
    pub fn new(producers: Vec<Producer>, groups: Vec<Group>, batch: u32) -> Result<Traffic> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let links = producers.iter().map(|producer| &producer.link);
        let links = links.chain(groups.iter().map(|group| &group.link));
        for (index, link) in links.enumerate() {
            epoll::add(
                &epoll,
                link,
                EventData::new_u64(index as u64),
                EventFlags::IN,
            )?;
        }
        let alarm = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
        epoll::add(&epoll, &alarm, EventData::new_u64(ALARM), EventFlags::IN)?;
        Ok(Traffic {
            blocked: vec![false; producers.len() + groups.len()],
            epoll,
            alarm,
            armed: false,
            producers,
            groups,
            events: Vec::with_capacity(EVENTS),
            batch,
            last_event: now(),
        })
    }

    /// Adds a group to those that read.
    pub fn join(&mut self, group: Group) -> Result<()> {
        let index = self.blocked.len() as u64;
        epoll::add(
            &self.epoll,
            &group.link,
            EventData::new_u64(index),
            EventFlags::IN,
        )?;
        self.blocked.push(false);
        self.groups.push(group);
        Ok(())
    }

    /// Takes the group that joined last.
    pub fn leave(&mut self) -> Option<Group> {
        let group = self.groups.pop()?;
        self.blocked.pop();
        Some(group)
    }

    /// Requests that were sent and not answered.
    pub fn under_way(&self) -> usize {
        self.producers.iter().map(Producer::under_way).sum()
    }

    /// Writes what waits, sleeps until something comes or `due`, and reads what came.
    pub fn turn(&mut self, due: Option<u64>, answers: &mut Answers) -> Result<()> {
        for index in 0..self.blocked.len() {
            if !self.blocked[index] {
                self.write(index)?;
            }
        }
        let sleep = due.map_or(NAP, |due| due.saturating_sub(now()).min(NAP));
        self.alarm_in(if due.is_some() { sleep } else { 0 })?;
        self.events.clear();
        let buffer = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(&self.epoll, buffer, Some(&timespec(sleep))) {
            Err(rustix::io::Errno::INTR) => return Ok(()),
            outcome => outcome?,
        };
        if self.events.iter().any(|event| event.data.u64() != ALARM) {
            self.last_event = now();
        }
        for at in 0..self.events.len() {
            let event = self.events[at];
            if event.data.u64() == ALARM {
                continue;
            }
            let index = event.data.u64() as usize;
            let flags = event.flags;
            if flags.contains(EventFlags::OUT) {
                self.write(index)?;
            }
            if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                self.read(index, answers)?;
            }
        }
        Ok(())
    }

    /// Wakes the sleep that comes in so many ns; 0 is no alarm, and takes back one that rang.
    fn alarm_in(&mut self, ns: u64) -> Result<()> {
        if ns == 0 && !self.armed {
            return Ok(());
        }
        self.armed = ns > 0;
        let when = Itimerspec {
            it_interval: timespec(0),
            it_value: timespec(ns),
        };
        timerfd_settime(&self.alarm, TimerfdTimerFlags::empty(), &when)?;
        Ok(())
    }

    /// Fails when nothing has come for too long although `what` is awaited.
    pub fn still_alive(&self, what: &str) -> Result<()> {
        let silent = now() - self.last_event;
        ensure!(silent < PATIENCE, "the broker fell silent: {what}");
        Ok(())
    }

    fn read(&mut self, index: usize, answers: &mut Answers) -> Result<()> {
        match index.checked_sub(self.producers.len()) {
            None => {
                let producer = &mut self.producers[index];
                producer.link.fill()?;
                producer.answers(self.batch, now(), answers)
            }
            Some(group) => {
                let group = &mut self.groups[group];
                group.link.fill()?;
                group.receive(now())
            }
        }
    }

    fn write(&mut self, index: usize) -> Result<()> {
        let link = match index.checked_sub(self.producers.len()) {
            None => &mut self.producers[index].link,
            Some(group) => &mut self.groups[group].link,
        };
        let blocked = link.flush()?;
        if blocked != self.blocked[index] {
            self.blocked[index] = blocked;
            watch(&self.epoll, link, index, blocked)?;
        }
        Ok(())
    }
}

fn watch(epoll: &OwnedFd, link: &Link, index: usize, writing: bool) -> Result<()> {
    let flags = match writing {
        true => EventFlags::IN | EventFlags::OUT,
        false => EventFlags::IN,
    };
    epoll::modify(epoll, link, EventData::new_u64(index as u64), flags)?;
    Ok(())
}
