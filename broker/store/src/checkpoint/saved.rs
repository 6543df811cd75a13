//! What the newest checkpoint says.

use std::collections::HashMap;
use std::path::Path;

use model::QueueId;
use runtime::Disk;

use super::{KIND_WHOLE, MAGIC, PREFIX, Position, heads};
use crate::Error;
use crate::queue_index::{Fields, State};
use crate::segment::{file_name, file_start};
use crate::topic_names::TopicNames;

/// What was saved last.
#[derive(Default)]
pub(crate) struct Saved {
    pub position: Position,
    pub heads: HashMap<QueueId, State>,
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
        let mut saved = Saved::default();
        let mut rest = bytes;
        let mut parts: Vec<(QueueId, Option<State>)> = Vec::new();
        let mut closed = None;
        // All of them are going to be held.
        let mut topics = TopicNames::with_limit(usize::MAX);
        while let Some((frame, behind)) = split_frame(rest) {
            rest = behind;
            let mut fields = Fields { rest: frame };
            let Some((kind, position)) = heads::read_position(&mut fields) else {
                break;
            };
            let Some(heads) = heads::read_all(&mut fields, &mut topics) else {
                break;
            };
            parts.extend(heads);
            if kind == KIND_WHOLE {
                for (queue, state) in parts.drain(..) {
                    match state {
                        Some(state) => drop(saved.heads.insert(queue, state)),
                        None => drop(saved.heads.remove(&queue)),
                    }
                }
                saved.position = position;
                closed = Some(bytes.len() - rest.len());
            }
        }
        closed.map(|bytes| (saved, bytes))
    }
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
