//! `/connectors` and what lies below.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::reply::{empty, failure, json_reply, read};
use crate::config::Flat;
use crate::{ConnectorStatus, Error, Info, Target, TaskStatus, Worker};

pub(super) type Reply = Result<Response, Error>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    name: Option<String>,
    #[serde(default)]
    config: Option<BTreeMap<String, Value>>,
    initial_state: Option<String>,
}

pub(super) async fn list(State(worker): State<Worker>, RawQuery(query): RawQuery) -> Reply {
    let expand: Vec<&str> = values(query.as_deref(), "expand");
    if expand.is_empty() {
        return Ok(json_reply(StatusCode::OK, &json!(worker.names())));
    }
    let mut all = Map::new();
    for name in worker.names() {
        let mut entry = Map::new();
        // One that was deleted meanwhile is left out.
        let (Ok(info), Ok(status)) = (worker.info(&name), worker.status(&name)) else {
            continue;
        };
        if expand.contains(&"info") {
            entry.insert("info".into(), info_body(&info));
        }
        if expand.contains(&"status") {
            entry.insert("status".into(), status_body(&worker, &name, &status));
        }
        all.insert(name, entry.into());
    }
    Ok(json_reply(StatusCode::OK, &all.into()))
}

pub(super) async fn create(State(worker): State<Worker>, headers: HeaderMap, body: Bytes) -> Reply {
    let request: Create = match read(&headers, &body) {
        Ok(request) => request,
        Err(response) => return Ok(*response),
    };
    let config = texts(request.config.unwrap_or_default())?;
    let name = request
        .name
        .or_else(|| config.get("name").cloned())
        .unwrap_or_default();
    let name = name.trim();
    if name.is_empty() {
        return Err(bad("Connector name configuration is missing: set name"));
    }
    let target = match request
        .initial_state
        .as_deref()
        .map(str::to_uppercase)
        .as_deref()
    {
        None | Some("RUNNING") => Target::Running,
        Some("PAUSED") => Target::Paused,
        Some("STOPPED") => Target::Stopped,
        Some(other) => {
            return Err(bad(format!(
                "initial_state is {other}, it must be RUNNING, PAUSED or STOPPED"
            )));
        }
    };
    worker.put(name, config, true, Some(target)).await?;
    let reply = json_reply(StatusCode::CREATED, &info_body(&worker.info(name)?));
    Ok(located(reply, name))
}

pub(super) async fn info(State(worker): State<Worker>, Path(name): Path<String>) -> Reply {
    Ok(json_reply(StatusCode::OK, &info_body(&worker.info(&name)?)))
}

pub(super) async fn delete(State(worker): State<Worker>, Path(name): Path<String>) -> Reply {
    worker.delete(&name).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

pub(super) async fn config(State(worker): State<Worker>, Path(name): Path<String>) -> Reply {
    Ok(json_reply(
        StatusCode::OK,
        &json!(worker.info(&name)?.config),
    ))
}

pub(super) async fn put_config(
    State(worker): State<Worker>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    let config: BTreeMap<String, Value> = match read(&headers, &body) {
        Ok(config) => config,
        Err(response) => return Ok(*response),
    };
    let is_new = worker.put(&name, texts(config)?, false, None).await?;
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let reply = json_reply(status, &info_body(&worker.info(&name)?));
    Ok(if is_new { located(reply, &name) } else { reply })
}

pub(super) async fn patch_config(
    State(worker): State<Worker>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    let changes: BTreeMap<String, Value> = match read(&headers, &body) {
        Ok(changes) => changes,
        Err(response) => return Ok(*response),
    };
    let change = |(key, value): (String, Value)| match value {
        Value::Null => Ok((key, None)),
        value => Ok((key.clone(), Some(text(&key, value)?))),
    };
    let changes = changes
        .into_iter()
        .map(change)
        .collect::<Result<_, Error>>()?;
    worker.patch(&name, changes).await?;
    Ok(json_reply(StatusCode::OK, &info_body(&worker.info(&name)?)))
}

pub(super) async fn status(State(worker): State<Worker>, Path(name): Path<String>) -> Reply {
    let Ok(status) = worker.status(&name) else {
        return Ok(failure(
            StatusCode::NOT_FOUND,
            &format!("No status found for connector {name}"),
        ));
    };
    Ok(json_reply(
        StatusCode::OK,
        &status_body(&worker, &name, &status),
    ))
}

pub(super) async fn tasks(State(worker): State<Worker>, Path(name): Path<String>) -> Reply {
    let info = worker.info(&name)?;
    let task = |task| json!({ "id": { "connector": name, "task": task }, "config": info.config });
    Ok(json_reply(
        StatusCode::OK,
        &(0..info.tasks).map(task).collect(),
    ))
}

pub(super) async fn tasks_config(State(worker): State<Worker>, Path(name): Path<String>) -> Reply {
    let info = worker.info(&name)?;
    let task = |task: usize| (format!("{name}-{task}"), json!(info.config));
    let all: Map<String, Value> = (0..info.tasks).map(task).collect();
    Ok(json_reply(StatusCode::OK, &all.into()))
}

pub(super) async fn task_status(
    State(worker): State<Worker>,
    Path((name, task)): Path<(String, String)>,
) -> Reply {
    let task = task_number(&name, &task)?;
    let status = worker.status(&name)?;
    match status.tasks.get(task) {
        Some(of_task) => Ok(json_reply(
            StatusCode::OK,
            &task_body(&worker, task, of_task),
        )),
        None => Ok(failure(
            StatusCode::NOT_FOUND,
            &format!("No status found for task {name}-{task}"),
        )),
    }
}

pub(super) async fn restart_task(
    State(worker): State<Worker>,
    Path((name, task)): Path<(String, String)>,
) -> Reply {
    worker
        .restart_task(&name, task_number(&name, &task)?)
        .await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

pub(super) async fn restart(
    State(worker): State<Worker>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Reply {
    let is = |key| {
        values(query.as_deref(), key)
            .last()
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    };
    let (include_tasks, only_failed) = (is("includeTasks"), is("onlyFailed"));
    worker.restart(&name, include_tasks, only_failed).await?;
    if !include_tasks && !only_failed {
        return Ok(empty(StatusCode::NO_CONTENT));
    }
    let status = worker.status(&name)?;
    Ok(json_reply(
        StatusCode::ACCEPTED,
        &status_body(&worker, &name, &status),
    ))
}

pub(super) async fn pause(State(worker): State<Worker>, Path(name): Path<String>) -> Reply {
    worker.set_target(&name, Target::Paused).await?;
    Ok(empty(StatusCode::ACCEPTED))
}

pub(super) async fn resume(State(worker): State<Worker>, Path(name): Path<String>) -> Reply {
    worker.set_target(&name, Target::Running).await?;
    Ok(empty(StatusCode::ACCEPTED))
}

pub(super) async fn stop(State(worker): State<Worker>, Path(name): Path<String>) -> Reply {
    worker.set_target(&name, Target::Stopped).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// The same answer, saying where the new connector is.
fn located(mut reply: Response, name: &str) -> Response {
    // Of the characters a name may have, these two stand for something else in a path.
    let name = name.replace('%', "%25").replace('|', "%7C");
    if let Ok(location) = format!("/connectors/{name}").parse() {
        reply.headers_mut().insert(header::LOCATION, location);
    }
    reply
}

fn info_body(info: &Info) -> Value {
    let task = |task| json!({ "connector": info.name, "task": task });
    json!({
        "name": info.name,
        "config": info.config,
        "tasks": (0..info.tasks).map(task).collect::<Value>(),
        "type": info.kind.map_or("unknown", |kind| kind.name()),
    })
}

fn status_body(worker: &Worker, name: &str, status: &ConnectorStatus) -> Value {
    let tasks = status
        .tasks
        .iter()
        .enumerate()
        .map(|(number, task)| task_body(worker, number, task));
    let mut connector =
        json!({ "state": status.state.name(), "worker_id": worker.settings().worker_id });
    if let Some(trace) = status.trace.as_deref().or(status.waits_for()) {
        connector["trace"] = trace.into();
    }
    json!({
        "name": name,
        "connector": connector,
        "tasks": tasks.collect::<Value>(),
        "type": status.kind.name(),
    })
}

fn task_body(worker: &Worker, number: usize, task: &TaskStatus) -> Value {
    let mut body = json!({ "id": number, "state": task.state.name(), "worker_id": worker.settings().worker_id });
    if let Some(trace) = &task.trace {
        body["trace"] = trace.as_str().into();
    }
    body
}

/// A configuration's values as texts. Kafka takes numbers and booleans for their text too.
pub(super) fn texts(config: BTreeMap<String, Value>) -> Result<Flat, Error> {
    config
        .into_iter()
        .map(|(key, value)| Ok((key.clone(), text(&key, value)?)))
        .collect()
}

fn text(key: &str, value: Value) -> Result<String, Error> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(boolean) => Ok(boolean.to_string()),
        _ => Err(bad(format!("the value of {key} is no text"))),
    }
}

fn task_number(name: &str, task: &str) -> Result<usize, Error> {
    let unknown = || Error::NotFound {
        name: format!("{name}-{task}"),
    };
    task.parse().map_err(|_| unknown())
}

pub(super) fn bad(message: impl Into<String>) -> Error {
    Error::Bad {
        message: message.into(),
    }
}

/// Every value of a key in a query. The words in use need no decoding.
pub(super) fn values<'a>(query: Option<&'a str>, key: &str) -> Vec<&'a str> {
    let pairs = query.unwrap_or_default().split('&');
    pairs
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| *name == key)
        .map(|(_, value)| value)
        .collect()
}
