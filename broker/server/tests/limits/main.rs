//! What the doors are held to: nobody takes more than there is, everybody is told what is short,
//! and those who behave are served on.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod confused;
mod disk;
mod guests;
mod house;
mod order;
mod silence;

use protocol::{ExtFields, FIELDS_LIMIT, FRAME_LIMIT, RequestCode, ResponseCode};
use runtime::SimClock;
use server::{Limits, PollLimits};

use house::{House, frame, pull};

#[tokio::test]
async fn a_group_with_too_many_waiting_pulls_is_told_so_and_others_wait() {
    let clock = SimClock::new(0);
    let limits = Limits {
        polls: PollLimits {
            total: 3,
            of_queue: 2,
        },
        ..Limits::default()
    };
    let house = House::simulated(&clock, limits).await;
    let mut client = house.connect().await;
    for opaque in [1, 2] {
        assert!(client.write(&pull(opaque, "billing", 0)).await);
    }
    house.until("two are held", |usage| usage.polls == 2).await;
    let full = client.ask(&pull(3, "billing", 0)).await;
    assert_eq!(full.header.code, ResponseCode::POLLING_FULL.0);
    assert_eq!(
        full.header.remark.as_deref(),
        Some(
            "waiting pulls (limits.polls-of-queue): 2 of 2 are in use, held by group billing at \
             queue 0 of topic orders; try again in 3000 ms"
        )
    );
    assert!(client.write(&pull(4, "shipping", 0)).await);
    house.until("another's is", |usage| usage.polls == 3).await;
    let full = client.ask(&pull(5, "returns", 0)).await;
    assert_eq!(full.header.code, ResponseCode::POLLING_FULL.0);
    assert_eq!(house.broker.usage().count("pollsRefused"), 2);
    let told = client.ask(&figures(6)).await;
    let told = String::from_utf8_lossy(&told.body).into_owned();
    for figure in [
        r#""millstream_pollsHeld":"3""#,
        r#""millstream_pollsRefused":"2""#,
    ] {
        assert!(told.contains(figure), "{figure} in {told}");
    }
    drop(client);
    house
        .until("who leaves makes room", |usage| usage.polls == 0)
        .await;
}

#[tokio::test]
async fn a_frame_over_its_limits_ends_its_connection_and_no_other() {
    let clock = SimClock::new(0);
    let house = House::simulated(&clock, Limits::default()).await;
    let mut other = house.connect().await;
    let announced = u32::try_from(FRAME_LIMIT - 3).expect("small enough");
    let fields: Vec<String> = (0..=FIELDS_LIMIT).map(|n| format!("f{n}")).collect();
    let fields: ExtFields = fields.iter().map(|name| (name.as_str(), "")).collect();
    let nested = nested_header(9);
    let bad: [(&str, &[u8]); 4] = [
        ("a frame of 16 MiB and a byte", &announced.to_be_bytes()),
        ("a length below zero", &[0xff; 8]),
        (
            "too many fields",
            &frame(RequestCode::HEART_BEAT, fields, Vec::new(), 1),
        ),
        ("JSON nested too deep", &nested),
    ];
    for (number, (what, bytes)) in bad.into_iter().enumerate() {
        let mut client = house.connect().await;
        assert!(client.write(bytes).await);
        assert!(client.read().await.is_none(), "{what} is not answered");
        let counted = house.broker.usage().count("connectionsClosedByFrame");
        assert_eq!(counted, number as u64 + 1, "{what}");
        assert!(other.is_served().await);
    }
}

fn figures(opaque: i32) -> bytes::Bytes {
    let code = RequestCode::GET_BROKER_RUNTIME_INFO;
    frame(code, ExtFields::new(), Vec::new(), opaque)
}

fn nested_header(depth: usize) -> Vec<u8> {
    let (open, close) = ("[".repeat(depth), "]".repeat(depth));
    let header = format!(r#"{{"code":34,"opaque":1,"flag":0,"deep":{open}{close}}}"#);
    let mut bytes = Vec::new();
    let length = |bytes: usize| u32::try_from(bytes).expect("small").to_be_bytes();
    bytes.extend(length(header.len() + 4));
    bytes.extend(length(header.len()));
    bytes.extend(header.as_bytes());
    bytes
}
