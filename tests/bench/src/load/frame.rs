//! Send requests written once; of each copy only numbers of fixed width are patched. Headers are
//! in RocketMQ's binary form, as our own client writes them.
//!
//! ```text
//! body:  "millbnch" 8 │ number u64 │ intended time u64, ns │ filler
//! ```

use bytes::{Bytes, BytesMut};
use memchr::memmem;
use model::batch::{self, Entry};
use model::{Properties, properties};
use protocol::headers::SendMessage;
use protocol::{ExtFields, Frame, Language, RequestCode};

/// The opaque of slot 0: no other request has such a number.
pub const FIRST_OPAQUE: u32 = 100_000_000;
/// Where a binary frame has its opaque, four bytes.
const OPAQUE: std::ops::Range<usize> = 13..17;
const MAGIC: &[u8; 8] = b"millbnch";
/// What a body has to hold.
pub const SMALLEST_BODY: usize = 24;
const GROUP: &str = "mill-bench";
/// A unique key as the Java client makes it, until its number is patched in.
const KEY: &str = "7F00000100000000000000000000000000000000";
const KEY_DIGITS: usize = 16;
/// Digits of a queue's number where one does not do.
const QUEUE_DIGITS: usize = 7;

/// What the messages of a run look like.
#[derive(Clone, Debug)]
pub struct Shape {
    pub topic: String,
    pub broker: String,
    pub queues: u32,
    /// Bytes of each body, at least [`SMALLEST_BODY`].
    pub body: usize,
    /// Messages in one request; 1 is a plain send.
    pub batch: u32,
}

/// One request, ready to be copied and patched.
#[derive(Clone, Debug)]
pub struct Template {
    bytes: Vec<u8>,
    queue: (usize, usize),
    /// Where the key of a whole batch is.
    batch_key: Option<usize>,
    messages: Vec<Spots>,
}

/// Where one message's own bytes are.
#[derive(Clone, Copy, Debug)]
struct Spots {
    key: usize,
    number: usize,
}

impl Template {
    /// `extra` properties stand between those the Java client sends.
    pub fn new(shape: &Shape, extra: &[(String, String)]) -> Template {
        let mut all = Properties::default();
        all.set(properties::UNIQUE_KEY, KEY);
        for (name, value) in extra {
            all.set(name, value.as_str());
        }
        all.set("WAIT", "true");
        let text = all.as_text().to_owned();
        let body = match shape.batch {
            1 => body(shape.body),
            many => {
                let entry = Entry {
                    flag: 0,
                    properties: all,
                    body: body(shape.body),
                };
                batch::encode(vec![&entry; many as usize]).expect("a batch is below 2 GiB")
            }
        };
        let digits = if shape.queues <= 10 { 1 } else { QUEUE_DIGITS };
        let bytes = request(shape, &text, body);
        let find =
            |what: &[u8]| memmem::find(&bytes, what).expect("the header has it") + what.len();
        let mut keys = memmem::find_iter(&bytes, KEY).map(|at| at + KEY.len() - KEY_DIGITS);
        let numbers = memmem::find_iter(&bytes, MAGIC).map(|at| at + MAGIC.len());
        // The header of a batch has a key of its own, before those of its messages.
        let batch_key = (shape.batch > 1).then(|| keys.next()).flatten();
        let messages = keys.zip(numbers).map(|(key, number)| Spots { key, number });
        Template {
            // A name and a value, each behind its length.
            queue: (find(&[0, 1, b'e', 0, 0, 0, digits as u8]), digits),
            batch_key,
            messages: messages.collect(),
            bytes,
        }
    }

    /// Appends a copy for `slot` to `out`: its messages count up from `first`.
    pub fn write(&self, out: &mut BytesMut, slot: u32, queue: u32, first: u64, intended: u64) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let copy = &mut out[start..];
        copy[OPAQUE].copy_from_slice(&(FIRST_OPAQUE + slot).to_be_bytes());
        let (at, digits) = self.queue;
        decimal(&mut copy[at..at + digits], queue);
        if let Some(key) = self.batch_key {
            hexadecimal(&mut copy[key..key + KEY_DIGITS], first);
        }
        for (spots, number) in self.messages.iter().zip(first..) {
            hexadecimal(&mut copy[spots.key..spots.key + KEY_DIGITS], number);
            copy[spots.number..spots.number + 8].copy_from_slice(&number.to_be_bytes());
            copy[spots.number + 8..spots.number + 16].copy_from_slice(&intended.to_be_bytes());
        }
    }
}

/// Number and intended time in a body of ours; `None` if it is not one.
pub fn read_body(body: &[u8]) -> Option<(u64, u64)> {
    let rest = body.strip_prefix(MAGIC)?;
    let (number, rest) = rest.split_first_chunk()?;
    let (intended, _) = rest.split_first_chunk()?;
    Some((u64::from_be_bytes(*number), u64::from_be_bytes(*intended)))
}

fn request(shape: &Shape, properties: &str, body: Bytes) -> Vec<u8> {
    let queue = if shape.queues <= 10 { "0" } else { "0000000" };
    let mut fields = ExtFields::new();
    let header = SendMessage {
        producer_group: GROUP,
        topic: &shape.topic,
        default_topic: "TBW102",
        default_topic_queues: 4,
        queue: 0,
        sys_flag: 0,
        born: 1_795_361_320_735,
        flag: 0,
        properties,
        reconsume_times: 0,
        unit_mode: false,
        max_reconsume_times: None,
        batch: shape.batch > 1,
        broker: Some(&shape.broker),
    };
    for (name, value) in ExtFields::of(&header).iter() {
        fields.push(name, if name == "e" { queue } else { value });
    }
    let code = match shape.batch {
        1 => RequestCode::SEND_MESSAGE_V2,
        _ => RequestCode::SEND_BATCH_MESSAGE,
    };
    let mut frame = Frame::request(code, fields, body).binary();
    frame.header.language = Language::Java;
    frame.header.opaque = FIRST_OPAQUE as i32;
    let mut out = BytesMut::new();
    frame.encode(&mut out);
    out.to_vec()
}

/// Filler that does not shrink if somebody compresses it, the same in every run.
fn body(bytes: usize) -> Bytes {
    let mut body = MAGIC.to_vec();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    while body.len() < bytes.max(SMALLEST_BODY) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        body.push(b'a' + (state % 26) as u8);
    }
    body.into()
}

fn decimal(out: &mut [u8], mut value: u32) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

fn hexadecimal(out: &mut [u8], mut value: u64) {
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789ABCDEF"[(value % 16) as usize];
        value /= 16;
    }
}

#[cfg(test)]
mod tests {
    use protocol::ReadFields;

    use super::*;

    fn shape(batch: u32, queues: u32) -> Shape {
        Shape {
            topic: "Bench".into(),
            broker: "broker-a".into(),
            queues,
            body: 100,
            batch,
        }
    }

    fn written(shape: &Shape, queue: u32) -> Frame {
        let extra = [("TAGS".to_owned(), "TagA".to_owned())];
        let template = Template::new(shape, &extra);
        let mut out = BytesMut::new();
        template.write(&mut out, 7, queue, 256, 99);
        let frame = Frame::decode(&mut out).expect("it is well-formed");
        assert!(out.is_empty());
        frame.expect("it is whole")
    }

    #[test]
    fn a_copy_is_a_whole_request_with_its_own_numbers() {
        let frame = written(&shape(1, 8), 5);
        let header = SendMessage::read_fields(&frame.header.ext).expect("it is complete");
        assert_eq!((frame.header.opaque, header.queue), (100_000_007, 5));
        assert_eq!(read_body(&frame.body), Some((256, 99)));
        assert_eq!(frame.body.len(), 100);
        let properties = Properties::parse(header.properties.as_bytes());
        let key = properties
            .get(properties::UNIQUE_KEY)
            .expect("it has a key");
        assert!(key.ends_with("0000000000000100"), "{key}");
        assert_eq!(properties.get("TAGS"), Some("TagA"));
    }

    /// The first send the Java client 5.5.0 was seen to make.
    fn captured() -> Frame {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../data/rocketmq-5.5.0/frames/java550-send-sync.jsonl"
        );
        let text = std::fs::read_to_string(path).expect("the capture is there");
        let mut sends = text.lines().filter_map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            (line["code"] == 310).then(|| line["frame"].as_str().map(str::to_owned))?
        });
        let hex = sends.next().expect("there is a send");
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("it is hex");
        let mut bytes: BytesMut = (0..hex.len()).step_by(2).map(byte).collect();
        let frame = Frame::decode(&mut bytes).expect("it is well-formed");
        frame.expect("it is whole")
    }

    #[test]
    fn a_request_has_the_fields_that_the_java_client_writes() {
        let theirs = captured();
        let template = Template::new(&shape(1, 8), &[]);
        let ours = Frame::decode(&mut BytesMut::from(&template.bytes[..]));
        let ours = ours.expect("it is well-formed").expect("it is whole");
        let fixed = |frame: &Frame| {
            let header = &frame.header;
            let names: Vec<_> = header.ext.iter().map(|(name, _)| name.to_owned()).collect();
            let own = ["a", "b", "e", "g", "i"];
            let values = header.ext.iter().filter(|(name, _)| !own.contains(name));
            let values: Vec<_> = values.map(|(_, value)| value.to_owned()).collect();
            let properties = header.ext.get("i").unwrap_or_default();
            let key = properties.replace(|c: char| c.is_ascii_hexdigit(), "");
            (header.version, header.language, names, values, key)
        };
        assert_eq!(fixed(&ours), fixed(&theirs));
    }

    #[test]
    fn a_batch_numbers_its_messages() {
        let frame = written(&shape(3, 1_000), 999);
        let header = SendMessage::read_fields(&frame.header.ext).expect("it is complete");
        assert_eq!((header.queue, header.batch), (999, true));
        let entries = batch::decode(&frame.body).expect("it is a batch");
        let numbers: Vec<_> = entries.iter().map(|entry| read_body(&entry.body)).collect();
        assert_eq!(numbers, [Some((256, 99)), Some((257, 99)), Some((258, 99))]);
        let last = entries[2].properties.get(properties::UNIQUE_KEY);
        assert!(last.is_some_and(|key| key.ends_with("0102")), "{last:?}");
    }

    #[test]
    fn what_is_not_ours_is_not_read() {
        assert_eq!(read_body(b"millbnc"), None);
        assert_eq!(read_body(b"millbnch12345678"), None);
    }
}
