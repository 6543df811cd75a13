//! Epochs on the wire: whole, or refused.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use model::{ConsumerGroup, Message, QueueId, QueueOffset, Timestamp, Topic};
use protocol::{CommitEpoch, EPOCH_LIMIT, EPOCH_OFFSETS_LIMIT, EpochCommitted};

fn message(topic: &str, queue: u32, text: &'static str) -> Message {
    let mut message = Message::new(
        Topic::parse(topic).expect("a topic"),
        queue,
        text.as_bytes(),
    );
    message.properties.set("KEYS", text);
    message.born = Timestamp(1_700_000_000_000);
    message
}

fn epoch() -> CommitEpoch {
    let queue = QueueId::new(Topic::parse("flights").expect("a topic"), 3);
    CommitEpoch {
        job: "delays by airport".to_owned(),
        generation: u64::MAX,
        shard: 2,
        epoch: 41,
        group: Some(ConsumerGroup::parse("job_delays").expect("a group")),
        offsets: vec![(queue, QueueOffset(17))],
        metadata: vec![("source.csv".to_owned(), "{\"at\":9}".to_owned())],
        outputs: vec![
            message("delays", 1, "a"),
            message("delays", 0, "b"),
            message("delays", 1, "c"),
        ],
    }
}

#[test]
fn an_epoch_arrives_as_it_was_sent_queue_by_queue() {
    let sent = epoch();
    let arrived = CommitEpoch::decode(&sent.encode().expect("it is small")).expect("it is whole");
    let order = [1, 0, 2].map(|at| sent.outputs[at].clone()).to_vec();
    assert_eq!(
        arrived,
        CommitEpoch {
            outputs: order,
            ..sent
        }
    );
}

#[test]
fn an_epoch_without_a_byte_or_with_one_more_is_refused() {
    let whole = epoch().encode().expect("it is small");
    for length in 0..whole.len() {
        assert!(
            CommitEpoch::decode(&whole.slice(..length)).is_err(),
            "{length} bytes"
        );
    }
    let longer = [&whole[..], b"x"].concat().into();
    assert!(CommitEpoch::decode(&longer).is_err());
}

#[track_caller]
fn check_refused(change: impl FnOnce(&mut CommitEpoch), expected: &str) {
    let mut epoch = epoch();
    change(&mut epoch);
    let why = epoch.encode().expect_err("it breaks a rule").to_string();
    assert!(why.contains(expected), "{why}");
}

#[test]
fn an_epoch_that_breaks_a_rule_is_not_sent() {
    check_refused(|epoch| epoch.job.clear(), "1 to 255 bytes");
    check_refused(|epoch| epoch.job = "a\nb".to_owned(), "control characters");
    check_refused(|epoch| epoch.group = None, "no group");
    check_refused(
        |epoch| epoch.outputs[0].body = vec![0; EPOCH_LIMIT].into(),
        "the limit is",
    );
    check_refused(
        |epoch| epoch.offsets = vec![epoch.offsets[0].clone(); EPOCH_OFFSETS_LIMIT + 1],
        "offsets",
    );
}

#[test]
fn the_result_of_a_commit_arrives_as_it_was_sent() {
    let queue = QueueId::new(Topic::parse("delays").expect("a topic"), 1);
    let result = EpochCommitted {
        appended: vec![(queue, QueueOffset(5))],
        repeated: true,
    };
    assert_eq!(
        EpochCommitted::decode(&result.encode()).expect("it is whole"),
        result
    );
}
