//! Compares two answers by keys and types. Values count where programs look at them.

use std::collections::BTreeSet;

use serde_json::Value;

/// Whatever lies below these is the connector's own affair.
const ITS_OWN: &[&str] = &[".partition", ".offset"];

/// What a configuration is called; the last is a task's.
const CONFIGS: &[&str] = &[".config", ".in-0"];

/// Maps whose keys are names of things, and not the same things on both sides.
const NAMED: &[&str] = &[".loggers"];

/// Keys whose values are the same on both sides.
const WORDS: &[&str] = &[
    "error_code",
    "status",
    "state",
    "connector",
    "task",
    "topics",
    "visible",
];

/// Keys that Millstream adds: what was found, for programs.
const ADDED: &[&str] = &["findings"];

/// A task has one only while it fails.
const NOT_ALWAYS: &[&str] = &["trace"];

/// Every difference, each with its place below `root`. `same_words` asks for the values of
/// [`WORDS`] too.
pub fn differences(root: &str, theirs: &Value, ours: &Value, same_words: bool) -> Vec<String> {
    let mut found = Vec::new();
    descend(root, &[theirs], &[ours], same_words, &mut found);
    found
}

/// All values that stand at one place, the items of a list being one place.
fn descend(
    place: &str,
    theirs: &[&Value],
    ours: &[&Value],
    same_words: bool,
    found: &mut Vec<String>,
) {
    if CONFIGS.iter().any(|config| place.ends_with(config)) {
        return check_texts(place, ours, found);
    }
    if theirs.is_empty() || ours.is_empty() {
        // One of them has an empty list here, or told above that it has nothing.
        return;
    }
    let kinds = [kinds(theirs), kinds(ours)];
    if kinds.iter().all(|kinds| !kinds.is_empty()) && kinds[0] != kinds[1] {
        found.push(format!(
            "{place}: Kafka has {:?}, Millstream {:?}",
            kinds[0], kinds[1]
        ));
        return;
    }
    if ITS_OWN.iter().any(|own| place.ends_with(own)) {
        return;
    }
    if NAMED.iter().any(|named| place.ends_with(named)) {
        let [theirs, ours] = [theirs, ours].map(|side| {
            let maps = side.iter().filter_map(|value| value.as_object());
            maps.flat_map(|map| map.values()).collect::<Vec<_>>()
        });
        return descend(&format!("{place}[]"), &theirs, &ours, same_words, found);
    }
    let items = |all: &[&Value]| -> bool { all.iter().any(|value| value.is_array()) };
    if items(theirs) && items(ours) {
        let [theirs, ours] = [theirs, ours].map(|side| {
            let lists = side.iter().filter_map(|value| value.as_array());
            lists.flatten().collect::<Vec<_>>()
        });
        descend(&format!("{place}[]"), &theirs, &ours, same_words, found);
    }
    for key in keys(theirs).union(&keys(ours)) {
        let below = format!("{place}.{key}");
        let [there, here] = [theirs, ours].map(|side| {
            let values = side.iter().filter_map(|value| value.get(*key));
            values.collect::<Vec<_>>()
        });
        let told = ADDED.contains(key) || NOT_ALWAYS.contains(key);
        if there.is_empty() != here.is_empty() && !told {
            let who = if here.is_empty() {
                "Kafka"
            } else {
                "Millstream"
            };
            found.push(format!("{below}: only {who} has it"));
        }
        if same_words && WORDS.contains(key) && words(&there) != words(&here) {
            found.push(format!("{below}: Kafka has {there:?}, Millstream {here:?}"));
        }
        descend(&below, &there, &here, same_words, found);
    }
}

/// A configuration is one flat map of texts on both sides; which keys is the connector's affair.
fn check_texts(place: &str, ours: &[&Value], found: &mut Vec<String>) {
    let texts = |value: &&Value| {
        let map = value.as_object();
        map.is_some_and(|map| map.values().all(Value::is_string))
    };
    if !ours.iter().all(texts) {
        found.push(format!("{place}: {ours:?} is no map of texts"));
    }
}

/// The kinds of values there are. Null is what every kind may be.
fn kinds(values: &[&Value]) -> BTreeSet<&'static str> {
    let kind = |value: &&Value| match value {
        Value::Null => None,
        Value::Bool(_) => Some("a boolean"),
        Value::Number(_) => Some("a number"),
        Value::String(_) => Some("a text"),
        Value::Array(_) => Some("a list"),
        Value::Object(_) => Some("an object"),
    };
    values.iter().filter_map(kind).collect()
}

fn keys<'a>(values: &[&'a Value]) -> BTreeSet<&'a str> {
    let objects = values.iter().filter_map(|value| value.as_object());
    objects
        .flat_map(|object| object.keys().map(String::as_str))
        .collect()
}

/// Plain values only: what stands below a list or an object is compared there.
fn words(values: &[&Value]) -> BTreeSet<String> {
    let plain = values.iter().filter(|value| !value.is_object());
    plain.map(|value| value.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(theirs: &Value, ours: &Value, expected: &[&str]) {
        assert_eq!(differences("", theirs, ours, true), expected);
    }

    #[test]
    fn a_missing_key_another_type_and_another_word_are_told() {
        check(
            &json!([{"name": "a", "id": 1, "state": "RUNNING"}]),
            &json!([{"id": "1", "state": "PAUSED", "more": 1}]),
            &[
                "[].id: Kafka has {\"a number\"}, Millstream {\"a text\"}",
                "[].more: only Millstream has it",
                "[].name: only Kafka has it",
                "[].state: Kafka has [String(\"RUNNING\")], Millstream [String(\"PAUSED\")]",
            ],
        );
    }

    #[test]
    fn null_an_empty_list_and_what_is_a_connectors_own_are_no_difference() {
        check(
            &json!({"default": null, "tasks": [], "config": {"file": "f"}, "offset": {"position": 1}}),
            &json!({"default": "1", "tasks": [{"id": 1}], "config": {"path": "f"}, "offset": {"byte": 1}}),
            &[],
        );
    }

    #[test]
    fn what_a_map_names_is_no_difference_and_what_it_says_of_each_is() {
        let theirs = json!({"org": {"level": "INFO"}});
        let ours = json!({"root": {"level": "WARN"}, "store": {"level": 1}});
        assert_eq!(
            differences(".loggers", &theirs, &ours, true),
            [".loggers[].level: Kafka has {\"a text\"}, Millstream {\"a number\", \"a text\"}"]
        );
    }

    #[test]
    fn a_configuration_holds_texts_only() {
        check(
            &json!({"config": {"tasks.max": "1"}}),
            &json!({"config": {"tasks.max": 1}}),
            &[".config: [Object {\"tasks.max\": Number(1)}] is no map of texts"],
        );
    }
}
