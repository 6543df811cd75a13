//! A disk that does not answer, and producers who do not care.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use protocol::ResponseCode;
use runtime::{Clock, Operation, SimClock, SimDisk};
use server::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::house::{Client, House, pull, send};

/// Holds up whatever flushes until it is told otherwise.
#[derive(Clone, Default)]
struct Stall {
    state: Arc<(Mutex<bool>, Condvar)>,
}

impl Stall {
    fn of(disk: &SimDisk) -> Stall {
        let stall = Stall::default();
        let hook = stall.clone();
        disk.on_call(move |operation: Operation, _: &Path| {
            if operation == Operation::Sync {
                let (stalled, over) = &*hook.state;
                over.wait_while(&mut stalled.lock(), |stalled| *stalled);
            }
        });
        stall
    }

    fn set(&self, stalled: bool) {
        *self.state.0.lock() = stalled;
        self.state.1.notify_all();
    }
}

impl Drop for Stall {
    fn drop(&mut self) {
        // A test that fails must not leave a thread behind that nobody can end.
        self.set(false);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sends_to_a_stalled_disk_are_refused_with_the_cause_and_none_that_was_taken_is() {
    let limits = Limits {
        stall: Duration::from_millis(300),
        ..Limits::default()
    };
    let house = House::real(limits).await;
    let (mut first, mut second) = (house.connect().await, house.connect().await);
    assert_eq!(first.ask(&send(1, 100)).await.header.code, 0);
    let stall = Stall::of(&house.disk);
    stall.set(true);
    assert!(first.write(&send(2, 100)).await);
    house
        .until("it waits for the disk", |usage| usage.sends_waiting > 0)
        .await;
    Clock::real().sleep(Duration::from_millis(400)).await;
    let asked = Clock::real().now();
    let refused = second.ask(&send(3, 100)).await;
    let waited = Clock::real().now().since(asked);
    assert_eq!(refused.header.code, ResponseCode::SYSTEM_BUSY.0);
    let remark = refused.header.remark.unwrap_or_default();
    assert!(
        remark.starts_with("milliseconds without an answer of the disk (limits.stall): ")
            && remark.ends_with(
                " of 300 are in use, held by the disk under 100 bytes of sends; \
                 try again in 300 ms"
            ),
        "{remark}"
    );
    assert!(waited >= Duration::from_millis(195), "after {waited:?}");
    // Together with others, each is told.
    let both = [send(4, 100), send(5, 100)].concat();
    assert_eq!(second.ask(&both).await.header.opaque, 4);
    let refused = second.read().await.expect("both are answered");
    assert_eq!(refused.header.code, ResponseCode::SYSTEM_BUSY.0);
    assert_eq!(house.broker.usage().count("sendsRefused"), 3);
    assert!(second.is_served().await, "what needs no disk goes on");
    stall.set(false);
    let taken = first.read().await.expect("what was taken is answered");
    assert_eq!((taken.header.opaque, taken.header.code), (2, 0));
    assert_eq!(second.ask(&send(6, 100)).await.header.code, 0);
    assert_eq!(house.broker.usage().sends_waiting, 0);
}

#[tokio::test]
async fn a_full_disk_refuses_sends_with_the_numbers_and_reads_go_on() {
    const DISK: u64 = 80 << 20;
    let clock = SimClock::new(0);
    let house = House::simulated(&clock, Limits::default()).await;
    house.disk.set_capacity(Some(DISK));
    let mut client = house.connect().await;
    let mut opaque = 0;
    let refused = loop {
        opaque += 1;
        let answer = client.ask(&send(opaque, 2 << 20)).await;
        clock.run(Duration::from_millis(10)).await;
        if answer.header.code != 0 {
            break answer;
        }
        assert!(opaque < 100, "the disk has room for ever");
    };
    assert_eq!(refused.header.code, ResponseCode::SERVICE_NOT_AVAILABLE.0);
    let remark = refused.header.remark.unwrap_or_default();
    assert!(
        remark.starts_with("the disk is full: ")
            && remark.contains(&format!(
                " of {DISK} bytes are free, {} are needed",
                64 << 20
            ))
            && remark.ends_with("try again in 10000 ms"),
        "{remark}"
    );
    assert_eq!(client.ask(&pull(0, "g", 0)).await.header.code, 0);
    house.disk.set_capacity(None);
    clock.run(Duration::from_secs(2)).await;
    assert_eq!(client.ask(&send(0, 2 << 20)).await.header.code, 0);
}

/// Sends as fast as the socket takes it, until it has sent all.
async fn pump(client: Client, bytes: Vec<u8>, written: Arc<AtomicUsize>, answers: usize) -> usize {
    let (mut reader, mut writer) = client.stream.into_split();
    let pumped = async {
        for part in bytes.chunks(16 << 10) {
            writer.write_all(part).await.expect("the broker is there");
            written.fetch_add(part.len(), Ordering::Relaxed);
        }
    };
    let read = async {
        let (mut input, mut good) = (bytes::BytesMut::new(), 0);
        for _ in 0..answers {
            let frame = loop {
                if let Some(frame) = protocol::Frame::decode(&mut input).expect("frames") {
                    break frame;
                }
                assert!(
                    reader
                        .read_buf(&mut input)
                        .await
                        .expect("the broker is there")
                        > 0
                );
            };
            good += usize::from(frame.header.code == 0);
        }
        good
    };
    tokio::join!(pumped, read).1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn producers_that_are_faster_than_the_disk_are_not_read_on_and_lose_nothing() {
    const LIMIT: usize = 8 << 20;
    // The last frame of each kind may go over it.
    const BOUND: usize = LIMIT + 2 * (520 << 10) + 8 * (256 << 10);
    let limits = Limits {
        bytes_in_flight: LIMIT,
        bytes_in_flight_of_connection: 2 << 20,
        stall: Duration::from_secs(3_600),
        ..Limits::default()
    };
    let house = House::real(limits).await;
    let stall = Stall::of(&house.disk);
    stall.set(true);
    let written = Arc::new(AtomicUsize::new(0));
    let mut pumps = Vec::new();
    let mut all = 0;
    for producer in 0..8 {
        // Half of them send large frames, which have their room before they are read.
        let body = if producer % 2 == 0 {
            512 << 10
        } else {
            16 << 10
        };
        let count = (12 << 20) / body;
        let bytes: Vec<u8> = (0..count).flat_map(|n| send(n as i32, body)).collect();
        all += bytes.len();
        let pump = pump(house.connect().await, bytes, written.clone(), count);
        pumps.push((count, tokio::spawn(pump)));
    }
    let clock = Clock::real();
    let (mut most, mut quiet, mut before) = (0, 0, 0);
    // Until nobody could send more for half a second.
    while quiet < 50 {
        clock.sleep(Duration::from_millis(10)).await;
        most = most.max(house.broker.usage().bytes_in_flight);
        let now = written.load(Ordering::Relaxed);
        quiet = if now == before { quiet + 1 } else { 0 };
        before = now;
    }
    let usage = house.broker.usage();
    println!("in flight {most} at most, {before} of {all} written, {usage:?}");
    assert!(before < all, "the sockets were read to the end");
    assert!(most <= BOUND, "{most} bytes in flight");
    assert!(usage.count("connectionsPaused") > 0, "{usage:?}");
    stall.set(false);
    for (count, pump) in pumps {
        assert_eq!(pump.await.expect("it ends"), count, "each send is stored");
        most = most.max(house.broker.usage().bytes_in_flight);
    }
    assert!(most <= BOUND, "{most} bytes in flight");
    house
        .until("all is given back", |usage| usage.bytes_in_flight == 0)
        .await;
}
