//! Readers far behind the end: recognised by reading on and on, and kept from disturbing others.
//!
//! What they read comes from the disk, so the few threads that wait for it are theirs alone, the
//! kernel fetches what they will want next, and gives up what they leave behind instead of the
//! pages that writers need. What was in memory before they came stays: others may want it.

use std::ops::Range;

use crate::sync::Mutex;

/// Threads that wait for reads of the log at a time. More would only queue at the disk.
pub(crate) const THREADS: usize = 4;
/// Bytes fetched ahead at a time.
const CHUNK: u64 = 1 << 20;
/// A read that begins within this distance of where another ended goes on with it.
const NEAR: u64 = 256 << 10;
/// Readers remembered. Whoever has not read for the longest time is forgotten.
const STREAMS: usize = 64;

#[derive(Default)]
pub(crate) struct CatchUp {
    streams: Mutex<Streams>,
}

/// What the kernel is to be told about the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Advised {
    pub wanted: Range<u64>,
    pub left: Range<u64>,
}

/// Guards where readers are, the one that read last at the end.
#[derive(Default)]
struct Streams {
    all: Vec<Stream>,
}

#[derive(Clone, Copy)]
struct Stream {
    /// What lies before this was given up already, or is none of this reader's.
    kept_from: u64,
    next: u64,
    /// Up to here the kernel was asked to fetch.
    fetched: u64,
}

impl CatchUp {
    /// Notes a read of log bytes. `waited` tells that they came from the disk; a reader whose
    /// bytes have been in memory all along is none of those that matter here.
    pub(crate) fn note(&self, read: Range<u64>, waited: bool) -> Option<Advised> {
        self.streams.lock().note(read, waited)
    }

    /// Tells that what was to be fetched up to `end` is in memory already.
    pub(crate) fn was_there(&self, end: u64) {
        self.streams.lock().was_there(end);
    }
}

impl Streams {
    fn note(&mut self, read: Range<u64>, waited: bool) -> Option<Advised> {
        let goes_on = |stream: &Stream| {
            let near = stream.next.saturating_sub(NEAR)..=stream.next + NEAR;
            near.contains(&read.start)
        };
        let Some(at) = self.all.iter().rposition(goes_on) else {
            if waited {
                self.begin(&read);
            }
            return None;
        };
        let mut stream = self.all.remove(at);
        stream.next = stream.next.max(read.end);
        let advised = (stream.next + CHUNK > stream.fetched).then(|| {
            let from = stream.fetched.max(stream.next);
            stream.fetched = stream.next + 2 * CHUNK;
            let left = stream.kept_from..self.given_up_by(&stream);
            stream.kept_from = stream.kept_from.max(left.end);
            Advised {
                wanted: from..stream.fetched,
                left,
            }
        });
        self.all.push(stream);
        advised
    }

    fn was_there(&mut self, end: u64) {
        if let Some(stream) = self.all.iter_mut().find(|stream| stream.fetched == end) {
            stream.kept_from = stream.kept_from.max(end);
        }
    }

    fn begin(&mut self, read: &Range<u64>) {
        if self.all.len() == STREAMS {
            self.all.remove(0);
        }
        self.all.push(Stream {
            kept_from: read.start,
            next: read.end,
            fetched: read.end,
        });
    }

    /// Up to where nobody wants what a reader has read: another one may be right behind it.
    fn given_up_by(&self, stream: &Stream) -> u64 {
        let behind = stream.next.saturating_sub(CHUNK);
        let others = self.all.iter().map(|other| other.next.saturating_sub(NEAR));
        let within = others.filter(|other| (stream.kept_from..behind).contains(other));
        within.min().unwrap_or(behind).max(stream.kept_from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: u64 = 128 << 10;

    /// Reads on from `from`; everything that was advised.
    fn read_on(streams: &mut Streams, from: u64, reads: u64) -> Vec<Advised> {
        let reads = (0..reads).map(|number| from + number * READ);
        reads
            .filter_map(|at| streams.note(at..at + READ, at == from))
            .collect()
    }

    #[test]
    fn what_comes_next_is_fetched_once_and_what_was_read_is_given_up() {
        let mut streams = Streams::default();
        let advised = read_on(&mut streams, 5 * CHUNK, 40);
        assert_eq!(
            advised[0].wanted,
            5 * CHUNK + 2 * READ..7 * CHUNK + 2 * READ
        );
        for pair in advised.windows(2) {
            assert_eq!(pair[0].wanted.end, pair[1].wanted.start);
            assert_eq!(pair[0].left.end, pair[1].left.start);
        }
        let last = advised.last().expect("it was advised");
        assert!(last.left.end > 7 * CHUNK && last.left.end <= 9 * CHUNK);
        assert!(advised.iter().all(|one| one.left.end < one.wanted.start));
    }

    #[test]
    fn scattered_reads_and_reads_from_memory_are_left_alone() {
        let mut streams = Streams::default();
        for number in 0..200u64 {
            let at = number * 7 * CHUNK;
            assert_eq!(streams.note(at..at + READ, true), None);
        }
        assert!(streams.all.len() <= STREAMS);
        let mut streams = Streams::default();
        for number in 0..200u64 {
            let at = number * READ;
            assert_eq!(streams.note(at..at + READ, false), None);
        }
    }

    #[test]
    fn what_was_in_memory_before_is_not_given_up() {
        let mut streams = Streams::default();
        let first = read_on(&mut streams, 0, 2).remove(0);
        streams.was_there(first.wanted.end);
        let reads = (2..100).map(|number| number * READ);
        let given_up: Vec<Range<u64>> = reads
            .filter_map(|at| streams.note(at..at + READ, false))
            .map(|advised| advised.left)
            .filter(|left| !left.is_empty())
            .collect();
        assert_eq!(given_up[0].start, first.wanted.end);
    }

    #[test]
    fn nothing_is_given_up_that_another_reader_is_about_to_read() {
        let at = |kept_from, next| Stream {
            kept_from,
            next,
            fetched: next,
        };
        let (slow, fast) = (at(0, 4 * CHUNK), at(2 * CHUNK, 20 * CHUNK));
        let mut streams = Streams {
            all: vec![slow, fast],
        };
        let advised = read_on(&mut streams, 20 * CHUNK, 40);
        assert_eq!(advised[0].left, 2 * CHUNK..4 * CHUNK - NEAR);
        assert!(advised[1..].iter().all(|one| one.left.is_empty()));
    }
}
