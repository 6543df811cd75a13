//! Takes over what a RocketMQ broker kept beside its log: topics, groups, offsets, delays.
//!
//! Done once, at the first start over a store directory that has RocketMQ's `config` folder.
//! The folder stays as it is; from then on the metadata counts.

use std::path::Path;
use std::sync::Arc;

use metadata::{Import, Metadata};
use runtime::Disk;
use serde_json::{Value, json};

use crate::Error;
use crate::broker_door::ADOPTED_DELAYS;

/// Where it is kept that the folder has been taken over.
const NAMESPACE: &str = "ADOPTION";
const KEY: &str = "rocketmq";

/// Adopts the `config` folder of the store in `root`, if there is one and nobody has yet.
pub fn adopt(disk: &Arc<dyn Disk>, root: &Path, metadata: &Metadata) -> Result<(), Error> {
    let config = root.join("config");
    let failed = |why: &dyn std::fmt::Display| Error::Adoption {
        path: config.clone(),
        why: why.to_string(),
    };
    let adopted = metadata.key_values.get(NAMESPACE, KEY).is_some();
    if adopted || !disk.exists(&config).map_err(|why| failed(&why))? {
        return Ok(());
    }
    take_over(disk, &config, metadata).map_err(|why| failed(&why))
}

fn take_over(
    disk: &Arc<dyn Disk>,
    config: &Path,
    metadata: &Metadata,
) -> Result<(), metadata::Error> {
    let import = Import {
        topics: read(disk, config, "topics.json"),
        groups: read(disk, config, "subscriptionGroup.json"),
        // With light topics switched on, RocketMQ keeps every offset in the other file.
        offsets: read(disk, config, "lmqConsumerOffset.json")
            .map(with_light_topics)
            .or_else(|| read(disk, config, "consumerOffset.json")),
    };
    let imported = import.into_metadata(metadata)?;
    for why in &imported.set_aside {
        tracing::warn!(%why, "left in RocketMQ's config folder");
    }
    let delays = read(disk, config, "delayOffset.json");
    let levels = delays.as_ref().and_then(|delays| delays.get("offsetTable"));
    for (level, offset) in levels.and_then(Value::as_object).into_iter().flatten() {
        metadata
            .key_values
            .put(ADOPTED_DELAYS, level, &offset.to_string())?;
    }
    let taken = format!(
        "{} topics, {} groups, {} offsets",
        imported.topics, imported.groups, imported.offsets
    );
    tracing::info!(taken, "RocketMQ's config folder is taken over");
    metadata.key_values.put(NAMESPACE, KEY, &taken)?;
    Ok(())
}

/// Light topics have one queue, so their table has no level of queues: it is added.
fn with_light_topics(mut offsets: Value) -> Value {
    let light = offsets.get_mut("lmqOffsetTable").map(Value::take);
    let light = light
        .as_ref()
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    let light: Vec<_> = light
        .map(|(key, offset)| (key.clone(), json!({ "0": offset })))
        .collect();
    if let Some(table) = offsets
        .get_mut("offsetTable")
        .and_then(Value::as_object_mut)
    {
        table.extend(light);
    }
    offsets
}

/// A file of the folder, or the copy RocketMQ keeps of its last state but one.
fn read(disk: &Arc<dyn Disk>, config: &Path, name: &str) -> Option<Value> {
    [name.to_owned(), format!("{name}.bak")]
        .iter()
        .map(|name| config.join(name))
        .filter(|path| disk.exists(path).unwrap_or(false))
        .find_map(|path| {
            let read = disk
                .read(&path)
                .map_err(|why| why.to_string())
                .and_then(|text| protocol::body::decode(&text).map_err(|why| why.to_string()));
            read.inspect_err(|why| tracing::warn!(path = %path.display(), %why, "cannot be read"))
                .ok()
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use metadata::MemoryTables;
    use model::{QueueId, QueueOffset, Topic};
    use runtime::{Rng, SimDisk};

    fn disk(files: &[(&str, &str)]) -> Arc<dyn Disk> {
        let disk = SimDisk::new(Rng::seeded(7)).mount();
        disk.create_dir_all(Path::new("/store/config"))
            .expect("a folder");
        for (name, text) in files {
            let path = Path::new("/store/config").join(name);
            disk.replace(&path, text.as_bytes()).expect("a file");
        }
        disk
    }

    fn metadata() -> Metadata {
        Metadata::over(Arc::new(MemoryTables::default())).expect("tables in memory")
    }

    fn committed(metadata: &Metadata) -> Option<QueueOffset> {
        let orders = Topic::parse("orders").expect("a topic");
        metadata.offsets.get("billing", &QueueId::new(orders, 3))
    }

    #[test]
    fn rocketmqs_files_are_taken_over_once() {
        let disk = disk(&[
            (
                "topics.json",
                r#"{"topicConfigTable":{"orders":{"perm":6,"readQueueNums":4,"writeQueueNums":4}}}"#,
            ),
            (
                "consumerOffset.json",
                r#"{"offsetTable":{"orders@billing":{3:17}}}"#,
            ),
            ("delayOffset.json", r#"{"offsetTable":{1:3,5:9}}"#),
        ]);
        let metadata = metadata();
        adopt(&disk, Path::new("/store"), &metadata).expect("the folder is adopted");
        assert_eq!(
            metadata.topics.get("orders").map(|topic| topic.read_queues),
            Some(4)
        );
        assert_eq!(committed(&metadata), Some(QueueOffset(17)));
        assert_eq!(
            metadata.key_values.get(ADOPTED_DELAYS, "5").as_deref(),
            Some("9")
        );
        metadata.topics.delete("orders").expect("it is deleted");
        adopt(&disk, Path::new("/store"), &metadata).expect("nothing is left to do");
        assert!(metadata.topics.get("orders").is_none());
    }

    #[test]
    fn a_torn_file_gives_way_to_its_copy() {
        let disk = disk(&[
            ("consumerOffset.json", r#"{"offsetTable":{"orders@bil"#),
            (
                "consumerOffset.json.bak",
                r#"{"offsetTable":{"orders@billing":{3:16}}}"#,
            ),
        ]);
        let metadata = metadata();
        adopt(&disk, Path::new("/store"), &metadata).expect("the folder is adopted");
        assert_eq!(committed(&metadata), Some(QueueOffset(16)));
    }

    #[test]
    fn light_topics_bring_their_offsets() {
        let disk = disk(&[
            (
                "consumerOffset.json",
                r#"{"offsetTable":{"orders@billing":{3:1}}}"#,
            ),
            (
                "lmqConsumerOffset.json",
                r#"{"offsetTable":{"orders@billing":{3:18}},"lmqOffsetTable":{"%LMQ%one@%LMQ%all":4}}"#,
            ),
        ]);
        let metadata = metadata();
        adopt(&disk, Path::new("/store"), &metadata).expect("the folder is adopted");
        assert_eq!(committed(&metadata), Some(QueueOffset(18)));
        let light = Topic::stored("%LMQ%one").expect("a topic");
        let offset = metadata.offsets.get("%LMQ%all", &QueueId::new(light, 0));
        assert_eq!(offset, Some(QueueOffset(4)));
    }

    #[test]
    fn a_store_of_our_own_has_nothing_to_adopt() {
        let metadata = metadata();
        adopt(&disk(&[]), Path::new("/elsewhere"), &metadata).expect("nothing to do");
        assert!(metadata.key_values.namespace(NAMESPACE).is_none());
    }
}
