//! The settings that the SDKs of Segment and RudderStack ask for before they send anything.
//!
//! Neither has an address in it: the page says where its events go, and the server does not know by which
//! address it is reached.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use idmerge_wire::Credentials;
use serde_json::json;

use super::unknown_tokens::RequestOrigin;
use crate::app::App;

/// The settings of a source for analytics.js of Segment: one destination, which is this server.
pub(crate) async fn segment(
    State(app): State<Arc<App>>,
    Path(write_key): Path<String>,
) -> Response {
    if app.index_by_token(&write_key).is_none() {
        return unknown(&app, &write_key);
    }
    let enabled = json!({"__default": {"enabled": true, "integrations": {}}});
    Json(json!({
        "integrations": {
            "Segment.io": {"apiKey": write_key, "versionSettings": {"componentTypes": []}},
        },
        "plan": {"track": enabled, "identify": enabled, "group": enabled},
        "edgeFunction": {},
        "analyticsNextEnabled": true,
        "middlewareSettings": {},
        "enabledMiddleware": {},
        // The SDK does not report its own errors and times.
        "metrics": {"sampleRate": 0},
        "legacyVideoPluginsEnabled": false,
        "remotePlugins": [],
    }))
    .into_response()
}

/// The configuration of a source for the SDKs of RudderStack: no destination besides this server.
pub(crate) async fn rudderstack(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let in_header = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| match Credentials::read(value) {
            Credentials::Basic { user, .. } => Some(user),
            _ => None,
        });
    let query = query.unwrap_or_default();
    let in_query = || {
        form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == "writeKey")
            .map(|(_, key)| key.into_owned())
    };
    let write_key = in_header.or_else(in_query).unwrap_or_default();
    if app.index_by_token(&write_key).is_none() {
        return unknown(&app, &write_key);
    }
    Json(json!({
        "source": {
            "id": write_key,
            "name": write_key,
            "writeKey": write_key,
            "enabled": true,
            "workspaceId": "idmerge",
            "config": {
                "statsCollection": {"errors": {"enabled": false}, "metrics": {"enabled": false}},
            },
            "connections": [],
            "destinations": [],
            "dataplanes": {},
        },
        "updatedAt": "1970-01-01T00:00:00.000Z",
    }))
    .into_response()
}

fn unknown(app: &App, write_key: &str) -> Response {
    if !write_key.is_empty() {
        app.unknown_tokens
            .count(write_key, RequestOrigin::default());
    }
    let error = "no project of this server has this write key; it is the token of a project";
    let body = json!({"success": false, "code": "not_found", "message": error});
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}
