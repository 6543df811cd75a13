//! What a client and a real RocketMQ 5.5.0 said to each other.

use std::path::PathBuf;

use bytes::BytesMut;
use protocol::Frame;
use serde_json::Value;

/// One line of a transcript.
pub struct Line {
    /// Milliseconds since the recording began.
    pub at: u64,
    pub connection: u64,
    pub peer: Peer,
    pub what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    NameServer,
    Broker,
}

pub enum What {
    Open,
    Close,
    /// The client speaks: a request, or the answer to one of the broker's.
    FromClient(Frame),
    /// The server speaks; an answer also says which code it answers.
    FromServer {
        frame: Frame,
        answers: Option<i32>,
    },
}

/// The lines of `tests/data/rocketmq-5.5.0/frames/NAME.jsonl`.
pub fn read(name: &str) -> Vec<Line> {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/data/rocketmq-5.5.0/frames"
    );
    let path = PathBuf::from(folder).join(format!("{name}.jsonl"));
    let text =
        std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    text.lines().map(line).collect()
}

fn line(text: &str) -> Line {
    let line: Value = serde_json::from_str(text).expect("a transcript holds JSON lines");
    let what = match line["event"].as_str() {
        Some("open") => What::Open,
        Some(_) => What::Close,
        None => {
            let frame = frame(line["frame"].as_str().expect("a line has a frame"));
            match line["dir"].as_str() {
                Some("c2s") => What::FromClient(frame),
                _ => What::FromServer {
                    frame,
                    answers: line["replyTo"].as_i64().map(|code| code as i32),
                },
            }
        }
    };
    Line {
        at: line["t_ms"].as_u64().expect("a line has a time"),
        connection: line["conn"].as_u64().expect("a line has a connection"),
        peer: match line["peer"].as_str() {
            Some("namesrv") => Peer::NameServer,
            _ => Peer::Broker,
        },
        what,
    }
}

fn frame(hex: &str) -> Frame {
    let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("frames are hex");
    let mut bytes: BytesMut = (0..hex.len()).step_by(2).map(digits).collect();
    Frame::decode(&mut bytes)
        .expect("a captured frame is well formed")
        .expect("a captured frame is whole")
}
