//! Profiles, as the vendor's query gives them.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::Form;
use idmerge_project::{Project, ProjectError, StoredProfile};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::query::{PAGE_ROWS_MAX, Parameters, Reader};
use crate::http::api_error::ApiError;

/// The most IDs that can be asked about by name.
const IDS_MAX: usize = 2_000;

/// The last page that can be asked for, of more profiles than a project can hold.
const PAGE_MAX: u32 = 1_000_000;

/// Which profiles are wanted.
#[derive(Default, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub(crate) struct ProfilesParameters {
    /// The profile of the user with this ID.
    distinct_id: Option<String>,
    /// The profiles of the users with these IDs, as a JSON array of texts.
    distinct_ids: Option<String>,
    /// The names of the properties that are wanted, as a JSON array of texts; all where not said.
    output_properties: Option<String>,
    /// Which page, from 0 on.
    #[param(maximum = 1_000_000)]
    #[schema(maximum = 1_000_000)]
    page: Option<u32>,
    /// The `session_id` of the first page.
    session_id: Option<String>,
    /// Not supported.
    r#where: Option<String>,
    /// Not supported.
    filter_by_cohort: Option<String>,
}

/// A page of profiles.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProfilesAnswer {
    page: u32,
    page_size: usize,
    session_id: String,
    status: &'static str,
    total: u64,
    results: Vec<ProfileResult>,
}

/// One profile.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProfileResult {
    /// The canonical ID.
    #[serde(rename = "$distinct_id")]
    distinct_id: String,
    /// What is known.
    #[serde(rename = "$properties")]
    #[schema(value_type = Object)]
    properties: Map<String, Value>,
}

/// Profiles of users
#[utoipa::path(
    get,
    path = "/api/query/engage",
    params(ProfilesParameters),
    responses(
        (status = 200, body = ProfilesAnswer),
        (status = 400, description = "There is no such question", body = ApiError),
        (status = 401, description = "No credential, or a wrong one", body = ApiError),
        (status = 429, description = "Too many questions at a time", body = ApiError),
    ),
)]
pub(crate) async fn by_query(
    reader: Reader,
    Parameters(parameters): Parameters<ProfilesParameters>,
) -> Result<Json<ProfilesAnswer>, ApiError> {
    profiles(reader, parameters).await
}

/// Profiles of users, asked for by a form
#[utoipa::path(
    post,
    path = "/api/query/engage",
    request_body(content = ProfilesParameters, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, body = ProfilesAnswer),
        (status = 400, description = "There is no such question", body = ApiError),
        (status = 401, description = "No credential, or a wrong one", body = ApiError),
        (status = 429, description = "Too many questions at a time", body = ApiError),
    ),
)]
pub(crate) async fn by_form(
    reader: Reader,
    form: Result<Form<ProfilesParameters>, axum::extract::rejection::FormRejection>,
) -> Result<Json<ProfilesAnswer>, ApiError> {
    let Form(parameters) = form.map_err(|error| ApiError::bad_request(error.body_text()))?;
    profiles(reader, parameters).await
}

async fn profiles(
    reader: Reader,
    parameters: ProfilesParameters,
) -> Result<Json<ProfilesAnswer>, ApiError> {
    let is_set = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    if is_set(&parameters.r#where) || is_set(&parameters.filter_by_cohort) {
        let error = "where and filter_by_cohort are not supported; ask for all and choose";
        return Err(ApiError::bad_request(error));
    }
    let wanted = texts("output_properties", parameters.output_properties.as_deref())?;
    let mut ids = texts("distinct_ids", parameters.distinct_ids.as_deref())?;
    if let Some(id) = parameters.distinct_id {
        ids.get_or_insert_default().push(id);
    }
    if ids.as_ref().is_some_and(|ids| ids.len() > IDS_MAX) {
        return Err(ApiError::bad_request(format!(
            "at most {IDS_MAX} IDs at a time"
        )));
    }
    let page = parameters.page.unwrap_or(0);
    if page > PAGE_MAX {
        return Err(ApiError::bad_request(format!("page is at most {PAGE_MAX}")));
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
        ProfileResult {
            distinct_id: profile.distinct_id,
            properties,
        }
    });
    Ok(Json(ProfilesAnswer {
        page,
        page_size: PAGE_ROWS_MAX,
        // Pages go by their number, so a session has nothing to remember.
        session_id: parameters.session_id.unwrap_or_else(|| "0".to_owned()),
        status: "ok",
        total,
        results: results.collect(),
    }))
}

fn texts(name: &str, json: Option<&str>) -> Result<Option<Vec<String>>, ApiError> {
    let Some(json) = json.filter(|json| !json.is_empty()) else {
        return Ok(None);
    };
    let texts = serde_json::from_str(json);
    texts.map(Some).map_err(|error| {
        ApiError::bad_request(format!("{name} is no JSON array of texts: {error}"))
    })
}

type Found = Result<(u64, Vec<StoredProfile>), ProjectError>;

/// The profile of each user that one of the IDs is of, once.
fn by_ids(project: &Project, ids: &[String]) -> Found {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for id in ids {
        match project.profile(id) {
            Ok(Some(profile)) if seen.insert(profile.distinct_id.clone()) => found.push(profile),
            // A text that is no ID has no profile.
            Ok(_) | Err(ProjectError::InvalidId(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok((found.len() as u64, found))
}

fn by_page(project: &Project, page: u32) -> Found {
    let mut found = project.profiles(None, PAGE_ROWS_MAX)?;
    for _ in 0..page {
        let Some(next) = found.next.take() else {
            return Ok((found.total, Vec::new()));
        };
        found = project.profiles(Some(&next), PAGE_ROWS_MAX)?;
    }
    Ok((found.total, found.profiles))
}
