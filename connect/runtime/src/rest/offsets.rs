//! `/connectors/{name}/offsets` and `…/topics`: how far a connector is, and what it has used.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use connect_sdk::Object;
use serde::Deserialize;
use serde_json::{Value, json};

use super::connectors::{Reply, bad};
use super::reply::{empty, json_reply, read};
use crate::Worker;
use crate::reposition::Wanted;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    offsets: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    partition: Option<Object>,
    offset: Option<Object>,
}

pub(super) async fn show(State(worker): State<Worker>, Path(name): Path<String>) -> Reply {
    let offsets = worker.offsets(&name).await?;
    Ok(json_reply(StatusCode::OK, &json!({ "offsets": offsets })))
}

pub(super) async fn change(
    State(worker): State<Worker>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    let change: Change = match read(&headers, &body) {
        Ok(change) => change,
        Err(response) => return Ok(*response),
    };
    let entries = change.offsets.unwrap_or_default();
    if entries.is_empty() {
        let message = "Partitions / offsets need to be provided for an alter offsets request";
        return Err(bad(message));
    }
    let wanted = |entry: Entry| match entry.partition {
        Some(partition) => Ok((partition, entry.offset)),
        None => Err(bad("Partition objects cannot be null")),
    };
    let wanted: Wanted = entries.into_iter().map(wanted).collect::<Result<_, _>>()?;
    worker.set_offsets(&name, wanted).await?;
    Ok(done("altered"))
}

pub(super) async fn reset(State(worker): State<Worker>, Path(name): Path<String>) -> Reply {
    worker.reset_offsets(&name).await?;
    Ok(done("reset"))
}

fn done(what: &str) -> Response {
    let message = format!("The offsets for this connector have been {what} successfully");
    json_reply(StatusCode::OK, &json!({ "message": message }))
}

pub(super) async fn topics(State(worker): State<Worker>, Path(name): Path<String>) -> Reply {
    let topics = worker.topics(&name)?;
    let entry = (name, json!({ "topics": topics }));
    Ok(json_reply(
        StatusCode::OK,
        &Value::Object([entry].into_iter().collect()),
    ))
}

pub(super) async fn reset_topics(State(worker): State<Worker>, Path(name): Path<String>) -> Reply {
    worker.reset_topics(&name).await?;
    Ok(empty(StatusCode::ACCEPTED))
}
