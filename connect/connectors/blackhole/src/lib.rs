//! A sink that takes everything, counts it and forgets it: for trying out and for measuring.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use connect_sdk::{
    Alias, Connector, Context, Description, Error, Guarantee, Kind, Positions, Refused, Sink,
    SinkBatch, TaskOptions,
};

const ALIASES: &[Alias] = &[Alias::of(
    "org.apache.kafka.connect.tools.MockSinkConnector",
)];

/// Takes everything. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct BlackholeSink {
    taken: Arc<AtomicU64>,
}

impl BlackholeSink {
    /// How many records all tasks of this connector were given, repeated ones included.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Connector for BlackholeSink {
    fn describe(&self) -> Description {
        Description {
            name: "blackhole-sink",
            family: "blackhole",
            aliases: ALIASES,
            kind: Kind::Sink,
            version: env!("CARGO_PKG_VERSION"),
            summary: "Takes every record, counts it and forgets it.",
            guarantee: Guarantee::AtLeastOnce,
            options: Vec::new(),
        }
    }

    async fn sink(&self, _: TaskOptions, _: Context) -> Result<Box<dyn Sink>, Error> {
        Ok(Box::new(Counting {
            taken: self.taken.clone(),
            positions: Positions::new(),
        }))
    }
}

struct Counting {
    taken: Arc<AtomicU64>,
    positions: Positions,
}

#[async_trait]
impl Sink for Counting {
    async fn write(&mut self, batch: SinkBatch) -> Result<Vec<Refused>, Error> {
        self.taken
            .fetch_add(batch.records.len() as u64, Ordering::Relaxed);
        self.positions
            .set_queue(&batch.topic, batch.queue, batch.next);
        Ok(Vec::new())
    }

    async fn flush(&mut self) -> Result<Positions, Error> {
        Ok(std::mem::take(&mut self.positions))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use connect_sdk::conformance::{description_is_consistent, sink_names_what_it_was_given};
    use connect_sdk::{Options, RawRecord, Records};
    use runtime::{Clock, Net, Rng, SimDisk, Tasks};

    use super::*;

    #[tokio::test]
    async fn everything_is_counted_and_named() {
        let connector = BlackholeSink::default();
        description_is_consistent(&connector);
        let (options, findings) = Options::check(Vec::new(), &BTreeMap::new());
        assert_eq!(findings, vec![]);
        let context = Context {
            connector: "hole".into(),
            task: 0,
            generation: 1,
            disk: SimDisk::new(Rng::seeded(1)).mount(),
            clock: Clock::real(),
            net: Net::in_memory(),
            rng: Rng::seeded(1),
            tasks: Tasks::new(Clock::real()),
        };
        let task = TaskOptions {
            options,
            part: String::new(),
        };
        let mut sink = connector.sink(task, context).await.expect("it opens");
        let batch = |first: u64| SinkBatch {
            topic: "t".into(),
            queue: 0,
            records: Records::Bytes(vec![RawRecord::new("x")]),
            offsets: vec![first],
            first,
            next: first + 1,
        };
        sink_names_what_it_was_given(sink.as_mut(), vec![batch(0), batch(1)]).await;
        assert_eq!(connector.taken(), 2);
    }
}
