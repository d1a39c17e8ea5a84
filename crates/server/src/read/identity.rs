//! The user of an ID, and the feed of changes.

use axum::Json;
use idmerge_project::Identity;
use idmerge_store::{Change, LogEntry};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::query::{IdInPath, Parameters, Reader, page_rows};
use crate::http::api_error::ApiError;

/// The details to return besides the user.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct IdentityParameters {
    /// Whether to return the claims that formed the cluster, and those that were rejected.
    explain: Option<bool>,
}

/// The user of an ID, as known now.
#[derive(Serialize, ToSchema)]
pub(crate) struct IdentityResponse {
    /// The canonical ID of the user. Events of the user count under it.
    distinct_id: String,
    /// The ID of the query, in its normalized form.
    asked: String,
    /// All IDs of the user, the canonical one included.
    members: Vec<String>,
    /// If the ID is in no cluster: the ID that differs from it only by the prefix `$device:`, and is in
    /// one.
    #[serde(skip_serializing_if = "Option::is_none")]
    did_you_mean: Option<String>,
    /// The claims that name one of these IDs, in arrival order. Only with `explain=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Vec<LogEntry>>,
}

/// Find the user of an ID
///
/// An ID that occurs in no claim is a user of its own.
#[utoipa::path(
    get,
    path = "/v1/ids/{id}",
    params(("id" = String, Path, description = "Any ID, percent-encoded (a slash as %2F)"), IdentityParameters),
    responses(
        (status = 200, body = IdentityResponse),
        (status = 400, description = "`id` is not an ID", body = ApiError),
        (status = 401, description = "The credential is missing or wrong", body = ApiError),
        (status = 429, description = "Too many queries are running; try again after Retry-After", body = ApiError),
    ),
)]
pub(crate) async fn identity(
    reader: Reader,
    IdInPath(id): IdInPath,
    Parameters(parameters): Parameters<IdentityParameters>,
) -> Result<Json<IdentityResponse>, ApiError> {
    let is_explained = parameters.explain == Some(true);
    let (identity, explanation) = reader
        .run(move |project| {
            let identity = project.identity(&id)?;
            let explanation = is_explained.then(|| project.explain(&id)).transpose()?;
            Ok((identity, explanation))
        })
        .await?;
    let Identity {
        distinct_id,
        canonical,
        members,
        did_you_mean,
    } = identity;
    Ok(Json(IdentityResponse {
        distinct_id: canonical,
        asked: distinct_id,
        members,
        did_you_mean,
        explanation,
    }))
}

/// The changes to return.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ChangesParameters {
    /// `next` of the previous response. 0, the default, starts at the first change.
    since: Option<u64>,
    /// How many changes to return at least, if there are that many, from 1 to 1,000. 100 by default.
    /// All changes of one claim are returned together, so there can be more.
    limit: Option<usize>,
}

/// A part of the feed of changes.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChangesResponse {
    /// The changes, in order.
    changes: Vec<Change>,
    /// The value of `since` for the next request.
    next: u64,
}

/// List the IDs that resolve differently since a position of the log
///
/// Poll this to update data that was exported under an earlier canonical ID.
#[utoipa::path(
    get,
    path = "/v1/changes",
    params(ChangesParameters),
    responses(
        (status = 200, body = ChangesResponse),
        (status = 400, description = "`since` is beyond the end of the log", body = ApiError),
        (status = 401, description = "The credential is missing or wrong", body = ApiError),
        (status = 429, description = "Too many queries are running; try again after Retry-After", body = ApiError),
    ),
)]
pub(crate) async fn changes(
    reader: Reader,
    Parameters(parameters): Parameters<ChangesParameters>,
) -> Result<Json<ChangesResponse>, ApiError> {
    let since = parameters.since.unwrap_or(0);
    let limit = page_rows(parameters.limit);
    let (changes, last) = reader
        .run(move |project| {
            let last = project.figures().sequence;
            if since > last {
                return Ok((None, last));
            }
            Ok((Some(project.changes(since, limit)?), last))
        })
        .await?;
    let Some(changes) = changes else {
        let error =
            format!("since is beyond the end of the log, which is {last}; use next of a response");
        return Err(ApiError::bad_request(error));
    };
    let next = changes.last().map_or(since, |change| change.sequence);
    Ok(Json(ChangesResponse { changes, next }))
}
