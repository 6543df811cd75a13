//! How far a connector has come: a map from partition to offset, in Kafka Connect's shape.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

/// A small JSON object.
pub type Object = serde_json::Map<String, Value>;

/// How far a connector has come in each partition of what it reads. What a partition and an
/// offset are is the connector's affair; the runtime stores, merges and shows them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Positions {
    /// By the partition's text with its keys sorted, so that `{a,b}` and `{b,a}` are one.
    entries: BTreeMap<String, (Object, Object)>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    partition: Object,
    offset: Object,
}

impl Positions {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The position of one queue of a topic, as sinks name it.
    pub fn of_queue(topic: &str, queue: u32, next: u64) -> Self {
        let mut positions = Self::new();
        positions.set_queue(topic, queue, next);
        positions
    }

    /// Sets the position of one queue of a topic: the first offset not yet delivered.
    pub fn set_queue(&mut self, topic: &str, queue: u32, next: u64) {
        self.set(
            queue_partition(topic, queue),
            object(json!({ "kafka_offset": next })),
        );
    }

    /// The first offset of a queue that is not yet delivered.
    pub fn queue(&self, topic: &str, queue: u32) -> Option<u64> {
        self.get(&queue_partition(topic, queue))?
            .get("kafka_offset")?
            .as_u64()
    }

    /// Sets one partition's offset.
    pub fn set(&mut self, partition: Object, offset: Object) {
        self.entries
            .insert(canonical(&partition), (partition, offset));
    }

    /// One partition's offset.
    pub fn get(&self, partition: &Object) -> Option<&Object> {
        self.entries
            .get(&canonical(partition))
            .map(|(_, offset)| offset)
    }

    /// Forgets one partition.
    pub fn remove(&mut self, partition: &Object) -> bool {
        self.entries.remove(&canonical(partition)).is_some()
    }

    /// Takes over every position of `newer`.
    pub fn merge(&mut self, newer: &Positions) {
        for (key, entry) in &newer.entries {
            self.entries.insert(key.clone(), entry.clone());
        }
    }

    /// Every partition with its offset, in a stable order.
    pub fn iter(&self) -> impl Iterator<Item = (&Object, &Object)> {
        self.entries
            .values()
            .map(|(partition, offset)| (partition, offset))
    }

    /// How many partitions there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing has been read yet.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Written as `[{"partition": {…}, "offset": {…}}, …]`.
impl Serialize for Positions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(|(partition, offset)| Entry {
            partition: partition.clone(),
            offset: offset.clone(),
        }))
    }
}

impl<'de> Deserialize<'de> for Positions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut positions = Self::new();
        for Entry { partition, offset } in Vec::<Entry>::deserialize(deserializer)? {
            positions.set(partition, offset);
        }
        Ok(positions)
    }
}

fn queue_partition(topic: &str, queue: u32) -> Object {
    object(json!({ "kafka_topic": topic, "kafka_partition": queue }))
}

fn object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        _ => Object::new(),
    }
}

fn canonical(object: &Object) -> String {
    let mut text = String::new();
    write_object(&mut text, object);
    text
}

fn write_object(out: &mut String, object: &Object) {
    let mut keys: Vec<&String> = object.keys().collect();
    keys.sort();
    out.push('{');
    for key in keys {
        let _ = write!(out, "{}:", Value::from(key.as_str()));
        match &object[key.as_str()] {
            Value::Object(inner) => write_object(out, inner),
            other => {
                let _ = write!(out, "{other}");
            }
        }
        out.push(',');
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Positions {
        serde_json::from_str(text).expect("the test's positions parse")
    }

    #[test]
    fn the_order_of_a_partitions_keys_means_nothing() {
        let mut positions = parse(r#"[{"partition":{"a":1,"b":2},"offset":{"at":1}}]"#);
        positions.merge(&parse(r#"[{"partition":{"b":2,"a":1},"offset":{"at":9}}]"#));
        assert_eq!(positions.len(), 1);
        assert_eq!(
            serde_json::to_string(&positions).expect("JSON"),
            r#"[{"partition":{"a":1,"b":2},"offset":{"at":9}}]"#
        );
    }

    #[test]
    fn a_queue_has_kafkas_names() {
        let positions = Positions::of_queue("orders", 3, 42);
        assert_eq!(
            serde_json::to_value(&positions).expect("JSON"),
            json!([{"partition": {"kafka_topic": "orders", "kafka_partition": 3}, "offset": {"kafka_offset": 42}}])
        );
        assert_eq!(positions.queue("orders", 3), Some(42));
        assert_eq!(positions.queue("orders", 4), None);
    }
}
