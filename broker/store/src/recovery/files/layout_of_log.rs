//! Puts the files of a directory in order.

use super::{Fault, First, Found, MOVED, Survey};
use crate::Error;

/// Bytes that may be missing in one stretch, and segments: what is missing is read as zeros
/// and filled, and one damaged byte may say that it is any number of them.
const FAR: u64 = 1 << 44;
const FAR_SEGMENTS: u64 = 1 << 10;

/// Bytes a file must have left for what is told of the losses.
const ROOM: u64 = 64 << 10;

/// The log as the files make it, or would make it once the faults are mended.
#[derive(Debug, Default)]
pub(crate) struct Laid {
    /// In order and without a gap.
    pub pieces: Vec<Piece>,
    pub faults: Vec<Fault>,
    /// RocketMQ leaves an empty file at the end when it is killed while making one.
    pub empty_last: Option<String>,
    /// Two parts lie so far apart that they are not of one log.
    pub torn_apart: bool,
}

/// One segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub start: u64,
    pub len: u64,
    /// The file it lies in now; `None` if there is none.
    pub name: Option<String>,
    /// Bytes that this file has: fewer than `len` where it was cut, more where it was extended.
    pub held: u64,
}

impl Piece {
    fn of(found: &Found, start: u64) -> Self {
        Self {
            start,
            len: found.len,
            name: Some(found.name.clone()),
            held: found.len,
        }
    }

    pub(crate) fn end(&self) -> u64 {
        self.start.saturating_add(self.len)
    }

    /// There is no place for it.
    fn extra(self) -> Fault {
        let name = self.name.unwrap_or_default();
        Fault::Extra { name }
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end() && other.start < self.end()
    }
}

/// A piece and what its file begins with.
type Candidate = (Piece, First);

impl Survey {
    /// `durable` is how far the log is known to have reached. `holds` tells whether a file that
    /// stands alone holds any record that belongs where its name says.
    pub(crate) fn lay_out(
        &self,
        durable: Option<u64>,
        mut holds: impl FnMut(&Piece) -> Result<bool, Error>,
    ) -> Result<Laid, Error> {
        let mut laid = Laid::default();
        let mut candidates = self.named(&mut laid);
        self.place_strays(durable, &mut candidates, &mut holds, &mut laid.faults)?;
        candidates.sort_by_key(|(piece, _)| piece.start);
        let largest = candidates.iter().map(|(piece, _)| piece.len).max();
        let largest = largest.unwrap_or_default();
        while let Some(at) = lonely(&candidates, &mut holds)? {
            let (piece, _) = candidates.remove(at);
            laid.faults.push(piece.extra());
        }
        for (piece, _) in candidates {
            if let Some(before) = laid.pieces.last_mut() {
                close_up(before, &piece, &mut laid.faults);
                laid.fill_gap(largest, piece.start);
            }
            laid.pieces.push(piece);
        }
        Ok(laid)
    }

    /// The files that lie where their names say, and faults of those that are empty.
    fn named(&self, laid: &mut Laid) -> Vec<Candidate> {
        let mut candidates: Vec<Candidate> = Vec::new();
        let segments = || self.found.iter().filter(|found| found.start.is_some());
        let last = segments().next_back().map(|found| &found.name);
        for found in segments() {
            let Some(start) = found.start else { continue };
            if found.len > 0 {
                if !matches!(found.first, First::At(_)) {
                    candidates.push((Piece::of(found, start), found.first));
                }
                continue;
            }
            let next = candidates.last().map_or(0, |(piece, _)| piece.end());
            if Some(&found.name) == last && start == next {
                laid.empty_last = Some(found.name.clone());
            } else {
                laid.faults.push(Fault::Empty {
                    name: found.name.clone(),
                });
            }
        }
        candidates
    }

    /// Files under a name that is not theirs take the place that is, if it is free.
    fn place_strays(
        &self,
        durable: Option<u64>,
        candidates: &mut Vec<Candidate>,
        holds: &mut impl FnMut(&Piece) -> Result<bool, Error>,
        faults: &mut Vec<Fault>,
    ) -> Result<(), Error> {
        for found in &self.found {
            let First::At(start) = found.first else {
                if found.start.is_none() {
                    faults.push(Fault::Foreign {
                        name: found.name.clone(),
                    });
                }
                continue;
            };
            let piece = Piece::of(found, start);
            // A copy under a strange name is not taken for more of the log than there was.
            let wanted = found.start.is_some()
                || found.name.ends_with(MOVED)
                || durable.is_some_and(|durable| durable > start)
                || candidates.iter().any(|(other, _)| other.start > start);
            let free = wanted && make_room(&piece, candidates, holds, faults)?;
            faults.push(Fault::Misnamed {
                name: found.name.clone(),
                holds: start,
                free,
            });
            if free {
                candidates.push((piece, First::Here));
            }
        }
        Ok(())
    }
}

/// Takes away files that hold nothing of this log where a stray holds some of it; false if
/// another file keeps the place.
fn make_room(
    stray: &Piece,
    candidates: &mut Vec<Candidate>,
    holds: &mut impl FnMut(&Piece) -> Result<bool, Error>,
    faults: &mut Vec<Fault>,
) -> Result<bool, Error> {
    let in_the_way = |(other, _): &Candidate| other.overlaps(stray);
    for (other, first) in candidates.iter().filter(|other| in_the_way(other)) {
        if *first == First::Here || holds(other)? {
            return Ok(false);
        }
    }
    let extra = candidates.extract_if(.., |other| in_the_way(other));
    faults.extend(extra.map(|(piece, _)| piece.extra()));
    Ok(true)
}

/// A candidate that fits to no neighbour and holds nothing of this log.
fn lonely(
    candidates: &[Candidate],
    holds: &mut impl FnMut(&Piece) -> Result<bool, Error>,
) -> Result<Option<usize>, Error> {
    for (at, (piece, first)) in candidates.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| candidates.get(at));
        let behind = candidates.get(at + 1);
        let fits = before.is_none_or(|(other, _)| other.end() == piece.start)
            && behind.is_none_or(|(other, _)| piece.end() == other.start);
        if *first != First::Here && !fits && !holds(piece)? {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// Ends a file where the next one begins.
fn close_up(before: &mut Piece, next: &Piece, faults: &mut Vec<Fault>) {
    if before.end() <= next.start {
        return;
    }
    faults.push(Fault::Overlong {
        name: before.name.clone().unwrap_or_default(),
        until: next.start,
        next: next.name.clone().unwrap_or_default(),
    });
    before.len = next.start - before.start;
}

impl Laid {
    /// The last file was cut in front of `durable`: it gets room again. How long the only file
    /// of a log was nobody knows, so that is a guess.
    pub(crate) fn lengthen_last(&mut self, durable: u64) {
        let Some((last, others)) = self.pieces.split_last_mut() else {
            return;
        };
        let guess = || (durable.saturating_sub(last.start) + ROOM).next_power_of_two();
        let largest = others.iter().map(|piece| piece.len).max();
        last.len = last.len.max(largest.unwrap_or_else(guess));
    }

    /// Fills what is missing in front of `until`: a file that was cut is made as long as
    /// others, other files are made anew.
    fn fill_gap(&mut self, largest: u64, until: u64) {
        let Some(before) = self.pieces.last_mut() else {
            return;
        };
        let mut from = before.end();
        if from == until {
            return;
        }
        self.faults.push(Fault::Missing { from, to: until });
        let far = FAR.min(largest.saturating_mul(FAR_SEGMENTS));
        self.torn_apart |= until - from > far;
        if self.torn_apart {
            return;
        }
        if until - before.start <= largest {
            before.len = until - before.start;
            return;
        }
        while from < until {
            let mut len = largest.min(until - from);
            // What is left over must have room for a filler.
            if until - from - len < super::LEAST {
                len = until - from;
            }
            self.pieces.push(Piece {
                start: from,
                len,
                name: None,
                held: 0,
            });
            from += len;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::file_name;

    const SEGMENT: u64 = 1 << 13;

    fn found(start: u64, first: First) -> Found {
        Found {
            name: file_name(start),
            start: Some(start),
            len: SEGMENT,
            first,
        }
    }

    #[test]
    fn a_file_that_says_it_lies_far_away_makes_no_log_of_the_way_there() {
        for (segments, torn_apart) in [(FAR_SEGMENTS, false), (FAR_SEGMENTS + 1, true)] {
            let far = First::At((segments + 1) * SEGMENT);
            let survey = Survey {
                found: vec![found(0, First::Here), found(SEGMENT, far)],
                ..Survey::default()
            };
            let laid = survey.lay_out(None, |_| Ok(true)).expect("nothing is read");
            assert_eq!(laid.torn_apart, torn_apart, "{segments} are missing");
            assert!(laid.pieces.len() as u64 <= FAR_SEGMENTS + 2);
        }
    }
}
