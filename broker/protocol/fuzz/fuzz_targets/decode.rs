//! Every decoder on the same bytes: first as a stream of frames, then as a body.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use protocol::body::{self, ConsumerRunningInfo, GroupTable, HeartbeatData, RegisterBroker, ResetOffsets, TopicRoute};
use protocol::headers::{PullMessage, SendMessage};
use protocol::{CommitEpoch, EpochCommitted, Frame, ReadFields};

fuzz_target!(|bytes: &[u8]| {
    let mut stream = BytesMut::from(bytes);
    while let Ok(Some(frame)) = Frame::decode(&mut stream) {
        let _ = SendMessage::read_fields(&frame.header.ext);
        let _ = PullMessage::read_fields(&frame.header.ext);
        let mut written = BytesMut::new();
        frame.encode(&mut written);
        let again = Frame::decode(&mut written).expect("what we write we can read");
        assert!(again.is_some() && written.is_empty());
    }
    let body = Bytes::copy_from_slice(bytes);
    let _ = body::decode::<HeartbeatData>(&body);
    let _ = body::decode::<GroupTable>(&body);
    let _ = body::decode::<ConsumerRunningInfo>(&body);
    let _ = body::decode::<ResetOffsets>(&body);
    let _ = RegisterBroker::decode(&body, false);
    let _ = RegisterBroker::decode(&body, true);
    let _ = CommitEpoch::decode(&body);
    let _ = EpochCommitted::decode(&body);
    if let Ok(route) = body::decode::<TopicRoute>(&body) {
        assert_eq!(body::decode::<TopicRoute>(&body::encode(&route)).expect("what we write we can read"), route);
    }
});
