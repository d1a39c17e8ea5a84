//! Endpoints that SDKs call for features that idmerge does not have. They answer with an empty
//! success, so that SDKs neither log errors nor retry.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::http::body::ReadBody;

/// Session replay: the recording is dropped. An SDK that gets no JSON sends the same part again
/// and again.
pub(crate) async fn record(_: ReadBody) -> Response {
    Json(json!({"code": 200, "status": "OK"})).into_response()
}

/// Reports of analytics-next about itself: they are dropped.
pub(crate) async fn metrics(_: ReadBody) -> Response {
    Json(json!({"success": true})).into_response()
}

/// Feature flags: none.
pub(crate) async fn flags() -> Response {
    Json(json!({"flags": {}})).into_response()
}

/// Remote settings of the SDK: none.
pub(crate) async fn settings() -> Response {
    Json(json!({})).into_response()
}

/// In-app messages: none.
pub(crate) async fn decide() -> Response {
    Json(json!({"notifications": [], "config": {}})).into_response()
}
