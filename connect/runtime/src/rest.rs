//! Kafka Connect's REST API: its paths, its codes, its shapes.
//!
//! Two differences are intended. Nothing answers 409 because of a rebalance, for there is none;
//! and what Kafka answers with 500 though the caller is mistaken is 400 or 404 here.
//! `tests/kafka_connect` compares every answer with Kafka's own and lists these.

mod connectors;
mod loggers;
mod offsets;
mod plugins;
mod reply;
mod serve;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::map_request;
use axum::response::Response;
use axum::routing::{get, post, put};
use serde_json::json;

use crate::{Loggers, Worker};
use reply::{failure, json_reply};
pub use serve::serve;

/// All paths over one worker and the process's log.
pub fn router(worker: Worker, loggers: Loggers) -> Router {
    let paths = Router::new()
        .route("/", get(root))
        .route("/health", get(health))
        .route(
            "/connectors",
            get(connectors::list).post(connectors::create),
        )
        .route(
            "/connectors/{name}",
            get(connectors::info).delete(connectors::delete),
        )
        .route(
            "/connectors/{name}/config",
            get(connectors::config)
                .put(connectors::put_config)
                .patch(connectors::patch_config),
        )
        .route("/connectors/{name}/status", get(connectors::status))
        .route("/connectors/{name}/tasks", get(connectors::tasks))
        .route(
            "/connectors/{name}/tasks-config",
            get(connectors::tasks_config),
        )
        .route(
            "/connectors/{name}/tasks/{task}/status",
            get(connectors::task_status),
        )
        .route(
            "/connectors/{name}/tasks/{task}/restart",
            post(connectors::restart_task),
        )
        .route("/connectors/{name}/restart", post(connectors::restart))
        .route("/connectors/{name}/pause", put(connectors::pause))
        .route("/connectors/{name}/resume", put(connectors::resume))
        .route("/connectors/{name}/stop", put(connectors::stop))
        .route(
            "/connectors/{name}/offsets",
            get(offsets::show)
                .patch(offsets::change)
                .delete(offsets::reset),
        )
        .route("/connectors/{name}/topics", get(offsets::topics))
        .route(
            "/connectors/{name}/topics/reset",
            put(offsets::reset_topics),
        )
        .route("/connector-plugins", get(plugins::list))
        .route(
            "/connector-plugins/{plugin}/config",
            get(plugins::definitions),
        )
        .route(
            "/connector-plugins/{plugin}/config/validate",
            put(plugins::validate),
        )
        .with_state(worker)
        .merge(loggers::paths(loggers))
        .fallback(async || failure(StatusCode::NOT_FOUND, "HTTP 404 Not Found"))
        .method_not_allowed_fallback(async || {
            failure(
                StatusCode::METHOD_NOT_ALLOWED,
                "HTTP 405 Method Not Allowed",
            )
        });
    // Around the paths, so that it comes before one is chosen.
    Router::new()
        .fallback_service(paths)
        .layer(map_request(without_last_slash))
}

/// A path means the same with a slash at its end.
async fn without_last_slash(mut request: Request) -> Request {
    let uri = request.uri();
    let shorter = match (uri.path().strip_suffix('/'), uri.query()) {
        (None | Some(""), _) => return request,
        (Some(path), None) => path.parse(),
        (Some(path), Some(query)) => format!("{path}?{query}").parse(),
    };
    if let Ok(shorter) = shorter {
        *request.uri_mut() = shorter;
    }
    request
}

async fn root(State(worker): State<Worker>) -> Response {
    let settings = worker.settings();
    let body = json!({
        "version": settings.version,
        "commit": settings.commit,
        "kafka_cluster_id": settings.cluster,
    });
    json_reply(StatusCode::OK, &body)
}

async fn health() -> Response {
    // The routes exist once the worker has read what it keeps, so whoever gets here is healthy.
    json_reply(
        StatusCode::OK,
        &json!({ "status": "healthy", "message": "Worker has completed startup and is ready to handle requests." }),
    )
}
