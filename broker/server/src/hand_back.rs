//! Hands the store of a broker that is stopped to a RocketMQ: the directory, its `config`
//! folder, and the lines of `broker.conf` without which RocketMQ does not read it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use delivery::{DelayLevel, Schedule};
use metadata::{Export, Metadata};
use model::Topic;
use runtime::Disk;
use store::{ExportAs, ExportError, ExportShape, ExportStage, Exported, Offline, Settings, Target};

use crate::broker_door::ADOPTED_DELAYS;

/// What was handed back.
#[derive(Clone, Debug)]
pub struct HandedBack {
    pub path: PathBuf,
    pub exported: Exported,
    pub topics: usize,
    pub groups: usize,
    pub offsets: usize,
    /// Lines for RocketMQ's `broker.conf`.
    pub settings: Vec<String>,
}

/// Writes `store` with its metadata to a new directory at `target`. The store is only read;
/// the target has its name only once it is whole.
pub fn hand_back(
    disk: &Arc<dyn Disk>,
    store: &Offline,
    metadata: &Metadata,
    settings: &Settings,
    target: &Path,
    progress: &mut dyn FnMut(ExportStage, u64, u64),
) -> Result<HandedBack, ExportError> {
    let target = Target::begin(disk.clone(), target)?;
    let mut delays = adopted_delays(metadata);
    let holds_batches = |topic: &Topic| {
        let config = metadata.topics.get(topic.as_str());
        config.is_some_and(|config| {
            config.attributes.get(QUEUE_TYPE).map(String::as_str) == Some(BATCHES)
        })
    };
    let how = ExportAs {
        shape: ExportShape::default(),
        settings,
        holds_batches: &holds_batches,
    };
    let mut each = |record: &model::record::RecordView<'_>| {
        if let Some((level, next)) = Schedule::told(record) {
            let known = delays.entry(level.number()).or_default();
            *known = next.0.max(*known);
        }
    };
    let exported = store.export(&target, &how, &mut each, progress)?;
    let export = Export {
        delays,
        has_light_topics: exported.has_light_topics,
        written: exported.last_stored,
    };
    for (name, text) in export.of_metadata(metadata) {
        // RocketMQ keeps the state before the last one as well, and reads it where the last
        // cannot be read.
        for name in [format!("config/{name}"), format!("config/{name}.bak")] {
            target.put(&name, text.as_bytes())?;
        }
    }
    let path = target.finish()?;
    Ok(HandedBack {
        settings: lines(&path, &exported, settings),
        topics: metadata.topics.all().len(),
        groups: metadata.groups.all().len(),
        offsets: metadata.offsets.all().len(),
        path,
        exported,
    })
}

const QUEUE_TYPE: &str = "queue.type";
const BATCHES: &str = "BatchCQ";

/// Where a RocketMQ before us left its delay levels.
fn adopted_delays(metadata: &Metadata) -> BTreeMap<u32, u64> {
    let kept = |level: DelayLevel| {
        let number = level.number();
        let next = metadata.key_values.get(ADOPTED_DELAYS, &number.to_string());
        Some((number, next?.parse().ok()?))
    };
    DelayLevel::all().filter_map(kept).collect()
}

fn lines(path: &Path, exported: &Exported, settings: &Settings) -> Vec<String> {
    let mut lines = vec![
        format!("storePathRootDir={}", path.display()),
        format!("storePathCommitLog={}", path.join("commitlog").display()),
        format!("mappedFileSizeCommitLog={}", exported.segment_bytes),
        // Filters by properties are always on here.
        "enablePropertyFilter=true".to_owned(),
    ];
    if exported.has_light_topics {
        lines.push("enableLmq=true".to_owned());
        lines.push("enableMultiDispatch=true".to_owned());
    }
    if let Some(bytes) = exported.timer_log_bytes {
        lines.push(format!("mappedFileSizeTimerLog={bytes}"));
    }
    if settings.delay_levels_ms != Settings::default().delay_levels_ms {
        let levels = settings.delay_levels_ms.iter().map(|level| whole(*level));
        let levels: Vec<_> = levels.collect();
        lines.push(format!("messageDelayLevel={}", levels.join(" ")));
    }
    lines
}

/// RocketMQ's levels are whole seconds, minutes, hours or days.
fn whole(milliseconds: i64) -> String {
    let seconds = milliseconds.saturating_add(999) / 1_000;
    let units = [("d", 86_400), ("h", 3_600), ("m", 60)];
    let unit = units
        .iter()
        .find(|(_, length)| seconds > 0 && seconds % length == 0);
    match unit {
        Some((name, length)) => format!("{}{name}", seconds / length),
        None => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delay_levels_are_written_as_rocketmq_reads_them() {
        let levels = [1_000, 90_000, 60_000, 7_200_000, 86_400_000, 1];
        let written: Vec<_> = levels.into_iter().map(whole).collect();
        assert_eq!(written, ["1s", "90s", "1m", "2h", "1d", "1s"]);
    }
}
