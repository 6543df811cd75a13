//! The store as a whole: opened, asked, ticking, closed.

#[cfg(all(test, scheduler = "shuttle"))]
mod schedules;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use model::record::{Unplaced, view};
use model::{Checksum, IndexKey, LogOffset, QueueId, QueueOffset, Timestamp, Topic};
use runtime::{Clock, Disk, DiskLock, SteadyWall, Tasks};

use crate::appender::{Appender, Collaborators, Gathered};
use crate::checkpoint::Checkpoints;
use crate::dispatch::TOMBSTONES;
use crate::fence::Fence;
use crate::flusher::Flusher;
use crate::guard::Guard;
use crate::health::Health;
use crate::hot_ring::HotRing;
use crate::key_index::KeyIndex;
use crate::key_upkeep::KeyUpkeep;
use crate::layout::Layout;
use crate::log_reader::LogReader;
use crate::publisher::Publisher;
use crate::queue_index::{Limit, QueueIndex};
use crate::read::{Bounds, Read, ReadLimit, Wanted};
use crate::recovery::{Recovered, Recovery, recover};
use crate::recycle_pool::RecyclePool;
use crate::reserve::Reserve;
use crate::retention::first_stored;
use crate::segments::{Segments, common_bytes};
use crate::stats::Counters;
use crate::sync::Mutex;
use crate::time_search::Boundary;
use crate::watermark::Watermark;
use crate::{
    Appended, Arrivals, Error, Flush, IndexEntry, RecordChecksum, Records, Settings, Stats,
};

/// Messages looked at for when the first was stored: some of them may be damaged.
const EARLIEST: usize = 16;
/// How far the fence stands in front of the log's end: far enough to move it in time, near enough
/// to be searched after a crash, when what lies there is no longer in memory.
const FENCE_BYTES: u64 = 64 << 20;

/// Handle to a store directory that is open. Cheap to clone.
///
/// Appends and reads may come from any number of tasks. Before the process ends, call
/// [`MessageStore::close`]; a store that was not closed is recovered at its next start.
#[derive(Clone)]
pub struct MessageStore {
    shared: Arc<Shared>,
    appender: Appender,
}

/// What everything that reads, ticks or cleans works with.
pub(crate) struct Shared {
    pub disk: Arc<dyn Disk>,
    pub clock: Clock,
    /// What records are stamped with.
    pub time: Arc<SteadyWall>,
    pub tasks: Tasks,
    pub settings: Arc<Settings>,
    pub layout: Layout,
    pub segments: Arc<Segments>,
    pub ring: Arc<HotRing>,
    pub index: Arc<QueueIndex>,
    pub keys: Arc<KeyIndex>,
    pub key_upkeep: KeyUpkeep,
    pub publisher: Arc<Publisher>,
    pub flusher: Arc<Flusher>,
    pub health: Arc<Health>,
    pub reader: LogReader,
    pub checkpoints: Checkpoints,
    pub reserve: Reserve,
    pub stats: Counters,
    pub guard: Guard,
    /// Held until the store is closed.
    lock: Mutex<Option<DiskLock>>,
}

impl MessageStore {
    /// Opens the store under `root`, or begins one there. A RocketMQ 5.5.0 store directory is
    /// taken over in place: its log is kept and continued, its indexes are built anew.
    ///
    /// Reads the end of the log, or all of it when there is no checkpoint to start from; the
    /// report says what was found and done.
    pub fn open(
        root: PathBuf,
        settings: Settings,
        disk: Arc<dyn Disk>,
        clock: Clock,
        tasks: Tasks,
    ) -> Result<(MessageStore, Recovery), Error> {
        let layout = Layout::new(&root);
        disk.create_dir_all(&root)
            .map_err(Error::disk("making the store's directory"))?;
        let lock = lock(disk.as_ref(), &layout)?;
        let recovered = recover(&disk, &layout, &settings)?;
        disk.replace(&layout.abort, b"open")
            .map_err(Error::disk("marking the store as open"))?;
        let report = recovered.report.clone();
        let store = Self::assemble(layout, settings, disk, clock, tasks, recovered, lock)?;
        if report.rebuilt || report.replayed > 0 {
            // What was read again is not read a third time, however soon the next crash comes.
            let shared = &store.shared;
            shared.reserve.spend(|| shared.checkpoints.save())?;
        }
        store.shared.start();
        Ok((store, report))
    }

    fn assemble(
        layout: Layout,
        mut settings: Settings,
        disk: Arc<dyn Disk>,
        clock: Clock,
        tasks: Tasks,
        recovered: Recovered,
        lock: DiskLock,
    ) -> Result<Self, Error> {
        let Recovered {
            end,
            last_stored,
            index,
            keys,
            ..
        } = recovered;
        let spare = recovered.spare.iter();
        if let Some(bytes) = common_bytes(recovered.segments.iter().chain(spare)) {
            settings.segment_bytes = bytes;
        }
        let settings = Arc::new(settings);
        let begin = recovered.segments.first();
        let pool = RecyclePool::open(
            disk.clone(),
            layout.recycled.clone(),
            settings.segment_bytes,
            settings.record_checksum == RecordChecksum::Record,
            begin.map_or(0, |segment| segment.start),
        )?;
        let segments = Arc::new(Segments::new(
            disk.clone(),
            clock.clone(),
            tasks.clone(),
            layout.log.clone(),
            (settings.segment_bytes, settings.flush),
            pool,
            (recovered.segments, recovered.spare),
        ));
        let active = segments.active(end)?;
        let ring = Arc::new(HotRing::new(settings.hot_bytes));
        let mark = Watermark::new(settings.flush, end, last_stored);
        let publisher = Arc::new(Publisher::new(mark, index.clone(), keys.clone()));
        let health = Arc::new(Health::default());
        let flusher = Arc::new(Flusher::new(
            segments.clone(),
            publisher.clone(),
            health.clone(),
            clock.clone(),
            tasks.clone(),
        ));
        let reader = LogReader::new(
            segments.clone(),
            ring.clone(),
            publisher.clone(),
            tasks.clone(),
            recovered.guard,
        );
        let checkpoints = Checkpoints::new(
            disk.clone(),
            layout.checkpoints.clone(),
            index.clone(),
            publisher.clone(),
            flusher.clone(),
            recovered.guard,
            recovered.generation,
        );
        let reserve = Reserve::new(disk.clone(), layout.reserve.clone(), settings.segment_bytes);
        let window = FENCE_BYTES.min(settings.segment_bytes / 4);
        let fence = Fence::open(
            disk.as_ref(),
            &layout.fence,
            end,
            window,
            tasks.clone(),
            health.clone(),
        )?;
        let time = Arc::new(SteadyWall::new(clock.clone(), last_stored));
        let with = Collaborators {
            settings: settings.clone(),
            time: time.clone(),
            segments: segments.clone(),
            ring: ring.clone(),
            index: index.clone(),
            publisher: publisher.clone(),
            flusher: flusher.clone(),
            health: health.clone(),
            guard: recovered.guard,
            fence: Arc::new(fence),
        };
        let appender = Appender::new(with, active, end, last_stored);
        let shared = Arc::new(Shared {
            disk,
            clock,
            time,
            tasks,
            settings,
            layout,
            segments,
            ring,
            index,
            keys,
            key_upkeep: KeyUpkeep::default(),
            publisher,
            flusher,
            health,
            reader,
            checkpoints,
            reserve,
            stats: Counters::default(),
            guard: recovered.guard,
            lock: Mutex::new(Some(lock)),
        });
        Ok(Self { shared, appender })
    }

    /// Appends a record. Resolves once it is as durable as the flush setting promises; with
    /// the property `WAIT=false`, once it is written.
    ///
    /// If this is dropped before it resolves, the record may or may not be appended.
    pub async fn append(&self, record: Unplaced) -> Result<Appended, Error> {
        let mut results = self.append_each(record).await;
        results.pop().expect("one record gives one result")
    }

    /// Appends records that become visible together and survive a crash together or not at
    /// all. They take up neighbouring places in the log.
    pub async fn append_together(
        &self,
        records: impl Into<Records>,
    ) -> Result<Vec<Appended>, Error> {
        let appended = self.appender.append_together(records.into()).await?;
        self.count(&appended);
        Ok(appended)
    }

    /// Appends records that arrived together and have nothing else to do with each other: one
    /// result per record, in their order.
    pub async fn append_each(&self, records: impl Into<Records>) -> Vec<Result<Appended, Error>> {
        let results = self.appender.append_each(records.into()).await;
        self.count(results.iter().flatten());
        results
    }

    /// Appends what was gathered, with as few writes as that takes: records as by
    /// [`append_each`](Self::append_each), and groups as by
    /// [`append_together`](Self::append_together). They are written in this order.
    pub async fn append_gathered(&self, each: Records, groups: Vec<Records>) -> Gathered {
        let gathered = self.appender.append_gathered(each, groups).await;
        let of_groups = gathered.groups.iter().flatten().flatten();
        self.count(gathered.each.iter().flatten().chain(of_groups));
        gathered
    }

    fn count<'a>(&self, appended: impl IntoIterator<Item = &'a Appended>) {
        let sizes = appended.into_iter().map(|one| u64::from(one.size));
        let (records, bytes) =
            sizes.fold((0, 0), |(records, bytes), size| (records + 1, bytes + size));
        self.shared.stats.appended(records, bytes);
    }

    /// Forgets all messages of a topic, for ever; its queues begin at 0 again.
    pub async fn delete_topic(&self, topic: &Topic) -> Result<(), Error> {
        self.appender.bury(topic.clone()).await
    }

    /// The next records of a queue that are wanted.
    pub async fn read(
        &self,
        queue: &QueueId,
        from: QueueOffset,
        limit: ReadLimit,
        wanted: &impl Wanted,
    ) -> Result<Read, Error> {
        self.shared.read(queue, from, limit, wanted).await
    }

    /// Resolves once a record is as durable as the flush setting promises, whatever the record
    /// itself asked for.
    pub async fn kept(&self, appended: &Appended) -> Result<(), Error> {
        if self.shared.settings.flush == Flush::Async {
            return Ok(());
        }
        let end = appended.log_offset.0 + u64::from(appended.size);
        self.shared.flusher.durable(end).await
    }

    /// The time by which records are stamped, in milliseconds since 1970: it never goes back,
    /// whatever is done to the machine's clock.
    pub fn time(&self) -> i64 {
        self.shared.time.now()
    }

    /// First and one past the last visible offset; `None` if there is no such queue.
    pub fn bounds(&self, queue: &QueueId) -> Option<Bounds> {
        let head = self.shared.index.get(queue)?;
        let visible = self.shared.publisher.mark.visible();
        match self.shared.bounds_of(&head, visible) {
            Ok(bounds) => Some(bounds),
            Err(error) => {
                tracing::error!(%queue, %error, "the end of a queue was not found");
                None
            }
        }
    }

    /// All queues that hold or held messages of users and of the broker, sorted.
    pub fn queues(&self) -> Vec<QueueId> {
        let own = |queue: &QueueId| {
            matches!(
                queue.topic.as_str(),
                TOMBSTONES | model::system_topics::GROUP
            )
        };
        let heads = self.shared.index.all();
        let mut queues: Vec<QueueId> = heads
            .iter()
            .map(|head| head.id.clone())
            .filter(|queue| !own(queue))
            .collect();
        queues.sort();
        queues
    }

    /// Up to `limit` visible entries of a queue from `from` on, or from its beginning if that
    /// comes later.
    pub async fn entries(
        &self,
        queue: &QueueId,
        from: QueueOffset,
        limit: usize,
    ) -> Result<Vec<IndexEntry>, Error> {
        let visible = self.shared.publisher.mark.visible();
        let Some(head) = self.shared.index.get(queue) else {
            return Ok(Vec::new());
        };
        let mut entries = self
            .shared
            .index
            .entries(&self.shared.tasks, &head, from.0, Limit::All(limit))
            .await?;
        if let Some(hidden) = entries.iter().position(|entry| entry.log_end().0 > visible) {
            entries.truncate(hidden);
        }
        Ok(entries)
    }

    /// The visible record that begins at `at`.
    pub async fn record_at(&self, at: LogOffset) -> Result<Bytes, Error> {
        self.shared.reader.record(at).await
    }

    /// Where in a queue a point in time lies; 0 for a queue that does not exist.
    pub async fn offset_at(
        &self,
        queue: &QueueId,
        time: Timestamp,
        boundary: Boundary,
    ) -> Result<QueueOffset, Error> {
        let Some(head) = self.shared.index.get(queue) else {
            return Ok(QueueOffset(0));
        };
        let shared = self.shared.clone();
        let search = move || {
            let bounds = shared.bounds_of(&head, shared.publisher.mark.visible())?;
            shared.offset_at(&head, bounds, time, boundary)
        };
        self.blocking("search by time", search).await
    }

    /// When the first message of a queue was stored; `None` if it holds none.
    pub async fn earliest(&self, queue: &QueueId) -> Result<Option<Timestamp>, Error> {
        let first = self.entries(queue, QueueOffset(0), EARLIEST).await?;
        for entry in first.iter().take_while(|entry| !entry.is_hole()) {
            let (at, size) = (entry.log_offset, entry.size);
            match self.shared.reader.sized(at, size).await {
                Ok(record) => return Ok(view(&record).ok().map(|record| record.stored)),
                Err(Error::Corrupt { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// When the first message of the log was stored; `None` if it is empty.
    pub async fn earliest_of_all(&self) -> Result<Option<Timestamp>, Error> {
        let segments = self.shared.segments.all();
        let Some(first) = segments.first().cloned() else {
            return Ok(None);
        };
        self.blocking("read the first record", move || first_stored(&first))
            .await
    }

    /// Records of a topic with this key that were stored from `begin` to `end`: the newest
    /// `limit` of them, in the order of the log.
    pub async fn query(
        &self,
        topic: &Topic,
        key: IndexKey<'_>,
        limit: usize,
        begin: Timestamp,
        end: Timestamp,
    ) -> Result<Vec<Bytes>, Error> {
        self.shared.query(topic, key, limit, begin, end).await
    }

    /// First and one past the last visible byte of the log.
    pub fn log_bounds(&self) -> (LogOffset, LogOffset) {
        let visible = self.shared.publisher.mark.visible();
        (LogOffset(self.shared.segments.min()), LogOffset(visible))
    }

    /// Whether the record at `at` is still in memory: reading it costs no disk.
    pub fn is_hot(&self, at: LogOffset) -> bool {
        self.shared.ring.start().is_some_and(|start| start <= at.0)
    }

    /// Tells `arrivals` from now on which queues grow. The last one given counts.
    pub fn tell(&self, arrivals: impl Arrivals + 'static) {
        self.shared.publisher.tell(Box::new(arrivals));
    }

    /// Shows readers nothing behind `end` until replicas confirm more.
    pub fn confirm(&self, end: LogOffset) {
        self.shared.publisher.mark.set_confirmed(end.0);
        self.shared.publisher.advance();
    }

    /// How records for this store are encoded; others are refused.
    pub fn checksum(&self) -> Checksum {
        match self.shared.settings.record_checksum {
            RecordChecksum::Record => Checksum::Record,
            RecordChecksum::Body => Checksum::Body,
        }
    }

    /// Resolves once everything appended so far survives a loss of power.
    pub async fn flush(&self) -> Result<(), Error> {
        self.shared
            .flusher
            .durable(self.shared.publisher.mark.appended())
            .await
    }

    /// Saves the heads of the queues, so that the next start reads less.
    pub async fn checkpoint(&self) -> Result<(), Error> {
        let shared = self.shared.clone();
        self.blocking("checkpoint", move || shared.checkpoints.save())
            .await
    }

    /// Deletes what is older than the settings allow, whatever the hour, and looks at the
    /// disk's space.
    pub async fn clean(&self) -> Result<(), Error> {
        let shared = self.shared.clone();
        self.blocking("clean", move || shared.clean(true)).await
    }

    /// When a message of a delay level is due that is stored at `stored`; `None` for level 0.
    pub fn due(&self, level: u32, stored: i64) -> Option<i64> {
        self.shared.settings.due(level.into(), stored)
    }

    /// Where the log's files lie.
    pub fn log_folder(&self) -> &Path {
        &self.shared.layout.log
    }

    /// Why appends are refused at present, if they are.
    pub fn refusal(&self) -> Option<Error> {
        self.shared.health.check(0, false).err()
    }

    pub fn stats(&self) -> Stats {
        let shared = &self.shared;
        let mark = &shared.publisher.mark;
        let segments = shared.segments.all();
        Stats {
            appended_records: shared.stats.records(),
            appended_bytes: shared.stats.bytes(),
            log_min: shared.segments.min(),
            log_visible: mark.visible(),
            log_end: mark.appended(),
            log_durable: mark.durable(),
            file_bytes: segments.iter().map(|segment| segment.len).sum(),
            hot_bytes: shared.ring.bytes() as u64,
            hot_start: shared.ring.start(),
            queues: shared.index.len() as u64,
            recycled_files: shared.segments.recycled() as u64,
            index_keys: shared.keys.entries() as u64,
            key_files: shared.keys.files() as u64,
            damaged_records: shared.reader.damage().records(),
            disk: shared.disk.space(&shared.layout.log).ok(),
        }
    }

    /// Ends the store in order: refuses later appends, makes the log durable, saves the
    /// indexes, and takes the mark away that would tell of a crash. A store that a failure made
    /// read-only is flushed, if it still can be, and keeps the mark: that is the error then.
    pub async fn close(&self) -> Result<(), Error> {
        self.shared.health.close();
        // Whoever was appending has a place in the log or an answer once this has led.
        self.appender.settle().await;
        // Here and not on a task: those may have been stopped before, and start no more.
        self.shared.close()
    }

    async fn blocking<T: Send + 'static>(
        &self,
        name: &'static str,
        job: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.shared
            .tasks
            .blocking(name, job)
            .await
            .map_err(|_| Error::Closed)?
    }
}

/// Keeps every other process out, until the lock is dropped.
pub(crate) fn lock(disk: &dyn Disk, layout: &Layout) -> Result<DiskLock, Error> {
    let lock = disk.lock(&layout.lock);
    lock.map_err(|source| match source.kind() {
        std::io::ErrorKind::WouldBlock => Error::InUse {
            path: layout.root.clone(),
        },
        _ => Error::Disk {
            doing: "locking the store",
            source,
        },
    })
}

impl Shared {
    fn close(&self) -> Result<(), Error> {
        let Some(lock) = self.lock.lock().take() else {
            return Ok(());
        };
        self.segments.settle_down();
        if let Some(broken) = self.health.read_only() {
            // The next start has to look at what a failed write may have left behind the end.
            self.flusher.flush()?;
            return Err(broken);
        }
        self.checkpoints.save()?;
        self.segments.clear_behind(self.publisher.mark.appended())?;
        let doing = "marking the store as closed";
        self.disk
            .unlink(&self.layout.abort)
            .map_err(Error::disk(doing))?;
        self.disk
            .fsync_dir(&self.layout.root)
            .map_err(Error::disk(doing))?;
        drop(lock);
        Ok(())
    }
}
