//! Whatever arrives: no decoder panics, and whatever is understood is written so that it is understood again.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;
use protocol::body::{self, *};
use protocol::headers::*;
use protocol::{
    CommitEpoch, EpochCommitted, ExtFields, Flag, Frame, Header, Language, ReadFields,
    Serialization, Version,
};

/// Bytes that get past the first checks of a decoder often enough.
fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(":"),
        Just(","),
        Just("\""),
        Just("'"),
        Just("\\"),
        Just("\\u00"),
        Just("\\ud83e"),
        Just("null"),
        Just("true"),
        Just("0"),
        Just("-1"),
        Just("1e9"),
        Just(" "),
        Just("\"code\":1"),
        Just("\"extFields\":{"),
        Just("\"remark\":\"é"),
        Just("\"topicList\":["),
        Just("\"offsetTable\":{{"),
        Just("\"brokerAddrs\":{0:\"a\"}"),
        Just("\"consumerDataSet\":[{"),
        Just("\"messageModel\":1"),
        Just("\u{1}"),
        Just("x"),
    ];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat().into_bytes())
}

fn anything() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..300), nearly_json()]
}

fn frame() -> impl Strategy<Value = Frame> {
    let fields = vec(
        ("[a-zA-Z_é]{1,12}", "[\\PC\u{1}\u{2}\n\"\\\\]{1,30}"),
        0..20,
    );
    let numbers = (any::<i16>(), 0i16.., any::<i32>(), any::<i32>(), 0u8..14);
    let remark = proptest::option::of("\\PC{1,40}");
    (
        numbers,
        fields,
        remark,
        vec(any::<u8>(), 0..100),
        any::<bool>(),
    )
        .prop_map(
            |((code, version, opaque, flag, language), fields, remark, body, json)| {
                let flag = Flag(flag);
                // A request's code is widened when it is read; that is tested by itself.
                let code = if flag.is_response() {
                    i32::from(code)
                } else {
                    i32::from(code % 3000)
                };
                let header = Header {
                    code,
                    language: Language::from_number(language),
                    version: Version(i32::from(version)),
                    opaque,
                    flag,
                    remark: remark.map(Into::into),
                    ext: fields
                        .iter()
                        .map(|(name, value)| (name.as_str(), value.as_str()))
                        .collect(),
                };
                let serialization = if json {
                    Serialization::Json
                } else {
                    Serialization::Binary
                };
                Frame {
                    header,
                    body: body.into(),
                    serialization,
                }
            },
        )
}

proptest! {
    #[test]
    fn a_frame_is_read_back_as_it_was_written(frame in frame()) {
        let mut written = BytesMut::new();
        frame.encode(&mut written);
        prop_assert_eq!(Frame::length(&written).unwrap(), Some(written.len()));
        prop_assert_eq!(Frame::decode(&mut written).unwrap().unwrap(), frame);
        prop_assert!(written.is_empty());
    }

    #[test]
    fn a_damaged_frame_is_refused_or_understood(frame in frame(), at: prop::sample::Index, value: u8) {
        let mut written = BytesMut::new();
        frame.encode(&mut written);
        let at = at.index(written.len());
        written[at] = value;
        if let Ok(Some(frame)) = Frame::decode(&mut written) {
            let mut again = BytesMut::new();
            frame.encode(&mut again);
            prop_assert!(Frame::decode(&mut again).is_ok());
        }
    }

    #[test]
    fn any_bytes_are_a_frame_or_refused(bytes in vec(any::<u8>(), 0..300)) {
        let _ = Frame::decode(&mut BytesMut::from(&bytes[..]));
    }

    #[test]
    fn any_header_is_read_or_refused(header in anything(), binary: bool) {
        let mark = u32::from(binary) << 24 | header.len() as u32;
        let length = 4 + header.len() as u32;
        let bytes = [&length.to_be_bytes()[..], &mark.to_be_bytes(), &header].concat();
        if let Ok(frame) = Frame::decode(&mut BytesMut::from(&bytes[..])) {
            let ext = frame.expect("it is whole").header.ext;
            prop_assert_eq!(ext.iter().count(), ext.len());
        }
    }

    #[test]
    fn any_body_is_read_or_refused(bytes in anything()) {
        let bytes = Bytes::from(bytes);
        let _ = body::decode::<HeartbeatData>(&bytes);
        let _ = body::decode::<ConsumerRunningInfo>(&bytes);
        let _ = body::decode::<GroupTable>(&bytes);
        let _ = body::decode::<ConsumeStatsList>(&bytes);
        let _ = body::RegisterBroker::decode(&bytes, false);
        let _ = body::RegisterBroker::decode(&bytes, true);
        let _ = CommitEpoch::decode(&bytes);
        let _ = EpochCommitted::decode(&bytes);
        if let Ok(route) = body::decode::<TopicRoute>(&bytes) {
            prop_assert_eq!(body::decode::<TopicRoute>(&body::encode(&route)).unwrap(), route.clone());
            prop_assert_eq!(body::decode::<TopicRoute>(&body::encode_standard(&route)).unwrap(), route);
        }
        if let Ok(offsets) = body::decode::<ResetOffsets>(&bytes) {
            prop_assert_eq!(body::decode::<ResetOffsets>(&body::encode(&offsets)).unwrap(), offsets);
        }
    }

    #[test]
    fn any_fields_are_a_typed_header_or_refused(
        fields in vec(("a|b|e|f|g|h|topic|queueId|sysFlag|offset|order|brokerId", "[0-9]{0,20}|-1|true|\\PC{0,5}"), 0..14)
    ) {
        let fields: ExtFields = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if let Ok(header) = SendMessage::read_fields(&fields) {
            let written = ExtFields::of(&header);
            prop_assert_eq!(SendMessage::read_fields(&written).unwrap(), header);
        }
        let _ = PullMessage::read_fields(&fields);
        let _ = CreateTopic::read_fields(&fields);
        let _ = protocol::headers::RegisterBroker::read_fields(&fields);
    }

    #[test]
    fn a_damaged_epoch_is_refused_or_understood(at: prop::sample::Index, value: u8) {
        let topic = model::Topic::parse("delays").unwrap();
        let epoch = CommitEpoch {
            job: "job".into(),
            generation: 1,
            shard: 0,
            epoch: 2,
            group: None,
            offsets: vec![],
            metadata: vec![("k".into(), "v".into())],
            outputs: (0..4).map(|queue| model::Message::new(topic.clone(), queue % 2, "body")).collect(),
        };
        let mut bytes = epoch.encode().unwrap().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = value;
        if let Ok(epoch) = CommitEpoch::decode(&bytes.into()) {
            prop_assert_eq!(CommitEpoch::decode(&epoch.encode().unwrap()).unwrap(), epoch);
        }
    }
}
