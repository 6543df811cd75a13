//! The files of the commit log in order, and the one that is made ahead.
//!
//! A new file is allocated and synced, name and all, before it is offered: a full disk shows
//! itself here and never at an append. Where senders wait for the flush it is also filled with
//! zeros, since a flush of overwritten space is cheaper than one of fresh space; where nobody
//! waits, that would write every byte twice for nothing. A file that was needed before it was
//! filled is filled by the appender, step by step. The file of a deleted segment is better than a
//! new one: see [`RecyclePool`].

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use runtime::{Clock, Disk, File, Moment, Open, Planted, Space, Tasks};

use crate::recycle_pool::RecyclePool;
use crate::segment::{Segment, file_name};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Condvar, Mutex};
use crate::{Error, Flush};

/// Ends the name of a file that is not ready to be used.
pub(crate) const UNREADY: &str = ".preparing";
/// Bytes filled with zeros and flushed in one go. A flush of the log waits behind one of these:
/// behind a gigabyte that was flushed at once it waited for half a second.
const ZEROS: usize = 1 << 20;
/// Time between two attempts to find room for a segment.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Sizes of segments are multiples of this; that of one which was cut hardly ever is.
const BLOCK: u64 = 4 << 10;

/// The size that the segments of a log have which keeps to one: RocketMQ divides an offset by it
/// to find the segment.
pub(crate) fn common_bytes<'a>(
    mut segments: impl Iterator<Item = &'a Arc<Segment>>,
) -> Option<u64> {
    let first = segments.next()?;
    let bytes = first.len;
    let fits = bytes > 0 && bytes.is_multiple_of(BLOCK) && first.start.is_multiple_of(bytes);
    (fits && segments.all(|other| other.len == bytes)).then_some(bytes)
}

pub(crate) struct Segments {
    disk: Arc<dyn Disk>,
    clock: Clock,
    tasks: Tasks,
    directory: PathBuf,
    segment_bytes: u64,
    flush: Flush,
    pool: RecyclePool,
    /// Oldest first. Changed by the append leader and by retention, under `changing`.
    list: ArcSwap<Vec<Arc<Segment>>>,
    changing: Mutex<()>,
    spare: Mutex<Spare>,
    /// Signalled when `spare` is no longer `Preparing`.
    prepared: Condvar,
    /// Where the last file ends that was filled, or recycled, before it was offered.
    filled_to: AtomicU64,
}

/// The file that comes after the last one.
enum Spare {
    None,
    /// A job is to make it, and has not begun.
    Ordered {
        start: u64,
    },
    /// Somebody makes it; `wanted` asks for it to come to an end.
    Preparing {
        wanted: bool,
    },
    Ready(Arc<Segment>),
    Failed {
        at: Moment,
        space: Space,
    },
}

impl Segments {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        clock: Clock,
        tasks: Tasks,
        directory: PathBuf,
        (segment_bytes, flush): (u64, Flush),
        pool: RecyclePool,
        (found, spare): (Vec<Arc<Segment>>, Option<Arc<Segment>>),
    ) -> Self {
        Self {
            disk,
            clock,
            tasks,
            directory,
            segment_bytes,
            flush,
            pool,
            list: ArcSwap::from_pointee(found),
            changing: Mutex::default(),
            spare: Mutex::new(spare.map_or(Spare::None, Spare::Ready)),
            prepared: Condvar::new(),
            filled_to: AtomicU64::new(0),
        }
    }

    pub(crate) fn all(&self) -> Arc<Vec<Arc<Segment>>> {
        self.list.load_full()
    }

    /// The segment that has space for the byte at `offset`.
    pub(crate) fn holding(&self, offset: u64) -> Option<Arc<Segment>> {
        let list = self.list.load();
        let index = list.partition_point(|segment| segment.end() <= offset);
        list.get(index)
            .filter(|segment| segment.start <= offset)
            .cloned()
    }

    /// Where the log begins.
    pub(crate) fn min(&self) -> u64 {
        self.list.load().first().map_or(0, |segment| segment.start)
    }

    /// The segment that appends at `end` go to, made if need be. May wait for the disk.
    pub(crate) fn active(&self, end: u64) -> Result<Arc<Segment>, Error> {
        if let Some(segment) = self.holding(end) {
            // The files of an adopted store are sparse: space is reserved before it is needed.
            segment
                .file
                .allocate(segment.len)
                .map_err(Error::disk("reserving space"))?;
            return Ok(segment);
        }
        let segment = self.take_spare(end)?;
        self.join(segment.clone());
        Ok(segment)
    }

    /// Starts making the segment after `last`, unless that has happened.
    pub(crate) fn prepare_after(self: &Arc<Self>, last: &Segment) {
        let mut spare = self.spare.lock();
        if !matches!(*spare, Spare::None) {
            return;
        }
        *spare = Spare::Ordered { start: last.end() };
        drop(spare);
        let segments = self.clone();
        // The job tells through `spare` how it ended.
        drop(self.tasks.blocking("next segment", move || {
            let Some(start) = segments.begin_ordered() else {
                return;
            };
            let made = segments.make(start, segments.flush == Flush::Sync);
            // Whoever needs the segment asks for it and hears why there is none.
            let _ = segments.settle(made);
        }));
    }

    /// Where the segment begins that is to be made; `None` if whoever needed it has made it
    /// meanwhile.
    fn begin_ordered(&self) -> Option<u64> {
        let mut spare = self.spare.lock();
        let Spare::Ordered { start } = *spare else {
            return None;
        };
        *spare = Spare::Preparing { wanted: false };
        Some(start)
    }

    /// Gives the space back that recycled files hold.
    pub(crate) fn drop_recycled(&self) {
        self.pool.empty();
    }

    /// How many files wait to be used again.
    pub(crate) fn recycled(&self) -> usize {
        self.pool.files()
    }

    /// Leaves nothing behind `end`, where the log ends: RocketMQ goes on with an orderly closed
    /// log as well, and writes no zero word behind its records.
    pub(crate) fn clear_behind(&self, end: u64) -> Result<(), Error> {
        let Some(segment) = self.holding(end).filter(|segment| segment.recycled) else {
            return Ok(());
        };
        let file = &segment.file;
        file.zero(end - segment.start..segment.len)
            .and_then(|()| file.fdatasync())
            .map_err(Error::disk("clearing the end of the log"))
    }

    /// Sees to it that nothing is made any more.
    pub(crate) fn settle_down(&self) {
        let mut spare = self.spare.lock();
        loop {
            match &mut *spare {
                Spare::Preparing { wanted } => {
                    *wanted = true;
                    self.prepared.wait(&mut spare);
                }
                Spare::Ordered { .. } => *spare = Spare::None,
                _ => return,
            }
        }
    }

    /// The segment after `last`, which is full. May wait for the disk.
    pub(crate) fn take_after(&self, last: &Segment) -> Result<Arc<Segment>, Error> {
        self.take_spare(last.end())
    }

    /// Makes a segment the last one of the log.
    pub(crate) fn join(&self, segment: Arc<Segment>) {
        let _changing = self.changing.lock();
        let mut list = Vec::clone(&self.list.load());
        list.push(segment);
        self.list.store(Arc::new(list));
    }

    /// Whether a segment that was just made has space that was never written.
    pub(crate) fn has_fresh_space(&self, segment: &Segment) -> bool {
        self.filled_to.load(Ordering::Acquire) != segment.end()
    }

    /// Makes the segment after `last` unless there is one. May wait for the disk.
    pub(crate) fn see_to_one_after(&self, last: &Segment) -> Result<(), Error> {
        self.spare(last.end(), Spare::Ready).map(drop)
    }

    fn take_spare(&self, start: u64) -> Result<Arc<Segment>, Error> {
        self.spare(start, |_| Spare::None)
    }

    /// The spare that begins at `start`, made if need be; `leave` tells what is there afterwards.
    fn spare(
        &self,
        start: u64,
        leave: impl FnOnce(Arc<Segment>) -> Spare,
    ) -> Result<Arc<Segment>, Error> {
        let mut spare = self.spare.lock();
        loop {
            match &mut *spare {
                Spare::Preparing { wanted } => {
                    *wanted = true;
                    self.prepared.wait(&mut spare);
                }
                Spare::Ready(segment) => {
                    let segment = segment.clone();
                    *spare = leave(segment.clone());
                    return Ok(segment);
                }
                Spare::Failed { at, space } if self.clock.now() < *at + RETRY_AFTER => {
                    return Err(self.full(*space));
                }
                Spare::None | Spare::Ordered { .. } | Spare::Failed { .. } => {
                    *spare = Spare::Preparing { wanted: true };
                    drop(spare);
                    let made = self.make(start, false);
                    self.settle(made)?;
                    spare = self.spare.lock();
                }
            }
        }
    }

    /// Makes what came of an attempt known; passes on why it failed.
    fn settle(&self, made: Result<Arc<Segment>, io::Error>) -> Result<(), Error> {
        let (spare, result) = match made {
            Ok(segment) => (Spare::Ready(segment), Ok(())),
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                let nothing = Space {
                    total: 0,
                    available: 0,
                };
                let space = self.disk.space(&self.directory).unwrap_or(nothing);
                tracing::warn!(?space, "no room for the next segment");
                (
                    Spare::Failed {
                        at: self.clock.now(),
                        space,
                    },
                    Err(self.full(space)),
                )
            }
            Err(source) => {
                tracing::warn!(error = %source, "the next segment was not made");
                (
                    Spare::None,
                    Err(Error::Disk {
                        doing: "making a segment",
                        source,
                    }),
                )
            }
        };
        *self.spare.lock() = spare;
        self.prepared.notify_all();
        result
    }

    fn full(&self, space: Space) -> Error {
        let Space { total, available } = space;
        Error::DiskFull {
            needed: self.segment_bytes,
            available,
            total,
        }
    }

    fn make(&self, start: u64, fill: bool) -> io::Result<Arc<Segment>> {
        let path = self.directory.join(file_name(start));
        let segment = |file, path, recycled| {
            Arc::new(Segment {
                start,
                len: self.segment_bytes,
                file,
                path,
                recycled,
            })
        };
        let end = start + self.segment_bytes;
        if let Some(file) = self.pool.take(start, &path) {
            self.filled_to.store(end, Ordering::Release);
            return Ok(segment(file, path, true));
        }
        let unready = self.directory.join(file_name(start) + UNREADY);
        let made = self.make_file(&unready, fill).and_then(|(file, filled)| {
            if filled {
                self.filled_to.store(end, Ordering::Release);
            }
            self.disk.rename(&unready, &path)?;
            if !Planted::SkipSyncDir.is_active() {
                self.disk.fsync_dir(&self.directory)?;
            }
            Ok(file)
        });
        match made {
            Ok(file) => Ok(segment(file, path, false)),
            Err(error) => {
                // Gives back what was allocated; what is left goes at the next start.
                let _ = self.disk.unlink(&unready);
                Err(error)
            }
        }
    }

    /// A file with all its space, and whether that is filled.
    fn make_file(&self, path: &Path, fill: bool) -> io::Result<(Arc<dyn File>, bool)> {
        let file = self.disk.open(path, Open::Create)?;
        file.set_len(0)?;
        file.allocate(self.segment_bytes)?;
        let filled = fill && self.fill(file.as_ref())?;
        file.fdatasync()?;
        Ok((file, filled))
    }

    /// Writes zeros until all is filled, or somebody waits for the file.
    fn fill(&self, file: &dyn File) -> io::Result<bool> {
        let zeros = vec![0; ZEROS.min(self.segment_bytes as usize)];
        let mut at = 0;
        while at < self.segment_bytes {
            if matches!(*self.spare.lock(), Spare::Preparing { wanted: true }) {
                return Ok(false);
            }
            let bytes = zeros.len().min((self.segment_bytes - at) as usize);
            file.write_all_at(&zeros[..bytes], at)?;
            file.fdatasync()?;
            at += bytes as u64;
        }
        Ok(true)
    }

    /// Takes the oldest segments that end at or below `min` out of the log, but never the
    /// last. Their files are recycled or deleted; readers that hold one may finish.
    pub(crate) fn drop_below(&self, min: u64) -> Result<Vec<Arc<Segment>>, Error> {
        let dropped = {
            let _changing = self.changing.lock();
            let list = self.list.load();
            let last = list.len().saturating_sub(1);
            let count = list
                .partition_point(|segment| segment.end() <= min)
                .min(last);
            let (dropped, kept) = list.split_at(count);
            let dropped = dropped.to_vec();
            self.list.store(Arc::new(kept.to_vec()));
            dropped
        };
        for segment in &dropped {
            // One by one, so that no crash leaves a gap behind.
            let gone = self.pool.put(segment);
            gone.map_err(Error::disk("deleting a segment"))?;
        }
        if !dropped.is_empty() {
            let mut spare = self.spare.lock();
            if matches!(*spare, Spare::Failed { .. }) {
                *spare = Spare::None;
            }
        }
        Ok(dropped)
    }
}
