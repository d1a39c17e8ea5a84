//! The users of a project as a person looks at them: lists, names, devices and figures.

use axum::http::StatusCode;
use axum::response::Response;
use idmerge_project::{MemberCursor, MembersQuery, UsersCursor, UsersQuery};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::query::{IdInPath, Parameters, Reader, page_rows};
use super::users::respond;
use crate::http::api_error::ApiError;

/// How many users a page has if the request does not say it, and the most.
const USERS: (usize, usize) = (50, 200);

/// The memory of a page of users or IDs. Each has at most nine IDs, and some short texts.
pub(super) const USERS_BYTES: usize = 4 << 20;

/// A user.
#[derive(Serialize, ToSchema)]
pub(super) struct User {
    /// The canonical ID.
    distinct_id: String,
    /// `$name` of the profile, or `$first_name` and `$last_name`.
    name: Option<String>,
    /// `$email` of the profile.
    email: Option<String>,
    /// `false` if the user is a device on which nobody has logged in.
    has_user_id: bool,
    /// How many IDs the user has.
    ids: usize,
    /// How many events are stored under all IDs of the user. `null` for a user with 10,000 IDs or more.
    events: Option<u64>,
    /// The time of the event that arrived first, in milliseconds since 1970. `null` if there is none, and for
    /// a user with 10,000 IDs or more.
    first_seen_ms: Option<i64>,
    /// The time of the event that arrived last; `null` if there is none.
    last_seen_ms: Option<i64>,
    /// `$city` and `mp_country_code` of that event, or `$city` and `$country_code` of the profile.
    place: Option<String>,
    /// The devices with the most events of their own, at most 8.
    devices: Vec<Device>,
}

/// A device of a user.
#[derive(Serialize, ToSchema)]
pub(super) struct Device {
    /// Its ID.
    distinct_id: String,
    /// What it is, by its last event: such as `Safari on iPhone`.
    label: String,
    /// `phone`, `tablet`, `laptop`, `server` or `unknown`.
    kind: &'static str,
}

impl From<idmerge_project::Device> for Device {
    fn from(device: idmerge_project::Device) -> Self {
        Self {
            distinct_id: device.distinct_id,
            label: device.label,
            kind: device.kind.name(),
        }
    }
}

impl From<idmerge_project::User> for User {
    fn from(user: idmerge_project::User) -> Self {
        Self {
            distinct_id: user.distinct_id,
            name: user.name,
            email: user.email,
            has_user_id: user.has_user_id,
            ids: user.ids,
            events: user.events,
            first_seen_ms: user.first_seen_ms,
            last_seen_ms: user.last_seen_ms,
            place: user.place,
            devices: user.devices.into_iter().map(Device::from).collect(),
        }
    }
}

/// The page of users to return.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct UsersParameters {
    /// `next` of the previous page. The first page by default.
    after: Option<String>,
    /// How many users, from 1 to 200. 50 by default.
    limit: Option<usize>,
}

/// A page of users, newest seen first.
#[derive(Serialize, ToSchema)]
pub(crate) struct UsersResponse {
    /// The users.
    users: Vec<User>,
    /// The value of `after` for the next page. `null` on the last page.
    next: Option<String>,
}

/// List the users, newest seen first
///
/// The order is that in which the last event of each user arrived. All pages see the events that the first
/// one saw. A page ends after some work, so it can have fewer users than `limit`, and none; `next` is `null` on the
/// last page alone. In Legacy, a user has the events that were attributed to it.
#[utoipa::path(
    get,
    path = "/v1/users",
    params(UsersParameters),
    responses(
        (status = 200, body = UsersResponse),
        (status = 400, description = "`after` is not a cursor", body = ApiError),
        (status = 401, description = "The credential is missing or wrong", body = ApiError),
        (status = 429, description = "Too many queries are running; try again after Retry-After", body = ApiError),
    ),
)]
pub(crate) async fn users(
    reader: Reader,
    Parameters(parameters): Parameters<UsersParameters>,
) -> Result<Response, ApiError> {
    let limit = parameters.limit.unwrap_or(USERS.0).clamp(1, USERS.1);
    let share = reader.answer_memory().reserve(USERS_BYTES).await?;
    let page = reader
        .run_while(move |project, may_go_on| {
            let after = parameters.after.as_deref().map(str::parse::<UsersCursor>);
            let after = after.transpose()?;
            project.users_while(&UsersQuery { after, limit }, may_go_on)
        })
        .await?;
    let response = UsersResponse {
        users: page.users.into_iter().map(User::from).collect(),
        next: page.next.map(|next| next.to_string()),
    };
    respond(reader, share, response)
}

/// Get a user
#[utoipa::path(
    get,
    path = "/v1/users/{id}",
    params(("id" = String, Path, description = "Any ID of the user, percent-encoded (a slash as %2F)")),
    responses(
        (status = 200, body = User),
        (status = 400, description = "`id` is not an ID", body = ApiError),
        (status = 401, description = "The credential is missing or wrong", body = ApiError),
        (status = 404, description = "Nothing is stored of the ID: no event, no other ID and no profile", body = ApiError),
        (status = 429, description = "Too many queries are running; try again after Retry-After", body = ApiError),
    ),
)]
pub(crate) async fn user(reader: Reader, IdInPath(id): IdInPath) -> Result<Response, ApiError> {
    let share = reader.answer_memory().reserve(USERS_BYTES).await?;
    let found = reader
        .run_while(
            move |project, may_go_on| match project.user_while(&id, may_go_on.clone())? {
                Some(user) => Ok(Ok(user)),
                None => Ok(Err(project.user_meant_while(&id, may_go_on)?)),
            },
        )
        .await?;
    let user = found.map_err(|did_you_mean| {
        let error = "nothing is stored of this ID: no event, no other ID and no profile";
        ApiError::new(StatusCode::NOT_FOUND, error).with_did_you_mean(did_you_mean)
    })?;
    respond(reader, share, User::from(user))
}

/// The page of IDs to return.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct UserIdsParameters {
    /// `next` of the previous page. The first page by default.
    after: Option<String>,
    /// How many IDs, from 1 to 1,000. 100 by default.
    limit: Option<usize>,
}

/// A page of the IDs of a user.
#[derive(Serialize, ToSchema)]
pub(crate) struct UserIdsResponse {
    /// The canonical ID.
    distinct_id: String,
    /// The IDs. Each one is on one page, the canonical ID too.
    ids: Vec<UserId>,
    /// The value of `after` for the next page. `null` on the last page.
    next: Option<String>,
}

/// An ID of a user.
#[derive(Serialize, ToSchema)]
struct UserId {
    /// The ID.
    distinct_id: String,
    /// How many events were sent under it; in Legacy, how many were attributed to it.
    events: u64,
    /// The time of the event that arrived first, in milliseconds since 1970; `null` if there is none.
    first_seen_ms: Option<i64>,
    /// The time of the event that arrived last.
    last_seen_ms: Option<i64>,
    /// The device, if the ID is that of one.
    device: Option<Device>,
}

impl From<idmerge_project::UserId> for UserId {
    fn from(id: idmerge_project::UserId) -> Self {
        Self {
            distinct_id: id.distinct_id,
            events: id.events,
            first_seen_ms: id.first_seen_ms,
            last_seen_ms: id.last_seen_ms,
            device: id.device.map(Device::from),
        }
    }
}

/// List the IDs of a user, each with the figures of its own events
#[utoipa::path(
    get,
    path = "/v1/users/{id}/ids",
    params(("id" = String, Path, description = "Any ID of the user, percent-encoded (a slash as %2F)"), UserIdsParameters),
    responses(
        (status = 200, body = UserIdsResponse),
        (status = 400, description = "`id` is not an ID, or `after` is not a cursor of its user", body = ApiError),
        (status = 401, description = "The credential is missing or wrong", body = ApiError),
        (status = 429, description = "Too many queries are running; try again after Retry-After", body = ApiError),
    ),
)]
pub(crate) async fn ids(
    reader: Reader,
    IdInPath(id): IdInPath,
    Parameters(parameters): Parameters<UserIdsParameters>,
) -> Result<Response, ApiError> {
    let limit = page_rows(parameters.limit);
    let share = reader.answer_memory().reserve(USERS_BYTES).await?;
    let page = reader
        .run_while(move |project, may_go_on| {
            let after = parameters.after.as_deref().map(str::parse::<MemberCursor>);
            let query = MembersQuery {
                after: after.transpose()?,
                limit,
                ..MembersQuery::default()
            };
            project.user_ids_while(&id, &query, may_go_on)
        })
        .await?;
    let response = UserIdsResponse {
        distinct_id: page.canonical,
        ids: page.ids.into_iter().map(UserId::from).collect(),
        next: page.next.map(|next| next.to_string()),
    };
    respond(reader, share, response)
}
