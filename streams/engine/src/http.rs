//! Jobs over HTTP, for the command line and for programs.
//!
//! | | |
//! |---|---|
//! | `GET /v1/jobs` | every job |
//! | `POST /v1/jobs` `{name, script, base, explain}` | start a script, or explain it; `explained` is what its `EXPLAIN` statements say |
//! | `GET /v1/jobs/{job}` | one job with its dataflow and counters |
//! | `POST /v1/jobs/{job}/stop?drain=true` · `/resume` | stop, go on |
//! | `DELETE /v1/jobs/{job}` | forget a stopped job |
//!
//! Every answer names its request in `x-request-id`, as the caller did or by itself; errors
//! carry it in their body, and the log beside them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::jobs::{JobDetail, JobError, JobInfo, Jobs};

/// The routes, to be mounted on the admin port.
pub fn router(jobs: Jobs) -> Router {
    let ids = RequestIds::since(jobs.clock().wall());
    Router::new()
        .route("/v1/jobs", get(list).post(submit))
        .route("/v1/jobs/{job}", get(describe).delete(delete))
        .route("/v1/jobs/{job}/stop", post(stop))
        .route("/v1/jobs/{job}/resume", post(resume))
        .fallback(nothing_here)
        .with_state(jobs)
        .layer(from_fn_with_state(ids, identified))
}

/// Carries a request's id, both ways.
const REQUEST_ID: &str = "x-request-id";
/// Longest id that is taken over from a caller.
const LONGEST_ID: usize = 100;

/// Names requests that come without a name: when the process started, and a number.
#[derive(Clone)]
struct RequestIds {
    started: i64,
    next: Arc<AtomicU64>,
}

impl RequestIds {
    fn since(started: i64) -> RequestIds {
        RequestIds {
            started,
            next: Arc::new(AtomicU64::new(1)),
        }
    }

    fn next(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{:x}-{number}", self.started)
    }
}

/// Names the request, and writes a refusal down with that name.
async fn identified(State(ids): State<RequestIds>, request: Request, next: Next) -> Response {
    let given = request.headers().get(REQUEST_ID);
    let given = given.and_then(|id| id.to_str().ok());
    let id = match given.filter(|id| !id.is_empty() && id.len() <= LONGEST_ID) {
        Some(id) => id.to_owned(),
        None => ids.next(),
    };
    let mut response = next.run(request).await;
    if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
        let Refusal { code, message, fix } = refusal;
        let status = response.status();
        tracing::info!(request = id, code, message, "a request is refused");
        let body =
            json!({ "error": { "code": code, "message": message, "fix": fix, "request_id": id } });
        response = (status, Json(body)).into_response();
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// Why a request was refused, on its way to [`identified`].
#[derive(Clone)]
struct Refusal {
    code: &'static str,
    message: String,
    fix: String,
}

impl Refusal {
    fn with(self, status: StatusCode) -> Response {
        (status, Extension(self)).into_response()
    }
}

async fn nothing_here(uri: Uri) -> Response {
    let refusal = Refusal {
        code: "request.path",
        message: format!("there is nothing at {}", uri.path()),
        fix: "jobs are at /v1/jobs".to_owned(),
    };
    refusal.with(StatusCode::NOT_FOUND)
}

/// A script to run.
#[derive(Debug, Deserialize, Serialize)]
pub struct Submit {
    pub name: String,
    pub script: String,
    /// Relative paths of the script's files are below this folder of the server's machine.
    pub base: PathBuf,
    /// Only say what would run.
    #[serde(default)]
    pub explain: bool,
}

#[derive(Debug, Default, Deserialize)]
struct StopQuery {
    #[serde(default)]
    drain: bool,
}

async fn list(State(jobs): State<Jobs>) -> Json<Vec<JobInfo>> {
    Json(jobs.list())
}

async fn submit(
    State(jobs): State<Jobs>,
    asked: Result<Json<Submit>, JsonRejection>,
) -> Result<Response, Failed> {
    let asked = match asked {
        Ok(Json(asked)) => asked,
        Err(why) => {
            let refusal = Refusal {
                code: "request.body",
                message: why.body_text(),
                fix: "send JSON with name, script and base".to_owned(),
            };
            return Ok(refusal.with(why.status()));
        }
    };
    if asked.explain {
        let dataflow = jobs.explain(&asked.script, asked.base).await?;
        return Ok(Json(json!({ "dataflow": dataflow })).into_response());
    }
    let submitted = jobs.execute(&asked.name, &asked.script, asked.base).await?;
    let status = match submitted.job {
        Some(_) => StatusCode::CREATED,
        None => StatusCode::OK,
    };
    Ok((status, Json(submitted)).into_response())
}

async fn describe(
    State(jobs): State<Jobs>,
    Path(job): Path<String>,
) -> Result<Json<JobDetail>, Failed> {
    Ok(Json(jobs.describe(&job)?))
}

async fn stop(
    State(jobs): State<Jobs>,
    Path(job): Path<String>,
    Query(query): Query<StopQuery>,
) -> Result<Json<JobInfo>, Failed> {
    Ok(Json(jobs.stop(&job, query.drain).await?))
}

async fn resume(
    State(jobs): State<Jobs>,
    Path(job): Path<String>,
) -> Result<Json<JobInfo>, Failed> {
    Ok(Json(jobs.resume(&job).await?))
}

async fn delete(State(jobs): State<Jobs>, Path(job): Path<String>) -> Result<StatusCode, Failed> {
    jobs.delete(&job).await?;
    Ok(StatusCode::NO_CONTENT)
}

struct Failed(JobError);

impl From<JobError> for Failed {
    fn from(why: JobError) -> Failed {
        Failed(why)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let (status, code, fix) = match &self.0 {
            JobError::Script(_) => (
                StatusCode::BAD_REQUEST,
                "job.script",
                "mend the script at the places named".to_owned(),
            ),
            JobError::NothingToRun => (
                StatusCode::BAD_REQUEST,
                "job.empty",
                "add an INSERT INTO … SELECT …".to_owned(),
            ),
            JobError::Name { .. } => (
                StatusCode::BAD_REQUEST,
                "job.name",
                "choose another name".to_owned(),
            ),
            JobError::Exists { name } => (
                StatusCode::CONFLICT,
                "job.exists",
                format!("see it:  millstream job describe {name}"),
            ),
            JobError::NotFound { known, .. } if known.is_empty() => (
                StatusCode::NOT_FOUND,
                "job.not-found",
                "there is no job at all; start one:  millstream run FILE.sql".to_owned(),
            ),
            JobError::NotFound { known, .. } => (
                StatusCode::NOT_FOUND,
                "job.not-found",
                format!("there are: {}", known.join(", ")),
            ),
            JobError::Running { name } => (
                StatusCode::CONFLICT,
                "job.running",
                format!("stop it:  millstream job stop {name}"),
            ),
            JobError::Stopped { name } => (
                StatusCode::CONFLICT,
                "job.stopped",
                format!("start it first:  millstream job resume {name}"),
            ),
            JobError::Drained { name } => (
                StatusCode::CONFLICT,
                "job.drained",
                format!(
                    "to compute it anew, delete it (millstream job delete {name}) and run its file again; \
                     to pause a job, stop it without --drain"
                ),
            ),
            JobError::Open { .. } => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "job.open",
                "mend what the reason names, then try again".to_owned(),
            ),
            JobError::Client(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "job.broker",
                "is the broker running?".to_owned(),
            ),
            JobError::Disk(_) | JobError::Task(_) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "job.internal",
                "see the log".to_owned(),
            ),
        };
        let message = self.0.to_string();
        Refusal { code, message, fix }.with(status)
    }
}
