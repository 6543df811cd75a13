//! What a driver observes.

/// A queue of a topic, as the history numbers it: see `History::queue`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Queue(pub(crate) u32);

/// Where a message lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub queue: Queue,
    pub offset: u64,
}

/// What an acknowledgement means on the broker under trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// The message survives the death of the process. A loss of power may take what is younger
    /// than `flush_ms` milliseconds, if it takes all behind it too.
    SurvivesKills { flush_ms: u64 },
    /// The message survives the loss of power, and so does whatever anybody has read.
    SurvivesPowerLoss,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A producer sends, and sends nothing else before it knows what became of it.
    Sent {
        /// Names the message in all other events.
        message: u64,
        producer: u32,
        /// Where it has to go, if the producer chose.
        queue: Option<Queue>,
        /// The client may send it more than once.
        retried: bool,
    },
    /// The broker says where it has put a message; `log` is its position in the log, if told.
    Acknowledged {
        message: u64,
        place: Place,
        log: Option<u64>,
    },
    /// The broker took a message that was sent to come later, and is to deliver it, once.
    Promised { message: u64 },
    /// At the end, beside [`Drained`](Event::Drained): when a message that was sent to come at
    /// `due` or later was put into its queue, both in milliseconds since 1970.
    Came { message: u64, due: i64, at: i64 },
    /// The broker says that it did not and will not store the message.
    Refused { message: u64 },
    /// A reader of one queue begins at an offset.
    Starts { reader: u32, place: Place },
    /// A reader that sees every message of its queue was given the next one.
    Read {
        reader: u32,
        place: Place,
        message: u64,
        log: Option<u64>,
    },
    /// Somebody was given a message, wherever they were before, and maybe a while ago.
    Seen {
        place: Place,
        message: u64,
        log: Option<u64>,
    },
    /// Somebody was given bytes that nobody sent.
    Damaged { place: Place },
    /// An application of a group is done with a message, wherever it was delivered from.
    Finished { group: u32, message: u64 },
    /// An application gave a message back, and the broker took it to deliver it again later.
    Postponed { group: u32, message: u64 },
    /// The broker says how far a group has come in a queue: the next offset.
    Committed {
        group: u32,
        queue: Queue,
        offset: u64,
        /// Nobody else commits for the group in this queue: it never goes back. Members that
        /// share queues may overlap, and the later word be the older one.
        alone: bool,
    },
    /// The broker says what a queue holds: `min..max`. One observer for each queue.
    Bounds { queue: Queue, min: u64, max: u64 },
    /// The process was stopped in good order.
    Stopped,
    /// The process died; what it had written is with the kernel.
    Killed,
    /// The machine lost its power.
    PowerLost,
    /// At the end, after healing: what lies at a place.
    Drained {
        place: Place,
        message: u64,
        log: Option<u64>,
    },
    /// At the end: the bounds of a queue whose messages were all drained.
    End { queue: Queue, min: u64, max: u64 },
    /// At the end: a group that had time to finish every message of a queue.
    Caught { group: u32, queue: Queue },
}
