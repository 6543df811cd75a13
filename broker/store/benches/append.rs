//! What an append costs: nanoseconds per message of 1 KiB, by how many send at once.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use model::record::Unplaced;
use model::{Checksum, Message, Topic};
use runtime::{Clock, RealDisk, Tasks};
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
                            let records = (0..now).map(|_| record(sender, &body)).collect();
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

fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append 1 KiB, 64 in flight");
    group.sample_size(10).throughput(Throughput::Elements(1));
    let bench = Bench::new(Flush::Async);
    for senders in [1, 8] {
        group.bench_function(format!("async, {senders} senders"), |bencher| {
            bencher.iter_custom(|count| bench.pipelined(senders, count) / senders as u32);
        });
    }
    let bench = Bench::new(Flush::Sync);
    for senders in [1, 8] {
        group.bench_function(format!("sync, {senders} senders"), |bencher| {
            bencher.iter_custom(|count| bench.pipelined(senders, count) / senders as u32);
        });
    }
    group.bench_function("encode alone", |bencher| {
        let body = Bytes::from(vec![7; BODY]);
        bencher.iter(|| record(0, &body));
    });
}

criterion_group!(benches, append);
criterion_main!(benches);
