//! Answers and requests in Kafka Connect's JSON.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{BrokerError, Error};

/// A JSON answer.
pub(super) fn json_reply(status: StatusCode, body: &Value) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, "application/json")],
        body.to_string(),
    )
        .into_response()
}

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Response {
    (status, Body::empty()).into_response()
}

/// An error in Kafka Connect's shape.
pub(super) fn failure(status: StatusCode, message: &str) -> Response {
    json_reply(
        status,
        &json!({ "error_code": status.as_u16(), "message": message }),
    )
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::NotFound { .. } | Self::NoTask { .. } => StatusCode::NOT_FOUND,
            Self::Exists { .. } | Self::Changed { .. } => StatusCode::CONFLICT,
            Self::Invalid { .. } | Self::Bad { .. } | Self::NotStopped { .. } => {
                StatusCode::BAD_REQUEST
            }
            Self::Broker(BrokerError::Unavailable { .. }) | Self::Closed => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Broker(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let Self::Invalid { findings } = &self else {
            return failure(status, &self.to_string());
        };
        let message = format!(
            "{self}\nYou can also find the above list of errors at the endpoint `/connector-plugins/{{connectorType}}/config/validate`"
        );
        // The same once more for programs, beside Kafka's two fields.
        let body =
            json!({ "error_code": status.as_u16(), "message": message, "findings": findings });
        json_reply(status, &body)
    }
}

/// Reads a JSON body of the expected shape.
pub(super) fn read<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<T, Box<Response>> {
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| {
            kind.split(';')
                .next()
                .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
        });
    if !is_json {
        return Err(Box::new(failure(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "HTTP 415 Unsupported Media Type",
        )));
    }
    serde_json::from_slice(body).map_err(|error| {
        Box::new(failure(
            StatusCode::BAD_REQUEST,
            &format!("the body cannot be read: {error}"),
        ))
    })
}
