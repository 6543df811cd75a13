//! The captured conversations.

use std::path::Path;

use bytes::BytesMut;
use protocol::Frame;
use serde_json::Value;

/// One captured frame and what the recorder made of it.
pub struct Captured {
    /// File and line, for messages.
    pub place: String,
    pub bytes: Vec<u8>,
    pub described: Value,
}

impl Captured {
    pub fn frame(&self) -> Frame {
        let mut buffer = BytesMut::from(&self.bytes[..]);
        let frame = match Frame::decode(&mut buffer) {
            Ok(frame) => frame,
            Err(error) => panic!("{}: {error}", self.place),
        };
        assert!(buffer.is_empty(), "{}: bytes are left over", self.place);
        frame.unwrap_or_else(|| panic!("{}: the frame is whole but was not taken", self.place))
    }

    pub fn number(&self, member: &str) -> Option<i64> {
        self.described[member].as_i64()
    }
}

/// Every frame of every conversation.
pub fn all() -> Vec<Captured> {
    let directory = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/data/rocketmq-5.5.0/frames"
    ));
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut frames = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        for (line, text) in std::fs::read_to_string(&file).unwrap().lines().enumerate() {
            let described: Value = serde_json::from_str(text).unwrap();
            if let Some(hex) = described["frame"].as_str() {
                let bytes = from_hex(hex);
                frames.push(Captured {
                    place: format!("{name}:{}", line + 1),
                    bytes,
                    described,
                });
            }
        }
    }
    assert!(frames.len() > 3000, "the captures are there");
    frames
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).unwrap() as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}
