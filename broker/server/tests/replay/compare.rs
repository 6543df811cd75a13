//! What is different between two answers to one request.

use std::collections::{BTreeMap, BTreeSet};

use model::record;
use model::{LogOffset, QueueOffset, StoredMessage};
use protocol::{Frame, RequestCode};

use crate::dialect::Dialect;

/// How closely the answers have to agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closeness {
    /// Everything but what is volatile: the state behind both is the same.
    Values,
    /// Codes, names of fields, shapes of bodies: the state is another.
    Shapes,
}

/// Fields and members that differ from run to run, or by the machine.
const VOLATILE_FIELDS: [&str; 5] = [
    "msgId",
    "transactionId",
    "indexLastUpdateTimestamp",
    "indexLastUpdatePhyoffset",
    "version",
];
const VOLATILE_MEMBERS: [&str; 9] = [
    "clientAddr",
    "consumeTps",
    "counter",
    "lastTimestamp",
    "lastUpdateTimestamp",
    "physicOffset",
    "physicSize",
    "timestamp",
    "topicPutTps",
];

/// Where a record of the transcript lies in the log here, by where it lay there.
pub type Moved = BTreeMap<LogOffset, LogOffset>;

/// The differences, one sentence each.
pub fn differences(
    request: i32,
    there: &Frame,
    here: &Frame,
    closeness: Closeness,
    moved: &mut Moved,
) -> Vec<String> {
    let mut found = Vec::new();
    if there.header.code != here.header.code {
        found.push(format!(
            "code {} there, {} here ({})",
            there.header.code,
            here.header.code,
            here.header.remark()
        ));
        return found;
    }
    if there.serialization != here.serialization {
        found.push(format!(
            "header as {:?} there, {:?} here",
            there.serialization, here.serialization
        ));
    }
    fields(there, here, closeness, &mut found);
    match RequestCode(request) {
        RequestCode::PULL_MESSAGE
        | RequestCode::LITE_PULL_MESSAGE
        | RequestCode::QUERY_MESSAGE
        | RequestCode::VIEW_MESSAGE_BY_ID => records(there, here, closeness, moved, &mut found),
        // Texts of settings: what can be set is not the same.
        RequestCode::GET_BROKER_CONFIG => {}
        _ => bodies(request, there, here, closeness, &mut found),
    }
    found
}

fn fields(there: &Frame, here: &Frame, closeness: Closeness, found: &mut Vec<String>) {
    let (there_code, remark) = (there.header.code, there.header.remark().to_owned());
    let fields = |frame: &Frame| -> BTreeMap<String, String> {
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        frame.header.ext.iter().map(own).collect()
    };
    let (there, here) = (fields(there), fields(here));
    for (name, value) in &there {
        match here.get(name) {
            None => found.push(format!("field {name} only there")),
            Some(own) if own != value => {
                if closeness == Closeness::Values && !VOLATILE_FIELDS.contains(&name.as_str()) {
                    found.push(format!("field {name} is {value} there, {own} here"));
                }
            }
            Some(_) => {}
        }
    }
    for name in here.keys().filter(|name| !there.contains_key(*name)) {
        found.push(format!(
            "field {name} only here (code {}, {:?})",
            there_code, remark
        ));
    }
}

fn bodies(
    request: i32,
    there: &Frame,
    here: &Frame,
    closeness: Closeness,
    found: &mut Vec<String>,
) {
    if there.body.is_empty() != here.body.is_empty() {
        found.push(format!(
            "a body of {} bytes there, {} here",
            there.body.len(),
            here.body.len()
        ));
        return;
    }
    let figures = RequestCode(request) == RequestCode::GET_BROKER_RUNTIME_INFO;
    let read = |frame: &Frame| {
        let value = Dialect::read(&frame.body).masked(&VOLATILE_MEMBERS);
        match closeness == Closeness::Shapes || figures {
            true => value.shape(),
            false => value,
        }
    };
    let (there, here) = (read(there), read(here));
    if there != here {
        found.push(format!("body {there:?} there, {here:?} here"));
    }
}

fn records(
    there: &Frame,
    here: &Frame,
    closeness: Closeness,
    moved: &mut Moved,
    found: &mut Vec<String>,
) {
    let (there, here) = (decoded(&there.body), decoded(&here.body));
    for there in &there {
        let unique = there.message.properties.get("UNIQ_KEY");
        let same = |here: &&StoredMessage| here.message.properties.get("UNIQ_KEY") == unique;
        if let Some(here) = here.iter().find(same) {
            moved.insert(there.log_offset, here.log_offset);
        }
    }
    if closeness == Closeness::Shapes {
        return;
    }
    let (there, here) = (sights(&there), sights(&here));
    if there != here {
        found.push(format!("records {there:?} there, {here:?} here"));
    }
}

fn decoded(body: &bytes::Bytes) -> Vec<StoredMessage> {
    let mut rest = body.clone();
    let mut records = Vec::new();
    while rest.len() >= 4 {
        let size = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
        let record = rest.split_to(size.min(rest.len()));
        records.push(record::decode(&record).expect("a record in an answer is whole"));
    }
    records
}

/// What a consumer sees of a record, without addresses, times and generated ids.
#[derive(Debug, PartialEq, Eq)]
struct Sight {
    topic: String,
    queue: u32,
    queue_offset: QueueOffset,
    sys_flag: i32,
    flag: i32,
    reconsume_times: i32,
    body: u32,
    properties: BTreeSet<(String, String)>,
}

fn sights(records: &[StoredMessage]) -> Vec<Sight> {
    let sight = |stored: &StoredMessage| {
        let message = &stored.message;
        let own = |(name, value): (&str, &str)| {
            let generated = ["UNIQ_KEY", "ORIGIN_MESSAGE_ID"].contains(&name);
            let value = if generated { "#" } else { value };
            (name.to_owned(), value.to_owned())
        };
        Sight {
            topic: message.topic.to_string(),
            queue: message.queue,
            queue_offset: stored.queue_offset,
            sys_flag: message.sys_flag.0,
            flag: message.flag,
            reconsume_times: message.reconsume_times,
            body: stored.body_crc,
            properties: message.properties.iter().map(own).collect(),
        }
    };
    records.iter().map(sight).collect()
}
