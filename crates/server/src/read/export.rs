//! The raw export: every event of some days, a line each.

use std::io;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use idmerge_project::{ExportQuery, ProjectError};
use idmerge_wire::ExportLine;
use serde::Deserialize;
use tokio::runtime::Handle;
use utoipa::IntoParams;

use super::dates::days_ms;
use super::query::{Parameters, Reader};
use crate::http::api_error::ApiError;

/// The most events that a `limit` may ask for.
const LIMIT_MAX: u64 = 100_000;

/// So many bytes are sent together.
const CHUNK_BYTES: usize = 64 * 1024;

/// Which events are wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportParameters {
    /// The first day, such as `2026-01-31`, in UTC.
    from_date: String,
    /// The last day.
    to_date: String,
    /// The most events, at most 100,000; all where it is not said.
    limit: Option<u64>,
    /// The names of the events, as a JSON array of texts; all where it is not said.
    event: Option<String>,
    /// Not supported.
    r#where: Option<String>,
    /// Whether `time` is in milliseconds, and not in seconds.
    time_in_ms: Option<bool>,
}

/// Every event of some days
#[utoipa::path(
    get,
    path = "/api/2.0/export",
    params(ExportParameters),
    responses(
        (status = 200, description = "A JSON object with `event` and `properties` a line", content_type = "text/plain", body = String),
        (status = 400, description = "There is no such export", body = ApiError),
        (status = 401, description = "No credential, or a wrong one", body = ApiError),
        (status = 429, description = "Too many questions at a time", body = ApiError),
    ),
)]
pub(crate) async fn export(
    reader: Reader,
    Parameters(parameters): Parameters<ExportParameters>,
) -> Result<Response, ApiError> {
    if parameters.r#where.is_some_and(|text| !text.is_empty()) {
        return Err(ApiError::bad_request(
            "where is not supported; choose by event and days",
        ));
    }
    if parameters.limit.is_some_and(|limit| limit > LIMIT_MAX) {
        return Err(ApiError::bad_request(format!(
            "limit is at most {LIMIT_MAX}"
        )));
    }
    let names: Vec<String> = match parameters.event.as_deref() {
        None | Some("") => Vec::new(),
        Some(names) => serde_json::from_str(names).map_err(|error| {
            ApiError::bad_request(format!("event is no JSON array of texts: {error}"))
        })?,
    };
    let (from_ms, until_ms) = days_ms(Some(&parameters.from_date), Some(&parameters.to_date))?;
    let query = ExportQuery {
        from_ms,
        until_ms,
        names,
        limit: parameters.limit,
    };
    let is_time_in_ms = parameters.time_in_ms == Some(true);
    let (sender, body) = Channel::<Bytes, io::Error>::new(2);
    let handle = Handle::current();
    tokio::spawn(async move {
        let written = reader.run(move |project| {
            let mut lines = Lines {
                sender,
                handle,
                text: String::new(),
            };
            let sent = project.export(&query, &mut |event| {
                let line = ExportLine {
                    json: str::from_utf8(event.json).unwrap_or(""),
                    time_ms: event.time_ms,
                    received_ms: event.received_ms,
                    source: event.source,
                    is_time_in_ms,
                };
                line.write(&mut lines.text);
                lines.send(CHUNK_BYTES)?;
                Ok(true)
            });
            match sent.and_then(|_| lines.send(1).map_err(ProjectError::Sink)) {
                // Who asked has gone.
                Err(ProjectError::Sink(_)) => Ok(()),
                Err(error) => {
                    // A half is not taken for the whole: the answer breaks off.
                    lines.sender.abort(io::Error::other("the export failed"));
                    Err(error)
                }
                Ok(()) => Ok(()),
            }
        });
        // An error was logged where it became an answer; here the answer is under way already.
        drop(written.await);
    });
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, plain)], Body::new(body)).into_response())
}

/// Lines on their way, no faster than they are taken.
struct Lines {
    sender: Sender<Bytes, io::Error>,
    handle: Handle,
    text: String,
}

impl Lines {
    /// Sends what there is, where it is at least so much.
    fn send(&mut self, bytes_min: usize) -> io::Result<()> {
        if self.text.len() < bytes_min {
            return Ok(());
        }
        let chunk = Bytes::from(std::mem::take(&mut self.text));
        self.handle
            .block_on(self.sender.send_data(chunk))
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}
