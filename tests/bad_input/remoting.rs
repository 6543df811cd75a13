//! What comes over the broker's socket.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::table::Table;
use crate::up::Up;

/// How long an answer may take before the test has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the broker does about these bytes: an answer in words, or the end of the connection.
fn send(house: &Up, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(&house.broker).expect("the broker listens");
    socket
        .set_read_timeout(Some(PATIENCE))
        .expect("a socket has a timeout");
    socket.write_all(bytes).expect("the bytes are sent");
    let mut length = [0; 4];
    match socket.read_exact(&mut length) {
        Ok(()) => {}
        Err(why) if why.kind() == std::io::ErrorKind::WouldBlock => panic!("no answer"),
        Err(_) => return "the connection is closed".to_owned(),
    }
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    socket.read_exact(&mut frame).expect("a whole frame comes");
    let header = u32::from_be_bytes(frame[..4].try_into().expect("four bytes")) & 0x00ff_ffff;
    let header: serde_json::Value =
        serde_json::from_slice(&frame[4..4 + header as usize]).expect("the header is JSON");
    let remark = header["remark"].as_str().unwrap_or_default();
    format!("code {}: {remark}", header["code"])
}

/// A frame around any header and body.
fn frame(header: &[u8], body: &[u8]) -> Vec<u8> {
    let total = 4 + header.len() + body.len();
    let mut bytes = (total as u32).to_be_bytes().to_vec();
    bytes.extend((header.len() as u32).to_be_bytes());
    bytes.extend(header);
    bytes.extend(body);
    bytes
}

fn request(code: i32, fields: serde_json::Value, body: &[u8]) -> Vec<u8> {
    let header = serde_json::json!({
        "code": code, "language": "JAVA", "version": 493, "opaque": 7, "flag": 0,
        "serializeTypeCurrentRPC": "JSON", "extFields": fields,
    });
    frame(header.to_string().as_bytes(), body)
}

/// Fields of a send, with some of them changed; null leaves one out.
fn sending(changes: serde_json::Value) -> serde_json::Value {
    let mut fields = serde_json::json!({
        "producerGroup": "bad", "topic": "kept", "defaultTopic": "TBW102",
        "defaultTopicQueueNums": "4", "queueId": "0", "sysFlag": "0",
        "bornTimestamp": "1700000000000", "flag": "0", "properties": "",
        "reconsumeTimes": "0", "unitMode": "false", "batch": "false",
    });
    let changes = changes.as_object().expect("changes are an object").clone();
    let own = fields.as_object_mut().expect("fields are an object");
    for (name, value) in changes {
        match value.is_null() {
            true => drop(own.remove(&name)),
            false => drop(own.insert(name, value)),
        }
    }
    fields
}

pub fn frames(house: &Up, table: &mut Table) {
    let cases: [(&str, Vec<u8>); 5] = [
        (
            "an HTTP request",
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        ),
        (
            "a length of 2 GiB",
            vec![0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 2],
        ),
        ("a length of 0", vec![0; 8]),
        (
            "a header longer than its frame",
            vec![0, 0, 0, 8, 0, 0, 1, 0, b'{', b'}', b' ', b' '],
        ),
        (
            "a serialisation nobody knows (9)",
            vec![0, 0, 0, 6, 9, 0, 0, 2, b'{', b'}'],
        ),
    ];
    for (sent, bytes) in cases {
        table.row("frame", sent, &send(house, &bytes));
    }
}

pub fn headers(house: &Up, table: &mut Table) {
    let json = serde_json::json!({});
    let cases = [
        ("a header that is no JSON", frame(b"{\"code\": 10,", b"")),
        (
            "a request code nobody knows (9999)",
            request(9_999, json.clone(), b""),
        ),
        ("a send without fields", request(10, json.clone(), b"x")),
        (
            "a send to queue \"first\"",
            request(10, sending(serde_json::json!({ "queueId": "first" })), b"x"),
        ),
        (
            "a send to queue 99 of 8",
            request(10, sending(serde_json::json!({ "queueId": "99" })), b"x"),
        ),
        (
            "a send to the topic \"a b\"",
            request(10, sending(serde_json::json!({ "topic": "a b" })), b"x"),
        ),
        ("a pull without fields", request(11, json, b"")),
    ];
    for (sent, bytes) in cases {
        table.row("header", sent, &send(house, &bytes));
    }
}

pub fn records(house: &Up, table: &mut Table) {
    let batch = serde_json::json!({ "batch": "true" });
    let large = vec![b'x'; (4 << 20) + 1];
    let timer = serde_json::json!({ "properties": "TIMER_DELAY_SEC\u{1}5" });
    let prepared = serde_json::json!({ "properties": "TRAN_MSG\u{1}true" });
    let cases = [
        (
            "a message without a body",
            sending(serde_json::json!({})),
            &b""[..],
        ),
        (
            "a body of 4 MiB and one byte",
            sending(serde_json::json!({})),
            &large,
        ),
        ("a batch of nothing", sending(batch.clone()), b""),
        (
            "a batch cut short",
            sending(batch.clone()),
            b"\0\0\0\x40\0\0",
        ),
        (
            "a batch whose entry is longer than the batch",
            sending(batch),
            b"\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01x\0\0",
        ),
        ("a delay of 5 seconds", sending(timer), b"x"),
        ("half a transaction", sending(prepared), b"x"),
    ];
    for (sent, fields, body) in cases {
        table.row("record", sent, &send(house, &request(10, fields, body)));
    }
}
