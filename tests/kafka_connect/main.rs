//! The connector API beside the real Kafka Connect: one script of requests, compared answer by
//! answer in status code, keys, types, and the words that programs look at.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "../support/addresses.rs"]
mod addresses;
mod deviations;
mod kafka;
mod script;
mod shape;
mod side;
#[allow(
    dead_code,
    reason = "the house is asked over HTTP here, never by its commands"
)]
#[path = "../support/up.rs"]
mod up;

use anyhow::Result;

use addresses::free_addresses;
use deviations::{DEVIATIONS, Deviation};
use kafka::Kafka;
use script::{SCRIPT, Step};
use shape::differences;
use side::{Answer, Side};
use up::Up;

/// Sinks that leave their position to the group.
const KAFKAS_SINK: &str = r#""connector.class": "FileStreamSink", "file": "/dev/null""#;
const OUR_SINK: &str = r#""connector.class": "blackhole-sink""#;

#[test]
fn every_request_is_answered_as_by_kafka_connect() -> Result<()> {
    let data = tempfile::tempdir()?;
    let lines = data.path().join("lines.jsonl");
    std::fs::write(&lines, script::LINES)?;
    let kafka = Kafka::start(&data.path().join("kafka"))?;
    let [connect] = free_addresses();
    let listen = format!("connect.listen={connect}");
    let house = Up::start(&data.path().join("millstream"), &[&listen]);
    let sides = [
        Side::new(&kafka.connect, KAFKAS_SINK, &lines),
        Side::new(&connect, OUR_SINK, &lines),
    ];

    let mut wrong = Vec::new();
    let mut deviating = 0;
    for step in SCRIPT {
        match step {
            Step::Until(path, what, holds) => {
                for side in &sides {
                    side.wait_until(path, what, holds)?;
                }
            }
            Step::Ask(request) => {
                let [theirs, ours] = [sides[0].ask(request)?, sides[1].ask(request)?];
                let title = request.title();
                let told = DEVIATIONS.iter().find(|told| told.request == title);
                deviating += usize::from(told.is_some());
                let found = match told {
                    Some(told) => as_told(&theirs, &ours, told),
                    None => alike(&theirs, &ours, request.root()),
                };
                wrong.extend(found.into_iter().map(|found| format!("{title}: {found}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(
        deviating,
        DEVIATIONS.len(),
        "each deviation has its request"
    );
    house.stop();
    Ok(())
}

/// What is different between two answers that are to be alike.
fn alike(theirs: &Answer, ours: &Answer, root: &str) -> Vec<String> {
    if theirs.status != ours.status {
        return vec![format!("Kafka answers {theirs:?}, Millstream {ours:?}")];
    }
    let mut found = differences(root, &theirs.body, &ours.body, true);
    if theirs.location != ours.location {
        found.push(format!(
            "Kafka's location is {:?}, Millstream's {:?}",
            theirs.location, ours.location
        ));
    }
    found
}

/// What is not as the table of deviations says. Errors have one shape all the same.
fn as_told(theirs: &Answer, ours: &Answer, told: &Deviation) -> Vec<String> {
    if (theirs.status, ours.status) != told.codes {
        return vec![format!(
            "Kafka answers {theirs:?}, Millstream {ours:?}; told is {:?}, because {}",
            told.codes, told.why
        )];
    }
    match told.codes {
        (..400, ..400) | (400.., 400..) => differences("", &theirs.body, &ours.body, false),
        _ => Vec::new(),
    }
}
