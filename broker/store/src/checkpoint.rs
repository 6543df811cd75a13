//! Saves the heads of the queues, so that a start reads only the end of the log.
//!
//! A generation is one file: all heads first, then every few seconds those that changed. Each
//! frame carries a checksum and counts only whole; a new generation begins when the changes
//! outgrow the heads, and the one before it stays until the next. A damaged file costs time,
//! never messages: the log is read from an older frame on, or from its beginning.
//!
//! ```text
//! frame: magic 4 | bytes 4 | crc 4 | kind 1 | replay from 8 | durable 8 | index end 8
//!        last stored 8 | guarded from 8 | heads
//! ```

mod frames;
mod heads;
mod saved;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use runtime::{Disk, File, Open};

use crate::Error;
use crate::flusher::Flusher;
use crate::guard::Guard;
use crate::publisher::Publisher;
use crate::queue_index::{Head, QueueIndex};
use crate::segment::{file_name, file_start};
use crate::sync::Mutex;

use frames::Frames;
pub(crate) use saved::Saved;

const MAGIC: u32 = 0x4D53_4850;
const PREFIX: usize = 12;
/// Bytes of changes a generation may have beyond the size of its heads.
const CHANGES_BYTES: u64 = 4 << 20;

/// No store begins as many generations: a file of a higher number is none of them.
const LAST: u64 = 1 << 62;

/// The frame's heads are a part of what the next closing frame completes.
const KIND_PART: u8 = 0;
/// Closes a checkpoint.
const KIND_WHOLE: u8 = 1;

/// What a checkpoint says about the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// Every record below this is in the heads.
    pub replay_from: u64,
    /// The log was durable up to here; the heads point at nothing behind it.
    pub durable: u64,
    /// Where the index log ends.
    pub index_end: u64,
    /// No record was stored later than this.
    pub last_stored: i64,
    pub guard: Guard,
}

/// Writes checkpoints.
pub(crate) struct Checkpoints {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    index: Arc<QueueIndex>,
    publisher: Arc<Publisher>,
    flusher: Arc<Flusher>,
    guard: Guard,
    state: Mutex<Generation>,
}

/// Guards the file that is written.
struct Generation {
    number: u64,
    file: Option<Arc<dyn File>>,
    length: u64,
    /// Bytes of the heads it began with.
    base: u64,
    last: Option<Position>,
    /// There is a checkpoint without heads, and there will be no other until a restart.
    forgotten: bool,
}

impl Checkpoints {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        directory: PathBuf,
        index: Arc<QueueIndex>,
        publisher: Arc<Publisher>,
        flusher: Arc<Flusher>,
        guard: Guard,
        newest: u64,
    ) -> Self {
        let state = Generation {
            number: newest,
            file: None,
            length: 0,
            base: 0,
            last: None,
            forgotten: false,
        };
        Self {
            disk,
            directory,
            index,
            publisher,
            flusher,
            guard,
            state: Mutex::new(state),
        }
    }

    /// Saves what changed since the last time. Waits for the disk.
    pub(crate) fn save(&self) -> Result<(), Error> {
        let mut generation = self.state.lock();
        if self.index.is_damaged() {
            return self.forget(&mut generation);
        }
        // Taken first: what becomes readable meanwhile may be in the heads already, and is
        // recognised when it is read again.
        let replay_from = self.publisher.indexed();
        let changed = self.index.take_changed();
        let unchanged = generation
            .last
            .is_some_and(|last| last.replay_from == replay_from);
        if unchanged && changed.is_empty() {
            return Ok(());
        }
        let fresh =
            generation.file.is_none() || generation.length > 2 * generation.base + CHANGES_BYTES;
        let result = match fresh {
            true => self.write(&mut generation, fresh, &self.index.all(), replay_from),
            false => self.write(&mut generation, fresh, &changed, replay_from),
        };
        if result.is_err() {
            // The next one begins a file of its own and saves all heads.
            generation.file = None;
            self.index.still_changed(changed);
        }
        result
    }

    /// Nothing of a damaged index is saved: the next start builds it anew.
    fn forget(&self, generation: &mut Generation) -> Result<(), Error> {
        if generation.forgotten {
            return Ok(());
        }
        self.flusher.flush()?;
        let durable = self.publisher.mark.durable();
        let position = Position {
            durable,
            guard: self.guard,
            ..Position::default()
        };
        begin_anew(
            self.disk.as_ref(),
            &self.directory,
            generation.number + 1,
            position,
        )?;
        generation.number += 1;
        generation.forgotten = true;
        Ok(())
    }

    fn write(
        &self,
        generation: &mut Generation,
        fresh: bool,
        heads: &[Arc<Head>],
        replay_from: u64,
    ) -> Result<(), Error> {
        let frames = Frames::of(heads, self.index.log());
        // The heads may point at anything written so far, so that has to be durable first.
        self.flusher.flush()?;
        let durable = self.publisher.mark.durable();
        let index_end = self.index.log().sync(durable)?;
        let last_stored = self.publisher.mark.last_stored();
        let position = Position {
            replay_from,
            durable,
            index_end,
            last_stored,
            guard: self.guard,
        };
        let bytes = frames.seal(position);
        if fresh {
            self.begin(generation, &bytes)?;
        } else if let Some(file) = &generation.file {
            file.write_all_at(&bytes, generation.length)
                .map_err(Error::disk("saving the heads"))?;
            file.fdatasync().map_err(Error::disk("saving the heads"))?;
            generation.length += bytes.len() as u64;
        }
        generation.last = Some(position);
        Ok(())
    }

    /// Begins a generation and drops all but the one before it.
    fn begin(&self, generation: &mut Generation, bytes: &[u8]) -> Result<(), Error> {
        let doing = "beginning a checkpoint";
        self.disk
            .create_dir_all(&self.directory)
            .map_err(Error::disk(doing))?;
        let number = generation.number + 1;
        let path = self.directory.join(file_name(number));
        self.disk
            .replace(&path, bytes)
            .map_err(Error::disk(doing))?;
        let file = self
            .disk
            .open(&path, Open::Write)
            .map_err(Error::disk(doing))?;
        let before = generation.number;
        *generation = Generation {
            number,
            file: Some(file),
            length: bytes.len() as u64,
            base: bytes.len() as u64,
            last: generation.last,
            forgotten: false,
        };
        for entry in self
            .disk
            .list(&self.directory)
            .map_err(Error::disk(doing))?
        {
            if generation_of(&entry.name).is_some_and(|number| number < before) {
                // An old generation too many does no harm.
                let _ = self.disk.unlink(&self.directory.join(&entry.name));
            }
        }
        Ok(())
    }
}

/// The number of the generation that a file of this name holds.
pub(crate) fn generation_of(name: &str) -> Option<u64> {
    file_start(name).filter(|number| *number < LAST)
}

/// Replaces all checkpoints by one without heads: from here on the indexes are built from the
/// whole log, of which this much was durable.
pub(crate) fn begin_anew(
    disk: &dyn Disk,
    directory: &Path,
    number: u64,
    position: Position,
) -> Result<(), Error> {
    let doing = "beginning the checkpoints anew";
    disk.create_dir_all(directory).map_err(Error::disk(doing))?;
    let bytes = Frames::default().seal(position);
    let name = file_name(number);
    disk.replace(&directory.join(&name), &bytes)
        .map_err(Error::disk(doing))?;
    for entry in disk.list(directory).map_err(Error::disk(doing))? {
        if entry.name != name {
            disk.unlink(&directory.join(&entry.name))
                .map_err(Error::disk(doing))?;
        }
    }
    disk.fsync_dir(directory).map_err(Error::disk(doing))
}
