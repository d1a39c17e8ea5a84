//! Withdrawing claims of a project that is served.

use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use idmerge_project::{MayGoOn, Project, ProjectError, RetractionTarget};
use idmerge_store::{Retraction, StoreError};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::http::api_error::ApiError;
use crate::http::body::ReadBody;
use crate::read::query::Reader;

/// The most bytes of a name or a reason: the log keeps them for ever.
const TEXT_BYTES_MAX: usize = 1_000;

/// What to withdraw, by whom, and why. Either `sequence` or `detach` is needed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetractRequest {
    /// The number of an entry: its claim is withdrawn, with all entries of that claim. If the entry is
    /// a retraction, the retraction is undone.
    sequence: Option<u64>,
    /// An ID: every claim that names it is withdrawn, in one entry.
    detach: Option<String>,
    /// Your name, which is kept in the log.
    who: String,
    /// The reason, which is kept in the log.
    why: String,
    /// Whether to answer what would change, without changing it.
    #[serde(default)]
    dry_run: bool,
}

impl RetractRequest {
    fn read(headers: &HeaderMap, body: &[u8]) -> Result<(Self, RetractionTarget), ApiError> {
        // A page of another origin can send other types with the credentials that a browser has kept.
        let content_type = headers.get(header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok());
        if !content_type.is_some_and(|it| it.to_ascii_lowercase().starts_with("application/json")) {
            let code = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            let error = "send JSON, with the header Content-Type: application/json";
            return Err(ApiError::new(code, error));
        }
        let request: Self = serde_json::from_slice(body).map_err(|error| {
            ApiError::bad_request(format!(
                "the body is not the JSON of a retraction, such as {{\"sequence\":7,\"who\":\"ada\",\
                 \"why\":\"a shared tablet\"}}: {error}"
            ))
        })?;
        for (name, text) in [("who", &request.who), ("why", &request.why)] {
            if !(1..=TEXT_BYTES_MAX).contains(&text.len()) {
                return Err(ApiError::bad_request(format!(
                    "{name} must have 1 to {TEXT_BYTES_MAX} bytes"
                )));
            }
        }
        let target = match (request.sequence, &request.detach) {
            (Some(sequence), None) => RetractionTarget::Entry(sequence),
            (None, Some(id)) => RetractionTarget::Named(id.clone()),
            _ => {
                let error = "give either sequence, the number of an entry, or detach, an ID";
                return Err(ApiError::bad_request(error));
            }
        };
        Ok((request, target))
    }
}

/// Withdraw a claim, or every claim that names an ID
///
/// The new state is that of the same events without those that have made the claim so far. The retraction
/// is an entry of the log, and durable when it is answered; to undo it, withdraw that entry. The claims of
/// `/track` and `/import` wait for it, so one that is connected with more than 20,000 entries is refused.
#[utoipa::path(
    post,
    path = "/v1/retract",
    request_body = RetractRequest,
    responses(
        (status = 200, description = "What has changed; with `dry_run` what would change", body = Retraction),
        (status = 400, description = "The body is wrong, or `detach` is not an ID", body = ApiError),
        (status = 401, description = "The credential is missing or wrong", body = ApiError),
        (status = 404, description = "There is no such entry, or no claim names the ID", body = ApiError),
        (status = 409, description = "The entry has no claim that can be withdrawn", body = ApiError),
        (status = 415, description = "The body is not declared as JSON", body = ApiError),
        (status = 422, description = "More entries are connected with it than are folded while the server runs", body = ApiError),
        (status = 429, description = "Too many queries are running; try again after Retry-After", body = ApiError),
    ),
)]
pub(crate) async fn retract(
    reader: Reader,
    headers: HeaderMap,
    body: ReadBody,
) -> Result<Json<Retraction>, ApiError> {
    let (request, target) = RetractRequest::read(&headers, &body.bytes)?;
    let retracted = reader.run_while(move |project, may_go_on| {
        match carry_out(project, &request, target, may_go_on) {
            Err(ProjectError::Cancelled) => Err(ProjectError::Cancelled),
            retracted => Ok(retracted.map_err(answer_of)),
        }
    });
    Ok(Json(retracted.await??))
}

fn carry_out(
    project: &Project,
    request: &RetractRequest,
    target: RetractionTarget,
    may_go_on: MayGoOn,
) -> Result<Retraction, ProjectError> {
    match request.dry_run {
        true => project.preview_retraction_while(&target, may_go_on),
        false => project.retract_while(target, &request.who, &request.why, may_go_on),
    }
}

fn answer_of(error: ProjectError) -> ApiError {
    match &error {
        ProjectError::Store(wrong) => match wrong_target(wrong) {
            Some(code) => ApiError::new(code, wrong.to_string()),
            None => error.into(),
        },
        _ => error.into(),
    }
}

/// The status of an error that the target is to blame for.
fn wrong_target(error: &StoreError) -> Option<StatusCode> {
    match error {
        StoreError::NoSuchEntry { .. } | StoreError::NotNamed { .. } => Some(StatusCode::NOT_FOUND),
        StoreError::NotRetractable { .. } | StoreError::NotFromClaims { .. } => {
            Some(StatusCode::CONFLICT)
        }
        StoreError::TooManyConnected { .. } => Some(StatusCode::UNPROCESSABLE_ENTITY),
        _ => None,
    }
}
