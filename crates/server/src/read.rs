//! The endpoints that answer: all of them want a secret or a service account.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use idmerge_project::{Project, ProjectError};
use idmerge_wire::{Credentials, Problem};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use utoipa::ToSchema;

use crate::access::{self, Wish};
use crate::app::App;

pub(crate) mod dates;
pub(crate) mod export;
pub(crate) mod funnel;
pub(crate) mod identity;
pub(crate) mod profiles;
pub(crate) mod users;

/// How many questions are answered at a time: each may hold a thread and a disk.
pub(crate) const QUESTIONS_MAX: usize = 32;

/// The most rows of a page.
const PAGE_ROWS_MAX: usize = 1_000;

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/ids/{id}", get(identity::identity))
        .route("/v1/changes", get(identity::changes))
        .route("/v1/users/{id}/events", get(users::events))
        .route("/v1/users/{id}/profile", get(users::profile))
        .route("/v1/funnel", get(funnel::funnel))
        .route("/api/2.0/export", get(export::export))
        .route(
            "/api/query/engage",
            get(profiles::by_query).post(profiles::by_form),
        )
        // As mixpanel-utils asks for it.
        .route(
            "/api/2.0/engage",
            get(profiles::by_query).post(profiles::by_form),
        )
}

/// Why a question is not answered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Unanswered {
    /// Why, and what to do.
    error: String,
    /// Always `error`.
    status: &'static str,
    #[serde(skip)]
    code: StatusCode,
}

impl Unanswered {
    pub(crate) fn wrong(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    fn new(code: StatusCode, error: impl Into<String>) -> Self {
        Self {
            error: error.into(),
            status: "error",
            code,
        }
    }
}

impl From<ProjectError> for Unanswered {
    fn from(error: ProjectError) -> Self {
        let code = match error {
            ProjectError::NotAnId(_)
            | ProjectError::NoCursor { .. }
            | ProjectError::TooManyEvents { .. } => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if code == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a question failed"
            );
        }
        Self::new(code, error.to_string())
    }
}

impl IntoResponse for Unanswered {
    fn into_response(self) -> Response {
        let mut response = (self.code, Json(&self)).into_response();
        if self.code == StatusCode::TOO_MANY_REQUESTS {
            let seconds = HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

/// Somebody who may read a project, and has room to ask.
pub(crate) struct Reader {
    pub(crate) project: Arc<Project>,
    permit: OwnedSemaphorePermit,
}

/// Which project is meant, where a credential opens several.
#[derive(Deserialize)]
struct Which {
    project_id: Option<String>,
}

impl FromRequestParts<Arc<App>> for Reader {
    type Rejection = Unanswered;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Unanswered> {
        let unauthorized =
            |problem: Problem| Unanswered::new(StatusCode::UNAUTHORIZED, problem.to_string());
        let credentials = match parts.headers.get(header::AUTHORIZATION) {
            Some(value) => Credentials::read(value.to_str().unwrap_or("")),
            None => Credentials::None,
        };
        let which = Query::<Which>::try_from_uri(&parts.uri).ok();
        let project_id = which.and_then(|which| which.0.project_id);
        let place = access::project(
            &app.configs(),
            &credentials,
            project_id.as_deref(),
            Wish::Read,
        )
        .map_err(unauthorized)?;
        let permit = Arc::clone(&app.questions).try_acquire_owned();
        Ok(Self {
            project: Arc::clone(&app.projects[place].project),
            permit: permit.map_err(|_| {
                let busy = "too many questions at a time; ask again in a moment";
                Unanswered::new(StatusCode::TOO_MANY_REQUESTS, busy)
            })?,
        })
    }
}

impl Reader {
    /// Asks the project, on a thread that may wait for the disk.
    pub(crate) async fn ask<T: Send + 'static>(
        self,
        question: impl FnOnce(&Project) -> Result<T, ProjectError> + Send + 'static,
    ) -> Result<T, Unanswered> {
        let ask = move || {
            let answer = question(&self.project);
            drop(self.permit);
            answer
        };
        match tokio::task::spawn_blocking(ask).await {
            Ok(answer) => Ok(answer?),
            Err(error) => {
                tracing::error!(%error, "a question did not come to an end");
                let code = StatusCode::INTERNAL_SERVER_ERROR;
                Err(Unanswered::new(code, "the question could not be answered"))
            }
        }
    }
}

/// The parameters of a question. What is wrong with them is answered as everything else.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<App>> for Asked<T> {
    type Rejection = Unanswered;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Unanswered> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(error) => Err(Unanswered::wrong(error.body_text())),
        }
    }
}

/// The part of a path that is an ID, `%` and two digits read as a byte.
pub(crate) struct IdInPath(pub(crate) String);

impl FromRequestParts<Arc<App>> for IdInPath {
    type Rejection = Unanswered;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Unanswered> {
        match axum::extract::Path::from_request_parts(parts, app).await {
            Ok(axum::extract::Path(id)) => Ok(Self(id)),
            Err(error) => Err(Unanswered::wrong(error.body_text())),
        }
    }
}

pub(crate) fn questions() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(QUESTIONS_MAX))
}

/// How many rows a page has.
fn page_rows(limit: Option<usize>) -> usize {
    limit.unwrap_or(100).clamp(1, PAGE_ROWS_MAX)
}
