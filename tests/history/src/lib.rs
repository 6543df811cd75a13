//! What happened to messages, and which promises that breaks.
//!
//! Whoever drives a broker tells a [`History`] what was sent, acknowledged, read and committed,
//! in the order it was observed, and when the broker was killed or lost its power. The checks
//! take one pass and know nothing of the broker: a simulated one, a real process, or another
//! product stand before the same judge.
//!
//! ```
//! use history::{Event, History, Place, Promise, Violation};
//!
//! let mut history = History::new(Promise::SurvivesKills { flush_ms: 500 });
//! let queue = history.queue("topic/0");
//! let place = Place { queue, offset: 0 };
//! history.add(0, Event::Sent { message: 7, producer: 1, queue: Some(queue), retried: false });
//! history.add(1, Event::Acknowledged { message: 7, place, log: None });
//! history.add(2, Event::Killed);
//! history.add(3, Event::End { queue, min: 0, max: 0 });
//! let verdict = history.finish();
//! assert_eq!(verdict.violations[0].promise, "D1");
//! ```

mod ending;
mod event;
mod groups;
mod judge;
mod queue;
mod verdict;

#[cfg(test)]
mod tests;

pub use event::{Event, Place, Promise, Queue};
pub use judge::History;
pub use verdict::{Tally, Verdict, Violation};
