//! Single records and ids whose bytes are known, field by field.

use std::net::SocketAddr;

use bytes::Bytes;
use model::record::{self, Frame, Unplaced, Version};
use model::{
    Checksum, LogOffset, Message, Properties, QueueOffset, RecordError, SysFlag, Timestamp, Topic,
    batch, index_keys, properties,
};

const RECORD: &str = "0000007d daa320a7 3610a686 00000003 00000000 000000000000002a
    0000000000001000 00000000 0000018bcfe56800 0a000001 0000c350 0000018bcfe5687b 7f000001
    00002a9f 00000000 0000000000000000 00000005 68656c6c6f 01 54 001c
    554e49515f4b45590137463030303030310254414753015461674102";

const BATCH_ENTRY: &str = "00000037 00000000 00000000 00000007 00000005 68656c6c6f 001c
    554e49515f4b45590137463030303030310254414753015461674102";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).expect("hexadecimal digits");
        u8::from_str_radix(pair, 16).expect("hexadecimal digits")
    };
    digits.chunks(2).map(byte).collect()
}

fn host(text: &str) -> SocketAddr {
    text.parse().expect("the test's address")
}

fn hello() -> Message {
    let mut message = Message::new(Topic::parse("T").expect("a topic name"), 3, "hello");
    message.born = Timestamp(1_700_000_000_000);
    message.born_host = host("10.0.0.1:50000");
    message.properties = [
        (properties::UNIQUE_KEY, "7F000001"),
        (properties::TAGS, "TagA"),
    ]
    .into_iter()
    .collect();
    message
}

fn place(message: &Message, checksum: Checksum) -> Bytes {
    Unplaced::encode(message, host("127.0.0.1:10911"), checksum)
        .expect("the message fits in a record")
        .place(
            QueueOffset(42),
            LogOffset(4096),
            Timestamp(1_700_000_000_123),
        )
        .to_bytes()
}

#[test]
fn a_message_becomes_the_known_record() {
    assert_eq!(place(&hello(), Checksum::Body), bytes(RECORD));
}

#[test]
fn the_known_record_becomes_the_message() {
    let record = Bytes::from(bytes(RECORD));
    let stored = record::decode(&record).expect("a record");
    assert_eq!(stored.message, hello());
    assert_eq!(stored.queue_offset, QueueOffset(42));
    assert_eq!(stored.log_offset, LogOffset(4096));
    assert_eq!(stored.stored, Timestamp(1_700_000_000_123));
    assert_eq!(stored.store_host, host("127.0.0.1:10911"));
    assert_eq!(stored.body_crc, 907_060_870);
    assert_eq!((stored.size, stored.version), (125, Version::V1));
    assert_eq!(stored.checksum, Checksum::Body);
    assert_eq!(
        stored.message_id().to_string(),
        "7F00000100002A9F0000000000001000"
    );
    assert!(record::check(&record, Checksum::Body).is_ok());
}

#[test]
fn the_body_is_shared_not_copied() {
    let record = Bytes::from(bytes(RECORD));
    let body = record::decode(&record).expect("a record").message.body;
    assert_eq!(body.as_ptr(), record[88..].as_ptr());

    let message = Message { body, ..hello() };
    let placed = Unplaced::encode(&message, host("127.0.0.1:10911"), Checksum::Record)
        .expect("the message fits in a record")
        .place(QueueOffset(0), LogOffset(0), Timestamp(0));
    let [_, written, _] = placed.slices();
    assert_eq!(written.as_ptr(), record[88..].as_ptr());
}

#[test]
fn a_record_tells_its_queue_entry_and_keys_before_it_is_placed() {
    let record = Unplaced::encode(&hello(), host("127.0.0.1:10911"), Checksum::Record)
        .expect("the message fits in a record");
    assert_eq!(record.len(), 125 + 20);
    assert_eq!(record.queue().to_string(), "T:3");
    let keys: Vec<String> = index_keys(record.properties())
        .map(|key| key.to_string())
        .collect();
    assert_eq!(keys, ["7F000001", "T#TagA"]);
    assert_eq!(model::tags_code(record.properties().get("TAGS")), 0x27a807);
    let placed = record.place(QueueOffset(0), LogOffset(0), Timestamp(0));
    assert_eq!(placed.len(), 125 + 20);
}

#[test]
fn the_tail_property_covers_every_byte_before_it() {
    let record = place(&hello(), Checksum::Record);
    let covered = &record[..record.len() - 20];
    let crc = crc32fast::hash(covered) & 0x7FFF_FFFF;
    let reversed: String = format!("{crc:010}").chars().rev().collect();
    assert_eq!(
        &record[covered.len()..],
        format!("__CRC32#\u{1}{reversed}\u{2}").as_bytes()
    );
    for at in 0..record.len() {
        let mut damaged = record.to_vec();
        damaged[at] ^= 0x04;
        assert!(
            record::check(&damaged, Checksum::Record).is_err(),
            "a flipped bit at {at} went unseen"
        );
    }
}

#[test]
fn a_record_torn_in_its_tail_is_not_believed_where_a_checksum_is_required() {
    let record = place(&hello(), Checksum::Record);
    for lost in 1..record.len() {
        let mut torn = record.to_vec();
        torn[lost..].fill(0);
        assert!(
            record::check(&torn, Checksum::Record).is_err(),
            "all from {lost} on is lost"
        );
    }
    let plain = place(&hello(), Checksum::Body);
    assert_eq!(
        record::check(&plain, Checksum::Record),
        Err(RecordError::Unguarded)
    );
}

#[test]
fn the_tail_property_is_not_one_of_the_message() {
    let stored = record::decode(&place(&hello(), Checksum::Record)).expect("a record");
    assert_eq!(stored.message, hello());
    assert_eq!(stored.checksum, Checksum::Record);
}

#[test]
fn a_checksum_that_came_along_as_a_property_is_left_out() {
    for checksum in [Checksum::Record, Checksum::Body] {
        let mut message = hello();
        message.properties.set(properties::CRC, "0123456789");
        let record = place(&message, checksum);
        assert_eq!(record, place(&hello(), checksum));
        assert!(record::check(&record, Checksum::Body).is_ok());
    }
}

#[test]
fn a_separator_stands_between_open_properties_and_the_checksum() {
    let mut message = hello();
    message.properties = Properties::from("a\u{1}b");
    let record = place(&message, Checksum::Record);
    assert_eq!(&record[record.len() - 24..record.len() - 20], b"a\x01b\x02");
    assert!(record::check(&record, Checksum::Body).is_ok());
    let record = place(&message, Checksum::Body);
    assert_eq!(&record[record.len() - 3..], b"a\x01b");
}

#[test]
fn an_empty_body_has_checksum_zero() {
    let message = Message {
        body: Bytes::new(),
        ..hello()
    };
    let stored = record::decode(&place(&message, Checksum::Body)).expect("a record");
    assert_eq!(stored.body_crc, 0);
}

#[test]
fn long_topics_make_v2_records_and_ipv6_hosts_longer_ones() {
    let mut message = hello();
    message.topic = Topic::parse(&format!("%RETRY%{}", "g".repeat(120))).expect("a retry topic");
    assert_eq!(place(&message, Checksum::Body).len(), 91 + 5 + 127 + 28);
    message.topic = Topic::parse(&format!("%RETRY%{}", "g".repeat(121))).expect("a retry topic");
    message.born_host = host("[fd00::2]:50000");
    let record = place(&message, Checksum::Body);
    assert_eq!(record.len(), 91 + 1 + 12 + 5 + 128 + 28);
    let stored = record::decode(&record).expect("a record");
    assert_eq!(stored.version, Version::V2);
    assert_eq!(stored.message.sys_flag, SysFlag(SysFlag::BORN_HOST_V6));
    assert_eq!(stored.message.born_host, message.born_host);
}

#[test]
fn what_does_not_fit_in_a_record_is_refused() {
    let encode = |message: &Message| {
        Unplaced::encode(message, host("127.0.0.1:10911"), Checksum::Record).map(|_| ())
    };
    let mut message = hello();
    message.properties = Properties::from(format!("a\u{1}{}\u{2}", "x".repeat(32_767 - 20 - 3)));
    assert_eq!(encode(&message), Ok(()));
    message.properties.set("a", "x".repeat(32_767 - 20 - 2));
    let expected = RecordError::TooLarge {
        part: "properties",
        bytes: 32_768,
        limit: 32_767,
    };
    assert_eq!(encode(&message), Err(expected));
}

#[test]
fn damaged_records_are_refused_with_the_field_at_fault() {
    let damage = |at: usize, with: &[u8]| {
        let mut record = bytes(RECORD);
        record[at..at + with.len()].copy_from_slice(with);
        record::view(&record)
            .expect_err("the record is damaged")
            .to_string()
    };
    assert_eq!(
        damage(0, &[0, 0, 0, 126]),
        "the record needs 126 bytes, 125 are left"
    );
    assert_eq!(damage(0, &[0, 0, 0, 9]), "the record's size cannot be 9");
    assert_eq!(
        damage(4, &[1, 2, 3, 4]),
        "0x01020304 is not the magic of a record"
    );
    assert_eq!(
        damage(52, &[0, 1]),
        "the record's born host's port cannot be 115536"
    );
    assert_eq!(
        damage(84, &[0xff; 4]),
        "the record's body length cannot be -1"
    );
    assert_eq!(
        damage(84, &[0, 0, 1]),
        "the record needs 349 bytes, 125 are left"
    );
    assert_eq!(
        damage(93, &[0xff]),
        "the record's topic length cannot be -1"
    );
    assert_eq!(damage(94, &[0xff]), "the topic is not UTF-8");
    assert_eq!(
        damage(95, &[0, 0x1b]),
        "the record says it has 125 bytes, its fields have 124"
    );
    assert_eq!(
        damage(95, &[0xff; 2]),
        "the record's properties length cannot be -1"
    );

    let mut record = bytes(RECORD);
    record[88] ^= 1;
    assert!(matches!(
        record::check(&record, Checksum::Body),
        Err(RecordError::Checksum { part: "body", .. })
    ));
}

#[test]
fn a_reply_is_read_record_by_record_until_something_else_comes() {
    let two = [bytes(RECORD), bytes(RECORD)].concat();
    let read = |bytes: Vec<u8>| -> Vec<bool> {
        record::Records::new(Bytes::from(bytes))
            .map(|message| message.is_ok())
            .collect()
    };
    assert_eq!(read(two.clone()), [true, true]);
    assert_eq!(
        read([&two[..], &record::write_blank(8)].concat()),
        [true, true]
    );
    assert_eq!(read([&two[..], &[0; 40]].concat()), [true, true]);
    assert_eq!(read(two[..249].to_vec()), [true, false]);
    let first = Frame::peek(&two);
    assert_eq!(
        first,
        Ok(Frame::Record {
            size: 125,
            version: Version::V1
        })
    );
}

#[test]
fn a_batch_entry_has_the_known_bytes() {
    let entry = batch::Entry {
        flag: 7,
        properties: hello().properties,
        body: Bytes::from_static(b"hello"),
    };
    let encoded = batch::encode([&entry]).expect("a small batch");
    assert_eq!(encoded, bytes(BATCH_ENTRY));
    let two = Bytes::from([&encoded[..], &encoded].concat());
    assert_eq!(batch::decode(&two), Ok(vec![entry.clone(), entry]));
    assert_eq!(batch::decode(&Bytes::new()), Ok(vec![]));
}

#[test]
fn damaged_batches_are_refused() {
    let entry = bytes(BATCH_ENTRY);
    for length in 1..entry.len() {
        let cut = Bytes::copy_from_slice(&entry[..length]);
        assert!(batch::decode(&cut).is_err(), "cut after {length} bytes");
    }
    for (at, value) in [(3, 0x36), (16, 0xff), (19, 4), (25, 0xff)] {
        let mut damaged = entry.clone();
        damaged[at] = value;
        assert!(
            batch::decode(&Bytes::from(damaged)).is_err(),
            "changed at {at}"
        );
    }
}
