//! The events and the profile of a user.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use idmerge_project::{
    Cursor, EventFilter, MemberCursor, MembersQuery, Project, ProjectError, StoredProfile, Timeline,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::chunks::{CHUNK_BYTES, Chunks, Sent, Source, stream};
use super::query::{IdInPath, Parameters, Reader, page_rows};
use crate::http::answer_memory::AnswerShare;
use crate::http::api_error::ApiError;

/// The page of events to return.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsParameters {
    /// `next` of the previous page. The first page by default.
    after: Option<String>,
    /// How many events, from 1 to 1,000. 100 by default.
    limit: Option<usize>,
    /// Only events with this name.
    event: Option<String>,
    /// Only events that were sent with this distinct_id.
    distinct_id: Option<String>,
}

/// A page of the events of a user, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct EventsResponse {
    /// The events.
    events: Vec<UserEvent>,
    /// The value of `after` for the next page. `null` on the last page.
    next: Option<String>,
    /// If the user has no events: the ID that differs from the given one only by the prefix
    /// `$device:`, and is in a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    did_you_mean: Option<String>,
}

/// An event of a user.
#[derive(Serialize, ToSchema)]
pub(crate) struct UserEvent {
    /// The time of the event, in milliseconds since 1970.
    time_ms: i64,
    /// When the server received it, in milliseconds since 1970.
    received_ms: i64,
    /// The endpoint that received it, such as `/track`.
    source: String,
    /// The distinct_id that it was recorded under.
    distinct_id: String,
    /// Whether it now belongs to another distinct_id.
    is_reattributed: bool,
    /// The event, with its current canonical distinct_id.
    #[schema(value_type = Object)]
    event: Box<RawValue>,
}

fn events_response(
    timeline: Timeline,
    did_you_mean: Option<String>,
) -> Result<EventsResponse, serde_json::Error> {
    let events = timeline.events.into_iter().map(|event| {
        Ok(UserEvent {
            time_ms: event.time_ms,
            received_ms: event.received_ms,
            source: event.source,
            distinct_id: event.distinct_id,
            is_reattributed: event.is_reattributed,
            event: RawValue::from_string(event.json)?,
        })
    });
    Ok(EventsResponse {
        events: events.collect::<Result<_, _>>()?,
        next: timeline.next.map(|cursor| cursor.to_string()),
        did_you_mean,
    })
}

/// The memory of a page of events: of the page, which has at most 2 MiB, of its JSON, and of an event that is
/// read.
const PAGE_BYTES: usize = 8 << 20;

/// The memory of a profile and its copies.
const PROFILE_BYTES: usize = 12 << 20;

/// Only valid JSON is stored, so anything else means that the database was damaged.
fn damaged(error: serde_json::Error) -> ApiError {
    tracing::error!(%error, "a stored event or profile is not JSON");
    let code = StatusCode::INTERNAL_SERVER_ERROR;
    ApiError::new(code, "the stored data is damaged; restore a backup")
}

/// List the events of a user, newest first
///
/// Includes the events that were recorded under any ID of the user. A page has at most 2 MiB of events,
/// so it can have fewer than `limit`; it has at least one. With `event` or `distinct_id` a page also ends after 200
/// blocks of events, so it can have none; `next` is `null` on the last page alone.
#[utoipa::path(
    get,
    path = "/v1/users/{id}/events",
    params(("id" = String, Path, description = "Any ID of the user, percent-encoded (a slash as %2F)"), EventsParameters),
    responses(
        (status = 200, body = EventsResponse),
        (status = 400, description = "`id` or `distinct_id` is not an ID, or `after` is not a cursor", body = ApiError),
        (status = 401, description = "The credential is missing or wrong", body = ApiError),
        (status = 429, description = "Too many queries are running; try again after Retry-After", body = ApiError),
    ),
)]
pub(crate) async fn events(
    reader: Reader,
    IdInPath(id): IdInPath,
    Parameters(parameters): Parameters<EventsParameters>,
) -> Result<Response, ApiError> {
    let limit = page_rows(parameters.limit);
    let share = reader.answer_memory().reserve(PAGE_BYTES).await?;
    let (timeline, did_you_mean) = reader
        .run_while(move |project, may_go_on| {
            let after = parameters.after.as_deref().map(str::parse::<Cursor>);
            let filter = EventFilter {
                name: parameters.event,
                distinct_id: parameters.distinct_id,
            };
            let after = after.transpose()?;
            let timeline = project.user_events_while(&id, &filter, after, limit, &*may_go_on)?;
            let did_you_mean = match timeline.events.is_empty() && timeline.next.is_none() {
                true => project.did_you_mean(&id)?,
                false => None,
            };
            Ok((timeline, did_you_mean))
        })
        .await?;
    let response = events_response(timeline, did_you_mean).map_err(damaged)?;
    respond(reader, share, response)
}

/// The response as JSON. A long one is sent as a stream, since there are not many of those at a time.
pub(super) fn respond(
    reader: Reader,
    share: AnswerShare,
    response: impl Serialize,
) -> Result<Response, ApiError> {
    let json = serde_json::to_vec(&response).map_err(damaged)?;
    drop(response);
    let body = if json.len() <= CHUNK_BYTES {
        Body::from(json)
    } else {
        let prepared = Prepared {
            json: json.into(),
            share: Some(share),
        };
        stream(reader, prepared)?
    };
    let content_type = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, content_type)], body).into_response())
}

/// A response that is in memory until its first bytes are sent. What the client has no room for then waits
/// on the disk.
struct Prepared {
    json: Bytes,
    share: Option<AnswerShare>,
}

impl Source for Prepared {
    fn send(&mut self, _: &Project, chunks: &mut Chunks) -> Result<Sent, ProjectError> {
        let sent = chunks.send(std::mem::take(&mut self.json));
        self.share = None;
        Ok(sent)
    }
}

/// The profile of a user.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProfileResponse {
    /// The canonical ID of the user.
    distinct_id: String,
    /// The properties of the profile.
    #[schema(value_type = Object)]
    properties: Box<RawValue>,
}

/// Get the profile of a user
#[utoipa::path(
    get,
    path = "/v1/users/{id}/profile",
    params(("id" = String, Path, description = "Any ID of the user, percent-encoded (a slash as %2F)")),
    responses(
        (status = 200, body = ProfileResponse),
        (status = 400, description = "`id` is not an ID", body = ApiError),
        (status = 401, description = "The credential is missing or wrong", body = ApiError),
        (status = 404, description = "The user has no profile", body = ApiError),
        (status = 429, description = "Too many queries are running; try again after Retry-After", body = ApiError),
    ),
)]
pub(crate) async fn profile(reader: Reader, IdInPath(id): IdInPath) -> Result<Response, ApiError> {
    let share = reader.answer_memory().reserve(PROFILE_BYTES).await?;
    let found = reader
        .run(move |project| match project.profile(&id)? {
            Some(profile) => Ok(Ok(profile)),
            None => Ok(Err(project.did_you_mean(&id)?)),
        })
        .await?;
    let profile = found.map_err(|did_you_mean| {
        let hint = did_you_mean.map(|id| format!("; did you mean {id}?"));
        let error = format!("the user has no profile{}", hint.unwrap_or_default());
        ApiError::new(StatusCode::NOT_FOUND, error)
    })?;
    let response = ProfileResponse::of(profile).map_err(damaged)?;
    respond(reader, share, response)
}

impl ProfileResponse {
    fn of(profile: StoredProfile) -> Result<Self, serde_json::Error> {
        Ok(Self {
            distinct_id: profile.distinct_id,
            properties: RawValue::from_string(profile.json)?,
        })
    }
}

/// The page of hidden profiles to return.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HiddenParameters {
    /// `next` of the previous page. The first page by default.
    after: Option<String>,
    /// How many IDs of the user to look at, from 1 to 1,000. 100 by default.
    limit: Option<usize>,
}

/// A page of the profiles of a user that are not shown.
#[derive(Serialize, ToSchema)]
pub(crate) struct HiddenProfilesResponse {
    /// The canonical ID of the user.
    distinct_id: String,
    /// The hidden profiles, each with the ID that it is stored under.
    hidden: Vec<ProfileResponse>,
    /// The value of `after` for the next page. `null` on the last page.
    next: Option<String>,
}

/// List the profiles that merges have hidden behind the profile of a user
///
/// They are those of P-3 and LP-2, and those that were set with `$ignore_alias`. Of the profile of a device that
/// Simplified drops at a log-in (P-2) nothing is stored. A page ends after `limit` IDs or 2 MiB of profiles, so it can
/// have none; `next` is `null` on the last page alone.
#[utoipa::path(
    get,
    path = "/v1/users/{id}/hidden-profiles",
    params(("id" = String, Path, description = "Any ID of the user, percent-encoded (a slash as %2F)"), HiddenParameters),
    responses(
        (status = 200, body = HiddenProfilesResponse),
        (status = 400, description = "`id` is not an ID, or `after` is not a cursor of its user", body = ApiError),
        (status = 401, description = "The credential is missing or wrong", body = ApiError),
        (status = 429, description = "Too many queries are running; try again after Retry-After", body = ApiError),
    ),
)]
pub(crate) async fn hidden_profiles(
    reader: Reader,
    IdInPath(id): IdInPath,
    Parameters(parameters): Parameters<HiddenParameters>,
) -> Result<Response, ApiError> {
    let share = reader.answer_memory().reserve(PROFILE_BYTES).await?;
    let found = reader
        .run(move |project| {
            let after = parameters.after.as_deref().map(str::parse::<MemberCursor>);
            let query = MembersQuery {
                after: after.transpose()?,
                limit: page_rows(parameters.limit),
                ..MembersQuery::default()
            };
            project.hidden_profiles(&id, &query)
        })
        .await?;
    let hidden = found.profiles.into_iter().map(ProfileResponse::of);
    let response = HiddenProfilesResponse {
        distinct_id: found.canonical,
        hidden: hidden.collect::<Result<_, _>>().map_err(damaged)?,
        next: found.next.map(|next| next.to_string()),
    };
    respond(reader, share, response)
}
