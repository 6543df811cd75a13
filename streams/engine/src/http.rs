//! Jobs over HTTP, for the command line and for programs.
//!
//! | | |
//! |---|---|
//! | `GET /v1/jobs` | every job |
//! | `POST /v1/jobs` `{name, script, base, explain}` | start a script, or explain it |
//! | `GET /v1/jobs/{job}` | one job with its dataflow and counters |
//! | `POST /v1/jobs/{job}/stop?drain=true` · `/resume` | stop, go on |
//! | `DELETE /v1/jobs/{job}` | forget a stopped job |

use std::path::PathBuf;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::jobs::{JobDetail, JobError, JobInfo, Jobs};

/// The routes, to be mounted on the admin port.
pub fn router(jobs: Jobs) -> Router {
    Router::new()
        .route("/v1/jobs", get(list).post(submit))
        .route("/v1/jobs/{job}", get(describe).delete(delete))
        .route("/v1/jobs/{job}/stop", post(stop))
        .route("/v1/jobs/{job}/resume", post(resume))
        .with_state(jobs)
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

async fn submit(State(jobs): State<Jobs>, Json(asked): Json<Submit>) -> Result<Response, Failed> {
    if asked.explain {
        let dataflow = jobs.explain(&asked.script, asked.base).await?;
        return Ok(Json(json!({ "dataflow": dataflow })).into_response());
    }
    let info = jobs.submit(&asked.name, &asked.script, asked.base).await?;
    Ok((StatusCode::CREATED, Json(info)).into_response())
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
        let body = json!({ "error": { "code": code, "message": self.0.to_string(), "fix": fix } });
        (status, Json(body)).into_response()
    }
}
