//! What an append costs: time per message of 1 KiB, by how many are sent at once. Beside it the
//! limit: the same bytes written to a file by themselves, with as few calls.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use model::record::Unplaced;
use model::{Checksum, LogOffset, Message, QueueOffset, Timestamp, Topic};
use runtime::{Clock, Disk, File, Open, RealDisk, Tasks};
use store::{Flush, MessageStore, Settings};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const BODY: usize = 1_024;
/// Messages one sender has under way at once.
const PIPELINED: usize = 64;

struct Bench {
    runtime: Runtime,
    store: MessageStore,
    body: Bytes,
    _directory: TempDir,
}

impl Bench {
    fn new(flush: Flush) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let directory = TempDir::new().expect("a temporary directory");
        let settings = Settings {
            flush,
            segment_bytes: 256 << 20,
            refuse_percent: 101,
            clean_percent: 101,
            ..Settings::default()
        };
        let store = runtime.block_on(async {
            let clock = Clock::real();
            let tasks = Tasks::new(clock.clone());
            let root = directory.path().to_owned();
            MessageStore::open(root, settings, RealDisk::new(), clock, tasks)
                .expect("it opens")
                .0
        });
        Self {
            runtime,
            store,
            body: vec![7; BODY].into(),
            _directory: directory,
        }
    }

    /// Time for `count` messages, each sent when the one before is acknowledged.
    fn one_by_one(&self, count: u64) -> Duration {
        self.runtime.block_on(async {
            let started = Instant::now();
            for _ in 0..count {
                let appended = self.store.append(record(0, &self.body)).await;
                appended.expect("it is appended");
            }
            started.elapsed()
        })
    }

    /// Time for `count` messages from each of `senders` tasks.
    fn pipelined(&self, senders: usize, count: u64) -> Duration {
        self.runtime.block_on(async {
            let started = Instant::now();
            let tasks: Vec<_> = (0..senders)
                .map(|sender| {
                    let (store, body) = (self.store.clone(), self.body.clone());
                    tokio::spawn(async move {
                        let mut left = count;
                        while left > 0 {
                            let now = left.min(PIPELINED as u64);
                            let records = (0..now)
                                .map(|_| record(sender, &body))
                                .collect::<store::Records>();
                            for appended in store.append_each(records).await {
                                appended.expect("it is appended");
                            }
                            left -= now;
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.expect("a sender ends");
            }
            started.elapsed()
        })
    }
}

fn record(queue: usize, body: &Bytes) -> Unplaced {
    let topic = Topic::parse("bench").expect("a topic");
    let host: SocketAddr = ([127, 0, 0, 1], 10_911).into();
    let mut message = Message::new(topic, queue as u32, body.clone());
    message
        .properties
        .set("UNIQ_KEY", "7F0000010000A2B1C3D4E5F60718293A");
    Unplaced::encode(&message, host, Checksum::Record).expect("a small message")
}

/// Writes the bytes of 64 records a call, over a file of zeros as the log's is.
struct Raw {
    file: Arc<dyn File>,
    batch: Vec<u8>,
    at: u64,
    _directory: TempDir,
}

impl Raw {
    const BYTES: u64 = 256 << 20;

    fn new() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let disk = RealDisk::new();
        let file = disk
            .open(&directory.path().join("raw"), Open::Create)
            .expect("there is room");
        let zeros = vec![0; 1 << 20];
        for at in (0..Self::BYTES).step_by(zeros.len()) {
            file.write_all_at(&zeros, at).expect("there is room");
        }
        file.fdatasync().expect("a sound disk");
        let place = (QueueOffset(0), LogOffset(0), Timestamp(0));
        let one = record(0, &vec![7; BODY].into()).place(place.0, place.1, place.2);
        Self {
            file,
            batch: one.to_bytes().repeat(PIPELINED),
            at: 0,
            _directory: directory,
        }
    }

    /// Time for `count` records.
    fn write(&mut self, count: u64, flush: Flush) -> Duration {
        let one = self.batch.len() / PIPELINED;
        let started = Instant::now();
        let mut left = count;
        while left > 0 {
            let now = left.min(PIPELINED as u64);
            let bytes = &self.batch[..one * now as usize];
            if self.at + bytes.len() as u64 > Self::BYTES {
                self.at = 0;
            }
            self.file
                .write_all_at(bytes, self.at)
                .expect("a sound disk");
            if flush == Flush::Sync {
                self.file.fdatasync().expect("a sound disk");
            }
            self.at += bytes.len() as u64;
            left -= now;
        }
        started.elapsed()
    }
}

fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append 1 KiB");
    group.sample_size(10).throughput(Throughput::Elements(1));
    for (name, flush) in [("async", Flush::Async), ("sync", Flush::Sync)] {
        let bench = Bench::new(flush);
        group.bench_function(format!("{name}, one after the other"), |bencher| {
            bencher.iter_custom(|count| bench.one_by_one(count));
        });
        for senders in [1, 8] {
            group.bench_function(format!("{name}, 64 from each of {senders}"), |bencher| {
                bencher.iter_custom(|count| bench.pipelined(senders, count) / senders as u32);
            });
        }
        let mut raw = Raw::new();
        group.bench_function(format!("{name}, file alone, 64 a call"), |bencher| {
            bencher.iter_custom(|count| raw.write(count, flush));
        });
    }
    let body = Bytes::from(vec![7; BODY]);
    group.bench_function("encode alone", |bencher| {
        bencher.iter(|| record(0, &body));
    });
    group.bench_function("place alone", |bencher| {
        bencher.iter_batched(
            || record(0, &body),
            |record| record.place(QueueOffset(7), LogOffset(1 << 20), Timestamp(1)),
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, append);
criterion_main!(benches);
