//! How far the log may have been written, on the disk before it is.
//!
//! After a crash, whatever lies behind the last valid record has to be found and zeroed, or a
//! later crash could take it for a record again. Nothing is ever written behind the fence, so
//! that is where the search ends; otherwise a start would read a whole segment, and the empty
//! one behind it.
//!
//! The file has two slots of 512 bytes that are written in turn and never grow, so that a full
//! disk does not matter here.

use std::path::Path;
use std::sync::Arc;

use runtime::{Disk, File, Open, Tasks};

use crate::Error;
use crate::health::Health;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const SLOT_BYTES: u64 = 512;
/// Offset 8, its CRC 4.
const CONTENT: usize = 12;

pub(crate) struct Fence {
    window: u64,
    tasks: Tasks,
    health: Arc<Health>,
    until: AtomicU64,
    /// A job is on its way that moves the fence.
    ordered: AtomicBool,
    slots: Mutex<Slots>,
}

/// Guards which slot is the older one.
struct Slots {
    file: Arc<dyn File>,
    next: u64,
}

impl Fence {
    /// Puts the fence `window` bytes behind `end`, durably.
    pub(crate) fn open(
        disk: &dyn Disk,
        path: &Path,
        end: u64,
        window: u64,
        tasks: Tasks,
        health: Arc<Health>,
    ) -> Result<Self, Error> {
        let doing = "making the fence";
        let fresh = !disk.exists(path).map_err(Error::disk(doing))?;
        let file = disk.open(path, Open::Create).map_err(Error::disk(doing))?;
        if fresh {
            file.allocate(2 * SLOT_BYTES).map_err(Error::disk(doing))?;
        }
        let slots = Slots { file, next: 0 };
        let fence = Self {
            window,
            tasks,
            health,
            until: AtomicU64::new(0),
            ordered: AtomicBool::new(false),
            slots: Mutex::new(slots),
        };
        // Both slots, since an older one may hold a later offset.
        fence.move_to(end + window)?;
        fence.move_to(end + window)?;
        if fresh && let Some(directory) = path.parent() {
            disk.fsync_dir(directory).map_err(Error::disk(doing))?;
        }
        Ok(fence)
    }

    /// Where the fence was when the store was last open; `None` if that is not known.
    pub(crate) fn load(disk: &dyn Disk, path: &Path) -> Result<Option<u64>, Error> {
        let doing = "reading the fence";
        if !disk.exists(path).map_err(Error::disk(doing))? {
            return Ok(None);
        }
        let bytes = disk.read(path).map_err(Error::disk(doing))?;
        Ok(bytes.chunks(SLOT_BYTES as usize).filter_map(decode).max())
    }

    /// Lets the log be written up to `end`. Waits for the disk only if the fence was not moved
    /// in time.
    pub(crate) fn admit(self: &Arc<Self>, end: u64) -> Result<(), Error> {
        let until = self.until.load(Ordering::Acquire);
        if end > until {
            return self.move_to(end + self.window);
        }
        if until - end < self.window / 2 && !self.ordered.swap(true, Ordering::AcqRel) {
            let fence = self.clone();
            // Whoever needs it sooner moves it and hears what went wrong.
            drop(self.tasks.blocking("fence", move || {
                let _ = fence.move_to(until + fence.window);
                fence.ordered.store(false, Ordering::Release);
            }));
        }
        Ok(())
    }

    fn move_to(&self, until: u64) -> Result<(), Error> {
        let mut slots = self.slots.lock();
        if until < self.until.load(Ordering::Acquire) {
            return Ok(());
        }
        let written = slots
            .file
            .write_all_at(&encode(until), slots.next * SLOT_BYTES)
            .and_then(|()| slots.file.fdatasync());
        if let Err(source) = written {
            self.health
                .break_with(format!("moving the fence failed: {source}"));
            return Err(Error::Disk {
                doing: "moving the fence",
                source,
            });
        }
        slots.next = 1 - slots.next;
        self.until.store(until, Ordering::Release);
        Ok(())
    }
}

fn encode(until: u64) -> [u8; CONTENT] {
    let mut bytes = [0; CONTENT];
    bytes[..8].copy_from_slice(&until.to_be_bytes());
    let crc = crc32fast::hash(&bytes[..8]);
    bytes[8..].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn decode(slot: &[u8]) -> Option<u64> {
    let (until, rest) = slot.split_first_chunk::<8>()?;
    let crc = rest.first_chunk::<4>()?;
    (crc32fast::hash(until) == u32::from_be_bytes(*crc)).then(|| u64::from_be_bytes(*until))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_reads_back_and_a_torn_one_does_not() {
        let slot = encode(77);
        assert_eq!(decode(&slot), Some(77));
        assert_eq!(decode(&[0; 512]), None);
        for at in 0..slot.len() {
            let mut torn = slot;
            torn[at] ^= 1;
            assert_eq!(decode(&torn), None, "byte {at}");
        }
    }
}
