//! Profiles, in the format of the vendor's query API.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use idmerge_project::{Project, ProjectError, StoredProfile};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::query::{MAX_PAGE_ROWS, Parameters, Reader};
use crate::app::App;
use crate::http::api_error::ApiError;
use crate::http::parameters::{self, strings};

/// The most IDs of a query.
const MAX_IDS: usize = 2_000;

/// The highest page number. A project cannot have that many profiles.
const MAX_PAGE: u32 = 1_000_000;

/// The profiles to return: those of some IDs, or a page of all.
#[derive(Default, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub(crate) struct ProfilesParameters {
    /// An ID of the user whose profile to return.
    distinct_id: Option<String>,
    /// IDs of the users whose profiles to return, as a JSON array of strings.
    distinct_ids: Option<String>,
    /// The properties to return, as a JSON array of names. All by default.
    output_properties: Option<String>,
    /// The number of the page, from 0.
    #[param(maximum = 1_000_000)]
    #[schema(maximum = 1_000_000)]
    page: Option<u32>,
    /// `session_id` of the first page.
    session_id: Option<String>,
    /// Not supported.
    r#where: Option<String>,
    /// Not supported.
    filter_by_cohort: Option<String>,
}

/// A page of profiles.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProfilesResponse {
    page: u32,
    page_size: usize,
    session_id: String,
    status: &'static str,
    total: u64,
    results: Vec<ListedProfile>,
}

/// One profile.
#[derive(Serialize, ToSchema)]
pub(crate) struct ListedProfile {
    /// The canonical ID of the user.
    #[serde(rename = "$distinct_id")]
    distinct_id: String,
    /// The properties of the profile.
    #[serde(rename = "$properties")]
    #[schema(value_type = Object)]
    properties: Map<String, Value>,
}

/// List profiles
#[utoipa::path(
    get,
    path = "/api/query/engage",
    params(ProfilesParameters),
    responses(
        (status = 200, body = ProfilesResponse),
        (status = 400, description = "A parameter is wrong or not supported", body = ApiError),
        (status = 401, description = "The credential is missing or wrong", body = ApiError),
        (status = 429, description = "Too many queries are running; try again after Retry-After", body = ApiError),
    ),
)]
pub(crate) async fn by_query(
    reader: Reader,
    Parameters(parameters): Parameters<ProfilesParameters>,
) -> Result<Json<ProfilesResponse>, ApiError> {
    profiles(reader, parameters).await
}

/// List profiles, with the parameters in a form
#[utoipa::path(
    post,
    path = "/api/query/engage",
    request_body(content = ProfilesParameters, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, body = ProfilesResponse),
        (status = 400, description = "A parameter is wrong or not supported", body = ApiError),
        (status = 401, description = "The credential is missing or wrong", body = ApiError),
        (status = 429, description = "Too many queries are running; try again after Retry-After", body = ApiError),
    ),
)]
pub(crate) async fn by_form(
    State(app): State<Arc<App>>,
    reader: Reader,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    const FORM: &str = "application/x-www-form-urlencoded";
    let content_type = headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    if !content_type.is_some_and(|value| value.trim_start().starts_with(FORM)) {
        return Err(ApiError::bad_request(format!(
            "the body must be a form, with Content-Type {FORM}; or send a GET with the parameters in the URL"
        )));
    }
    let body = match app.body_memory.read(body).await {
        Ok(body) => body,
        Err(error) => return Ok(error.into_response()),
    };
    let text = str::from_utf8(&body.bytes)
        .map_err(|_| ApiError::bad_request("the form is not UTF-8; percent-encode its values"))?;
    let parameters = parameters::read(text)?;
    profiles(reader, parameters)
        .await
        .map(IntoResponse::into_response)
}

async fn profiles(
    reader: Reader,
    parameters: ProfilesParameters,
) -> Result<Json<ProfilesResponse>, ApiError> {
    let is_set = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    if is_set(&parameters.r#where) || is_set(&parameters.filter_by_cohort) {
        let error = "where and filter_by_cohort are not supported; get all profiles and filter them yourself";
        return Err(ApiError::bad_request(error));
    }
    let wanted = strings("output_properties", parameters.output_properties.as_deref())?;
    let mut ids = strings("distinct_ids", parameters.distinct_ids.as_deref())?;
    if let Some(id) = parameters.distinct_id {
        ids.get_or_insert_default().push(id);
    }
    if ids.as_ref().is_some_and(|ids| ids.len() > MAX_IDS) {
        return Err(ApiError::bad_request(format!(
            "a query has at most {MAX_IDS} IDs; send several queries"
        )));
    }
    let page = parameters.page.unwrap_or(0);
    if page > MAX_PAGE {
        return Err(ApiError::bad_request(format!("page is at most {MAX_PAGE}")));
    }
    let (total, found) = reader
        .run(move |project| match ids {
            Some(ids) => by_ids(project, &ids),
            None => by_page(project, page),
        })
        .await?;
    let results = found.into_iter().map(|profile| {
        let mut properties: Map<_, _> = serde_json::from_str(&profile.json).unwrap_or_default();
        if let Some(wanted) = &wanted {
            properties.retain(|name, _| wanted.contains(name));
        }
        ListedProfile {
            distinct_id: profile.distinct_id,
            properties,
        }
    });
    Ok(Json(ProfilesResponse {
        page,
        page_size: MAX_PAGE_ROWS,
        // A page is found by its number, so a session has no state.
        session_id: parameters.session_id.unwrap_or_else(|| "0".to_owned()),
        status: "ok",
        total,
        results: results.collect(),
    }))
}

type Found = Result<(u64, Vec<StoredProfile>), ProjectError>;

/// The profile of each user that has one of the IDs. A user with several of them occurs once.
fn by_ids(project: &Project, ids: &[String]) -> Found {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for id in ids {
        match project.profile(id) {
            Ok(Some(profile)) if seen.insert(profile.distinct_id.clone()) => found.push(profile),
            // A text that is not an ID has no profile.
            Ok(_) | Err(ProjectError::InvalidId(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok((found.len() as u64, found))
}

fn by_page(project: &Project, page: u32) -> Found {
    let mut found = project.profiles(None, MAX_PAGE_ROWS)?;
    for _ in 0..page {
        let Some(next) = found.next.take() else {
            return Ok((found.total, Vec::new()));
        };
        found = project.profiles(Some(&next), MAX_PAGE_ROWS)?;
    }
    Ok((found.total, found.profiles))
}
