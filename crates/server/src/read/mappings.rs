//! All mappings: which canonical ID each other ID resolves to.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek};
use std::path::Path;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use idmerge_project::{MappingFormat, Project, ProjectError};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::chunks::{CHUNK_BYTES, Chunks, Sent, Source, stream};
use super::query::{Parameters, Reader};
use crate::http::api_error::ApiError;

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
        (status = 429, description = "Too many queries are running or too many exports are open; try again after Retry-After", body = ApiError),
    ),
)]
pub(crate) async fn mappings(
    reader: Reader,
    Parameters(parameters): Parameters<MappingsParameters>,
) -> Result<Response, ApiError> {
    let format = parameters.format.unwrap_or_default();
    let folder = reader.folder().to_owned();
    let copy = move |project: &Project| copy(project, format.into(), &folder);
    let copy = Copy(reader.run(copy).await?);
    let body = stream(reader, copy)?;
    let content_type = (header::CONTENT_TYPE, format.content_type());
    Ok(([content_type], body).into_response())
}

/// Copies all mappings to a temporary file on the disk of the project, which nobody else sees. Claims
/// wait for the copy, but not for the client, and the copy takes no memory.
fn copy(project: &Project, format: MappingFormat, folder: &Path) -> Result<File, ProjectError> {
    let file = tempfile::tempfile_in(folder).map_err(ProjectError::Sink)?;
    let mut to = BufWriter::with_capacity(CHUNK_BYTES, file);
    project.write_mappings(format, &mut to)?;
    let rewound = to.into_inner().map_err(io::IntoInnerError::into_error);
    rewound
        .and_then(|mut file| file.rewind().map(|()| file))
        .map_err(ProjectError::Sink)
}

/// A copy of all mappings, read up to its position.
struct Copy(File);

impl Source for Copy {
    fn send(&mut self, _: &Project, chunks: &mut Chunks) -> Result<Sent, ProjectError> {
        loop {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES);
            let mut part = (&mut self.0).take(CHUNK_BYTES as u64);
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
