//! The parts that all queries share: access to a project, and the parameters of the request.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{FromRequestParts, Path as PathSegments, Query};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use idmerge_project::{Project, ProjectError};
use idmerge_wire::{Credentials, Problem};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::OwnedSemaphorePermit;

use crate::app::App;
use crate::http::access::{self, Permission};
use crate::http::api_error::ApiError;
use crate::store::copy::Backups;

/// The most rows of a page.
pub(super) const MAX_PAGE_ROWS: usize = 1_000;

/// How many rows a page has for this `limit`.
pub(super) fn page_rows(limit: Option<usize>) -> usize {
    limit.unwrap_or(100).clamp(1, MAX_PAGE_ROWS)
}

/// A project that the request may read, with the permit to run one query.
pub(crate) struct Reader {
    project: Arc<Project>,
    folder: PathBuf,
    backups: Backups,
    permit: OwnedSemaphorePermit,
}

/// Names the project when a service account belongs to several.
#[derive(Deserialize)]
struct ProjectParameter {
    project_id: Option<String>,
}

impl FromRequestParts<Arc<App>> for Reader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let unauthorized =
            |problem: Problem| ApiError::new(StatusCode::UNAUTHORIZED, problem.to_string());
        let credentials = match parts.headers.get(header::AUTHORIZATION) {
            Some(value) => Credentials::read(value.to_str().unwrap_or("")),
            None => Credentials::None,
        };
        let parameter = Query::<ProjectParameter>::try_from_uri(&parts.uri).ok();
        let project_id = parameter.and_then(|parameter| parameter.0.project_id);
        let project_index = access::authorize(
            &app.configs(),
            &credentials,
            project_id.as_deref(),
            Permission::Read,
        )
        .map_err(unauthorized)?;
        let permit = Arc::clone(&app.query_permits).try_acquire_owned();
        let open = &app.projects[project_index];
        Ok(Self {
            project: Arc::clone(&open.project),
            folder: open.folder.clone(),
            backups: open.backups.clone(),
            permit: permit.map_err(|_| {
                let busy = "too many queries are running; try again in a second";
                ApiError::new(StatusCode::TOO_MANY_REQUESTS, busy)
            })?,
        })
    }
}

impl Reader {
    /// The folder of the project's data.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What a backup of the project is made of.
    pub(crate) fn backups(&self) -> &Backups {
        &self.backups
    }

    /// Runs a query on a thread that may block on the disk.
    pub(crate) async fn run<T: Send + 'static>(
        self,
        query: impl FnOnce(&Project) -> Result<T, ProjectError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let run = move || {
            let result = query(&self.project);
            drop(self.permit);
            result
        };
        match tokio::task::spawn_blocking(run).await {
            Ok(result) => Ok(result?),
            Err(error) => {
                tracing::error!(%error, "a query panicked");
                let code = StatusCode::INTERNAL_SERVER_ERROR;
                Err(ApiError::new(
                    code,
                    "the query failed; the server's log has the reason",
                ))
            }
        }
    }
}

/// The parameters of a query. An invalid one gives an [`ApiError`] instead of axum's plain text.
pub(crate) struct Parameters<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<App>> for Parameters<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, ApiError> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(error) => {
                let text = error.body_text();
                let reason = text.strip_prefix("Failed to deserialize query string: ");
                let reason = reason.unwrap_or(&text);
                Err(ApiError::bad_request(format!(
                    "a parameter of the query is wrong: {reason}"
                )))
            }
        }
    }
}

/// The segment of the path that is an ID, percent-decoded.
pub(crate) struct IdInPath(pub(crate) String);

impl FromRequestParts<Arc<App>> for IdInPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        match PathSegments::from_request_parts(parts, app).await {
            Ok(PathSegments(id)) => Ok(Self(id)),
            Err(error) => Err(ApiError::bad_request(format!(
                "the ID in the path is wrong: {}",
                error.body_text()
            ))),
        }
    }
}
