//! Compressed registrations of brokers.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use protocol::body::{RegisterBroker, TopicFilterType};

fn piece(text: &str) -> Vec<u8> {
    [&(text.len() as u32).to_be_bytes()[..], text.as_bytes()].concat()
}

fn fold(text: &[u8]) -> Vec<u8> {
    let mut folding = ZlibEncoder::new(Vec::new(), Compression::default());
    folding.write_all(text).unwrap();
    folding.finish().unwrap()
}

fn unfolded() -> Vec<u8> {
    [
        piece(r#"{"counter":3,"stateVersion":0,"timestamp":1700000000000}"#),
        2u32.to_be_bytes().to_vec(),
        piece("plain 8 8 6 SINGLE_TAG {}"),
        piece(r#"ordered 4 2 4 MULTI_TAG {"message.type":"FIFO"}"#),
        piece("[]"),
        0u32.to_be_bytes().to_vec(),
    ]
    .concat()
}

#[test]
fn a_compressed_registration_is_understood() {
    let registration = RegisterBroker::decode(&fold(&unfolded()), true).unwrap();
    let topics = &registration.topic_config_serialize_wrapper;
    assert_eq!(topics.data_version.counter, 3);
    let plain = topics.topic_config_table.get("plain").unwrap();
    assert_eq!(
        (plain.read_queue_nums, plain.write_queue_nums, plain.perm),
        (8, 8, 6)
    );
    let ordered = topics.topic_config_table.get("ordered").unwrap();
    assert_eq!(ordered.topic_filter_type, TopicFilterType::MultiTag);
    assert_eq!(ordered.attributes.get("message.type").unwrap(), "FIFO");
}

#[test]
fn a_compressed_registration_that_is_cut_short_is_refused() {
    let whole = unfolded();
    for length in 0..whole.len() - 4 {
        assert!(
            RegisterBroker::decode(&fold(&whole[..length]), true).is_err(),
            "{length} bytes"
        );
    }
    let folded = fold(&whole);
    assert!(RegisterBroker::decode(&folded[..folded.len() / 2], true).is_err());
}

#[test]
fn a_registration_that_unfolds_without_end_is_refused() {
    let folded = fold(&vec![b' '; 65 * 1024 * 1024]);
    assert!(folded.len() < 100_000, "the bomb is small");
    let error = RegisterBroker::decode(&folded, true)
        .unwrap_err()
        .to_string();
    assert!(error.contains("unfolds to more than 64 MiB"), "{error}");
}
