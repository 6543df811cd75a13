//! `/admin/loggers`: how much the process says.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::connectors::values;
use super::reply::{empty, failure, json_reply, read};
use crate::loggers::{Level, Logger, Loggers};

/// The paths of the loggers.
pub(super) fn paths(loggers: Loggers) -> Router {
    Router::new()
        .route("/admin/loggers", get(list))
        .route("/admin/loggers/{logger}", get(one).put(set))
        .with_state(loggers)
}

#[derive(Deserialize)]
struct Wanted {
    level: Option<String>,
}

async fn list(State(loggers): State<Loggers>) -> Response {
    let all = loggers.all();
    let all: Map<String, Value> = all
        .into_iter()
        .map(|(name, logger)| (name, body(logger)))
        .collect();
    json_reply(StatusCode::OK, &all.into())
}

async fn one(State(loggers): State<Loggers>, Path(name): Path<String>) -> Response {
    match loggers.all().get(&name) {
        Some(logger) => json_reply(StatusCode::OK, &body(*logger)),
        None => unknown(&name),
    }
}

/// Sets a level. One process is its whole cluster, so the scope only chooses the answer.
async fn set(
    State(loggers): State<Loggers>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    sent: Bytes,
) -> Response {
    let wanted: Wanted = match read(&headers, &sent) {
        Ok(wanted) => wanted,
        Err(response) => return *response,
    };
    let Some(word) = wanted.level else {
        let message = "Desired 'level' parameter was not specified in request.";
        return failure(StatusCode::BAD_REQUEST, message);
    };
    let Some(level) = Level::parse(&word) else {
        let message = format!("invalid log level '{word}'.");
        return failure(StatusCode::NOT_FOUND, &message);
    };
    let Some(changed) = loggers.set(&name, level) else {
        return unknown(&name);
    };
    match values(query.as_deref(), "scope").last() {
        Some(&"cluster") => empty(StatusCode::NO_CONTENT),
        _ => json_reply(StatusCode::OK, &json!(changed)),
    }
}

fn unknown(name: &str) -> Response {
    failure(StatusCode::NOT_FOUND, &format!("Logger {name} not found."))
}

fn body(logger: Logger) -> Value {
    json!({ "level": logger.level.name(), "last_modified": logger.last_modified })
}
