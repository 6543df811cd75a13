//! JSON bodies.

use bytes::Bytes;
use protocol::body::{self, *};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::captured::{Captured, all};

/// Reads a body, and writes it again: byte for byte the same when Java wrote it.
fn again<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    captured: &Captured,
    bytes: &Bytes,
) {
    let place = &captured.place;
    let read: T = match body::decode(bytes) {
        Ok(read) => read,
        Err(error) => panic!("{place}: {error}\n{}", String::from_utf8_lossy(bytes)),
    };
    let (bare, standard) = (body::encode(&read), body::encode_standard(&read));
    assert_eq!(body::decode::<T>(&bare).unwrap(), read, "{place}");
    assert_eq!(body::decode::<T>(&standard).unwrap(), read, "{place}");
    // 4.9.3 writes fewer members, and the raw calls were written by hand.
    let by_java =
        captured.described["language"] == "JAVA" && captured.number("version") == Some(513);
    if by_java && bare != bytes && standard != bytes {
        panic!(
            "{place}\n read {}\nwrote {}",
            String::from_utf8_lossy(bytes),
            String::from_utf8_lossy(&bare)
        );
    }
}

/// `None` for a code whose body is not JSON of ours.
fn check_request(code: i64, captured: &Captured, bytes: &Bytes) -> Option<()> {
    match code {
        34 => again::<HeartbeatData>(captured, bytes),
        41 | 42 => again::<LockRequest>(captured, bytes),
        46 => again::<CheckClientRequest>(captured, bytes),
        103 => again::<RegisterBroker>(captured, bytes),
        200 => again::<SubscriptionGroup>(captured, bytes),
        217 => again::<TopicRoute>(captured, bytes),
        220 => again::<ResetOffsets>(captured, bytes),
        _ => return None,
    }
    Some(())
}

fn check_reply(code: i64, captured: &Captured, bytes: &Bytes) -> Option<()> {
    match code {
        21 => again::<TopicTable>(captured, bytes),
        28 | 103 | 219 => again::<KvTable>(captured, bytes),
        38 => again::<ConsumerIds>(captured, bytes),
        41 => again::<LockReply>(captured, bytes),
        105 => again::<TopicRoute>(captured, bytes),
        106 => again::<ClusterInfo>(captured, bytes),
        201 => again::<GroupTable>(captured, bytes),
        202 => again::<TopicStats>(captured, bytes),
        203 => again::<ConsumerConnection>(captured, bytes),
        204 => again::<ProducerConnection>(captured, bytes),
        206 | 224 | 304 | 305 | 343 => again::<TopicList>(captured, bytes),
        208 => again::<ConsumeStats>(captured, bytes),
        221 | 223 => again::<ConsumerStatus>(captured, bytes),
        222 => again::<ResetOffsets>(captured, bytes),
        300 => again::<GroupList>(captured, bytes),
        303 => again::<ConsumeTimeSpans>(captured, bytes),
        307 => again::<ConsumerRunningInfo>(captured, bytes),
        309 => again::<DirectlyConsumed>(captured, bytes),
        315 => again::<BrokerStats>(captured, bytes),
        317 => again::<ConsumeStatsList>(captured, bytes),
        321 => again::<QueryConsumeQueueReply>(captured, bytes),
        328 => again::<ProducerTable>(captured, bytes),
        345 => again::<SubscriptionOfGroup>(captured, bytes),
        351 => again::<TopicConfig>(captured, bytes),
        352 => again::<SubscriptionGroup>(captured, bytes),
        353 => again::<GroupForbidden>(captured, bytes),
        901 => again::<BrokerMemberGroupReply>(captured, bytes),
        _ => return None,
    }
    Some(())
}

#[test]
fn every_captured_json_body_is_understood_and_written_as_java_wrote_it() {
    let mut checked = 0;
    for captured in all() {
        let frame = captured.frame();
        if frame.body.is_empty() {
            continue;
        }
        let done = match captured.number("replyTo") {
            Some(request) => check_reply(request, &captured, &frame.body),
            None if captured.place.starts_with("raw-") => continue,
            None => check_request(i64::from(frame.header.code), &captured, &frame.body),
        };
        checked += done.map_or(0, |()| 1);
    }
    assert!(checked > 600, "only {checked} bodies were checked");
}

#[test]
fn the_list_form_of_a_reset_holds_the_same_offsets() {
    let queue = MessageQueue {
        broker_name: "b".into(),
        queue_id: 3,
        topic: "t".into(),
    };
    let offsets = ResetOffsets {
        offset_table: [(queue, 17)].into_iter().collect(),
    };
    assert_eq!(
        body::encode(&offsets),
        r#"{"offsetTable":{{"brokerName":"b","queueId":3,"topic":"t"}:17}}"#
    );
    assert_eq!(
        body::encode(&ResetOffsetsList::from(&offsets)),
        r#"{"offsetTable":[{"brokerName":"b","offset":17,"queueId":3,"topic":"t"}]}"#
    );
}
