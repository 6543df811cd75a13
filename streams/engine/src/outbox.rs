//! What one epoch says to the world: records for its sinks, and how far its sources were read.
//!
//! It is committed with the epoch's state as bytes and published from them after a crash.

use crate::{Error, PublishLimits};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use state::{Epoch, QueueName};
use std::collections::BTreeMap;

/// Everything that an epoch publishes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outbox {
    pub epoch: Epoch,
    pub records: Vec<OutputRecord>,
    /// What each source reads next, in the source's own form.
    pub positions: BTreeMap<QueueName, Vec<u8>>,
}

/// One record to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputRecord {
    /// Where to, in the publisher's terms, such as a topic.
    pub destination: String,
    /// Records with the same key keep their order; empty if none.
    pub key: Bytes,
    /// None deletes what has the key.
    pub body: Option<Bytes>,
    pub properties: Vec<(String, String)>,
}

/// How much an outbox publishes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) records: usize,
    pub(crate) bytes: usize,
    /// Bytes of the largest record.
    pub(crate) largest: usize,
}

/// How much an epoch published by how much it read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Yield {
    pub(crate) read: usize,
    pub(crate) bytes: usize,
}

impl Yield {
    /// Whether it is the input that makes the output. It is not if half the input made far more
    /// than half the output: then windows close, and reading less only puts that off.
    pub(crate) fn is_like(self, earlier: Yield) -> bool {
        self.bytes * earlier.read <= earlier.bytes * self.read / 2 * 3
    }
}

impl Size {
    pub(crate) fn exceeds(&self, limits: PublishLimits) -> bool {
        self.records > limits.records || self.bytes > limits.bytes
    }
}

const VERSION: u8 = 1;

impl Outbox {
    pub(crate) fn size(&self) -> Size {
        let sizes = self.records.iter().map(OutputRecord::bytes);
        sizes.fold(Size::default(), |size, bytes| Size {
            records: size.records + 1,
            bytes: size.bytes + bytes,
            largest: size.largest.max(bytes),
        })
    }

    pub(crate) fn encode(&self) -> Bytes {
        let size: usize = self
            .records
            .iter()
            .map(|record| 64 + record.key.len() + record.body_bytes())
            .sum();
        let mut out = BytesMut::with_capacity(size + 64);
        out.put_u8(VERSION);
        out.put_u64(self.epoch.0);
        put_count(&mut out, self.positions.len());
        for (name, position) in &self.positions {
            put_bytes(&mut out, name.source.as_bytes());
            put_bytes(&mut out, name.queue.as_bytes());
            put_bytes(&mut out, position);
        }
        put_count(&mut out, self.records.len());
        for record in &self.records {
            put_bytes(&mut out, record.destination.as_bytes());
            put_bytes(&mut out, &record.key);
            out.put_u8(record.body.is_some().into());
            put_bytes(&mut out, record.body.as_deref().unwrap_or_default());
            put_count(&mut out, record.properties.len());
            for (name, value) in &record.properties {
                put_bytes(&mut out, name.as_bytes());
                put_bytes(&mut out, value.as_bytes());
            }
        }
        out.freeze()
    }

    pub(crate) fn decode(mut bytes: Bytes) -> Result<Self, Error> {
        let bytes = &mut bytes;
        if take(bytes, Bytes::try_get_u8)? != VERSION {
            return Err(Error::Outbox("its version is not known here"));
        }
        let mut outbox = Self {
            epoch: Epoch(take(bytes, Bytes::try_get_u64)?),
            ..Self::default()
        };
        for _ in 0..take(bytes, Bytes::try_get_u32)? {
            let name = QueueName {
                source: take_text(bytes)?,
                queue: take_text(bytes)?,
            };
            outbox.positions.insert(name, take_bytes(bytes)?.to_vec());
        }
        for _ in 0..take(bytes, Bytes::try_get_u32)? {
            let (destination, key) = (take_text(bytes)?, take_bytes(bytes)?);
            let present = take(bytes, Bytes::try_get_u8)? == 1;
            let body = Some(take_bytes(bytes)?).filter(|_| present);
            let mut properties = Vec::new();
            for _ in 0..take(bytes, Bytes::try_get_u32)? {
                properties.push((take_text(bytes)?, take_text(bytes)?));
            }
            outbox.records.push(OutputRecord {
                destination,
                key,
                body,
                properties,
            });
        }
        if bytes.has_remaining() {
            Err(Error::Outbox("bytes follow its end"))
        } else {
            Ok(outbox)
        }
    }
}

impl OutputRecord {
    /// Bytes that it takes to publish it, at most.
    pub(crate) fn bytes(&self) -> usize {
        let properties = self.properties.iter();
        let properties: usize = properties
            .map(|(name, value)| 2 + name.len() + value.len())
            .sum();
        64 + self.body_bytes() + properties
    }

    fn body_bytes(&self) -> usize {
        self.body.as_ref().map_or(0, Bytes::len)
    }
}

fn put_count(out: &mut BytesMut, count: usize) {
    out.put_u32(
        u32::try_from(count)
            .expect("an epoch has fewer than 2^32 records, each shorter than 4 GiB"),
    );
}

fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    put_count(out, bytes.len());
    out.put_slice(bytes);
}

fn take<T, E>(bytes: &mut Bytes, get: impl FnOnce(&mut Bytes) -> Result<T, E>) -> Result<T, Error> {
    get(bytes).map_err(|_| Error::Outbox("it ends early"))
}

fn take_bytes(bytes: &mut Bytes) -> Result<Bytes, Error> {
    let length = take(bytes, Bytes::try_get_u32)? as usize;
    if length > bytes.len() {
        Err(Error::Outbox("it ends early"))
    } else {
        Ok(bytes.split_to(length))
    }
}

fn take_text(bytes: &mut Bytes) -> Result<String, Error> {
    String::from_utf8(take_bytes(bytes)?.to_vec()).map_err(|_| Error::Outbox("a name is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        fn record()(
            destination in ".{0,5}",
            key in any::<Vec<u8>>(),
            body in prop::option::of(any::<Vec<u8>>()),
            properties in prop::collection::vec((".{0,5}", ".{0,5}"), 0..3),
        ) -> OutputRecord {
            OutputRecord { destination, key: key.into(), body: body.map(Bytes::from), properties }
        }
    }

    prop_compose! {
        fn outbox()(
            epoch in any::<u64>(),
            records in prop::collection::vec(record(), 0..5),
            positions in prop::collection::btree_map((".{0,5}", ".{0,5}"), any::<Vec<u8>>(), 0..4),
        ) -> Outbox {
            let name = |((source, queue), position)| (QueueName { source, queue }, position);
            Outbox { epoch: Epoch(epoch), records, positions: positions.into_iter().map(name).collect() }
        }
    }

    #[test]
    fn less_input_helps_only_where_input_makes_the_output() {
        let made = |read, bytes| Yield { read, bytes };
        assert!(
            made(500, 5_100).is_like(made(1_000, 10_000)),
            "half of both"
        );
        assert!(made(100, 0).is_like(made(1_000, 10_000)));
        assert!(
            !made(500, 9_900).is_like(made(1_000, 10_000)),
            "a window closes"
        );
        assert!(!made(1, 10_000).is_like(made(8, 10_000)));
    }

    proptest! {
        #[test]
        fn an_outbox_survives_its_encoding(outbox in outbox()) {
            prop_assert_eq!(Outbox::decode(outbox.encode()).expect("own encoding"), outbox);
        }

        #[test]
        fn arbitrary_bytes_never_panic_the_decoder(bytes in any::<Vec<u8>>()) {
            let _ = Outbox::decode(bytes.into());
        }
    }
}
