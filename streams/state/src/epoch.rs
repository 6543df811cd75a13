//! How far a job has come: what is committed with every epoch besides its rows.

use crate::{
    Error,
    wire::{Reader, Writer},
};
use std::collections::BTreeMap;

/// Number of a committed step of a job. The first is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// One queue of one source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueName {
    /// Operator id of the source.
    pub source: String,
    /// The source's own name for the queue.
    pub queue: String,
}

/// Named totals that must be as exact as the rows they count.
pub type Counters = BTreeMap<String, u64>;

/// Where a job stands after an epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub epoch: Epoch,
    /// What the clock functions of that epoch returned, ms since 1970; never goes back.
    pub time: i64,
    /// What each source reads next, in the source's own form.
    pub positions: BTreeMap<QueueName, Vec<u8>>,
    /// Greatest watermark seen per queue, ms since 1970.
    pub queue_watermarks: BTreeMap<QueueName, i64>,
    /// Watermark that each source's operators have acted on, by operator id; ms since 1970.
    pub watermarks: BTreeMap<String, i64>,
    pub counters: Counters,
}

const VERSION: u8 = 2;

impl Progress {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.u8(VERSION);
        writer.u64(self.epoch.0);
        writer.i64(self.time);
        writer.count(self.positions.len());
        for (name, position) in &self.positions {
            name.encode(&mut writer);
            writer.bytes(position);
        }
        writer.count(self.queue_watermarks.len());
        for (name, watermark) in &self.queue_watermarks {
            name.encode(&mut writer);
            writer.i64(*watermark);
        }
        writer.count(self.watermarks.len());
        for (source, watermark) in &self.watermarks {
            writer.bytes(source.as_bytes());
            writer.i64(*watermark);
        }
        writer.count(self.counters.len());
        for (name, total) in &self.counters {
            writer.bytes(name.as_bytes());
            writer.u64(*total);
        }
        writer.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new("epoch record", bytes);
        let version = reader.u8()?;
        if version != VERSION {
            return Err(reader.corrupt(&format!("version {version} is not known here")));
        }
        let mut progress = Self {
            epoch: Epoch(reader.u64()?),
            time: reader.i64()?,
            ..Self::default()
        };
        for _ in 0..reader.count()? {
            let name = QueueName::decode(&mut reader)?;
            progress.positions.insert(name, reader.bytes()?.to_vec());
        }
        for _ in 0..reader.count()? {
            let name = QueueName::decode(&mut reader)?;
            progress.queue_watermarks.insert(name, reader.i64()?);
        }
        for _ in 0..reader.count()? {
            let source = reader.text()?;
            progress.watermarks.insert(source, reader.i64()?);
        }
        for _ in 0..reader.count()? {
            let name = reader.text()?;
            progress.counters.insert(name, reader.u64()?);
        }
        reader.finish()?;
        Ok(progress)
    }
}

impl QueueName {
    fn encode(&self, writer: &mut Writer) {
        writer.bytes(self.source.as_bytes());
        writer.bytes(self.queue.as_bytes());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self {
            source: reader.text()?,
            queue: reader.text()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn queue_name() -> impl Strategy<Value = QueueName> {
        (".{0,6}", ".{0,6}").prop_map(|(source, queue)| QueueName { source, queue })
    }

    prop_compose! {
        fn progress()(
            epoch in any::<u64>(),
            time in any::<i64>(),
            positions in prop::collection::btree_map(queue_name(), any::<Vec<u8>>(), 0..5),
            queue_watermarks in prop::collection::btree_map(queue_name(), any::<i64>(), 0..5),
            watermarks in prop::collection::btree_map(".{0,6}", any::<i64>(), 0..3),
            counters in prop::collection::btree_map(".{0,6}", any::<u64>(), 0..3),
        ) -> Progress {
            Progress { epoch: Epoch(epoch), time, positions, queue_watermarks, watermarks, counters }
        }
    }

    proptest! {
        #[test]
        fn progress_survives_its_encoding(progress in progress()) {
            prop_assert_eq!(Progress::decode(&progress.encode()).expect("own encoding"), progress);
        }

        #[test]
        fn arbitrary_bytes_never_panic_the_decoder(bytes in any::<Vec<u8>>()) {
            let _ = Progress::decode(&bytes);
        }

        #[test]
        fn a_shortened_record_is_refused(progress in progress(), cut in 1usize..64) {
            let bytes = progress.encode();
            let shortened = &bytes[..bytes.len() - cut.min(bytes.len())];
            prop_assert!(Progress::decode(shortened).is_err());
        }
    }
}
