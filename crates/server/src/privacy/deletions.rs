//! `/api/app/data-deletions/v3.0`: erasing people.

use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use idmerge_project::TaskKind;

use super::answers::{Answer, TaskAnswer, TaskCreated};
use super::request::{PrivacyRequest, Requester};
use crate::http::api_error::ApiError;
use crate::http::body::ReadBody;

/// The most deletions of a list.
const LISTED_MAX: usize = 1_000;

/// Request that people are erased
///
/// Everything about them is erased: events, profiles and claims, of the whole cluster of each ID. The deletion is
/// durable when this answers, and can be cancelled until it is started, which is a minute later by default. While it is
/// carried out the project answers what is sent with status 503 and Retry-After, and for a moment at the end also
/// queries.
#[utoipa::path(
    post,
    path = "/api/app/data-deletions/v3.0",
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
    let task = requester.task(TaskKind::Deletion, &headers, &body.bytes)?;
    requester.add(task).await
}

/// List the newest 1,000 deletions of the last 90 days, the oldest first
///
/// Without their IDs and receipts, which the status of each has.
#[utoipa::path(
    get,
    path = "/api/app/data-deletions/v3.0",
    params(("token" = Option<String>, Query, description = "The token of the project")),
    responses(
        (status = 200, body = Answer<Vec<TaskAnswer>>),
        (status = 401, description = "The credential is missing or wrong", body = ApiError),
        (status = 403, description = "The credential is that of another project than `token`", body = ApiError),
        (status = 429, description = "Too many queries are running; try again after Retry-After", body = ApiError),
    ),
)]
pub(crate) async fn list(requester: Requester) -> Result<Json<Answer<Vec<TaskAnswer>>>, ApiError> {
    let tasks = requester.reader.run(|project| Ok(project.privacy_tasks()));
    let mut deletions = tasks.await?;
    deletions.retain(|task| task.kind == TaskKind::Deletion);
    let newest = deletions.split_off(deletions.len().saturating_sub(LISTED_MAX));
    let answers = newest.into_iter().map(|mut task| {
        task.distinct_ids = Vec::new();
        task.receipt = None;
        requester.answer(task, String::new())
    });
    Ok(Answer::of(answers.collect()))
}

/// Ask how far a deletion is
#[utoipa::path(
    get,
    path = "/api/app/data-deletions/v3.0/{tracking_id}",
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
) -> Json<Answer<TaskAnswer>> {
    Answer::of(match requester.find(&id, TaskKind::Deletion) {
        Some(task) => requester.answer(task, String::new()),
        None => requester.not_found(id),
    })
}

/// Cancel a deletion
#[utoipa::path(
    delete,
    path = "/api/app/data-deletions/v3.0/{tracking_id}",
    params(
        ("tracking_id" = String, Path, description = "The ID of the task"),
        ("token" = Option<String>, Query, description = "The token of the project"),
    ),
    responses(
        (status = 204, description = "It is cancelled"),
        (status = 401, description = "The credential is missing or wrong", body = ApiError),
        (status = 403, description = "The credential is that of another project than `token`", body = ApiError),
        (status = 404, description = "There is no such deletion", body = ApiError),
        (status = 405, description = "It is started or done", body = ApiError),
    ),
)]
pub(crate) async fn cancel(
    requester: Requester,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    requester.cancel(id, TaskKind::Deletion).await
}
