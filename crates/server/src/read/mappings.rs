//! All mappings: which canonical ID each other ID resolves to.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek};
use std::path::Path;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use idmerge_project::{MappingFormat, Project, ProjectError};
use serde::Deserialize;
use tokio::sync::oneshot;
use utoipa::{IntoParams, ToSchema};

use super::chunks::{CHUNK_BYTES, Chunks};
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
        (status = 429, description = "Too many queries are running; try again after Retry-After", body = ApiError),
    ),
)]
pub(crate) async fn mappings(
    reader: Reader,
    Parameters(parameters): Parameters<MappingsParameters>,
) -> Result<Response, ApiError> {
    let format = parameters.format.unwrap_or_default();
    let (chunks, body) = Chunks::new();
    let (copied, is_copied) = oneshot::channel();
    let folder = reader.folder().to_owned();
    let query = reader.run(move |project| {
        let copy = copy(project, format.into(), &folder)?;
        // The client may be gone by now; then sending fails too.
        let _is_received = copied.send(());
        send(copy, chunks)
    });
    let query = tokio::spawn(query);
    if is_copied.await.is_ok() {
        let content_type = (header::CONTENT_TYPE, format.content_type());
        return Ok(([content_type], body).into_response());
    }
    match query.await {
        Ok(Err(error)) => Err(error),
        Ok(Ok(())) | Err(_) => {
            let code = StatusCode::INTERNAL_SERVER_ERROR;
            Err(ApiError::new(
                code,
                "the query failed; the server's log has the reason",
            ))
        }
    }
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

fn send(mut copy: File, mut chunks: Chunks) -> Result<(), ProjectError> {
    loop {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        match copy
            .by_ref()
            .take(CHUNK_BYTES as u64)
            .read_to_end(&mut chunk)
        {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) => {
                chunks.abort("the mappings cannot be read");
                return Err(ProjectError::Sink(error));
            }
        }
        if chunks.send(Bytes::from(chunk)).is_err() {
            // The client has closed the connection.
            return Ok(());
        }
    }
}
