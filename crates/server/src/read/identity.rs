//! The user of an ID, and the feed of changes.

use axum::Json;
use idmerge_project::{Identity, MemberCursor, MembersQuery};
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
    /// `next` of the previous page. The first page by default.
    after: Option<String>,
    /// How many IDs of the user, from 1 to 1,000. 100 by default.
    limit: Option<usize>,
}

/// The user of an ID, as known now, with a page of the IDs of the user.
#[derive(Serialize, ToSchema)]
pub(crate) struct IdentityResponse {
    /// The canonical ID of the user. Events of the user count under it.
    distinct_id: String,
    /// The ID of the query, in its normalized form.
    asked: String,
    /// IDs of the user. Each one is on one page, the canonical ID too.
    members: Vec<String>,
    /// The value of `after` for the next page. `null` on the last page.
    next: Option<String>,
    /// If the ID is in no cluster: the ID that differs from it only by the prefix `$device:`, and is in
    /// one.
    #[serde(skip_serializing_if = "Option::is_none")]
    did_you_mean: Option<String>,
    /// The claims that name one of these IDs, in arrival order. A claim that names two IDs of the user is
    /// on one page. Only with `explain=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Vec<LogEntry>>,
}

/// Find the user of an ID
///
/// An ID that occurs in no claim is a user of its own. The IDs of a user come in pages. With
/// `explain=true` a page has at most 2,000 claims. If an ID has more, the next page continues with its
/// claims, and does not list the ID again.
#[utoipa::path(
    get,
    path = "/v1/ids/{id}",
    params(("id" = String, Path, description = "Any ID, percent-encoded (a slash as %2F)"), IdentityParameters),
    responses(
        (status = 200, body = IdentityResponse),
        (status = 400, description = "`id` is not an ID, or `after` is not a cursor of its user", body = ApiError),
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
    let limit = page_rows(parameters.limit);
    let identity = reader
        .run_while(move |project, may_go_on| {
            let after = parameters.after.as_deref().map(str::parse::<MemberCursor>);
            let query = MembersQuery {
                after: after.transpose()?,
                limit,
                with_claims: is_explained,
            };
            project.identity_page_while(&id, &query, may_go_on)
        })
        .await?;
    let Identity {
        distinct_id,
        canonical,
        members,
        claims,
        next,
        did_you_mean,
    } = identity;
    Ok(Json(IdentityResponse {
        distinct_id: canonical,
        asked: distinct_id,
        members,
        next: next.map(|cursor| cursor.to_string()),
        did_you_mean,
        explanation: is_explained.then_some(claims),
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
    /// The value of `since` for the next request. If there are no more changes, it is the end of the log.
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
    let found = reader
        .run_while(move |project, may_go_on| {
            let last = project.sequence()?;
            if since > last {
                return Ok(Err(last));
            }
            Ok(Ok(project.changes_page_while(since, limit, may_go_on)?))
        })
        .await?;
    let (changes, next) = found.map_err(|last| {
        ApiError::bad_request(format!(
            "since is beyond the end of the log, which is {last}; use next of a response"
        ))
    })?;
    Ok(Json(ChangesResponse { changes, next }))
}
