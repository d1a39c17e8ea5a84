//! Endpoints that SDKs ask and that idmerge has nothing behind: answered, so that they stay quiet.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;

use crate::app::App;

/// Recordings of screens. Without a JSON body the SDK would send one part again and again.
pub(crate) async fn record(State(app): State<Arc<App>>, body: Body) -> Response {
    match app.room.gather(body).await {
        Ok(_) => Json(json!({"code": 200, "status": "OK"})).into_response(),
        Err(_) => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
    }
}

/// Feature flags: there are none.
pub(crate) async fn flags() -> Response {
    Json(json!({"flags": {}})).into_response()
}

/// Settings from afar: there are none.
pub(crate) async fn settings() -> Response {
    Json(json!({})).into_response()
}

/// Messages in apps: there are none.
pub(crate) async fn decide() -> Response {
    Json(json!({"notifications": [], "config": {}})).into_response()
}
