//! A source's positions as the broker keeps them: one name and value per partition, beside the
//! epoch of the task that wrote it.
//!
//! A partition may move from one task to another when their number changes, and then two tasks
//! hold a position of it. The layout in the value tells which is the later: it rises whenever
//! the work is divided anew.

use std::collections::BTreeMap;

use connect_sdk::{Object, Positions};
use serde::{Deserialize, Serialize};

use crate::broker::ShardState;

#[derive(Serialize, Deserialize)]
struct Kept {
    partition: Object,
    /// `None` once somebody had it forgotten: what other tasks keep of it no longer counts.
    offset: Option<Object>,
    layout: u64,
}

/// The names and values to keep for these positions.
pub(crate) fn written(positions: &Positions, layout: u64) -> Vec<(String, String)> {
    let entries = positions.iter();
    entries
        .map(|(partition, offset)| entry(partition, Some(offset), layout))
        .collect()
}

/// The name and value to keep for one partition; without an offset it begins anew.
pub(crate) fn entry(partition: &Object, offset: Option<&Object>, layout: u64) -> (String, String) {
    let kept = Kept {
        partition: partition.clone(),
        offset: offset.cloned(),
        layout,
    };
    (text(&sorted(partition)), text(&kept))
}

/// The latest position of every partition any task has kept.
pub(crate) fn merged(shards: &[ShardState]) -> Positions {
    let mut latest: BTreeMap<&str, Kept> = BTreeMap::new();
    for (name, value) in shards.iter().flat_map(|shard| &shard.positions) {
        let Ok(kept) = serde_json::from_str::<Kept>(value) else {
            tracing::error!(name, "a kept position cannot be read and is passed over");
            continue;
        };
        let older = latest
            .get(name.as_str())
            .is_some_and(|other| other.layout > kept.layout);
        if !older {
            latest.insert(name, kept);
        }
    }
    let mut positions = Positions::new();
    for kept in latest.into_values() {
        if let Some(offset) = kept.offset {
            positions.set(kept.partition, offset);
        }
    }
    positions
}

fn sorted(partition: &Object) -> BTreeMap<&String, &serde_json::Value> {
    partition.iter().collect()
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("JSON goes into memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(pairs: &[(&str, u64)]) -> Positions {
        let mut positions = Positions::new();
        for (file, at) in pairs {
            let object = |text: String| serde_json::from_str(&text).expect("an object");
            positions.set(
                object(format!("{{\"file\":\"{file}\"}}")),
                object(format!("{{\"at\":{at}}}")),
            );
        }
        positions
    }

    fn shard(pairs: &[(&str, u64)], layout: u64) -> ShardState {
        ShardState {
            epoch: 1,
            positions: written(&positions(pairs), layout).into_iter().collect(),
        }
    }

    #[test]
    fn the_task_that_held_a_partition_last_knows_where_it_stands() {
        let shards = [
            shard(&[("a", 5), ("b", 1)], 3),
            shard(&[("a", 9)], 2),
            shard(&[("c", 7)], 1),
        ];
        assert_eq!(merged(&shards), positions(&[("a", 5), ("b", 1), ("c", 7)]));
    }

    #[test]
    fn what_was_forgotten_stays_so_whoever_else_kept_it() {
        let forgotten = entry(partition(&positions(&[("a", 0)])), None, 4);
        let mut first = shard(&[("b", 1)], 3);
        first.positions.extend([forgotten]);
        let shards = [first, shard(&[("a", 9)], 3)];
        assert_eq!(merged(&shards), positions(&[("b", 1)]));
    }

    fn partition(positions: &Positions) -> &Object {
        positions.iter().next().expect("there is one").0
    }

    #[test]
    fn what_cannot_be_read_is_passed_over() {
        let mut damaged = shard(&[("a", 5)], 1);
        damaged.positions.insert("x".into(), "{".into());
        assert_eq!(merged(&[damaged]), positions(&[("a", 5)]));
    }
}
