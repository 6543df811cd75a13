//! What a peer may send, at the limits and beyond them; and the vectors of the wire format.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use bytes::{Bytes, BytesMut};
use protocol::headers::GetRoute;
use protocol::{
    Error, ExtFields, FIELDS_BYTES_LIMIT, FRAME_LIMIT, Flag, Frame, HEADER_LIMIT, Language,
    ReadFields, RequestCode, Serialization, Version,
};

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

fn framed(mark: u8, header: &[u8], body: &[u8]) -> BytesMut {
    let length = (4 + header.len() + body.len()) as u32;
    let mark = u32::from(mark) << 24 | header.len() as u32;
    [&length.to_be_bytes()[..], &mark.to_be_bytes(), header, body].concat()[..].into()
}

fn json(header: &str) -> Result<Frame, Error> {
    Frame::decode(&mut framed(0, header.as_bytes(), b"")).map(|frame| frame.expect("it is whole"))
}

#[track_caller]
fn check_fatal(mut buffer: BytesMut, why: &str) {
    let error = Frame::decode(&mut buffer).expect_err("it breaks a rule");
    assert!(
        error.is_fatal() && error.to_string().contains(why),
        "{error}"
    );
}

#[test]
fn a_binary_request_has_the_bytes_of_the_vector() {
    let bytes = from_hex(
        "0000002501000021 0069 00 01df 00000001 00000000 00000000 0000000c 0005 746f706963 00000001 54",
    );
    let frame = Frame::decode(&mut BytesMut::from(&bytes[..]))
        .unwrap()
        .unwrap();
    assert_eq!(frame.serialization, Serialization::Binary);
    assert_eq!(
        frame.header.request_code(),
        RequestCode::GET_ROUTEINFO_BY_TOPIC
    );
    assert_eq!(
        (frame.header.language, frame.header.version),
        (Language::Java, Version(479))
    );
    assert_eq!((frame.header.opaque, frame.header.flag), (1, Flag::REQUEST));
    assert_eq!(GetRoute::read_fields(&frame.header.ext).unwrap().topic, "T");
    let mut written = BytesMut::new();
    frame.encode(&mut written);
    assert_eq!(written, bytes);
}

#[test]
fn a_json_frame_starts_with_its_two_lengths() {
    let mut frame = Frame::request(RequestCode::HEART_BEAT, ExtFields::new(), Bytes::new());
    let mut written = BytesMut::new();
    frame.encode(&mut written);
    let padding = 123 - (written.len() - 8) - r#","extFields":{"p":""}"#.len();
    frame.header.ext.push("p", &"x".repeat(padding));
    written.clear();
    frame.encode(&mut written);
    assert_eq!(written[..8], from_hex("0000007f 0000007b"));
}

#[test]
fn codes_that_binary_headers_cut_short_are_read_as_what_was_meant() {
    for code in [
        RequestCode::POP_MESSAGE,
        RequestCode::POLLING_INFO,
        RequestCode::BATCH_ACK_MESSAGE,
    ] {
        let mut frame = Frame::request(code, ExtFields::new(), Bytes::new());
        frame.serialization = Serialization::Binary;
        let mut written = BytesMut::new();
        frame.encode(&mut written);
        assert_eq!(
            Frame::decode(&mut written)
                .unwrap()
                .unwrap()
                .header
                .request_code(),
            code
        );
    }
}

#[test]
fn lengths_are_refused_before_the_bytes_they_announce_arrive() {
    let over = (FRAME_LIMIT as u32 - 3).to_be_bytes();
    check_fatal(over[..].into(), "the limit is 16777216");
    assert_eq!(
        Frame::length(&(FRAME_LIMIT as u32 - 4).to_be_bytes()).unwrap(),
        None
    );
    check_fatal(from_hex("ffffffff")[..].into(), "the limit is 16777216");
    check_fatal(from_hex("00000003")[..].into(), "too short");
    check_fatal(
        from_hex("00000008 00000005")[..].into(),
        "longer than its frame",
    );
    let header = (HEADER_LIMIT as u32 + 1).to_be_bytes();
    check_fatal(
        [&from_hex("00f00000")[..], &header].concat()[..].into(),
        "the header has",
    );
    check_fatal(framed(2, b"{\"code\":1}", b""), "unknown serialization");
}

#[test]
fn a_header_holds_up_to_256_fields() {
    let fields = |count: usize| {
        let all: Vec<_> = (0..count)
            .map(|number| format!("\"f{number}\":{number}"))
            .collect();
        format!("{{\"code\":1,\"extFields\":{{{}}}}}", all.join(","))
    };
    assert_eq!(json(&fields(256)).unwrap().header.ext.len(), 256);
    assert!(
        json(&fields(257))
            .unwrap_err()
            .to_string()
            .contains("more than 256")
    );
}

#[test]
fn fields_hold_up_to_64_kib_of_text() {
    let header = |length: usize| {
        format!(
            "{{\"code\":1,\"extFields\":{{\"i\":\"{}\"}}}}",
            "x".repeat(length)
        )
    };
    assert!(json(&header(FIELDS_BYTES_LIMIT - 1)).is_ok());
    assert!(
        json(&header(FIELDS_BYTES_LIMIT))
            .unwrap_err()
            .to_string()
            .contains("the limit is 65536")
    );
    // Escaped, the largest properties there can be still fit.
    let properties = format!(
        "{{\"code\":1,\"extFields\":{{\"i\":\"{}\"}}}}",
        "\\u0001".repeat(32_767)
    );
    assert_eq!(
        json(&properties)
            .unwrap()
            .header
            .ext
            .get("i")
            .unwrap()
            .len(),
        32_767
    );
}

#[test]
fn json_headers_are_read_as_clients_write_them() {
    let frame = json(concat!(
        " {\"code\":\"10\", \"language\":\"CPP\",\"unknown\":[{\"a\":[1,\"]\"]}],\"version\":63,\"opaque\":-7,",
        "\"flag\":0,\"remark\":\"a\\tb\",\"extFields\":{\"n\":1,\"b\":true,\"s\":\"\\u00e9\\\\\",\"e\":\"\",",
        "\"z\":null,\"w\":\"null\"}}\n"
    ))
    .unwrap();
    let fields: Vec<_> = frame.header.ext.iter().collect();
    assert_eq!(
        fields,
        [
            ("n", "1"),
            ("b", "true"),
            ("s", "é\\"),
            ("e", ""),
            ("w", "null")
        ]
    );
    assert_eq!(
        (
            frame.header.code,
            frame.header.opaque,
            frame.header.remark()
        ),
        (10, -7, "a\tb")
    );
    assert_eq!(frame.header.language, Language::Cpp);
}

#[test]
fn json_headers_that_are_none_are_refused() {
    for header in [
        "",
        "{",
        "{}",
        "[]",
        "{\"code\":}",
        "{\"code\":1",
        "{\"code\":1}x",
        "{\"code\":4294967296}",
        "{\"code\":1,\"extFields\":{\"a\":{}}}",
        "{\"code\":1,\"extFields\":{\"a\":\"\\u12\"}}",
        "{\"code\":1,\"extFields\":[]}",
        "{\"code\":1,\"x\":[[[[[[[[[[1]]]]]]]]]]}",
    ] {
        assert!(json(header).is_err(), "{header}");
    }
    check_fatal(framed(0, b"{\"code\":1,\"remark\":\"\xff\"}", b""), "UTF-8");
}

#[test]
fn a_field_that_occurs_twice_counts_with_its_last_value() {
    let frame = json("{\"code\":105,\"extFields\":{\"topic\":\"a\",\"topic\":\"b\"}}").unwrap();
    assert_eq!(frame.header.ext.get("topic"), Some("b"));
    assert_eq!(GetRoute::read_fields(&frame.header.ext).unwrap().topic, "b");
}

#[test]
fn a_value_is_shared_from_the_frame_it_arrived_in() {
    let frame = json("{\"code\":1,\"extFields\":{\"i\":\"a\\u0001b\"}}").unwrap();
    let value = frame.header.ext.get("i").unwrap();
    let shared = frame.header.ext.share(value);
    assert_eq!(shared.as_ptr(), value.as_ptr());
    assert_eq!(&frame.header.ext.share("elsewhere")[..], b"elsewhere");
}
