//! A backup of the whole project, made while it is served.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use idmerge_project::Project;

use super::copy::{Backup, BackupError, Chunks};
use crate::http::api_error::ApiError;
use crate::http::sent_body::channel;
use crate::read::query::Reader;

impl From<BackupError> for ApiError {
    fn from(error: BackupError) -> Self {
        let code = match error {
            BackupError::Project(error) => return error.into(),
            BackupError::Busy => StatusCode::TOO_MANY_REQUESTS,
            BackupError::NoRoom { .. } => StatusCode::INSUFFICIENT_STORAGE,
            BackupError::File(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if code != StatusCode::TOO_MANY_REQUESTS {
            tracing::error!(error = &error as &dyn std::error::Error, "a backup failed");
        }
        Self::new(code, error.to_string())
    }
}

/// Get a backup of the whole project
///
/// The file has the claims, events, profiles and settings of one moment. `idmerge store restore` makes the
/// folder of a project from it. There is one backup of a project at a time. The response begins when the
/// copy is made on the server's disk; it has a length, so a client sees if the connection broke, and
/// `store restore` refuses a file without its end.
#[utoipa::path(
    get,
    path = "/v1/backup",
    responses(
        (status = 200, description = "The backup", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 401, description = "The credential is missing or wrong", body = ApiError),
        (status = 429, description = "Another backup of the project is being made or read; try again after Retry-After", body = ApiError),
        (status = 507, description = "The disk has no room for a copy of the project", body = ApiError),
    ),
)]
pub(crate) async fn backup(reader: Reader) -> Result<Response, ApiError> {
    let backups = reader.backups().clone();
    let make = move |project: &Project, may_go_on| match backups.make(project, may_go_on) {
        Err(BackupError::Project(error)) => Err(error),
        made => Ok(made),
    };
    let backup = reader.run_while(make).await??;
    let head = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        ),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::from_static("attachment; filename=\"backup.redb\""),
        ),
        (header::CONTENT_LENGTH, HeaderValue::from(backup.bytes)),
        (ENTRIES, HeaderValue::from(backup.entries)),
    ];
    Ok((head, stream(backup)).into_response())
}

/// The number of the last entry of the log in the backup.
const ENTRIES: HeaderName = HeaderName::from_static("idmerge-entries");

/// Sends a backup no faster than the client reads, without a thread that waits for it.
fn stream(backup: Backup) -> Body {
    let (sender, body) = channel(2);
    tokio::spawn(async move {
        let mut chunks = Chunks::of(backup);
        loop {
            match chunks.next().await {
                Ok(Some(chunk)) => {
                    // If the client is gone, so is the need for the copy.
                    if sender.send(chunk).await.is_err() {
                        return;
                    }
                }
                Ok(None) => return sender.finish(),
                Err(error) => {
                    tracing::error!(%error, "a backup cannot be read");
                    return;
                }
            }
        }
    });
    Body::new(body)
}
