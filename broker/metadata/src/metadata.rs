//! All of a broker's metadata behind one door.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::copies::{Copies, Copy, set_aside};
use crate::tables::{Batch, Durability, FjallTables, Tables};
use crate::{CommittedOffsets, Error, Groups, KeyValues, Topics};

/// Topics, groups, committed offsets and key-values. Handlers ask for the part they need.
#[derive(Clone)]
pub struct Metadata {
    pub topics: Arc<Topics>,
    pub groups: Arc<Groups>,
    pub offsets: Arc<CommittedOffsets>,
    pub key_values: Arc<KeyValues>,
    /// Of tables on a disk.
    copying: Option<Arc<Copying>>,
}

/// With their tables, and the number of the copy that these know of.
type Opened = (Metadata, Arc<FjallTables>, u64);

struct Copying {
    tables: Arc<FjallTables>,
    copies: Copies,
    /// Guards the number of the last copy, and turns since progress was copied; held while a
    /// copy is written.
    last: Mutex<(u64, u32)>,
}

/// Where it is kept that a copy was taken, and where the damaged tables went.
const RESTORED: &str = "RESTORED";
const FROM: &str = "from";
/// What to do where a copy is missing, too.
const NO_COPY: &str = "there is no copy of it: bring the folder back from a backup, or move it \
                       away to begin without topics, groups and progress";
/// Turns of [`Metadata::keep`] after which a copy is worth it that tells of new progress alone.
const PROGRESS: u32 = 12;

impl Metadata {
    /// Opens the metadata kept in `folder`, which is made if it is missing.
    ///
    /// Tables that are damaged, or older than the last copy of them, are set aside, and what the
    /// copy holds is taken in their place.
    pub fn open(folder: &Path) -> Result<Metadata, Error> {
        let copies = Copies::beside(folder);
        let copy = copies.newest();
        let last = copy.as_ref().map_or(0, |copy| copy.number);
        let opened = match (Metadata::read(folder, last), copy) {
            (Err(Error::Damaged { why, .. }), Some(copy)) => restore(folder, &why, copy),
            (Err(Error::Damaged { path, why }), None) => Err(Error::Damaged {
                path,
                why: format!("{why}; {NO_COPY}"),
            }),
            (opened, _) => opened,
        };
        let (mut metadata, tables, last) = opened?;
        metadata.copying = Some(Arc::new(Copying {
            tables,
            copies,
            last: Mutex::new((last, 0)),
        }));
        Ok(metadata)
    }

    /// Whether the tables in `folder` can be read, whatever copies there are. Writes to them.
    pub fn check(folder: &Path) -> Result<(), Error> {
        Metadata::read(folder, 0).map(drop)
    }

    /// Whether it was damaged and is now as it was copied last, and nobody has looked yet what
    /// is missing since.
    pub fn is_restored(&self) -> bool {
        self.key_values.get(RESTORED, FROM).is_some()
    }

    /// Somebody has looked what is missing.
    pub fn completed(&self) -> Result<(), Error> {
        self.key_values.remove(RESTORED, FROM).map(drop)
    }

    /// Reads all of the tables, which are to know of copy number `last`; tells of which they do.
    fn read(folder: &Path, last: u64) -> Result<Opened, Error> {
        let tables = Arc::new(FjallTables::open(folder)?);
        let known = tables.last_copy()?;
        if known < last {
            return Err(Error::Damaged {
                path: folder.to_owned(),
                why: format!("its files are of the time of copy {known}, and there is copy {last}"),
            });
        }
        Ok((Metadata::over(tables.clone())?, tables, known))
    }

    /// Metadata over any tables: simulated runs pass [`crate::MemoryTables`].
    pub fn over(tables: Arc<dyn Tables>) -> Result<Metadata, Error> {
        Ok(Metadata {
            topics: Arc::new(Topics::load(tables.clone())?),
            groups: Arc::new(Groups::load(tables.clone())?),
            offsets: Arc::new(CommittedOffsets::load(tables.clone())?),
            key_values: Arc::new(KeyValues::load(tables)?),
            copying: None,
        })
    }

    /// Writes committed offsets that changed since the last call.
    pub fn flush(&self, durability: Durability) -> Result<usize, Error> {
        self.offsets.flush(durability)
    }

    /// Makes committed offsets survive a loss of power, if any has changed; returns how many.
    /// Now and then, copies everything there is. Waits for the disk.
    pub fn keep(&self) -> Result<usize, Error> {
        let kept = self.keep_offsets()?;
        self.copy(false)?;
        Ok(kept)
    }

    /// The same for the last time.
    pub fn close(&self) -> Result<(), Error> {
        self.keep_offsets()?;
        self.copy(true)
    }

    fn keep_offsets(&self) -> Result<usize, Error> {
        if self.offsets.are_kept() {
            return Ok(0);
        }
        self.flush(Durability::Now)
    }

    fn copy(&self, all: bool) -> Result<(), Error> {
        let Some(copying) = &self.copying else {
            return Ok(());
        };
        let Copying {
            tables,
            copies,
            last,
        } = &**copying;
        let (number, turns) = &mut *last.lock();
        *turns += 1;
        let Some(entries) = tables.changed(all || *turns >= PROGRESS)? else {
            return Ok(());
        };
        let copy = Copy {
            number: *number + 1,
            entries,
        };
        let written = tables.copied(copy.number).and_then(|()| {
            copies.write(&copy).map_err(|why| Error::Write {
                doing: "copying it",
                why: why.to_string(),
            })
        });
        match written {
            Ok(()) => (*number, *turns) = (copy.number, 0),
            Err(_) => tables.still_changed(),
        }
        written
    }
}

/// Puts tables with what a copy holds in the place of damaged ones.
fn restore(folder: &Path, why: &str, copy: Copy) -> Result<Opened, Error> {
    let failed = |error: std::io::Error| Error::Open {
        path: folder.to_owned(),
        why: format!("it is damaged ({why}) and cannot be set aside: {error}"),
    };
    let aside = set_aside(folder).map_err(failed)?;
    tracing::error!(
        %why,
        copy = copy.number,
        entries = copy.entries.len(),
        "metadata in {} was damaged and is now in {}; topics, groups and progress are as they \
         were copied last",
        folder.display(),
        aside.display()
    );
    let tables = Arc::new(FjallTables::open(folder)?);
    let mut batch = Batch::default();
    for (table, (key, value)) in copy.entries {
        batch.put(table, key, value);
    }
    tables.apply(batch, Durability::Now)?;
    let metadata = Metadata::over(tables.clone())?;
    let aside = aside.display().to_string();
    metadata.key_values.put(RESTORED, FROM, &aside)?;
    // Last: a start that does not come so far is repeated.
    tables.copied(copy.number)?;
    Ok((metadata, tables, copy.number))
}
