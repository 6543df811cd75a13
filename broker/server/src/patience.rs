//! How long a connection waits for what its client has begun, or might begin.

use std::time::Duration;

use runtime::Moment;

use crate::limits::Limits;

/// A connection that was silent for so long keeps no buffers.
const REST: Duration = Duration::from_secs(1);

/// What is to come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// A frame of which nothing is here.
    Frame,
    /// The rest of a header.
    Header,
    /// The rest of a frame whose header is here.
    Body,
}

/// When a connection heard and said something.
pub struct Patience {
    header: Duration,
    idle: Duration,
    /// A byte arrived.
    heard: Moment,
    /// A byte went either way.
    active: Moment,
    /// The frame that is half here began.
    began: Moment,
    /// Nothing happened for a while, and there are no buffers.
    pub resting: bool,
}

impl Patience {
    /// A new connection has no buffers yet.
    pub fn new(limits: &Limits, now: Moment) -> Patience {
        Patience {
            header: limits.header,
            idle: limits.idle,
            heard: now,
            active: now,
            began: now,
            resting: true,
        }
    }

    pub fn heard(&mut self, now: Moment) {
        (self.heard, self.active) = (now, now);
        self.resting = false;
    }

    pub fn said(&mut self, now: Moment) {
        self.active = now;
        self.resting = false;
    }

    /// What arrived last began a new frame.
    pub fn began(&mut self) {
        self.began = self.heard;
    }

    /// Time in which we did not listen is nobody's silence.
    pub fn excuse(&mut self, now: Moment) {
        (self.heard, self.active, self.began) = (now, now, now);
    }

    /// When the client has been silent for too long.
    pub fn ends(&self, awaited: Awaited) -> Moment {
        match awaited {
            Awaited::Frame => self.active + self.idle,
            Awaited::Header => self.began + self.header,
            Awaited::Body => (self.heard + self.header).min(self.began + self.idle),
        }
    }

    /// When there is something to be done if nothing happens: to rest, or to end.
    pub fn wakes(&self, awaited: Awaited) -> Moment {
        match awaited == Awaited::Frame && !self.resting {
            true => (self.active + REST).min(self.ends(awaited)),
            false => self.ends(awaited),
        }
    }
}
