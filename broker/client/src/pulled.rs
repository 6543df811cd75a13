//! Turns the answer to a pull into messages: records read, bodies expanded, batches unwrapped.

use bytes::Bytes;
use model::record::Records;
use model::{QueueOffset, RecordError, StoredMessage, batch, properties};

use crate::Filter;
use crate::compression::expand;

/// How an answer is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullStatus {
    /// There are messages; or there were, and the filter's tags kept none of them.
    Found,
    /// The queue has no newer message.
    NoNewMessage,
    /// There were messages, and none matched: go on at `next` at once.
    NoneMatched,
    /// The offset is outside the queue, or an administrator has moved the group: go on at `next`.
    OffsetMoved,
}

/// What a pull brought.
#[derive(Clone, Debug)]
pub struct Pulled {
    pub status: PullStatus,
    /// In the order of the queue. Bodies are plain; one that cannot be expanded is handed over
    /// as it was stored, its flag still set.
    pub messages: Vec<StoredMessage>,
    /// The offset to go on from. It may lie beyond the last message.
    pub next: QueueOffset,
    /// The queue's first offset.
    pub min: QueueOffset,
    /// The offset behind the queue's last message.
    pub max: QueueOffset,
}

/// Bytes of bodies, once expanded, after which the rest of an answer is left for the next pull.
const EXPANDED_LIMIT: usize = 64 << 20;

/// The messages of an answer's body, and the offset to go on from if not all were taken.
pub(crate) fn read(
    records: Bytes,
    from: QueueOffset,
    filter: &Filter,
) -> Result<(Vec<StoredMessage>, Option<QueueOffset>), RecordError> {
    let mut messages = Vec::new();
    let mut expanded = 0;
    for record in Records::new(records) {
        let mut message = record?;
        if expanded > EXPANDED_LIMIT {
            return Ok((messages, Some(message.queue_offset)));
        }
        expanded += expand_body(&mut message);
        match unwrap(&message) {
            // A consumer that stopped inside the batch goes on behind where it was.
            Some(inner) => {
                messages.extend(inner.into_iter().filter(|message| {
                    message.queue_offset >= from && filter.keeps(&message.message)
                }))
            }
            None if filter.keeps(&message.message) => messages.push(message),
            None => {}
        }
    }
    Ok((messages, None))
}

/// Makes the body plain; returns how many bytes that made.
fn expand_body(stored: &mut StoredMessage) -> usize {
    let message = &mut stored.message;
    let Some(how) = message.sys_flag.compression() else {
        return 0;
    };
    match expand(&message.body, how) {
        Ok(body) => {
            message.body = body;
            message.sys_flag = message.sys_flag.with_compression(None);
        }
        Err(why) => {
            let (queue, at) = (message.queue_id(), stored.queue_offset);
            tracing::warn!(%queue, %at, %why, "a body cannot be expanded and is handed over as it is");
        }
    }
    stored.message.body.len()
}

/// The messages of a batch that is stored as one record; `None` when it is not one.
fn unwrap(stored: &StoredMessage) -> Option<Vec<StoredMessage>> {
    let flags = stored.message.sys_flag;
    if !flags.is_inner_batch() || !flags.needs_unwrap() {
        return None;
    }
    let entries = match batch::decode(&stored.message.body) {
        Ok(entries) => entries,
        Err(why) => {
            let (queue, at) = (stored.message.queue_id(), stored.queue_offset);
            tracing::warn!(%queue, %at, %why, "a batch cannot be unwrapped and is handed over as it is");
            return None;
        }
    };
    let base = stored.message.properties.number(properties::INNER_BASE);
    let base = base
        .and_then(|base| u64::try_from(base).ok())
        .map_or(stored.queue_offset, QueueOffset);
    let mut flags = flags;
    flags.0 &= !(model::SysFlag::INNER_BATCH | model::SysFlag::NEED_UNWRAP);
    let inner = entries.into_iter().zip(0u64..).map(|(entry, number)| {
        let mut inner = stored.clone();
        inner.queue_offset = base.plus(number);
        inner.message.sys_flag = flags;
        inner.message.flag = entry.flag;
        inner.message.properties = entry.properties;
        inner.message.body = entry.body;
        inner
    });
    Some(inner.collect())
}

#[cfg(test)]
mod tests {
    use model::record::Unplaced;
    use model::{Checksum, Compression, LogOffset, Message, Properties, SysFlag, Timestamp, Topic};

    use super::*;
    use crate::compression::compress;

    fn message(body: impl Into<Bytes>) -> Message {
        Message::new(Topic::parse("t").expect("a topic's name"), 0, body)
    }

    fn stored(message: &Message, at: u64) -> Vec<u8> {
        let host = "127.0.0.1:10911".parse().expect("an address");
        let record = Unplaced::encode(message, host, Checksum::Body).expect("a small message");
        let placed = record.place(QueueOffset(at), LogOffset(0), Timestamp(1));
        placed.slices().concat()
    }

    fn bodies(messages: &[StoredMessage]) -> Vec<(u64, &[u8])> {
        let body = |stored: &StoredMessage| stored.queue_offset.0;
        messages
            .iter()
            .map(|stored| (body(stored), &*stored.message.body))
            .collect()
    }

    #[test]
    fn compressed_bodies_are_plain_and_damaged_ones_are_kept_as_they_are() {
        let flag = SysFlag::default().with_compression(Some(Compression::Zstd));
        let compressed = compress(b"hello hello hello", Compression::Zstd).expect("in memory");
        let whole = Message {
            sys_flag: flag,
            ..message(compressed)
        };
        let damaged = Message {
            sys_flag: flag,
            ..message("not compressed")
        };
        let records = [stored(&whole, 3), stored(&damaged, 4)].concat();
        let (read, rest) = read(records.into(), QueueOffset(3), &Filter::All).expect("two records");
        assert_eq!(rest, None);
        assert_eq!(
            bodies(&read),
            [(3, &b"hello hello hello"[..]), (4, b"not compressed")]
        );
        assert!(!read[0].message.sys_flag.is_compressed());
        assert!(read[1].message.sys_flag.is_compressed());
    }

    #[test]
    fn an_inner_batch_is_unwrapped_from_where_the_consumer_is() {
        let entry = |body: &'static str, tag: &str| batch::Entry {
            flag: 1,
            properties: Properties::from_iter([(properties::TAGS, tag)]),
            body: body.into(),
        };
        let entries = [
            entry("a", "x"),
            entry("b", "x"),
            entry("c", "y"),
            entry("d", "x"),
        ];
        let body = batch::encode(&entries).expect("a small batch");
        let mut whole = message(body);
        whole.sys_flag = SysFlag(SysFlag::INNER_BATCH | SysFlag::NEED_UNWRAP);
        whole.properties.set(properties::INNER_BASE, 10);
        let filter = Filter::tags("x").expect("a tag");
        let (read, _) =
            read(stored(&whole, 10).into(), QueueOffset(11), &filter).expect("a record");
        assert_eq!(bodies(&read), [(11, &b"b"[..]), (13, b"d")]);
        assert_eq!(read[0].message.flag, 1);
        assert!(!read[0].message.sys_flag.is_inner_batch());
    }

    #[test]
    fn an_answer_that_grows_too_much_is_taken_in_parts() {
        let flag = SysFlag::default().with_compression(Some(Compression::Zstd));
        let zeros = compress(&vec![0; 40 << 20], Compression::Zstd).expect("in memory");
        let large = Message {
            sys_flag: flag,
            ..message(zeros)
        };
        let records: Vec<u8> = (0..4).flat_map(|at| stored(&large, at)).collect();
        let (read, rest) = read(records.into(), QueueOffset(0), &Filter::All).expect("records");
        assert_eq!((read.len(), rest), (2, Some(QueueOffset(2))));
    }

    #[test]
    fn a_cut_record_is_an_error() {
        let whole = stored(&message("x"), 0);
        let cut = Bytes::from(whole[..whole.len() - 1].to_vec());
        assert!(read(cut, QueueOffset(0), &Filter::All).is_err());
    }
}
