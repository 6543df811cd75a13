//! Takes over the `config/*.json` of a RocketMQ store.
//!
//! The texts are read by the caller, since they are not quite JSON; here come their values. What
//! cannot be read is set aside and named, the rest is taken: booting must survive any content.

use model::{ConsumerGroup, QueueId, QueueOffset, Topic};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Durability, Error, FilterType, GroupConfig, Metadata, Permission, TopicConfig};

/// The parsed files of a store's `config` folder; `None` for one that is missing.
#[derive(Clone, Debug, Default)]
pub struct Import {
    /// `topics.json`
    pub topics: Option<Value>,
    /// `subscriptionGroup.json`
    pub groups: Option<Value>,
    /// `consumerOffset.json`, or `lmqConsumerOffset.json` where that is the one in use.
    pub offsets: Option<Value>,
}

/// What was taken, and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    pub topics: usize,
    pub groups: usize,
    pub offsets: usize,
    /// A sentence for each entry that could not be read.
    pub set_aside: Vec<String>,
}

impl Import {
    /// Adds everything readable to `metadata`; what it knows already stays as it is.
    pub fn into_metadata(&self, metadata: &Metadata) -> Result<Imported, Error> {
        let mut imported = Imported::default();
        self.take_topics(metadata, &mut imported)?;
        self.take_groups(metadata, &mut imported)?;
        self.take_offsets(metadata, &mut imported)?;
        Ok(imported)
    }

    fn take_topics(&self, metadata: &Metadata, imported: &mut Imported) -> Result<(), Error> {
        let mut topics = Vec::new();
        for (name, value) in entries(&self.topics, "topicConfigTable") {
            match Topic::stored(name)
                .map_err(|why| why.to_string())
                .and_then(|topic| Ok((topic, topic_config(value)?)))
            {
                Ok((topic, _)) if metadata.topics.get(topic.as_str()).is_some() => {}
                Ok(taken) => topics.push(taken),
                Err(why) => imported.set_aside.push(format!("topic {name:?}: {why}")),
            }
        }
        imported.topics = topics.len();
        metadata.topics.put_all(topics)?;
        Ok(())
    }

    fn take_groups(&self, metadata: &Metadata, imported: &mut Imported) -> Result<(), Error> {
        for (name, value) in entries(&self.groups, "subscriptionGroupTable") {
            let mut value = value.clone();
            if let Some(members) = value.as_object_mut() {
                members.remove("groupName");
            }
            let read = ConsumerGroup::stored(name)
                .map_err(|why| why.to_string())
                .and_then(|group| {
                    Ok((
                        group,
                        serde_json::from_value::<GroupConfig>(value)
                            .map_err(|why| why.to_string())?,
                    ))
                });
            match read {
                Ok((group, _)) if metadata.groups.get(group.as_str()).is_some() => {}
                Ok((group, config)) => {
                    metadata.groups.put(group, config)?;
                    imported.groups += 1;
                }
                Err(why) => imported
                    .set_aside
                    .push(format!("consumer group {name:?}: {why}")),
            }
        }
        Ok(())
    }

    fn take_offsets(&self, metadata: &Metadata, imported: &mut Imported) -> Result<(), Error> {
        for (key, queues) in entries(&self.offsets, "offsetTable") {
            let names = key.split_once('@').and_then(|(topic, group)| {
                Some((
                    Topic::stored(topic).ok()?,
                    ConsumerGroup::stored(group).ok()?,
                ))
            });
            let Some((topic, group)) = names else {
                imported
                    .set_aside
                    .push(format!("committed offset {key:?}: is not topic@group"));
                continue;
            };
            for (number, offset) in queues.as_object().into_iter().flatten() {
                match (number.parse(), offset.as_u64()) {
                    (Ok(number), Some(offset)) => {
                        let queue = QueueId::new(topic.clone(), number);
                        if metadata.offsets.get(group.as_str(), &queue).is_none() {
                            metadata.offsets.commit(&group, &queue, QueueOffset(offset));
                            imported.offsets += 1;
                        }
                    }
                    // RocketMQ keeps -1 for a queue that was assigned and never read.
                    (Ok(_), None) if offset.as_i64() == Some(-1) => {}
                    _ => imported.set_aside.push(format!(
                        "committed offset {key:?}: queue {number} at {offset}"
                    )),
                }
            }
        }
        metadata.flush(Durability::Now)?;
        Ok(())
    }
}

fn entries<'a>(
    file: &'a Option<Value>,
    table: &str,
) -> impl Iterator<Item = (&'a String, &'a Value)> {
    file.as_ref()
        .and_then(|file| file.get(table)?.as_object())
        .into_iter()
        .flatten()
}

fn topic_config(value: &Value) -> Result<TopicConfig, String> {
    let number = |name: &str| -> Result<u32, String> {
        let number = value
            .get(name)
            .and_then(Value::as_u64)
            .and_then(|number| u32::try_from(number).ok());
        number.ok_or_else(|| format!("{name} is not a number"))
    };
    let attributes = value
        .get("attributes")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    Ok(TopicConfig {
        read_queues: number("readQueueNums")?,
        write_queues: number("writeQueueNums")?,
        permission: Permission(number("perm")?),
        filter: match value.get("topicFilterType").and_then(Value::as_str) {
            Some("MULTI_TAG") => FilterType::MultiTag,
            _ => FilterType::SingleTag,
        },
        system_flag: value
            .get("topicSysFlag")
            .and_then(Value::as_i64)
            .and_then(|flag| i32::try_from(flag).ok())
            .unwrap_or(0),
        ordered: value.get("order").and_then(Value::as_bool).unwrap_or(false),
        attributes: attributes
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect(),
    })
}

/// One kept entry: a UTF-8 name and a JSON value.
pub(crate) fn entry<T: DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<(String, T), String> {
    let name = String::from_utf8(key.to_vec()).map_err(|_| format!("{key:?} is not UTF-8"))?;
    let value = serde_json::from_slice(value).map_err(|why| format!("{name:?}: {why}"))?;
    Ok((name, value))
}
