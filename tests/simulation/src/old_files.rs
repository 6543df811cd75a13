//! Files that are full of old records: what a segment begins with that was recycled.
//!
//! The records are sound and of the run's own queues, but name other places. A run whose log
//! begins in such files tells whether anybody takes one of them for its own.

use std::path::Path;

use model::record::Unplaced;
use model::{Checksum, LogOffset, Message, QueueOffset, Timestamp};
use runtime::{Disk, File, Open};

/// Segments that the log is made to have had before it begins.
const BEFORE: u64 = 16;
/// Files that wait to be used again.
const WAITING: u64 = 2;
/// No record of a run is stored before this.
const LONG_AGO: Timestamp = Timestamp(1_600_000_000_000);

/// Old records of `messages`, one after another and again and again.
pub struct OldFiles {
    segment_bytes: u64,
    messages: Vec<Message>,
}

impl OldFiles {
    pub fn new(segment_bytes: u64, messages: Vec<Message>) -> Self {
        Self {
            segment_bytes,
            messages,
        }
    }

    /// Where the log of a run begins.
    pub fn begin(&self) -> u64 {
        BEFORE * self.segment_bytes
    }

    /// Makes the first segment of a store under `root` a recycled one.
    pub fn lay_first(&self, disk: &dyn Disk, root: &Path) {
        let begin = self.begin();
        self.lay(
            disk,
            &root.join("commitlog"),
            begin,
            begin - self.segment_bytes,
        );
    }

    /// Sees to it that the next segments are recycled ones. The store is closed.
    pub fn lay_waiting(&self, disk: &dyn Disk, root: &Path) {
        let directory = root.join("millstream/recycled");
        let waiting = match disk.exists(&directory).expect("it is looked for") {
            true => disk.list(&directory).expect("it is listed").len() as u64,
            false => 0,
        };
        for back in waiting..WAITING {
            let end = self.begin() - back * self.segment_bytes;
            self.lay(disk, &directory, end, end - self.segment_bytes);
        }
    }

    /// A file of this name with the records that lay at `from`.
    fn lay(&self, disk: &dyn Disk, directory: &Path, name: u64, from: u64) {
        disk.create_dir_all(directory).expect("it is made");
        let path = directory.join(format!("{name:020}"));
        let file = disk.open(&path, Open::Create).expect("it opens");
        file.allocate(self.segment_bytes).expect("there is room");
        self.fill(file.as_ref(), from);
        file.fdatasync().expect("it is synced");
        disk.fsync_dir(directory).expect("it is synced");
    }

    fn fill(&self, file: &dyn File, from: u64) {
        let host = "10.0.0.2:10911".parse().expect("an address");
        let mut at = 0;
        for (number, message) in (0..).zip(self.messages.iter().cycle()) {
            let record = Unplaced::encode(message, host, Checksum::Record).expect("it is small");
            let placed = record.place(QueueOffset(number), LogOffset(from + at), LONG_AGO);
            let bytes = placed.to_bytes();
            if at + bytes.len() as u64 > self.segment_bytes {
                break;
            }
            file.write_all_at(&bytes, at).expect("it is written");
            at += bytes.len() as u64;
        }
        file.write_all_at(&[0; 8], 0).expect("it is written");
    }
}
