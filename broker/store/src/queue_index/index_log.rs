//! The blocks of all queues, one after another in the order in which they filled up.
//!
//! Blocks wait in memory until a few hundred kilobytes have come together; a checkpoint writes
//! and syncs what is left. What lies behind the last checkpoint is written again after a
//! crash, so nothing here is ever repaired.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use runtime::{Disk, File, Open};

use super::block::{BLOCK_LIMIT, Block};
use crate::Error;
use crate::segment::{file_name, file_start};
use crate::sync::Mutex;

/// Bytes in one file of the index log.
pub(crate) const FILE_BYTES: u64 = 64 << 20;
/// Bytes that wait in memory before they are written.
const BUFFER_BYTES: usize = 256 << 10;
/// Bytes that may wait in memory while the disk takes none.
const BUFFER_LIMIT: usize = 64 << 20;
/// Blocks kept after reading, in each of two generations.
const CACHED_BLOCKS: usize = 1_024;

pub(crate) struct IndexLog {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    state: Mutex<State>,
    cache: Mutex<Cache>,
}

/// Guards positions and the bytes not yet written.
struct State {
    files: BTreeMap<u64, IndexFile>,
    /// Bytes from `buffer_start` to the end of the index log.
    buffer: Vec<u8>,
    buffer_start: u64,
    /// A sync failed: what the disk holds is unknown, whatever a later one says.
    failed: bool,
}

struct IndexFile {
    file: Arc<dyn File>,
    /// Written since the last sync.
    dirty: bool,
    /// No entry in this file points at or behind this log offset.
    log_end: u64,
}

/// Blocks by their positions.
type Blocks = HashMap<u64, Arc<Block>, foldhash::fast::RandomState>;

/// Two generations: what is used moves to the young one, a full young one replaces the old.
#[derive(Default)]
struct Cache {
    young: Blocks,
    old: Blocks,
}

/// A block that was asked for.
pub(crate) enum Found {
    Block(Arc<Block>),
    /// The bytes are not in memory: read them with [`IndexLog::read`] where waiting is allowed.
    Elsewhere,
}

impl IndexLog {
    /// Opens what is there and goes on at `end`; later bytes are forgotten.
    pub(crate) fn open(disk: Arc<dyn Disk>, directory: PathBuf, end: u64) -> Result<Self, Error> {
        disk.create_dir_all(&directory)
            .map_err(Error::disk("making the index log"))?;
        let mut files = BTreeMap::new();
        for entry in disk
            .list(&directory)
            .map_err(Error::disk("listing the index log"))?
        {
            let path = directory.join(&entry.name);
            match file_start(&entry.name) {
                Some(start) if start < end => {
                    let file = open_file(disk.as_ref(), &path, Open::Write)?;
                    // Unknown after a restart: the whole log so far.
                    files.insert(
                        start,
                        IndexFile {
                            file,
                            dirty: false,
                            log_end: u64::MAX,
                        },
                    );
                }
                _ => disk
                    .unlink(&path)
                    .map_err(Error::disk("dropping an unused index file"))?,
            }
        }
        let state = State {
            files,
            buffer: Vec::new(),
            buffer_start: end,
            failed: false,
        };
        Ok(Self {
            disk,
            directory,
            state: Mutex::new(state),
            cache: Mutex::default(),
        })
    }

    /// True if a file holds the byte in front of `end`, as it must once the log was that long.
    pub(crate) fn reaches(disk: &dyn Disk, directory: &Path, end: u64) -> Result<bool, Error> {
        let doing = "listing the index log";
        if end == 0 {
            return Ok(true);
        }
        if !disk.exists(directory).map_err(Error::disk(doing))? {
            return Ok(false);
        }
        let start = (end - 1) - (end - 1) % FILE_BYTES;
        let files = disk.list(directory).map_err(Error::disk(doing))?;
        let last = files.iter().find(|file| file.name == file_name(start));
        Ok(last.is_some_and(|file| start + file.len >= end))
    }

    /// Adds a block; `log_end` is a bound on what its entries point at. Returns its position.
    pub(crate) fn append(&self, block: Block, log_end: u64) -> u64 {
        let position = {
            let mut state = self.state.lock();
            let mut position = state.end();
            let left = FILE_BYTES - position % FILE_BYTES;
            if left < BLOCK_LIMIT as u64 {
                let padded = state.buffer.len() + left as usize;
                state.buffer.resize(padded, 0);
                position += left;
            }
            block.encode(&mut state.buffer);
            if let Some(file) = state.files.get_mut(&(position - position % FILE_BYTES)) {
                file.log_end = file.log_end.max(log_end);
            }
            if state.buffer.len() >= BUFFER_BYTES
                && let Err(error) = self.write_out(&mut state, log_end)
            {
                tracing::error!(%error, "the queue index waits in memory");
            }
            position
        };
        self.cache.lock().insert(position, Arc::new(block));
        position
    }

    /// Writes everything and makes it durable. Returns the end of the index log. Once this has
    /// failed to sync it fails until the store is opened again.
    pub(crate) fn sync(&self, log_end: u64) -> Result<u64, Error> {
        let (end, dirty) = {
            let mut state = self.state.lock();
            if state.failed {
                return Err(Error::disk("syncing the queue index")(
                    io::ErrorKind::Other.into(),
                ));
            }
            self.write_out(&mut state, log_end)?;
            let dirty: Vec<Arc<dyn File>> = state
                .files
                .values_mut()
                .filter_map(|file| std::mem::take(&mut file.dirty).then(|| file.file.clone()))
                .collect();
            (state.end(), dirty)
        };
        for file in &dirty {
            if let Err(error) = file.fdatasync() {
                self.state.lock().failed = true;
                return Err(Error::disk("syncing the queue index")(error));
            }
        }
        Ok(end)
    }

    /// True when so much waits for the disk that no more may be added.
    pub(crate) fn is_stuck(&self) -> bool {
        self.state.lock().buffer.len() > BUFFER_LIMIT
    }

    /// The block at `position` without waiting for the disk.
    pub(crate) fn find(&self, position: u64) -> Result<Found, Error> {
        if let Some(block) = self.cache.lock().get(position) {
            return Ok(Found::Block(block));
        }
        let mut bytes = [0; BLOCK_LIMIT];
        let file = match self.locate(position)? {
            Place::Buffered(block) => return Ok(Found::Block(self.keep(position, block))),
            Place::File(file) => file,
        };
        let read = file
            .pread_nowait(&mut bytes, position % FILE_BYTES)
            .map_err(Error::disk("reading the queue index"))?;
        // A short read may have stopped where waiting begins.
        match read.and_then(|read| Block::decode(&bytes[..read])) {
            Some(block) => Ok(Found::Block(self.keep(position, block))),
            None => Ok(Found::Elsewhere),
        }
    }

    /// The block at `position`; may wait for the disk.
    pub(crate) fn read(&self, position: u64) -> Result<Arc<Block>, Error> {
        if let Some(block) = self.cache.lock().get(position) {
            return Ok(block);
        }
        let block = match self.locate(position)? {
            Place::Buffered(block) => block,
            Place::File(file) => Block::read_from(file.as_ref(), position % FILE_BYTES)
                .map_err(Error::disk("reading the queue index"))?
                .ok_or_else(|| missing(position))?,
        };
        Ok(self.keep(position, block))
    }

    /// Drops files none of whose entries point at or behind `log_min`.
    pub(crate) fn drop_below(&self, log_min: u64) -> Result<(), Error> {
        let dropped = {
            let mut state = self.state.lock();
            let last = state.files.keys().next_back().copied();
            let dropped: Vec<u64> = state
                .files
                .iter()
                .filter(|(start, file)| Some(**start) != last && file.log_end <= log_min)
                .map(|(start, _)| *start)
                .collect();
            state.files.retain(|start, _| !dropped.contains(start));
            dropped
        };
        for start in dropped {
            self.disk
                .unlink(&self.directory.join(file_name(start)))
                .map_err(Error::disk("dropping an index file"))?;
        }
        Ok(())
    }

    fn locate(&self, position: u64) -> Result<Place, Error> {
        let state = self.state.lock();
        if position >= state.buffer_start {
            let at = (position - state.buffer_start) as usize;
            let bytes = state.buffer.get(at..).unwrap_or_default();
            return Block::decode(bytes)
                .map(Place::Buffered)
                .ok_or_else(|| missing(position));
        }
        let file = state.files.get(&(position - position % FILE_BYTES));
        file.map(|file| Place::File(file.file.clone()))
            .ok_or_else(|| missing(position))
    }

    fn keep(&self, position: u64, block: Block) -> Arc<Block> {
        let block = Arc::new(block);
        self.cache.lock().insert(position, block.clone());
        block
    }

    fn write_out(&self, state: &mut State, log_end: u64) -> Result<(), Error> {
        while !state.buffer.is_empty() {
            let at = state.buffer_start % FILE_BYTES;
            let start = state.buffer_start - at;
            let bytes = state.buffer.len().min((FILE_BYTES - at) as usize);
            let file = match state.files.get_mut(&start) {
                Some(file) => file,
                None => {
                    let path = self.directory.join(file_name(start));
                    let file = open_file(self.disk.as_ref(), &path, Open::Create)?;
                    self.disk
                        .fsync_dir(&self.directory)
                        .map_err(Error::disk("naming an index file"))?;
                    state.files.entry(start).or_insert(IndexFile {
                        file,
                        dirty: false,
                        log_end,
                    })
                }
            };
            file.dirty = true;
            file.log_end = file.log_end.max(log_end);
            file.file
                .write_all_at(&state.buffer[..bytes], at)
                .map_err(Error::disk("writing the queue index"))?;
            state.buffer.drain(..bytes);
            state.buffer_start += bytes as u64;
        }
        Ok(())
    }
}

enum Place {
    Buffered(Block),
    File(Arc<dyn File>),
}

impl State {
    fn end(&self) -> u64 {
        self.buffer_start + self.buffer.len() as u64
    }
}

impl Cache {
    fn get(&mut self, position: u64) -> Option<Arc<Block>> {
        if let Some(block) = self.young.get(&position) {
            return Some(block.clone());
        }
        let block = self.old.remove(&position)?;
        self.insert(position, block.clone());
        Some(block)
    }

    fn insert(&mut self, position: u64, block: Arc<Block>) {
        if self.young.len() >= CACHED_BLOCKS {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(position, block);
    }
}

fn open_file(disk: &dyn Disk, path: &Path, how: Open) -> Result<Arc<dyn File>, Error> {
    disk.open(path, how)
        .map_err(Error::disk("opening an index file"))
}

/// The index is a cache: a damaged block is mended by rebuilding it from the log.
fn missing(position: u64) -> Error {
    Error::Index { position }
}
