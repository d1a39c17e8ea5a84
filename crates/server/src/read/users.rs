//! What a user did, and what is known of them.

use axum::Json;
use axum::http::StatusCode;
use idmerge_project::{Cursor, Timeline};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::query::{IdInPath, Parameters, Reader, page_rows};
use crate::http::api_error::ApiError;

/// Which page of a user's events is wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FeedParameters {
    /// The `next` of the page before.
    after: Option<String>,
    /// How many events: 1 to 1,000; 100 where it is not said.
    limit: Option<usize>,
}

/// Events of a user, whichever of their IDs they came with, the newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct FeedAnswer {
    /// The events.
    events: Vec<FeedEventAnswer>,
    /// What to ask for the next page with; `null` on the last.
    next: Option<String>,
}

/// An event of a user.
#[derive(Serialize, ToSchema)]
pub(crate) struct FeedEventAnswer {
    /// When it happened, in milliseconds since 1970.
    time_ms: i64,
    /// When it came in.
    received_ms: i64,
    /// Where it came in.
    source: String,
    /// The distinct_id that it came with.
    distinct_id: String,
    /// Whether it counts under another one since.
    is_reattributed: bool,
    /// The event, as it is to be read now.
    #[schema(value_type = Object)]
    event: Box<RawValue>,
}

fn feed_answer(feed: Timeline) -> Result<FeedAnswer, serde_json::Error> {
    let events = feed.events.into_iter().map(|event| {
        Ok(FeedEventAnswer {
            time_ms: event.time_ms,
            received_ms: event.received_ms,
            source: event.source,
            distinct_id: event.distinct_id,
            is_reattributed: event.is_reattributed,
            event: RawValue::from_string(event.json)?,
        })
    });
    Ok(FeedAnswer {
        events: events.collect::<Result<_, _>>()?,
        next: feed.next.map(|cursor| cursor.to_string()),
    })
}

/// Text that is kept and is not JSON was changed by somebody else.
fn damaged(error: serde_json::Error) -> ApiError {
    tracing::error!(%error, "what is kept is not JSON");
    let code = StatusCode::INTERNAL_SERVER_ERROR;
    ApiError::new(code, "what is kept is damaged; restore a backup")
}

/// What a user did, whichever of their IDs it came with
#[utoipa::path(
    get,
    path = "/v1/users/{id}/events",
    params(("id" = String, Path, description = "Any ID of the user, with %2F for a slash"), FeedParameters),
    responses(
        (status = 200, body = FeedAnswer),
        (status = 400, description = "The text is no ID, or the cursor none", body = ApiError),
        (status = 401, description = "No credential, or a wrong one", body = ApiError),
        (status = 429, description = "Too many questions at a time", body = ApiError),
    ),
)]
pub(crate) async fn events(
    reader: Reader,
    IdInPath(id): IdInPath,
    Parameters(parameters): Parameters<FeedParameters>,
) -> Result<Json<FeedAnswer>, ApiError> {
    let limit = page_rows(parameters.limit);
    let feed = reader
        .run(move |project| {
            let after = parameters.after.as_deref().map(str::parse::<Cursor>);
            project.user_events(&id, after.transpose()?, limit)
        })
        .await?;
    feed_answer(feed).map(Json).map_err(damaged)
}

/// What is known of a user.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProfileAnswer {
    /// The canonical ID that it is kept under.
    distinct_id: String,
    /// What is known.
    #[schema(value_type = Object)]
    properties: Box<RawValue>,
}

/// What is known of a user
#[utoipa::path(
    get,
    path = "/v1/users/{id}/profile",
    params(("id" = String, Path, description = "Any ID of the user, with %2F for a slash")),
    responses(
        (status = 200, body = ProfileAnswer),
        (status = 400, description = "The text is no ID", body = ApiError),
        (status = 401, description = "No credential, or a wrong one", body = ApiError),
        (status = 404, description = "The user has no profile", body = ApiError),
        (status = 429, description = "Too many questions at a time", body = ApiError),
    ),
)]
pub(crate) async fn profile(
    reader: Reader,
    IdInPath(id): IdInPath,
) -> Result<Json<ProfileAnswer>, ApiError> {
    let found = reader.run(move |project| project.profile(&id)).await?;
    let Some(profile) = found else {
        return Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "the user has no profile",
        ));
    };
    Ok(Json(ProfileAnswer {
        distinct_id: profile.distinct_id,
        properties: RawValue::from_string(profile.json).map_err(damaged)?,
    }))
}
