//! Finds users and names of events by reading what is stored, for a bounded time.

use std::time::{Duration, Instant};

use axum::Json;
use axum::response::Response;
use idmerge_project::SearchQuery;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::people::{USERS_BYTES, User};
use super::query::{Parameters, Reader};
use super::users::respond;
use crate::http::api_error::ApiError;

/// How many users a search returns if the request does not say it, and the most.
const FOUND: (usize, usize) = (20, 100);

/// A search ends after this time, with what it has found.
const SEARCH_TIME: Duration = Duration::from_secs(2);

/// The most bytes of what is searched for.
const MAX_SEARCHED_BYTES: usize = 1_024;

/// The memory of the names of events while they are counted.
const NAMES_BYTES: usize = 8 << 20;

/// What to search for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SearchParameters {
    /// A part of an ID, a name or an e-mail address.
    q: String,
    /// How many users, from 1 to 100. 20 by default.
    limit: Option<usize>,
}

/// The users that were found.
#[derive(Serialize, ToSchema)]
pub(crate) struct SearchResponse {
    /// Those that have the text: first the user with this very ID, then those where something begins with it.
    users: Vec<FoundUser>,
    /// If there are none: at most 3 that have something like it, the nearest first.
    nearest: Vec<FoundUser>,
    /// Whether everything was searched, or `limit` users were found. If not, the time was over before.
    is_complete: bool,
}

/// A user that was found.
#[derive(Serialize, ToSchema)]
struct FoundUser {
    #[serde(flatten)]
    user: User,
    /// Where the text was found.
    matched: Match,
}

/// Where a text was found.
#[derive(Serialize, ToSchema)]
struct Match {
    /// `id`, `name` or `email`.
    field: &'static str,
    /// The ID, name or e-mail address.
    text: String,
}

impl From<idmerge_project::FoundUser> for FoundUser {
    fn from(found: idmerge_project::FoundUser) -> Self {
        Self {
            user: found.user.into(),
            matched: Match {
                field: found.field.name(),
                text: found.text,
            },
        }
    }
}

/// Search for users by a part of an ID, a name or an e-mail address
///
/// The case, spaces around the text and the prefix `$device:` do not matter. A search ends after two seconds. If
/// nothing is found, `nearest` has what differs in a few places: half of the text, and at least two.
#[utoipa::path(
    get,
    path = "/v1/search",
    params(SearchParameters),
    responses(
        (status = 200, body = SearchResponse),
        (status = 400, description = "`q` is missing, empty or too long", body = ApiError),
        (status = 401, description = "The credential is missing or wrong", body = ApiError),
        (status = 429, description = "Too many queries are running; try again after Retry-After", body = ApiError),
    ),
)]
pub(crate) async fn search(
    reader: Reader,
    Parameters(parameters): Parameters<SearchParameters>,
) -> Result<Response, ApiError> {
    let SearchParameters { q: text, limit } = parameters;
    if text.trim().is_empty() {
        return Err(ApiError::bad_request(
            "q is empty; it is a part of an ID, a name or an e-mail address",
        ));
    }
    if text.len() > MAX_SEARCHED_BYTES {
        return Err(ApiError::bad_request(format!(
            "q has more than {MAX_SEARCHED_BYTES} bytes; shorten it, or ask for /v1/users/{{id}}"
        )));
    }
    let limit = limit.unwrap_or(FOUND.0).clamp(1, FOUND.1);
    let turn = reader.search().await?;
    let share = reader.answer_memory().reserve(USERS_BYTES).await?;
    let result = reader
        .run_while(move |project, may_go_on| {
            let _turn = turn;
            let end = Instant::now() + SEARCH_TIME;
            let query = SearchQuery { text, limit };
            project.search_while(&query, &|| Instant::now() < end, may_go_on)
        })
        .await?;
    let found =
        |users: Vec<idmerge_project::FoundUser>| users.into_iter().map(FoundUser::from).collect();
    let response = SearchResponse {
        users: found(result.users),
        nearest: found(result.nearest),
        is_complete: result.is_complete,
    };
    respond(reader, share, response)
}

/// The names of the newest events.
#[derive(Serialize, ToSchema)]
pub(crate) struct EventNamesResponse {
    /// The names, those of most events first.
    names: Vec<EventName>,
    /// How many events were counted: all, or the newest 100,000.
    of_events: u64,
}

/// A name of events.
#[derive(Serialize, ToSchema)]
struct EventName {
    /// The name.
    event: String,
    /// How many of the counted events have it.
    events: u64,
}

/// List the names of the newest events
///
/// Of the newest 100,000 events, the 1,000 names that most of them have. Names of more than 255 bytes are left out.
#[utoipa::path(
    get,
    path = "/v1/event-names",
    responses(
        (status = 200, body = EventNamesResponse),
        (status = 401, description = "The credential is missing or wrong", body = ApiError),
        (status = 429, description = "Too many queries are running; try again after Retry-After", body = ApiError),
    ),
)]
pub(crate) async fn event_names(reader: Reader) -> Result<Json<EventNamesResponse>, ApiError> {
    let _share = reader.answer_memory().reserve(NAMES_BYTES).await?;
    let found = reader
        .run_while(|project, may_go_on| project.event_names_while(&*may_go_on))
        .await?;
    let names = found.names.into_iter();
    let names = names.map(|(event, events)| EventName { event, events });
    Ok(Json(EventNamesResponse {
        names: names.collect(),
        of_events: found.of_events,
    }))
}
