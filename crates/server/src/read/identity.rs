//! Whose an ID is, and what changed.

use axum::Json;
use idmerge_project::{Change, Explained, Identity};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::query::{IdInPath, Parameters, Reader, page_rows};
use crate::http::api_error::ApiError;

/// What else is to be said of an ID.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct IdentityParameters {
    /// Whether to say which claims made the cluster, and which were rejected.
    explain: Option<bool>,
}

/// Whose an ID is, now.
#[derive(Serialize, ToSchema)]
pub(crate) struct IdentityAnswer {
    /// The canonical ID: the one that its events are counted under.
    distinct_id: String,
    /// The ID that was asked about, as the rules read it.
    asked: String,
    /// All IDs of the user, that one among them.
    members: Vec<String>,
    /// The claims that name one of them, in the order they came; where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Vec<ClaimAnswer>>,
}

/// A claim, and what became of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ClaimAnswer {
    /// Its number in the log of claims.
    sequence: u64,
    /// `link`, `identify`, `alias`, `merge`, `replaced` or `retracted`.
    kind: &'static str,
    /// The IDs that it names.
    ids: Vec<String>,
    /// What it was answered with when it came.
    outcome: &'static str,
    /// What it is answered with now: `merged`, `already merged`, or the code of a rejection.
    answer: &'static str,
    /// What a rejection says besides.
    description: String,
    /// Whether it was withdrawn.
    is_withdrawn: bool,
    /// `$insert_id` of its event.
    insert_id: Option<String>,
    /// When its event happened, in milliseconds since 1970.
    time_ms: Option<i64>,
    /// Where its event came in.
    source: Option<String>,
}

impl From<Explained> for ClaimAnswer {
    fn from(explained: Explained) -> Self {
        let entry = explained.entry;
        Self {
            sequence: entry.sequence,
            kind: entry.kind,
            ids: entry.ids,
            outcome: entry.outcome,
            answer: explained.answer,
            description: explained.description,
            is_withdrawn: explained.is_withdrawn,
            insert_id: entry.insert_id,
            time_ms: entry.time_ms,
            source: entry.source,
        }
    }
}

/// Whose an ID is
#[utoipa::path(
    get,
    path = "/v1/ids/{id}",
    params(("id" = String, Path, description = "Any ID, with %2F for a slash"), IdentityParameters),
    responses(
        (status = 200, body = IdentityAnswer),
        (status = 400, description = "The text is no ID", body = ApiError),
        (status = 401, description = "No credential, or a wrong one", body = ApiError),
        (status = 429, description = "Too many questions at a time", body = ApiError),
    ),
)]
pub(crate) async fn identity(
    reader: Reader,
    IdInPath(id): IdInPath,
    Parameters(parameters): Parameters<IdentityParameters>,
) -> Result<Json<IdentityAnswer>, ApiError> {
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
    } = identity;
    Ok(Json(IdentityAnswer {
        distinct_id: canonical,
        asked: distinct_id,
        members,
        explanation: explanation.map(|claims| claims.into_iter().map(Into::into).collect()),
    }))
}

/// From where on changes are wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ChangesParameters {
    /// The `next` of the answer before; 0 for all.
    since: Option<u64>,
    /// How many at least, where there are as many: 1 to 1,000; 100 where it is not said.
    limit: Option<usize>,
}

/// IDs that are somebody else's since.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChangesAnswer {
    /// The changes, in the order they came.
    changes: Vec<ChangeAnswer>,
    /// What to ask with next.
    next: u64,
}

/// An ID that resolves to another one.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChangeAnswer {
    /// The number of the claim that changed it.
    sequence: u64,
    /// The ID.
    id: String,
    /// What it resolved to before.
    from: String,
    /// What it resolves to since.
    to: String,
    /// `$insert_id` of the event that made the claim.
    insert_id: Option<String>,
    /// When that event happened, in milliseconds since 1970.
    time_ms: Option<i64>,
    /// Where it came in.
    source: Option<String>,
}

impl From<Change> for ChangeAnswer {
    fn from(change: Change) -> Self {
        Self {
            sequence: change.sequence,
            id: change.id,
            from: change.from,
            to: change.to,
            insert_id: change.insert_id,
            time_ms: change.time_ms,
            source: change.source,
        }
    }
}

/// Which IDs are somebody else's since
#[utoipa::path(
    get,
    path = "/v1/changes",
    params(ChangesParameters),
    responses(
        (status = 200, body = ChangesAnswer),
        (status = 400, description = "The log is not as long as that", body = ApiError),
        (status = 401, description = "No credential, or a wrong one", body = ApiError),
        (status = 429, description = "Too many questions at a time", body = ApiError),
    ),
)]
pub(crate) async fn changes(
    reader: Reader,
    Parameters(parameters): Parameters<ChangesParameters>,
) -> Result<Json<ChangesAnswer>, ApiError> {
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
        let error = format!("the log of claims ends at {last}; ask with the next of an answer");
        return Err(ApiError::bad_request(error));
    };
    let next = changes.last().map_or(since, |change| change.sequence);
    Ok(Json(ChangesAnswer {
        changes: changes.into_iter().map(Into::into).collect(),
        next,
    }))
}
