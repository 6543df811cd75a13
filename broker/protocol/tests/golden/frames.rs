//! Frames and headers.

use bytes::BytesMut;
use protocol::{Caller, Frame, Language, Reply, ResponseCode, Serialization};
use serde_json::Value;

use crate::captured::all;

#[test]
fn every_captured_frame_decodes_to_what_the_recorder_saw() {
    for captured in all() {
        let frame = captured.frame();
        let place = &captured.place;
        let header = &frame.header;
        let seen = &captured.described;
        let serialization = if seen["serialize"] == "JSON" {
            Serialization::Json
        } else {
            Serialization::Binary
        };
        assert_eq!(frame.serialization, serialization, "{place}");
        assert_eq!(
            Some(i64::from(header.code)),
            captured.number("code"),
            "{place}"
        );
        assert_eq!(
            Some(i64::from(header.version.0)),
            captured.number("version"),
            "{place}"
        );
        assert_eq!(
            Some(i64::from(header.opaque)),
            captured.number("opaque"),
            "{place}"
        );
        assert_eq!(
            Some(i64::from(header.flag.0)),
            captured.number("flag"),
            "{place}"
        );
        assert_eq!(
            header.flag.is_response(),
            seen["rpc"] == "response",
            "{place}"
        );
        assert_eq!(header.flag.is_oneway(), seen["rpc"] == "oneway", "{place}");
        assert_eq!(
            header.remark(),
            seen["remark"].as_str().unwrap_or_default(),
            "{place}"
        );
        assert_eq!(
            Some(frame.body.len() as i64),
            captured.number("bodyLength"),
            "{place}"
        );
        match &seen["language"] {
            Value::String(name) => assert_eq!(header.language.name(), name, "{place}"),
            number => assert_eq!(
                Some(i64::from(header.language.number())),
                number.as_i64(),
                "{place}"
            ),
        }
        let fields = seen["extFields"].as_object().cloned().unwrap_or_default();
        assert_eq!(header.ext.len(), fields.len(), "{place}");
        for (name, value) in &fields {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            assert_eq!(header.ext.get(name), Some(text.as_str()), "{place}: {name}");
        }
    }
}

#[test]
fn frames_of_java_and_of_the_binary_form_are_written_byte_for_byte() {
    let mut equal = 0;
    for captured in all() {
        let frame = captured.frame();
        let mut written = BytesMut::new();
        frame.encode(&mut written);
        // Other languages order the members differently, and Java sometimes sends an empty set of fields.
        let empty_fields = captured.described["extFields"]
            .as_object()
            .is_some_and(|fields| fields.is_empty());
        if matches!(frame.header.language, Language::Java) && !empty_fields {
            assert_eq!(written, captured.bytes, "{}", captured.place);
            equal += 1;
        }
    }
    assert!(equal > 2800, "only {equal} frames were compared");
}

#[test]
fn a_frame_written_in_either_form_is_read_back_equal() {
    for captured in all() {
        let frame = captured.frame();
        for serialization in [Serialization::Json, Serialization::Binary] {
            let mut expected = Frame {
                serialization,
                ..frame.clone()
            };
            let mut written = BytesMut::new();
            expected.encode(&mut written);
            if serialization == Serialization::Binary {
                // What that form cannot say: empty text.
                expected.header.ext = frame
                    .header
                    .ext
                    .iter()
                    .filter(|(_, value)| !value.is_empty())
                    .collect();
                expected.header.remark = expected.header.remark.filter(|remark| !remark.is_empty());
            }
            let read = Frame::decode(&mut written).unwrap().unwrap();
            assert_eq!(read, expected, "{}", captured.place);
        }
    }
}

#[test]
fn replies_answer_in_the_form_of_the_request_and_always_in_json_to_cpp() {
    for captured in all() {
        let request = captured.frame();
        if request.header.flag.is_response() {
            continue;
        }
        let caller = Caller::of(&request);
        assert_eq!(
            caller.waits(),
            captured.described["rpc"] == "request",
            "{}",
            captured.place
        );
        let mut written = BytesMut::new();
        Reply::new(ResponseCode::TOPIC_NOT_EXIST)
            .remark("none")
            .encode(&caller, &mut written);
        let reply = Frame::decode(&mut written).unwrap().unwrap();
        assert_eq!(reply.header.opaque, request.header.opaque);
        assert_eq!(reply.serialization, request.serialization);
        assert!(reply.header.flag.is_response());
    }
}

#[test]
fn a_stream_of_frames_is_cut_at_the_same_places_however_it_arrives() {
    let captured: Vec<_> = all().into_iter().take(200).collect();
    let stream: Vec<u8> = captured
        .iter()
        .flat_map(|captured| captured.bytes.clone())
        .collect();
    for step in [1, 7, 1000, stream.len()] {
        let mut buffer = BytesMut::new();
        let mut frames = Vec::new();
        for piece in stream.chunks(step) {
            buffer.extend_from_slice(piece);
            while let Some(frame) = Frame::decode(&mut buffer).unwrap() {
                frames.push(frame);
            }
        }
        assert!(buffer.is_empty());
        assert_eq!(frames.len(), captured.len(), "in steps of {step}");
        assert!(
            frames
                .iter()
                .zip(&captured)
                .all(|(frame, captured)| *frame == captured.frame())
        );
    }
}
