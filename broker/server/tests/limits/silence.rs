//! Clients that begin something and do not go on.

use std::time::Duration;

use runtime::SimClock;
use server::Limits;

use crate::house::{House, pull, send};

const SECOND: Duration = Duration::from_secs(1);

/// Sends `bytes` one at a time, each so many seconds after the last; returns the seconds until
/// the broker hung up.
async fn drip(house: &House, clock: &SimClock, bytes: &[u8], pause: u32) -> u32 {
    let mut client = house.connect().await;
    let mut passed = 0;
    for byte in bytes {
        if !client.write(&[*byte]).await {
            return passed;
        }
        for _ in 0..pause {
            clock.run(SECOND).await;
            passed += 1;
            let gone = house.broker.usage().connections == 0;
            if gone {
                return passed;
            }
        }
    }
    panic!("the broker waited to the end");
}

#[tokio::test]
async fn a_frame_that_does_not_go_on_is_not_waited_for() {
    let clock = SimClock::new(0);
    let house = House::simulated(&clock, Limits::default()).await;
    let frame = send(1, 4_096);
    let header = drip(&house, &clock, &frame, 3).await;
    assert_eq!(header, 10, "its header has ten seconds, however it comes");
    let half = house.broker.usage().count("connectionsClosedInFrame");
    assert_eq!(half, 1);
    // Its time begins with it, not with the silence before.
    let mut client = house.connect().await;
    for opaque in 1..4 {
        clock.run(60 * SECOND).await;
        assert!(client.write(&frame[..100]).await);
        clock.run(9 * SECOND).await;
        assert_eq!(client.ask(&frame[100..]).await.header.code, 0, "{opaque}");
    }
}

#[tokio::test]
async fn half_a_body_is_given_up_and_so_is_one_that_never_ends() {
    let clock = SimClock::new(0);
    let house = House::simulated(&clock, Limits::default()).await;
    let frame = send(1, 4_096);
    let mut client = house.connect().await;
    assert!(client.write(&frame[..frame.len() - 2_000]).await);
    clock.run(9 * SECOND).await;
    assert_eq!(house.broker.usage().connections, 1);
    clock.run(SECOND).await;
    assert_eq!(
        house.broker.usage().connections,
        0,
        "ten seconds without a byte"
    );
    let mut client = house.connect().await;
    assert!(client.write(&frame[..frame.len() - 2_000]).await);
    for second in 1..=120 {
        clock.run(SECOND).await;
        let open = house.broker.usage().connections == 1;
        assert_eq!(open, second < 120, "after {second} s");
        client.write(b"x").await;
    }
    let half = house.broker.usage().count("connectionsClosedInFrame");
    assert_eq!(half, 2);
}

#[tokio::test]
async fn a_silent_client_is_let_go_and_one_that_waits_for_a_message_is_not() {
    let clock = SimClock::new(0);
    let house = House::simulated(&clock, Limits::default()).await;
    let _silent = house.connect().await;
    let mut waiting = house.connect().await;
    for second in 1..=119 {
        if second % 59 == 1 {
            assert!(waiting.write(&pull(second, "g", 0)).await);
        }
        clock.run(SECOND).await;
    }
    assert_eq!(house.broker.usage().connections, 2);
    clock.run(SECOND).await;
    let usage = house.broker.usage();
    assert_eq!(
        (usage.connections, usage.count("connectionsClosedIdle")),
        (1, 1)
    );
    assert!(waiting.read().await.is_some());
}

#[tokio::test]
async fn a_client_that_takes_no_answers_is_not_read_on_and_then_closed() {
    let clock = SimClock::new(0);
    let house = House::simulated(&clock, Limits::default()).await;
    let mut reader = house.connect().await;
    let mut stuck = house.connect().await;
    for opaque in 0..40 {
        assert_eq!(stuck.ask(&send(opaque, 64 << 10)).await.header.code, 0);
    }
    // Answers of 256 KiB each, more than the network holds, and more questions after them.
    let questions = pull(1, "g", 0).repeat(1_000);
    let stuffed = {
        let write = stuck.write(&questions);
        runtime::Clock::real().timeout(SECOND, write).await.is_err()
    };
    assert!(stuffed, "what is asked after that is not read");
    clock.run(29 * SECOND).await;
    assert_eq!(house.broker.usage().connections, 2);
    assert!(reader.is_served().await, "nobody else waits for it");
    clock.run(2 * SECOND).await;
    let usage = house.broker.usage();
    let closed = usage.count("connectionsClosedNotDrained");
    assert_eq!((usage.connections, closed), (1, 1));
    assert!(reader.is_served().await);
}
