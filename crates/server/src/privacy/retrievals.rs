//! `/api/app/data-retrievals/v3.0`: what is stored about people.
//!
//! No archive is kept: it is made while it is downloaded, so it is as new as can be, and nothing of a person is in a
//! second place where an erasure would have to look.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use idmerge_project::{PrivacyTask, TaskKind, TaskStatus};
use serde::Deserialize;
use subtle::ConstantTimeEq;

use super::answers::{Answer, TaskAnswer, TaskCreated};
use super::request::{PrivacyRequest, Requester, unguessable};
use crate::app::App;
use crate::clock::now_ms;
use crate::http::api_error::ApiError;
use crate::http::body::ReadBody;
use crate::read::archive::{self, Archive};
use crate::read::query::{Parameters, Reader};

/// How long the link to an archive can be used.
const LINK_MS: i64 = 7 * 24 * 3_600_000;
/// An archive for the CCPA has the events of this time.
const CCPA_MS: i64 = 365 * 24 * 3_600_000;

/// Request what is stored about people
///
/// The status is `SUCCESS` at once. `results` of the status is the link to the archive, which is made while it is
/// downloaded.
#[utoipa::path(
    post,
    path = "/api/app/data-retrievals/v3.0",
    params(("token" = Option<String>, Query, description = "The token of the project")),
    request_body = PrivacyRequest,
    responses(
        (status = 201, description = "The ID of the task", body = Answer<TaskCreated>),
        (status = 400, description = "The body is wrong, or an ID is none", body = ApiError),
        (status = 401, description = "The credential is missing or wrong", body = ApiError),
        (status = 403, description = "The credential is that of another project than `token`", body = ApiError),
        (status = 415, description = "The credential is Basic, and the body is not declared as JSON", body = ApiError),
        (status = 429, description = "As many tasks as may wait; try again after Retry-After", body = ApiError),
    ),
)]
pub(crate) async fn create(
    requester: Requester,
    headers: HeaderMap,
    body: ReadBody,
) -> Result<(StatusCode, Json<Answer<TaskCreated>>), ApiError> {
    let task = requester.task(TaskKind::Retrieval, &headers, &body.bytes)?;
    let task = PrivacyTask {
        status: TaskStatus::Success,
        key: Some(unguessable()?),
        ..task
    };
    requester.add(task).await
}

/// Ask for the link to the archive of a retrieval
#[utoipa::path(
    get,
    path = "/api/app/data-retrievals/v3.0/{tracking_id}",
    params(
        ("tracking_id" = String, Path, description = "The ID of the task"),
        ("token" = Option<String>, Query, description = "The token of the project"),
    ),
    responses(
        (status = 200, description = "The task; its status is `NOT_FOUND` if there is none", body = Answer<TaskAnswer>),
        (status = 401, description = "The credential is missing or wrong", body = ApiError),
        (status = 403, description = "The credential is that of another project than `token`", body = ApiError),
    ),
)]
pub(crate) async fn status(
    requester: Requester,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Json<Answer<TaskAnswer>> {
    Answer::of(match requester.find(&id, TaskKind::Retrieval) {
        Some(task) => {
            let link = task.key.as_ref().filter(|_| is_current(&task));
            let link = link.map(|key| link_to(&headers, &task.id, key));
            requester.answer(task, link.unwrap_or_default())
        }
        None => requester.not_found(id),
    })
}

/// Cancel a retrieval: its link cannot be used any more
#[utoipa::path(
    delete,
    path = "/api/app/data-retrievals/v3.0/{tracking_id}",
    params(
        ("tracking_id" = String, Path, description = "The ID of the task"),
        ("token" = Option<String>, Query, description = "The token of the project"),
    ),
    responses(
        (status = 204, description = "It is cancelled"),
        (status = 401, description = "The credential is missing or wrong", body = ApiError),
        (status = 403, description = "The credential is that of another project than `token`", body = ApiError),
        (status = 404, description = "There is no such retrieval", body = ApiError),
    ),
)]
pub(crate) async fn cancel(
    requester: Requester,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    requester.cancel(id, TaskKind::Retrieval).await
}

/// The last part of a link.
#[derive(Deserialize)]
pub(crate) struct ArchiveParameters {
    key: String,
}

/// Download the archive of a retrieval
///
/// The link is the credential: it can be used for seven days, without any other one.
#[utoipa::path(
    get,
    path = "/api/app/data-retrievals/v3.0/{tracking_id}/archive",
    params(
        ("tracking_id" = String, Path, description = "The ID of the task"),
        ("key" = String, Query, description = "As in the link"),
    ),
    responses(
        (status = 200, description = "For each person the events, newest first, each as in `/api/2.0/export`, and the profile, as in `/api/query/engage`: one JSON object per line", content_type = "application/x-ndjson", body = String),
        (status = 400, description = "`key` is missing", body = ApiError),
        (status = 404, description = "The link is wrong, too old, or cancelled, or the people are erased", body = ApiError),
        (status = 429, description = "Too many queries are running or too many exports are open; try again after Retry-After", body = ApiError),
    ),
    security(()),
)]
pub(crate) async fn archive(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Parameters(given): Parameters<ArchiveParameters>,
) -> Result<Response, ApiError> {
    let found = app.projects.iter().enumerate().find_map(|(index, open)| {
        let task = open.project.privacy_task(&id)?;
        let is_right = task.key.as_ref().is_some_and(|key| {
            let is_equal: bool = key.as_bytes().ct_eq(given.key.as_bytes()).into();
            is_equal
        });
        (is_right && is_current(&task)).then_some((index, task))
    });
    let Some((index, task)) = found else {
        let error = "there is no archive at this link: it is wrong, older than seven days, or cancelled, or the people \
                     are erased; request a new one";
        return Err(ApiError::new(StatusCode::NOT_FOUND, error));
    };
    app.projects[index].project.check()?;
    let from_ms = match &*task.compliance_type {
        "CCPA" => task.requested_ms - CCPA_MS,
        _ => i64::MIN,
    };
    let reader = Reader::of(&app, index);
    archive::respond(reader, &task.id, Archive::new(task.distinct_ids, from_ms))
}

fn is_current(task: &PrivacyTask) -> bool {
    now_ms() - task.requested_ms < LINK_MS
}

/// The link to an archive, at the address that the client has used.
fn link_to(headers: &HeaderMap, id: &str, key: &str) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = text("x-forwarded-proto").filter(|scheme| *scheme == "https");
    let scheme = scheme.unwrap_or("http");
    let host = text(header::HOST.as_str()).unwrap_or_default();
    format!("{scheme}://{host}/api/app/data-retrievals/v3.0/{id}/archive?key={key}")
}
