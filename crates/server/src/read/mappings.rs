//! All mappings: which canonical ID each other ID resolves to.

use std::fs::File;
use std::io::{self, BufWriter, Read};
use std::path::Path;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use idmerge_project::{MappingFormat, MayGoOn, Project, ProjectError};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::{IntoParams, ToSchema};

use super::chunks::{CHUNK_BYTES, Chunks, Sent, Source, stream_with};
use super::query::{Parameters, Reader};
use crate::http::api_error::ApiError;
use crate::store::copy::CopyFile;

/// How to return the mappings.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct MappingsParameters {
    /// `ndjson`, the default, or `csv`, which has a header.
    #[param(inline)]
    format: Option<Format>,
}

#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Ndjson,
    Csv,
}

impl Format {
    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
        })
    }
}

impl From<Format> for MappingFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Ndjson => Self::Ndjson,
            Format::Csv => Self::Csv,
        }
    }
}

/// Get the canonical ID of each ID that has another one
///
/// Each row has `distinct_id` and `resolved_distinct_id`, for a join with events. An ID without a row
/// is its own canonical ID. All rows are of one moment, in the order of the clusters and of their
/// members. If the response fails midway, the connection is closed before its end.
#[utoipa::path(
    get,
    path = "/v1/mappings",
    params(MappingsParameters),
    responses(
        (status = 200, description = "A row for each ID that is not its own canonical ID", content(
            (String = "application/x-ndjson"),
            (String = "text/csv"),
        )),
        (status = 400, description = "`format` is neither `ndjson` nor `csv`", body = ApiError),
        (status = 401, description = "The credential is missing or wrong", body = ApiError),
        (status = 429, description = "Too many queries are running, or too many exports or two downloads of the mappings are open; try again after Retry-After", body = ApiError),
        (status = 507, description = "The disk has no room for a copy of the mappings", body = ApiError),
    ),
)]
pub(crate) async fn mappings(
    reader: Reader,
    Parameters(parameters): Parameters<MappingsParameters>,
) -> Result<Response, ApiError> {
    let format = parameters.format.unwrap_or_default();
    let folder = reader.folder().to_owned();
    // Both permits come first: a request that is refused must not write a copy.
    let stream = reader.try_stream()?;
    let permit = reader.try_copy()?;
    let fold = reader.fold_for_copy().await?;
    let copy = move |project: &Project, may_go_on: MayGoOn| {
        let copied = copy(project, format.into(), &folder, may_go_on);
        drop(fold);
        // The copy owns its permit, also when the client is gone before it is made.
        match copied {
            Ok(file) => Ok(Ok(Copy {
                file,
                _permit: permit,
            })),
            Err(ProjectError::Sink(error)) if error.kind() == io::ErrorKind::StorageFull => {
                Ok(Err(no_room(&error)))
            }
            Err(error) => Err(error),
        }
    };
    let copy = reader.run_while(copy).await??;
    let body = stream_with(reader, stream, copy);
    let content_type = (header::CONTENT_TYPE, format.content_type());
    Ok(([content_type], body).into_response())
}

fn no_room(error: &io::Error) -> ApiError {
    tracing::error!(%error, "the mappings cannot be copied");
    ApiError::new(StatusCode::INSUFFICIENT_STORAGE, error.to_string())
}

/// Copies all mappings to a temporary file on the disk of the project, which no other process sees. No
/// claim waits for the copy.
fn copy(
    project: &Project,
    format: MappingFormat,
    folder: &Path,
    may_go_on: MayGoOn,
) -> Result<File, ProjectError> {
    let file = CopyFile::new(folder).map_err(ProjectError::Sink)?;
    let mut to = BufWriter::with_capacity(CHUNK_BYTES, file);
    project.write_mappings_while(format, &mut to, may_go_on)?;
    let written = to.into_inner().map_err(io::IntoInnerError::into_error);
    written
        .and_then(CopyFile::into_read)
        .map_err(ProjectError::Sink)
}

/// A copy of all mappings, read up to its position.
struct Copy {
    file: File,
    /// Held as long as the copy takes room on the disk.
    _permit: OwnedSemaphorePermit,
}

impl Source for Copy {
    fn send(&mut self, _: &Project, chunks: &mut Chunks) -> Result<Sent, ProjectError> {
        loop {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES);
            let mut part = (&mut self.file).take(CHUNK_BYTES as u64);
            part.read_to_end(&mut chunk).map_err(ProjectError::Sink)?;
            if chunk.is_empty() {
                return Ok(Sent::All);
            }
            if chunks.send(Bytes::from(chunk)) == Sent::Part {
                return Ok(Sent::Part);
            }
        }
    }
}
