//! `millstream store dump`: what the log holds, one record a line.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use bytes::Bytes;
use model::StoredMessage;
use model::properties::{KEYS, TAGS};
use model::record::RecordView;
use serde_json::json;
use store::Dumped;

use super::{Place, explained};
use crate::arguments::{Dump, Global, Output};
use crate::failure::{Exit, Failure, counted};
use crate::output;

pub fn run(global: &Global, place: &Place, dump: &Dump) -> Result<()> {
    let offline = place.open()?;
    let mut left = dump.limit.unwrap_or(u64::MAX);
    let mut damaged = 0;
    if global.output == Output::Table {
        output::line(&heading(dump));
    }
    // Offsets of a queue do not tell where in the log to begin.
    let (from, to) = match dump.queue {
        Some(_) => (0, u64::MAX),
        None => (dump.from, dump.to),
    };
    let mut each = |dumped: Dumped<'_>| {
        let record = match dumped {
            Dumped::Damaged { from, to, why } => {
                damaged += 1;
                eprintln!("nothing valid from {from} to {to}: {why}");
                return to < dump.to || dump.queue.is_some();
            }
            Dumped::Record(record) => record,
        };
        if left == 0 || record.log_offset.0 >= to {
            return false;
        }
        if wanted(dump, record) {
            left -= 1;
            output::line(&line(global.output, dump, record));
        }
        left > 0
    };
    offline
        .dump(from, &mut each)
        .map_err(|why| explained(&why))?;
    if damaged > 0 {
        bail!(
            Failure::new(
                Exit::Partial,
                "store.damaged",
                format!("{} of the log could not be read", counted(damaged, "part"))
            )
            .why("the records there do not have the checksums that were stored with them")
            .fix(format!("millstream store check {}", place.shown()))
        );
    }
    Ok(())
}

fn wanted(dump: &Dump, record: &RecordView<'_>) -> bool {
    let offsets = dump.from..dump.to;
    dump.topic
        .as_deref()
        .is_none_or(|topic| topic == record.topic)
        && dump
            .queue
            .is_none_or(|queue| queue == record.queue && offsets.contains(&record.queue_offset.0))
}

fn heading(dump: &Dump) -> String {
    let body = if dump.body { "  BODY" } else { "" };
    format!(
        "{:>14}  {:>8}  {:24}  {:24}  {:>5}  {:>10}  {:12}  {:20}{body}",
        "AT", "SIZE", "STORED", "TOPIC", "QUEUE", "OFFSET", "TAG", "KEYS"
    )
    .trim_end()
    .to_owned()
}

fn line(format: Output, dump: &Dump, record: &RecordView<'_>) -> String {
    let property = |name| record.properties.get(name).unwrap_or_default();
    match format {
        Output::Json => as_json(dump, record).to_string(),
        Output::Table => {
            let body = match dump.body {
                true => format!("  {}", String::from_utf8_lossy(record.body).escape_debug()),
                false => String::new(),
            };
            format!(
                "{:>14}  {:>8}  {:24}  {:24}  {:>5}  {:>10}  {:12}  {:20}{body}",
                record.log_offset.0,
                record.size(),
                output::time(record.stored.0),
                record.topic,
                record.queue,
                record.queue_offset.0,
                property(TAGS),
                property(KEYS),
            )
            .trim_end()
            .to_owned()
        }
    }
}

fn as_json(dump: &Dump, record: &RecordView<'_>) -> serde_json::Value {
    let message = record.to_message(&Bytes::copy_from_slice(record.bytes));
    let id = message
        .ok()
        .map(|message| StoredMessage::message_id(&message).to_string());
    let properties: BTreeMap<_, _> = record.properties.iter().collect();
    let mut line = json!({
        "at": record.log_offset.0,
        "size": record.size(),
        "topic": record.topic,
        "queue": record.queue,
        "offset": record.queue_offset.0,
        "stored": output::time(record.stored.0),
        "born": output::time(record.born.0),
        "id": id,
        "flag": record.flag,
        "sys_flag": record.sys_flag.0,
        "reconsume_times": record.reconsume_times,
        "properties": properties,
    });
    if dump.body {
        line["body"] = String::from_utf8_lossy(record.body).into();
    }
    line
}
