//! Every decoder, to be fed with anything.

use bytes::{Bytes, BytesMut};
use model::record::{self, GroupRecord, Records};
use model::{Checksum, PropertiesView, batch, properties};
use protocol::body::{
    self, ConsumerRunningInfo, GroupTable, HeartbeatData, RegisterBroker, ResetOffsets, TopicRoute,
};
use protocol::headers::{PullMessage, SendMessage};
use protocol::{CommitEpoch, EpochCommitted, Frame, ReadFields};

/// Reads the bytes as a stream of frames, and each frame's body as all that a body may be.
/// Panics when something that was understood is not understood again once written.
pub fn read_everything(bytes: &[u8]) {
    let mut stream = BytesMut::from(bytes);
    while let Ok(Some(frame)) = Frame::decode(&mut stream) {
        let _ = SendMessage::read_fields(&frame.header.ext);
        let _ = PullMessage::read_fields(&frame.header.ext);
        let mut written = BytesMut::new();
        frame.encode(&mut written);
        let again = Frame::decode(&mut written).expect("what we write we can read");
        assert!(again.is_some() && written.is_empty());
        read_body(&frame.body);
        read_records(&frame.body);
    }
    let bytes = Bytes::copy_from_slice(bytes);
    read_body(&bytes);
    read_records(&bytes);
}

fn read_body(bytes: &Bytes) {
    let _ = body::decode::<HeartbeatData>(bytes);
    let _ = body::decode::<GroupTable>(bytes);
    let _ = body::decode::<ConsumerRunningInfo>(bytes);
    let _ = body::decode::<ResetOffsets>(bytes);
    let _ = RegisterBroker::decode(bytes, false);
    let _ = RegisterBroker::decode(bytes, true);
    let _ = EpochCommitted::decode(bytes);
    let _ = CommitEpoch::decode(bytes);
    if let Ok(route) = body::decode::<TopicRoute>(bytes) {
        let again = body::decode::<TopicRoute>(&body::encode(&route));
        assert_eq!(again.expect("what we write we can read"), route);
    }
}

fn read_records(bytes: &Bytes) {
    let _ = batch::decode(bytes);
    let _ = record::check(bytes, Checksum::Record);
    if let Ok(view) = record::view(bytes) {
        let _ = GroupRecord::of(&view).map(|group| group.map(|group| group.is_whole(bytes)));
        PropertiesView::new(view.properties.as_bytes())
            .iter()
            .for_each(drop);
    }
    for mut stored in Records::new(bytes.clone()).flatten() {
        // A record's checksum among the message's own properties is never written again.
        stored.message.properties.remove(properties::CRC);
        // Some that can be read cannot be written: a body over the limit, half a host.
        if let Ok(written) = stored.encode() {
            let again = record::decode(&written.to_bytes()).expect("what we write we can read");
            assert_eq!(again.message, stored.message);
            assert_eq!(again.queue_offset, stored.queue_offset);
            assert_eq!(again.log_offset, stored.log_offset);
        }
    }
}
