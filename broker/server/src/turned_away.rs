//! What the doors did not take in or did not wait for, counted since the start.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why somebody was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Too many connections.
    Crowded,
    /// Too many connections from one address.
    AddressCrowded,
    /// A connection could not be accepted: the process is short of something.
    NotAccepted,
    /// A frame that is too large or makes no sense.
    Frame,
    /// A frame that began and did not go on.
    HalfFrame,
    Idle,
    /// A client that does not read its answers.
    NotDrained,
    /// A socket was not read on for a while: too many bytes are in flight.
    Paused,
    /// A send was refused: the disk does not keep up.
    Send,
}

/// Each reason with the name of its figure.
const NAMES: [(Why, &str); 9] = [
    (Why::Crowded, "connectionsRefused"),
    (Why::AddressCrowded, "connectionsRefusedOfAddress"),
    (Why::NotAccepted, "connectionsNotAccepted"),
    (Why::Frame, "connectionsClosedByFrame"),
    (Why::HalfFrame, "connectionsClosedInFrame"),
    (Why::Idle, "connectionsClosedIdle"),
    (Why::NotDrained, "connectionsClosedNotDrained"),
    (Why::Paused, "connectionsPaused"),
    (Why::Send, "sendsRefused"),
];

/// The counts.
#[derive(Default)]
pub struct TurnedAway {
    counts: [AtomicU64; NAMES.len()],
}

impl TurnedAway {
    pub fn count(&self, why: Why) {
        self.counts[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Every count with the name of its figure.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        NAMES
            .iter()
            .map(|(why, name)| (*name, self.counts[*why as usize].load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_counted_under_its_own_name() {
        for (why, name) in NAMES {
            let counts = TurnedAway::default();
            counts.count(why);
            let counted: Vec<_> = counts.all().filter(|(_, count)| *count > 0).collect();
            assert_eq!(counted, [(name, 1)]);
        }
    }
}
