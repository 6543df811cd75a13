//! What queues cost: the same number of messages over 1 to a million queues, evenly and by Zipf.
//!
//! Prints CPU per message, memory per queue and the time of a start, beside one queue in the same
//! run. Each case is a process of its own, so that memory is its own; `QUEUES` gives the numbers
//! of queues and `MESSAGES` that of messages.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use model::record::Unplaced;
use model::{Checksum, Message, QueueId, QueueOffset, Topic};
use runtime::{Clock, RealDisk, Rng, Tasks};
use store::{Flush, MessageStore, ReadLimit, Settings};
use tempfile::TempDir;

const BODY: [u8; 100] = [7; 100];
/// Messages handed to the store at once.
const TOGETHER: usize = 64;
/// Queues of one topic.
const WIDTH: u64 = 8;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let case = |at: usize| arguments.get(at).map(String::as_str);
    match (case(1), case(2), case(3), case(4)) {
        (Some("fill"), Some(queues), Some(spread), Some(root)) => {
            fill(number(queues), spread, root.as_ref());
        }
        (Some("start"), Some(queues), _, Some(root)) => start(number(queues), root.as_ref()),
        _ => all(),
    }
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

fn setting(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

fn all() {
    println!(
        "{:>9} {:<8} {:>12} {:>10} {:>12} {:>10} {:>12}",
        "queues", "spread", "CPU/message", "RSS", "RSS/queue", "start", "RSS/queue"
    );
    for spread in ["even", "zipf"] {
        for queues in setting("QUEUES", "1 100 10000 100000 1000000").split(' ') {
            let directory = TempDir::new().expect("a temporary directory");
            print!("{queues:>9} {spread:<8}");
            for step in ["fill", "start"] {
                let program = std::env::current_exe().expect("this program");
                let status = Command::new(program)
                    .args([step, queues, spread])
                    .arg(directory.path())
                    .status();
                assert!(status.expect("it starts").success(), "{step} failed");
            }
            println!();
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().expect("a runtime")
}

fn open(root: &Path) -> MessageStore {
    let settings = Settings {
        flush: Flush::Async,
        segment_bytes: 256 << 20,
        // What queues cost is all that grows.
        hot_bytes: 1 << 20,
        refuse_percent: 101,
        clean_percent: 101,
        ..Settings::default()
    };
    let clock = Clock::real();
    let tasks = Tasks::new(clock.clone());
    MessageStore::open(root.to_owned(), settings, RealDisk::new(), clock, tasks)
        .expect("it opens")
        .0
}

fn fill(queues: u64, spread: &str, root: &Path) {
    let messages = number(&setting("MESSAGES", "2000000"));
    runtime().block_on(async {
        let store = open(root);
        // Whatever is needed once is there before it is measured.
        append(&store, (0..TOGETHER).map(|_| 0).collect()).await;
        store.checkpoint().await.expect("it is saved");
        let (rss, cpu) = (resident(), cpu_micros());
        let rng = Rng::seeded(7);
        let mut sent = 0;
        while sent < messages {
            let numbers = (sent..sent + TOGETHER as u64).map(|number| match spread {
                "even" => number % queues,
                // Of equal weight for each power of two, as Zipf's law has it.
                _ => {
                    (queues as f64).powf(rng.range(0..1 << 30) as f64 / (1 << 30) as f64) as u64 - 1
                }
            });
            append(&store, numbers.collect()).await;
            sent += TOGETHER as u64;
        }
        let used = (cpu_micros() - cpu) as f64 / sent as f64;
        store.checkpoint().await.expect("it is saved");
        let grown = resident().saturating_sub(rss);
        print!(
            " {used:>9.2} µs {:>7} MB {:>10} B",
            grown >> 20,
            grown / queues
        );
        store.close().await.expect("it closes");
    });
}

async fn append(store: &MessageStore, queues: Vec<u64>) {
    let host: SocketAddr = "127.0.0.1:10911".parse().expect("an address");
    let records = queues.into_iter().map(|queue| {
        let id = id(queue);
        let message = Message::new(id.topic, id.number, &BODY[..]);
        Unplaced::encode(&message, host, Checksum::Record).expect("a small message")
    });
    for result in store.append_each(records.collect::<store::Records>()).await {
        result.expect("it is appended");
    }
}

fn id(queue: u64) -> QueueId {
    let topic = Topic::parse(&format!("topic-{}", queue / WIDTH)).expect("a topic");
    QueueId::new(topic, (queue % WIDTH) as u32)
}

fn start(queues: u64, root: &Path) {
    runtime().block_on(async {
        let (rss, started) = (resident(), Instant::now());
        let store = open(root);
        let took = started.elapsed().as_millis();
        let grown = resident().saturating_sub(rss);
        let limit = ReadLimit {
            messages: 1,
            bytes: 1 << 20,
        };
        let queue = id(0);
        let read = store.read(&queue, QueueOffset(0), limit, &store::Everything);
        let read = read.await.expect("it is read");
        assert_eq!(read.records.len(), 1, "it serves");
        print!(" {took:>7} ms {:>10} B", grown / queues);
        store.close().await.expect("it closes");
    });
}

/// Bytes of this process in memory.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = statm.split(' ').nth(1).expect("its second field");
    number(pages) * 4_096
}

/// User and system time of all threads so far.
fn cpu_micros() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    let ticks = fields.split(' ').skip(12).take(2).map(number);
    ticks.sum::<u64>() * 10_000
}
