//! Any message survives its record, and no bytes whatever make a decoder panic or take memory
//! that the input does not account for.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use model::record::{self, Frame, GroupRecord, Records, Unplaced};
use model::{
    Checksum, ConsumerGroup, LogOffset, Message, MessageId, Properties, PropertiesView,
    QueueOffset, SysFlag, Timestamp, Topic, batch, index_keys, properties,
};
use proptest::collection::vec;
use proptest::prelude::*;

thread_local! {
    static TAKEN: Cell<usize> = const { Cell::new(0) };
}

/// Counts the bytes a thread asks for.
struct Counting;

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = TAKEN.try_with(|taken| taken.set(taken.get() + layout.size()));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that `work` allocates, those given back included.
fn taken_by<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = TAKEN.with(Cell::get);
    let result = work();
    (result, TAKEN.with(Cell::get) - before)
}

fn host() -> impl Strategy<Value = SocketAddr> {
    let ip = prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(IpAddr::from)
    ];
    (ip, any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

fn message() -> impl Strategy<Value = Message> {
    let topic = prop_oneof![
        "[a-zA-Z0-9%|_-]{1,127}",
        "%RETRY%[a-z]{1,248}",
        "[a-z.]{1,40}",
    ];
    let text = "([a-zA-Z\u{1}\u{2}é ]{0,20}){0,6}";
    let numbers = (
        any::<u32>(),
        any::<i32>(),
        any::<i32>(),
        any::<i64>(),
        any::<i32>(),
        any::<i64>(),
    );
    (topic, text, numbers, host(), vec(any::<u8>(), 0..300)).prop_map(
        |(
            topic,
            text,
            (queue, flag, sys_flag, born, reconsume_times, prepared),
            born_host,
            body,
        )| {
            Message {
                topic: Topic::stored(&topic).expect("a topic"),
                queue,
                flag,
                sys_flag: SysFlag(sys_flag),
                born: Timestamp(born),
                born_host,
                reconsume_times,
                prepared_transaction_offset: prepared,
                properties: Properties::from(text),
                body: Bytes::from(body),
            }
        },
    )
}

fn checksum() -> impl Strategy<Value = Checksum> {
    prop_oneof![Just(Checksum::Record), Just(Checksum::Body)]
}

/// A record as it would be in a log.
fn placed() -> impl Strategy<Value = (Message, Checksum, Bytes)> {
    (
        message(),
        host(),
        checksum(),
        any::<u64>(),
        any::<u64>(),
        any::<i64>(),
    )
        .prop_map(
            |(message, store_host, checksum, queue_offset, log_offset, stored)| {
                let record = Unplaced::encode(&message, store_host, checksum).expect("it fits");
                let record = record.place(
                    QueueOffset(queue_offset),
                    LogOffset(log_offset),
                    Timestamp(stored),
                );
                (message, checksum, record.to_bytes())
            },
        )
}

/// Feeds every decoder; none may panic.
fn read_everything(bytes: &Bytes) {
    let _ = Frame::peek(bytes);
    let _ = record::check(bytes, Checksum::Body);
    let _ = record::decode(bytes);
    let _ = batch::decode(bytes);
    let _ = Records::new(bytes.clone()).count();
    if let Ok(record) = record::view(bytes) {
        let _ = GroupRecord::of(&record).map(|group| group.map(|group| group.is_whole(bytes)));
        index_keys(record.properties).for_each(drop);
    }
    let view = PropertiesView::new(bytes);
    view.iter().for_each(drop);
    let mut text = Properties::parse(bytes);
    text.set("a", "b");
    text.remove(properties::TAGS);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = (
            Topic::parse(text),
            Topic::stored(text),
            ConsumerGroup::parse(text),
        );
        let _ = MessageId::parse(text);
    }
}

proptest! {
    #[test]
    fn any_message_survives_its_record((message, checksum, bytes) in placed()) {
        let view = record::check(&bytes, checksum).expect("the checksum holds");
        prop_assert_eq!(view.checksum(), checksum);
        let stored = record::decode(&bytes).expect("a record");
        let again = stored.encode().expect("it fits").to_bytes();
        prop_assert_eq!(again, &bytes);

        let pairs: Vec<_> = message.properties.iter().collect();
        prop_assert_eq!(stored.message.properties.iter().collect::<Vec<_>>(), pairs);
        let bits = SysFlag::BORN_HOST_V6 | SysFlag::STORE_HOST_V6;
        prop_assert_eq!(
            Message {
                properties: message.properties.clone(),
                sys_flag: stored.message.sys_flag.with(bits, false),
                ..stored.message
            },
            Message { sys_flag: message.sys_flag.with(bits, false), ..message }
        );
    }

    #[test]
    fn any_batch_survives_its_body(entries in vec((any::<i32>(), ".{0,30}", vec(any::<u8>(), 0..50)), 0..8)) {
        let entries: Vec<batch::Entry> = entries
            .into_iter()
            .map(|(flag, text, body)| batch::Entry {
                flag,
                properties: Properties::from(text),
                body: Bytes::from(body),
            })
            .collect();
        let body = batch::encode(&entries).expect("a small batch");
        prop_assert_eq!(batch::decode(&body), Ok(entries));
    }

    #[test]
    fn properties_behave_like_a_map_in_order(
        steps in vec((any::<bool>(), "[abc]{1,2}", "[xyz]{0,3}"), 0..40),
    ) {
        let mut text = Properties::new();
        let mut model: Vec<(String, String)> = Vec::new();
        for (set, name, value) in steps {
            let place = model.iter().position(|(known, _)| *known == name);
            if set && !value.is_empty() {
                text.set(&name, &value);
                match place {
                    Some(place) => model[place].1 = value,
                    None => model.push((name, value)),
                }
            } else {
                let removed = text.remove(&name);
                prop_assert_eq!(removed, place.map(|place| model.remove(place).1));
            }
            let found: Vec<_> =
                text.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
            prop_assert_eq!(&found, &model);
            prop_assert_eq!(Properties::parse(text.as_text().as_bytes()), text.clone());
        }
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in vec(any::<u8>(), 0..400)) {
        read_everything(&Bytes::from(bytes));
    }

    #[test]
    fn no_damage_to_a_record_makes_a_decoder_panic_or_take_memory(
        (_, _, bytes) in placed(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut damaged = bytes.to_vec();
        for (at, value) in damage {
            let at = at.index(damaged.len());
            damaged[at] = value;
        }
        for damaged in [Bytes::copy_from_slice(&damaged[..cut.index(damaged.len())]), Bytes::from(damaged)] {
            read_everything(&damaged);
            let length = damaged.len();
            // U+FFFD has three bytes and may stand for one; the buffer grows by doubling.
            let (_, taken) = taken_by(|| record::decode(&damaged));
            prop_assert!(taken <= 8 * length + 512, "{taken} bytes for {length}");
            let (_, taken) = taken_by(|| batch::decode(&damaged));
            prop_assert!(taken <= 16 * length + 1024, "{taken} bytes for {length}");
            let (_, taken) = taken_by(|| record::check(&damaged, Checksum::Body).map(|_| ()));
            prop_assert_eq!(taken, 0);
        }
    }
}

#[test]
fn a_length_that_promises_gigabytes_takes_none() {
    let mut entry = vec![0; 22];
    entry[..4].copy_from_slice(&i32::MAX.to_be_bytes());
    entry[16..20].copy_from_slice(&i32::MAX.to_be_bytes());
    let entry = Bytes::from(entry);
    let (result, taken) = taken_by(|| batch::decode(&entry));
    assert!(result.is_err());
    assert!(taken < 1024, "{taken}");
}
