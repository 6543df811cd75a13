//! Writes the `config/*.json` of a RocketMQ store: what [`crate::Import`] reads.
//!
//! RocketMQ's JSON has numbers for keys and does not quote them, members stand in the order of
//! their names, and a table has no order; here it has one, so that the same metadata gives the
//! same text.

use std::collections::{BTreeMap, BTreeSet};

use model::{Topic, system_topics};
use serde_json::{Map, Value, json};

use crate::{FilterType, GroupConfig, Metadata, TopicConfig};

/// What the files say besides the metadata.
#[derive(Clone, Debug, Default)]
pub struct Export {
    /// By delay level, the offset of the next message that is not delivered yet.
    pub delays: BTreeMap<u32, u64>,
    /// There are light topics: RocketMQ, switched over to them, keeps every offset in another
    /// file.
    pub has_light_topics: bool,
    /// Time of the files' versions, in milliseconds since 1970.
    pub written: i64,
}

/// Topics in which the broker keeps its own state; a RocketMQ does not know them.
const OURS: [&str; 5] = [
    system_topics::GROUP,
    "rmq_sys_EPOCH",
    "rmq_sys_LOST",
    "rmq_sys_SCHEDULE_PROGRESS",
    "rmq_sys_TOMBSTONE",
];

impl Export {
    /// Name and text of every file.
    pub fn of_metadata(&self, metadata: &Metadata) -> Vec<(&'static str, String)> {
        let mut files = vec![
            ("topics.json", self.topics(metadata)),
            ("subscriptionGroup.json", self.groups(metadata)),
            ("consumerOffset.json", self.offsets(metadata, false)),
            ("delayOffset.json", self.delays()),
        ];
        if self.has_light_topics {
            files.push(("lmqConsumerOffset.json", self.offsets(metadata, true)));
        }
        let text = |(name, value)| (name, written(&value));
        files.into_iter().map(text).collect()
    }

    fn topics(&self, metadata: &Metadata) -> Value {
        let all = metadata.topics.all();
        let known = all
            .iter()
            .filter(|(topic, _)| !OURS.contains(&topic.as_str()));
        let table: Map<_, _> = known
            .map(|(topic, config)| (topic.to_string(), topic_config(topic, config)))
            .collect();
        json!({ "dataVersion": self.version(), "topicConfigTable": table })
    }

    fn groups(&self, metadata: &Metadata) -> Value {
        let all = metadata.groups.all();
        let group = |(name, config): (&model::ConsumerGroup, &std::sync::Arc<GroupConfig>)| {
            let mut value =
                serde_json::to_value(config.as_ref()).expect("a group's settings are plain JSON");
            value["groupName"] = name.as_str().into();
            (name.to_string(), value)
        };
        let table: Map<_, _> = all.iter().map(group).collect();
        json!({
            "dataVersion": self.version(),
            "forbiddenTable": {},
            "subscriptionGroupTable": table,
        })
    }

    /// With light topics these have a table of their own, without a level of queues.
    fn offsets(&self, metadata: &Metadata, apart: bool) -> Value {
        let (mut table, mut light) = (Map::new(), Map::new());
        let mut topics: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (group, queue, offset) in metadata.offsets.all() {
            let key = format!("{}@{group}", queue.topic);
            if apart && queue.topic.is_lite() {
                light.insert(key, offset.0.into());
                continue;
            }
            let queues = table.entry(key).or_insert_with(|| json!({}));
            queues[queue.number.to_string()] = offset.0.into();
            let read = topics.entry(group.to_string()).or_default();
            read.insert(queue.topic.to_string());
        }
        let mut file = json!({
            "dataVersion": self.version(),
            "groupTopicMap": topics,
            "offsetTable": table,
        });
        if apart {
            file["lmqOffsetTable"] = light.into();
        }
        file
    }

    fn delays(&self) -> Value {
        let levels = self.delays.iter();
        let table: Map<_, _> = levels
            .map(|(level, offset)| (level.to_string(), (*offset).into()))
            .collect();
        json!({ "dataVersion": self.version(), "offsetTable": table })
    }

    fn version(&self) -> Value {
        json!({ "counter": 1, "stateVersion": 0, "timestamp": self.written })
    }
}

fn topic_config(topic: &Topic, config: &TopicConfig) -> Value {
    json!({
        "attributes": config.attributes,
        "order": config.ordered,
        "perm": config.permission.0,
        "readQueueNums": config.read_queues,
        "topicFilterType": match config.filter {
            FilterType::SingleTag => "SINGLE_TAG",
            FilterType::MultiTag => "MULTI_TAG",
        },
        "topicName": topic.as_str(),
        "topicSysFlag": config.system_flag,
        "writeQueueNums": config.write_queues,
    })
}

/// The table whose keys are numbers: of queues, or of delay levels.
const NUMBERED: &str = "offsetTable";

fn written(file: &Value) -> String {
    let mut text = String::new();
    write(file, (0, false), &mut text);
    text
}

/// `within` is how deep the value lies, and whether in a table of numbers.
fn write(value: &Value, within: (usize, bool), text: &mut String) {
    let numbered = within.1;
    match value {
        Value::Object(members) if !members.is_empty() => {
            let number = |key: &String| key.parse::<u32>().ok().filter(|_| numbered);
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(key, _)| (number(key), *key));
            let members = members.into_iter().map(|(key, value)| {
                let quoted = Value::String(key.clone()).to_string();
                let written = number(key).map_or(quoted, |number| number.to_string());
                (format!("{written}:"), numbered || key == NUMBERED, value)
            });
            write_all(members, within.0, ('{', '}'), text);
        }
        Value::Array(values) if !values.is_empty() => {
            let values = values.iter().map(|value| (String::new(), numbered, value));
            write_all(values, within.0, ('[', ']'), text);
        }
        plain => text.push_str(&plain.to_string()),
    }
}

fn write_all<'a>(
    values: impl Iterator<Item = (String, bool, &'a Value)>,
    depth: usize,
    (open, close): (char, char),
    text: &mut String,
) {
    let line = |depth| format!("\n{}", "\t".repeat(depth));
    text.push(open);
    for (place, (key, numbered, value)) in values.enumerate() {
        if place > 0 {
            text.push(',');
        }
        text.push_str(&line(depth + 1));
        text.push_str(&key);
        write(value, (depth + 1, numbered), text);
    }
    text.push_str(&line(depth));
    text.push(close);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_as_rocketmq_writes_it() {
        let export = Export {
            delays: [(18, 0), (2, 1)].into(),
            written: 7,
            ..Export::default()
        };
        let text = "{\n\t\"dataVersion\":{\n\t\t\"counter\":1,\n\t\t\"stateVersion\":0,\
                    \n\t\t\"timestamp\":7\n\t},\n\t\"offsetTable\":{\n\t\t2:1,\n\t\t18:0\n\t}\n}";
        assert_eq!(written(&export.delays()), text);
    }

    #[test]
    fn what_is_empty_takes_one_line_and_names_are_quoted() {
        let file = json!({ "b\"": [], "a": { "1": {} }, "c": [1, "two"] });
        let text = "{\n\t\"a\":{\n\t\t\"1\":{}\n\t},\n\t\"b\\\"\":[],\n\t\"c\":[\n\t\t1,\n\t\t\"two\"\n\t]\n}";
        assert_eq!(written(&file), text);
    }
}
