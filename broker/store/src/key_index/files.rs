//! Which stretches of the log have a file of keys, and what these files say.
//!
//! A file that is missing or damaged is forgotten: its stretch is a gap then, and gaps are
//! filled from the log.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use runtime::{Disk, File, Open};

use super::file::{Fence, Stretch, Unreadable, encode};
use crate::Error;
use crate::segment::{file_name, file_start};
use crate::sync::Mutex;

/// Files that are kept open with their fences, in each of two generations.
const OPEN_FILES: usize = 32;

pub(super) struct KeyFiles {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    state: Mutex<State>,
}

/// Guards which files there are, by the beginning of their stretches.
#[derive(Default)]
struct State {
    parts: BTreeMap<u64, Part>,
    young: HashMap<u64, Arc<Opened>>,
    old: HashMap<u64, Arc<Opened>>,
}

#[derive(Clone, Copy)]
struct Part {
    to: u64,
    /// `None` until it has been opened.
    entries: Option<usize>,
}

/// A file whose header and fence are sound.
struct Opened {
    file: Arc<dyn File>,
    fence: Fence,
}

impl KeyFiles {
    pub(super) fn new(disk: Arc<dyn Disk>, directory: PathBuf) -> Self {
        Self {
            disk,
            directory,
            state: Mutex::default(),
        }
    }

    /// Takes over the files of an earlier life that lie within the log, and deletes the others:
    /// where the log was cut it may become another one.
    pub(super) fn begin(&self, log: Stretch) -> Result<(), Error> {
        let doing = "looking for files of keys";
        let failed = || Error::disk(doing);
        self.disk
            .create_dir_all(&self.directory)
            .map_err(failed())?;
        let mut state = self.state.lock();
        let (mut end, mut deleted) = (log.from, false);
        for entry in self.disk.list(&self.directory).map_err(failed())? {
            match stretch_of(&entry.name) {
                Some(stretch) if stretch.from >= end && stretch.to <= log.to => {
                    state.insert(stretch, None);
                    end = stretch.to;
                }
                _ => {
                    deleted = true;
                    let path = self.directory.join(&entry.name);
                    self.disk.unlink(&path).map_err(failed())?;
                }
            }
        }
        if deleted {
            // Or it could come back after a crash, when the log has grown over its stretch again.
            self.disk.fsync_dir(&self.directory).map_err(failed())?;
        }
        Ok(())
    }

    /// Makes the file of a stretch, in place of those that cover parts of it.
    pub(super) fn write(
        &self,
        stretch: Stretch,
        entries: impl IntoIterator<Item = (u32, u64)>,
    ) -> Result<(), Error> {
        let mut count = 0;
        let bytes = encode(stretch, entries.into_iter().inspect(|_| count += 1));
        let path = self.directory.join(name_of(stretch));
        let written = self.disk.replace(&path, &bytes);
        written.map_err(Error::disk("writing a file of keys"))?;
        let parts = self.parts(stretch);
        for part in &parts {
            self.forget(part.from);
        }
        self.state.lock().insert(stretch, Some(count));
        for part in parts.into_iter().filter(|part| *part != stretch) {
            self.unlink(part);
        }
        Ok(())
    }

    /// The files that lie within a stretch, in the order of the log.
    pub(super) fn parts(&self, within: Stretch) -> Vec<Stretch> {
        let state = self.state.lock();
        let parts = state.parts.range(within.from..within.to);
        parts
            .map(|(from, part)| Stretch {
                from: *from,
                to: part.to,
            })
            .collect()
    }

    /// How many keys a file holds; `None` if it cannot be read.
    pub(super) fn count(&self, part: Stretch) -> Option<usize> {
        let known = self.state.lock().parts.get(&part.from)?.entries;
        known.or_else(|| self.look_into(part, |opened| Ok(opened.fence.len())))
    }

    /// The newest part of a stretch without a file.
    pub(super) fn newest_gap(&self, within: Stretch) -> Option<Stretch> {
        let mut to = within.to;
        for part in self.parts(within).into_iter().rev() {
            if part.to < to {
                return Some(Stretch { from: part.to, to });
            }
            to = part.from;
        }
        (within.from < to).then_some(Stretch {
            from: within.from,
            to,
        })
    }

    /// Log offsets of records that may have the key, newest first, from below `before` on. Waits
    /// for the disk.
    pub(super) fn find(&self, hash: u32, before: u64, limit: usize) -> Vec<u64> {
        let mut found = Vec::new();
        let older = Stretch {
            from: 0,
            to: before,
        };
        for part in self.parts(older).into_iter().rev() {
            let missing = limit - found.len();
            let look = |opened: &Opened| {
                let file = opened.file.as_ref();
                opened.fence.find(file, hash, before, missing)
            };
            found.extend(self.look_into(part, look).unwrap_or_default());
            if found.len() == limit {
                break;
            }
        }
        found
    }

    /// All that a file holds; `None` if it cannot be read. Waits for the disk.
    pub(super) fn entries(&self, part: Stretch) -> Option<Vec<(u32, u64)>> {
        self.look_into(part, |opened| {
            let mut entries = Vec::new();
            let each = |hash, at| entries.push((hash, at));
            opened.fence.all(opened.file.as_ref(), each)?;
            Ok(entries)
        })
    }

    pub(super) fn drop_below(&self, log_min: u64) {
        let parts = self.parts(Stretch {
            from: 0,
            to: log_min,
        });
        for part in parts {
            self.forget(part.from);
            self.unlink(part);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.state.lock().parts.len()
    }

    /// A file that cannot be read, or not be believed, is one no more.
    fn look_into<T>(
        &self,
        part: Stretch,
        look: impl FnOnce(&Opened) -> Result<T, Unreadable>,
    ) -> Option<T> {
        match self.open(part).and_then(|opened| look(&opened)) {
            Ok(found) => Some(found),
            Err(error) => {
                // Another one may have been here first, or retention.
                if self.forget(part.from) {
                    let path = self.directory.join(name_of(part));
                    tracing::error!(?path, %error, "keys are read from the log again");
                    self.unlink(part);
                }
                None
            }
        }
    }

    fn open(&self, part: Stretch) -> Result<Arc<Opened>, Unreadable> {
        if let Some(opened) = self.state.lock().opened(part.from) {
            return Ok(opened);
        }
        let path = self.directory.join(name_of(part));
        let file = self.disk.open(&path, Open::Read)?;
        let fence = Fence::load(file.as_ref(), part)?;
        let opened = Arc::new(Opened { file, fence });
        let mut state = self.state.lock();
        let known = state.parts.get_mut(&part.from);
        if let Some(known) = known.filter(|known| known.to == part.to) {
            known.entries = Some(opened.fence.len());
            state.keep(part.from, opened.clone());
        }
        Ok(opened)
    }

    /// True if it was there.
    fn forget(&self, from: u64) -> bool {
        let mut state = self.state.lock();
        state.young.remove(&from);
        state.old.remove(&from);
        state.parts.remove(&from).is_some()
    }

    fn unlink(&self, part: Stretch) {
        let path = self.directory.join(name_of(part));
        match self.disk.unlink(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(?path, %error, "a file of keys was not deleted");
            }
            _ => {}
        }
    }
}

impl State {
    fn insert(&mut self, stretch: Stretch, entries: Option<usize>) {
        let to = stretch.to;
        self.parts.insert(stretch.from, Part { to, entries });
    }

    fn opened(&mut self, from: u64) -> Option<Arc<Opened>> {
        if let Some(opened) = self.young.get(&from) {
            return Some(opened.clone());
        }
        let opened = self.old.remove(&from)?;
        self.keep(from, opened.clone());
        Some(opened)
    }

    fn keep(&mut self, from: u64, opened: Arc<Opened>) {
        if self.young.len() >= OPEN_FILES {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(from, opened);
    }
}

fn name_of(stretch: Stretch) -> String {
    format!("{}-{}", file_name(stretch.from), file_name(stretch.to))
}

pub(crate) fn stretch_of(name: &str) -> Option<Stretch> {
    let (from, to) = name.split_once('-')?;
    let (from, to) = (file_start(from)?, file_start(to)?);
    (from < to).then_some(Stretch { from, to })
}

#[cfg(test)]
mod tests {
    use runtime::{Rng, SimDisk};

    use super::*;

    const LOG: Stretch = Stretch { from: 0, to: 900 };

    fn files(disk: &SimDisk) -> KeyFiles {
        let files = KeyFiles::new(disk.mount(), "/keys".into());
        files.begin(LOG).expect("they are looked for");
        files
    }

    fn stretch(from: u64, to: u64) -> Stretch {
        Stretch { from, to }
    }

    #[test]
    fn the_newest_gap_is_found_first() {
        let files = files(&SimDisk::new(Rng::seeded(1)));
        assert_eq!(files.newest_gap(LOG), Some(LOG));
        files.write(stretch(300, 400), []).expect("it is written");
        assert_eq!(files.newest_gap(LOG), Some(stretch(400, 900)));
        files.write(stretch(400, 900), []).expect("it is written");
        assert_eq!(files.newest_gap(LOG), Some(stretch(0, 300)));
        files.write(stretch(0, 300), []).expect("it is written");
        assert_eq!(files.newest_gap(LOG), None);
    }

    #[test]
    fn files_behind_the_end_of_the_log_do_not_come_back() {
        let disk = SimDisk::new(Rng::seeded(1));
        let before = files(&disk);
        for (from, to) in [(0, 300), (300, 700), (700, 900)] {
            before.write(stretch(from, to), []).expect("it is written");
        }
        let cut = KeyFiles::new(disk.mount(), "/keys".into());
        cut.begin(stretch(300, 800)).expect("they are looked for");
        disk.crash();
        assert_eq!(files(&disk).parts(LOG), [stretch(300, 700)]);
    }

    #[test]
    fn a_whole_file_takes_the_place_of_its_parts() {
        let disk = SimDisk::new(Rng::seeded(1));
        let all = files(&disk);
        all.write(stretch(0, 300), [(7, 5)]).expect("it is written");
        all.write(stretch(300, 900), [(7, 400)])
            .expect("it is written");
        assert_eq!(all.find(7, u64::MAX, 9), [400, 5]);
        all.write(LOG, [(7, 5), (7, 400)]).expect("it is written");
        assert_eq!(all.parts(LOG), [LOG]);
        assert_eq!(all.find(7, u64::MAX, 9), [400, 5]);
        assert_eq!(files(&disk).parts(LOG), [LOG]);
    }

    #[test]
    fn a_damaged_file_is_a_gap() {
        let disk = SimDisk::new(Rng::seeded(1));
        let all = files(&disk);
        all.write(LOG, [(7, 5)]).expect("it is written");
        let path = std::path::Path::new("/keys").join(name_of(LOG));
        disk.flip_bit(&path, 50, 1).expect("it rots");
        assert!(all.find(7, u64::MAX, 9).is_empty());
        assert_eq!(all.newest_gap(LOG), Some(LOG));
        assert!(!disk.mount().exists(&path).expect("it is looked for"));
    }
}
