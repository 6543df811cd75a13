//! What the newest checkpoint says.

use std::path::Path;

use runtime::Disk;

use super::{KIND_WHOLE, MAGIC, PREFIX, Position, heads};
use crate::Error;
use crate::queue_index::{Fields, Heads};
use crate::segment::{file_name, file_start};

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
            .filter_map(|entry| file_start(&entry.name))
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
