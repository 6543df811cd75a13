//! Changes to a topic's attributes, written `+name=value,-name`.

use std::collections::BTreeMap;

use protocol::ResponseCode;

use crate::respond::Refusal;

const MESSAGE_TYPE: &str = "message.type";
const QUEUE_TYPE: &str = "queue.type";
const CLEANUP_POLICY: &str = "cleanup.policy";
const RESERVE_TIME: &str = "reserve.time";

const MESSAGE_TYPES: [&str; 5] = ["UNSPECIFIED", "NORMAL", "FIFO", "DELAY", "TRANSACTION"];

/// The attributes after `changes`; `known` is `None` for a topic that is being made.
pub fn change(
    known: Option<&BTreeMap<String, String>>,
    changes: &str,
) -> Result<BTreeMap<String, String>, Refusal> {
    let mut changed = known.cloned().unwrap_or_default();
    let mut seen = Vec::new();
    for change in changes.split(',').map(str::trim).filter(|c| !c.is_empty()) {
        let (add, rest) = match (change.strip_prefix('+'), change.strip_prefix('-')) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => {
                return Err(refused(format!(
                    "add/alter attribute format is wrong: {change}"
                )));
            }
        };
        let (name, value) = rest.split_once('=').unwrap_or((rest, ""));
        if seen.contains(&name) {
            return Err(refused(format!("key duplication: {name}")));
        }
        seen.push(name);
        if !add && known.is_none() {
            return Err(refused(format!(
                "only add attribute is supported while creating topic. key: {name}"
            )));
        }
        check(name, add.then_some(value))?;
        let fixed = name == QUEUE_TYPE || name == CLEANUP_POLICY;
        if fixed && known.is_some_and(|known| known.get(name).map(String::as_str) != Some(value)) {
            return Err(refused(format!(
                "attempt to update an unchangeable attribute. key: {name}"
            )));
        }
        if add {
            changed.insert(name.to_owned(), value.to_owned());
        } else if changed.remove(name).is_none() {
            return Err(refused(format!(
                "attempt to delete a nonexistent key: {name}"
            )));
        }
    }
    Ok(changed)
}

/// Only what this broker honours may be set.
fn check(name: &str, value: Option<&str>) -> Result<(), Refusal> {
    let allowed = |values: &[&str]| value.is_none_or(|value| values.contains(&value));
    let valid = match name {
        MESSAGE_TYPE if value == Some("MIXED") => {
            return Err(Refusal::code(
                ResponseCode::INVALID_PARAMETER,
                "MIXED message type is not supported.",
            ));
        }
        MESSAGE_TYPE => allowed(&MESSAGE_TYPES),
        QUEUE_TYPE => allowed(&["SimpleCQ"]),
        CLEANUP_POLICY => allowed(&["DELETE"]),
        RESERVE_TIME => value.is_none_or(|value| value.parse::<i64>().is_ok_and(|ms| ms >= -1)),
        _ => return Err(refused(format!("unsupported key: {name}"))),
    };
    match valid {
        true => Ok(()),
        false => Err(refused(format!(
            "value is not valid. key: {name}, value: {}",
            value.unwrap_or_default()
        ))),
    }
}

fn refused(why: String) -> Refusal {
    Refusal::code(ResponseCode::SYSTEM_ERROR, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(known: Option<&[(&str, &str)]>, changes: &str, expected: Result<&str, &str>) {
        let known: Option<BTreeMap<String, String>> = known.map(|known| {
            let own = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
            known.iter().map(own).collect()
        });
        let changed = change(known.as_ref(), changes)
            .map(|changed| format!("{changed:?}"))
            .map_err(|why| why.to_string());
        assert_eq!(
            changed.as_deref().map_err(String::as_str),
            expected,
            "{changes}"
        );
    }

    #[test]
    fn attributes_are_added_changed_and_removed() {
        check(None, "", Ok("{}"));
        check(
            None,
            "+message.type=FIFO",
            Ok(r#"{"message.type": "FIFO"}"#),
        );
        let fifo = Some(&[("message.type", "FIFO")][..]);
        check(
            fifo,
            "+message.type=DELAY",
            Ok(r#"{"message.type": "DELAY"}"#),
        );
        check(fifo, "-message.type", Ok("{}"));
    }

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        check(None, "+no.such=1", Err("unsupported key: no.such"));
        check(
            None,
            "message.type=FIFO",
            Err("add/alter attribute format is wrong: message.type=FIFO"),
        );
        check(
            None,
            "-message.type",
            Err("only add attribute is supported while creating topic. key: message.type"),
        );
        check(
            None,
            "+queue.type=BatchCQ",
            Err("value is not valid. key: queue.type, value: BatchCQ"),
        );
        check(
            Some(&[]),
            "-message.type",
            Err("attempt to delete a nonexistent key: message.type"),
        );
        check(
            Some(&[]),
            "+cleanup.policy=DELETE",
            Err("attempt to update an unchangeable attribute. key: cleanup.policy"),
        );
        check(
            Some(&[]),
            "+reserve.time=1,+reserve.time=2",
            Err("key duplication: reserve.time"),
        );
    }
}
