//! Over how many tasks a connector's positions are spread, and which division is the latest.

use crate::broker::{Broker, BrokerError, ShardState};
use crate::config::job_name;

/// Where it is kept how many tasks a connector has ever had.
const SHARDS: &str = "CONNECT_SHARDS";

/// One division of a connector's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Greater than that of every earlier division.
    pub(crate) number: u64,
    /// How many shards hold positions, of this division or an earlier one.
    pub(crate) shards: u32,
}

impl Layout {
    /// Begins a new division into so many tasks.
    pub(crate) async fn begin(
        broker: &dyn Broker,
        connector: &str,
        tasks: usize,
    ) -> Result<Self, BrokerError> {
        let number = broker
            .fence(&format!("{}-layout", job_name(connector)))
            .await?;
        let known = shards(broker, connector).await?;
        let wanted = u32::try_from(tasks).unwrap_or(u32::MAX);
        if wanted > known {
            broker
                .put_record(SHARDS, connector, &wanted.to_string())
                .await?;
        }
        let shards = known.max(wanted);
        Ok(Self { number, shards })
    }
}

/// What every task the connector has ever had keeps.
pub(crate) async fn states(
    broker: &dyn Broker,
    connector: &str,
) -> Result<Vec<ShardState>, BrokerError> {
    let mut states = Vec::new();
    for shard in 0..shards(broker, connector).await? {
        states.push(broker.shard(&job_name(connector), shard).await?);
    }
    Ok(states)
}

async fn shards(broker: &dyn Broker, connector: &str) -> Result<u32, BrokerError> {
    let records = broker.records(SHARDS).await?;
    let known = records.get(connector).and_then(|count| count.parse().ok());
    Ok(known.unwrap_or(0))
}
