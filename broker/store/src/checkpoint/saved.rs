//! What the newest checkpoint says.

use std::path::Path;

use runtime::Disk;

use super::{KIND_WHOLE, MAGIC, PREFIX, Position, generation_of, heads};
use crate::Error;
use crate::queue_index::{Fields, Heads};
use crate::segment::file_name;

/// What was saved last.
#[derive(Default)]
pub(crate) struct Saved {
    pub position: Position,
    pub heads: Heads,
}

/// A frame whose checksum holds.
struct Frame<'a> {
    kind: u8,
    position: Position,
    heads: Fields<'a>,
    /// Bytes of the file up to behind the frame.
    end: usize,
}

impl Saved {
    /// The newest checkpoint that can be read, if there is one, and the number of the newest
    /// generation there is.
    pub(crate) fn load(disk: &dyn Disk, directory: &Path) -> Result<(Option<Self>, u64), Error> {
        if !disk
            .exists(directory)
            .map_err(Error::disk("looking for a checkpoint"))?
        {
            return Ok((None, 0));
        }
        let names = disk
            .list(directory)
            .map_err(Error::disk("listing the checkpoints"))?;
        let mut generations: Vec<u64> = names
            .iter()
            .filter_map(|entry| generation_of(&entry.name))
            .collect();
        generations.sort_unstable();
        let newest = generations.last().copied().unwrap_or_default();
        for generation in generations.into_iter().rev() {
            let path = directory.join(file_name(generation));
            let bytes = match disk.read(&path) {
                Ok(bytes) => bytes,
                Err(error) => {
                    tracing::warn!(?path, %error, "a checkpoint cannot be read");
                    continue;
                }
            };
            match Self::parse(&bytes) {
                Some((saved, _)) => return Ok((Some(saved), newest)),
                None => tracing::warn!(?path, "a checkpoint is damaged"),
            }
        }
        Ok((None, newest))
    }

    /// True if it says nothing but how far the log is durable.
    pub(crate) fn is_from_the_start(&self) -> bool {
        self.heads.is_empty() && self.position.replay_from == 0
    }

    /// Everything up to the last frame that closes a checkpoint, and how many bytes that is.
    pub(crate) fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut frames = frames(bytes);
        loop {
            let closing = frames.iter().rposition(|frame| frame.kind == KIND_WHOLE)?;
            frames.truncate(closing + 1);
            match heads_of(&frames) {
                Ok(heads) => {
                    let Frame { position, end, .. } = frames[closing];
                    return Some((Self { position, heads }, end));
                }
                // Its checksum holds and it makes no sense: it ends the file as a torn one does.
                Err(senseless) => frames.truncate(senseless),
            }
        }
    }
}

/// What counts is known before the first head is read: so none is held twice.
fn frames(bytes: &[u8]) -> Vec<Frame<'_>> {
    let mut frames = Vec::new();
    let mut rest = bytes;
    while let Some((content, behind)) = split_frame(rest) {
        rest = behind;
        let mut heads = Fields { rest: content };
        let Some((kind, position)) = heads::read_position(&mut heads) else {
            break;
        };
        frames.push(Frame {
            kind,
            position,
            heads,
            end: bytes.len() - rest.len(),
        });
    }
    frames
}

/// The heads of all frames, or which frame cannot be read.
fn heads_of(frames: &[Frame<'_>]) -> Result<Heads, usize> {
    let mut heads = Heads::default();
    let closing = frames.iter().position(|frame| frame.kind == KIND_WHOLE);
    // A generation begins with all heads there are.
    let first = &frames[..closing.map_or(0, |closing| closing + 1)];
    heads.reserve(first.iter().map(|frame| heads::count(&frame.heads)).sum());
    let mut removed = false;
    for (number, frame) in frames.iter().enumerate() {
        removed |= heads::read_all(frame.heads, &mut heads).ok_or(number)?;
    }
    if removed {
        heads.forget_unused_names();
    }
    Ok(heads)
}

/// The content of the first frame, and what is behind it.
fn split_frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut fields = Fields { rest: bytes };
    if fields.u32()? != MAGIC {
        return None;
    }
    let length = fields.u32()? as usize;
    let crc = fields.u32()?;
    let (frame, behind) = bytes.split_at_checked(length)?;
    let content = frame.get(PREFIX..)?;
    (crc32fast::hash(content) == crc).then_some((content, behind))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use model::{QueueId, Topic};
    use runtime::{Rng, SimDisk};

    use super::super::frames::Frames;
    use super::super::{KIND_PART, Position};
    use super::*;
    use crate::queue_index::{Head, IndexLog, State};

    fn log() -> IndexLog {
        let disk = SimDisk::new(Rng::seeded(1)).mount();
        IndexLog::open(disk, PathBuf::from("/store/queues"), 0).expect("an empty log opens")
    }

    fn queue(number: u32) -> QueueId {
        QueueId::new(Topic::parse("t").expect("a topic"), number)
    }

    fn head(number: u32, end: u64) -> Arc<Head> {
        let state = State {
            end,
            ..State::default()
        };
        Arc::new(Head::new(queue(number), state))
    }

    /// A whole checkpoint that says so of the log.
    fn checkpoint(heads: &[Arc<Head>], replay_from: u64) -> Vec<u8> {
        let position = Position {
            replay_from,
            ..Position::default()
        };
        Frames::of(heads, &log()).seal(position)
    }

    /// What a file says: where reading again begins, and where which queue ends.
    #[track_caller]
    fn check(bytes: &[u8], whole: usize, replay_from: u64, expected: &[(u32, u64)]) {
        let (saved, length) = Saved::parse(bytes).expect("a checkpoint");
        let ends = saved.heads.all();
        let ends = ends.map(|head| (head.id.number, head.with(|state| state.end)));
        let mut ends: Vec<_> = ends.collect();
        ends.sort_unstable();
        assert_eq!((length, saved.position.replay_from), (whole, replay_from));
        assert_eq!(ends, expected);
    }

    #[test]
    fn what_changed_counts_and_what_was_deleted_is_gone() {
        let mut bytes = checkpoint(&[head(1, 10), head(2, 20), head(3, 30)], 100);
        let dead = head(2, 21);
        dead.kill();
        bytes.extend(checkpoint(&[head(3, 5), dead], 200));
        check(&bytes, bytes.len(), 200, &[(1, 10), (3, 5)]);
        bytes.extend(checkpoint(&[head(2, 1)], 300));
        check(&bytes, bytes.len(), 300, &[(1, 10), (2, 1), (3, 5)]);
    }

    #[test]
    fn what_is_not_closed_does_not_count() {
        let first = checkpoint(&[head(1, 10)], 100);
        let mut part = checkpoint(&[head(1, 11)], 200);
        part[PREFIX] = KIND_PART;
        let crc = crc32fast::hash(&part[PREFIX..]);
        part[8..PREFIX].copy_from_slice(&crc.to_be_bytes());
        let mut bytes = first.clone();
        bytes.extend(&part);
        check(&bytes, first.len(), 100, &[(1, 10)]);
        // It was a part of this one.
        bytes.extend(checkpoint(&[], 300));
        check(&bytes, bytes.len(), 300, &[(1, 11)]);
        assert!(Saved::parse(&part).is_none());
    }

    #[test]
    fn many_heads_go_to_several_frames() {
        let heads: Vec<_> = (0..20_000).map(|number| head(number, 1)).collect();
        let bytes = checkpoint(&heads, 100);
        let (saved, length) = Saved::parse(&bytes).expect("a checkpoint");
        assert_eq!((saved.heads.len(), length), (20_000, bytes.len()));
        let (first, _) = split_frame(&bytes).expect("a frame");
        assert!(Saved::parse(&bytes[..PREFIX + first.len()]).is_none());
    }

    #[test]
    fn heads_that_make_no_sense_end_the_file() {
        let first = checkpoint(&[head(1, 10)], 100);
        let mut senseless = checkpoint(&[head(1, 11), head(2, 20)], 200);
        // Where the second head begins: its topic is longer than the frame.
        senseless[first.len()] = 0xFF;
        let crc = crc32fast::hash(&senseless[PREFIX..]);
        senseless[8..PREFIX].copy_from_slice(&crc.to_be_bytes());
        let mut bytes = first.clone();
        bytes.extend(&senseless);
        bytes.extend(checkpoint(&[head(3, 30)], 300));
        check(&bytes, first.len(), 100, &[(1, 10)]);
        assert!(Saved::parse(&senseless).is_none());
    }

    #[test]
    fn a_frame_that_claims_too_many_heads_reserves_no_more_than_it_holds() {
        let bytes = u32::MAX.to_be_bytes();
        assert_eq!(heads::count(&Fields { rest: &bytes }), 0);
        assert_eq!(heads::count(&Fields { rest: &[] }), 0);
    }

    /// A head with one entry as version 0.1 wrote it.
    const FRAME: &str = "\
        4d534850 0000008f 00000000 01 0000000000000064 0000000000000065 0000000000000066 \
        0000000000000067 0000000000000068 00000001 0001 74 00000007 01 0000000000000001 \
        0000000000000002 0000000000000003 0000000000000004 0000000000000005 \
        0000000000000006 00000000 00 01 0000000000000008 0000000000000009 0000000a 00000001";

    #[test]
    fn a_frame_of_an_earlier_version_is_read_and_written_as_it_was() {
        let digits: Vec<u8> = FRAME.bytes().filter(|byte| *byte != b' ').collect();
        let byte = |pair: &[u8]| {
            let pair = std::str::from_utf8(pair).expect("digits");
            u8::from_str_radix(pair, 16).expect("a byte")
        };
        let mut bytes: Vec<u8> = digits.chunks(2).map(byte).collect();
        let crc = crc32fast::hash(&bytes[PREFIX..]);
        bytes[8..PREFIX].copy_from_slice(&crc.to_be_bytes());
        let (saved, length) = Saved::parse(&bytes).expect("a checkpoint");
        assert_eq!(length, bytes.len());
        let head = saved.heads.get(&queue(7)).expect("the queue");
        let (ends, units) = head.with(|state| {
            let ends = (state.min, state.min_at, state.end, state.after);
            (ends, state.tail.units.to_vec())
        });
        assert_eq!(ends, (1, 2, 3, 4));
        assert_eq!((units[0].log_offset, units[0].tags_code), (8, 9));
        assert_eq!((units[0].size, units[0].count), (10, 1));
        let again = Frames::of(std::slice::from_ref(head), &log()).seal(saved.position);
        assert_eq!(again, bytes);
    }
}
