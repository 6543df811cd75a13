//! Reads the log once, as a start does that has no index: for the queues, which are written
//! when all is read, and for the keys, which are written as they come.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use model::record::{RecordView, view};
use model::{QueueId, Topic};
use runtime::Disk;

use super::batch_queue::BatchQueue;
use super::consume_queue::{ConsumeQueue, Extent};
use super::index_file::IndexFiles;
use super::placeholder::Placeholder;
use super::queue_file::QueueFiles;
use super::target::Target;
use super::{ExportAs, ExportError, Exported, writing};
use crate::dispatch::{Dispatch, TOMBSTONES, lite_offsets};
use crate::losses;
use crate::queue_index::{Arrival, Head, Heads, IndexLog, QueueIndex, Unit};
use crate::segment::Segment;
use crate::{Error, Settings};

/// Where the queues are kept until they are written.
const ASIDE: &str = "queues-aside";
/// Entries read from there at a time.
const TOGETHER: usize = 1024;
/// Longest name that a file system gives a directory.
const LONGEST_NAME: usize = 255;

pub(super) struct Replay<'a> {
    settings: &'a Settings,
    disk: Arc<dyn Disk>,
    aside: PathBuf,
    index: QueueIndex,
    keys: IndexFiles,
    topics: HashMap<String, Topic>,
    read: Counts,
    /// The disk refused a key.
    failed: Option<Error>,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    records: u64,
    last_stored: i64,
    last_in_queue: u64,
}

/// What the log holds, once it is read.
pub(super) struct Read {
    disk: Arc<dyn Disk>,
    aside: PathBuf,
    index: QueueIndex,
    pub records: u64,
    pub last_stored: i64,
    /// When the newest record of the key index was stored.
    pub last_indexed: i64,
    /// Where the newest record begins that a queue shows.
    pub last_in_queue: u64,
}

impl<'a> Replay<'a> {
    pub(super) fn begin(target: &Target, how: &ExportAs<'a>) -> Result<Self, Error> {
        let disk = target.disk().clone();
        let aside = target.root().join(ASIDE);
        let log = IndexLog::open(disk.clone(), aside.clone(), 0)?;
        let keys = IndexFiles::begin(&disk, target.root().join("index"), how.shape)?;
        Ok(Self {
            settings: how.settings,
            disk,
            aside,
            index: QueueIndex::new(log, Heads::default()),
            keys,
            topics: HashMap::new(),
            read: Counts::default(),
            failed: None,
        })
    }

    /// Takes the next record of the log. One whose topic has no sensible name is in no queue.
    pub(super) fn record(&mut self, record: &RecordView<'_>) {
        self.read.records += 1;
        self.read.last_stored = self.read.last_stored.max(record.stored.0);
        let Some(topic) = self.topic(record.topic) else {
            return;
        };
        let (at, stored) = (record.log_offset.0, record.stored.0);
        let dispatch = Dispatch::of_stored(&topic, record);
        let unit = Unit {
            log_offset: at,
            tags_code: dispatch.tags.code(self.settings, stored),
            size: record.size(),
            count: dispatch.count,
        };
        if let Some(queue) = dispatch.shown() {
            self.put(queue, record.queue_offset.0, unit, stored);
        }
        for (queue, offset) in dispatch.lite.iter().zip(lite_offsets(record.properties)) {
            self.put(queue, offset, Unit { count: 1, ..unit }, stored);
        }
        for hash in dispatch.keys {
            if self.failed.is_none() {
                self.failed = self.keys.add(hash, at, stored).err();
            }
        }
        let body = std::str::from_utf8(record.body).ok();
        if record.topic == TOMBSTONES
            && let Some(buried) = body.and_then(|name| Topic::stored(name).ok())
        {
            self.index.delete(&buried);
        }
        losses::note(&self.index, &losses::told_by(record).losses, at, stored);
        // Nobody saves this index: what has changed in it is no matter.
        drop(self.index.take_changed());
    }

    fn put(&mut self, queue: &QueueId, queue_offset: u64, unit: Unit, stored: i64) {
        // RocketMQ's offsets are signed: a negative one is none.
        if i64::try_from(queue_offset).is_err() {
            return;
        }
        self.read.last_in_queue = unit.log_offset;
        let head = self.index.get_or_insert(queue);
        self.index.put(
            &head,
            &Arrival {
                queue_offset,
                unit,
                stored,
            },
        );
    }

    fn topic(&mut self, name: &str) -> Option<Topic> {
        if let Some(topic) = self.topics.get(name) {
            return Some(topic.clone());
        }
        let topic = Topic::stored(name).ok()?;
        self.topics.insert(name.to_owned(), topic.clone());
        Some(topic)
    }

    /// All is read of a log that begins at `log_min`.
    pub(super) fn end(self, log_min: u64) -> Result<Read, Error> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        self.index.raise_minimum(log_min)?;
        Ok(Read {
            last_indexed: self.keys.end()?,
            disk: self.disk,
            aside: self.aside,
            index: self.index,
            records: self.read.records,
            last_stored: self.read.last_stored,
            last_in_queue: self.read.last_in_queue,
        })
    }
}

impl Read {
    /// Writes the files of every queue, and says in `exported` what there was.
    pub(super) fn write_queues(
        &self,
        target: &Target,
        how: &ExportAs<'_>,
        placeholder: &Placeholder,
        log_min: u64,
        segments: &[Arc<Segment>],
        exported: &mut Exported,
    ) -> Result<(), ExportError> {
        let mut heads = self.index.all();
        heads.sort_by(|one, other| one.id.cmp(&other.id));
        for head in heads {
            let (min, end) = head.with(|state| (state.min, state.end));
            if end == 0 {
                continue;
            }
            let topic = head.id.topic.as_str();
            if !names_a_folder(topic) {
                exported.left_out.push(head.id.to_string());
                continue;
            }
            let extent = Extent { min, end, log_min };
            let batches = (how.holds_batches)(&head.id.topic);
            let kind = if batches {
                "batchconsumequeue"
            } else {
                "consumequeue"
            };
            let folder = target.root().join(kind).join(topic);
            let folder = folder.join(head.id.number.to_string());
            exported.lost_places += match batches {
                true => {
                    let shape = BatchQueue::shape(how.shape.batch_entries);
                    let files = QueueFiles::begin(&self.disk, folder, shape, 0)?;
                    let queue = BatchQueue::begin(files, placeholder);
                    self.write_batches(&head, extent, queue, segments)?
                }
                false => {
                    let shape = ConsumeQueue::shape(how.shape.queue_entries);
                    let files = QueueFiles::begin(&self.disk, folder, shape, extent.first())?;
                    let mut queue = ConsumeQueue::begin(files, extent, placeholder)?;
                    self.entries(&head, min, |entry| queue.push(entry))?;
                    queue.end()?
                }
            };
            exported.queues += 1;
            exported.has_light_topics |= head.id.topic.is_lite();
        }
        self.disk.remove_dir_all(&self.aside).map_err(writing)?;
        Ok(())
    }

    fn write_batches(
        &self,
        head: &Head,
        extent: Extent,
        mut queue: BatchQueue<'_>,
        segments: &[Arc<Segment>],
    ) -> Result<u64, Error> {
        if extent.min == extent.end {
            // Without any entry RocketMQ would begin the queue at 0 again.
            queue.push_lost(extent.end - 1, extent.end)?;
        }
        self.entries(head, extent.min, |entry| {
            let stored = match entry.is_hole() {
                true => 0,
                false => stored_at(segments, entry.log_offset.0, entry.size)?,
            };
            queue.push(entry, stored)
        })?;
        queue.end()
    }

    fn entries(
        &self,
        head: &Head,
        min: u64,
        mut each: impl FnMut(&crate::IndexEntry) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut next = min;
        loop {
            let entries = self.index.entries_waiting(head, next, TOGETHER)?;
            let Some(last) = entries.last() else {
                return Ok(());
            };
            next = last.next().0;
            entries.iter().try_for_each(&mut each)?;
        }
    }
}

/// When the record at `at` was stored.
fn stored_at(segments: &[Arc<Segment>], at: u64, size: u32) -> Result<i64, Error> {
    let corrupt = |why: String| Error::Corrupt {
        at: model::LogOffset(at),
        why,
    };
    let holding = segments.iter().find(|segment| segment.end() > at);
    let holding = holding.ok_or_else(|| corrupt("it lies behind the log".into()))?;
    let mut bytes = vec![0; size as usize];
    holding
        .file
        .read_exact_at(&mut bytes, at - holding.start)
        .map_err(Error::disk("reading the log"))?;
    let record = view(&bytes).map_err(|why| corrupt(why.to_string()))?;
    Ok(record.stored.0)
}

/// The name comes from a record, and must not lead anywhere else.
fn names_a_folder(topic: &str) -> bool {
    let strange = |letter: char| letter == '/' || letter == '\\' || letter.is_control();
    !topic.is_empty()
        && topic.len() <= LONGEST_NAME
        && topic != "."
        && topic != ".."
        && !topic.contains(strange)
}
