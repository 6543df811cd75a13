//! Records of the log, batches, groups, and the names and ids that stand in them.

use bytes::Bytes;
use model::record::{self, Frame, GroupRecord, Records};
use model::{
    Checksum, ConsumerGroup, MessageId, PropertiesView, Topic, batch, index_keys, properties,
    tags_code,
};

pub(crate) fn run(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    let _ = Frame::peek(&bytes);
    record_where_it_lies(&bytes);
    records(&bytes);
    batch_of_messages(&bytes);
    if let Ok(text) = std::str::from_utf8(&bytes) {
        names(text);
    }
}

fn record_where_it_lies(bytes: &Bytes) {
    let checked = record::check(bytes, Checksum::Record);
    let plain = record::check(bytes, Checksum::Body);
    let Ok(view) = record::view(bytes) else {
        assert!(checked.is_err() && plain.is_err(), "a check sees no more");
        return;
    };
    assert!(view.size() as usize <= bytes.len());
    assert_eq!(plain.is_ok(), view.check(Checksum::Body).is_ok());
    // A record that has the checksum of all of it has that checked, whatever is asked for.
    if checked.is_ok() {
        assert!(plain.is_ok());
    }
    let behind = &bytes[view.size() as usize..];
    let _ = GroupRecord::of(&view).map(|group| group.map(|group| group.is_whole(behind)));
    index_keys(PropertiesView::new(view.properties.as_bytes())).for_each(drop);
    view.properties.iter().for_each(drop);
    tags_code(view.properties.get(properties::TAGS));
}

fn records(bytes: &Bytes) {
    for mut stored in Records::new(bytes.clone()).flatten() {
        // A record's checksum among the message's own properties is never written again.
        stored.message.properties.remove(properties::CRC);
        // Some that can be read cannot be written: a body over the limit, half a host.
        if let Ok(written) = stored.encode() {
            let written = written.to_bytes();
            let again = record::decode(&written).expect("what we write we can read");
            assert_eq!(again.message, stored.message);
            assert_eq!(again.queue_offset, stored.queue_offset);
            assert_eq!(again.log_offset, stored.log_offset);
            record::check(&written, Checksum::Body).expect("what we write is whole");
        }
    }
}

fn batch_of_messages(bytes: &Bytes) {
    if let Ok(entries) = batch::decode(bytes) {
        let written = batch::encode(&entries).expect("what was read can be written");
        assert_eq!(batch::decode(&written), Ok(entries));
    }
}

fn names(text: &str) {
    if let Ok(topic) = Topic::parse(text) {
        let stored = Topic::stored(topic.as_str()).expect("a name that may be made may be kept");
        assert_eq!(stored.as_str(), text);
    }
    if let Ok(group) = ConsumerGroup::parse(text) {
        assert_eq!(group.as_str(), text);
    }
    if let Ok(id) = MessageId::parse(text) {
        let again = MessageId::parse(&id.to_string());
        assert_eq!(again.expect("what we write we can read"), id);
    }
}
