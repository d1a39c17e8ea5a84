//! The raw export: every event of a range of days, one JSON object per line.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use idmerge_analysis::Filter;
use idmerge_project::{ExportQuery, Project, ProjectError, WrittenId};
use idmerge_wire::ExportLine;
use serde::Deserialize;
use utoipa::IntoParams;

use super::chunks::{CHUNK_BYTES, Chunks, Sent, Source, stream};
use super::dates::days_ms;
use super::query::{Parameters, Reader};
use crate::http::api_error::ApiError;
use crate::http::parameters::{filter, strings};

/// The most events that a run reads. It takes a tenth of a second or so.
const RUN_EVENTS: u64 = 1 << 16;

/// The highest `limit`.
const MAX_LIMIT: u64 = 100_000;

/// The events to export.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportParameters {
    /// The first day, such as `2026-01-31`, in UTC.
    from_date: String,
    /// The last day, included.
    to_date: String,
    /// The most events to export, up to 100,000. No limit by default.
    limit: Option<u64>,
    /// The names of the events to export, as a JSON array of strings. All by default.
    event: Option<String>,
    /// Selects events by an expression about their properties, such as `properties["plan"] == "pro"`, as in
    /// `/api/query/engage`.
    r#where: Option<String>,
    /// Whether `time` is in milliseconds instead of seconds.
    time_in_ms: Option<bool>,
    /// The ID to write as `distinct_id`: `canonical`, the default, or `as_sent`, the event's own.
    distinct_id: Option<String>,
}

impl ExportParameters {
    fn query(self) -> Result<ExportQuery, ApiError> {
        if self.limit.is_some_and(|limit| limit > MAX_LIMIT) {
            return Err(ApiError::bad_request(format!(
                "limit is at most {MAX_LIMIT}; export fewer days, or leave limit out"
            )));
        }
        let names = strings("event", self.event.as_deref())?.unwrap_or_default();
        let written_id = match self.distinct_id.as_deref() {
            None | Some("" | "canonical") => WrittenId::Canonical,
            Some("as_sent") => WrittenId::AsSent,
            Some(other) => {
                return Err(ApiError::bad_request(format!(
                    "distinct_id is {other:?}; give canonical or as_sent"
                )));
            }
        };
        let (from_ms, until_ms) = days_ms(Some(&self.from_date), Some(&self.to_date))?;
        Ok(ExportQuery {
            from_ms,
            until_ms,
            names,
            written_id,
            ..ExportQuery::default()
        })
    }
}

/// Export every event of a range of days
///
/// Each line is an event with its current canonical distinct_id, in the order of arrival. An import of
/// all days into another project gives the same clusters, also if it is repeated. If the export fails
/// midway, the connection is closed before the end of the response.
#[utoipa::path(
    get,
    path = "/api/2.0/export",
    params(ExportParameters),
    responses(
        (status = 200, description = "One JSON object with `event` and `properties` per line", content_type = "text/plain", body = String),
        (status = 400, description = "A parameter is missing, wrong or not supported", body = ApiError),
        (status = 401, description = "The credential is missing or wrong", body = ApiError),
        (status = 429, description = "Too many queries are running or too many exports are open; try again after Retry-After", body = ApiError),
    ),
)]
pub(crate) async fn export(
    reader: Reader,
    Parameters(parameters): Parameters<ExportParameters>,
) -> Result<Response, ApiError> {
    let is_time_in_ms = parameters.time_in_ms == Some(true);
    let filter = filter(parameters.r#where.as_deref())?;
    let limit = parameters.limit;
    let events = Events {
        query: parameters.query()?,
        filter,
        limit,
        is_time_in_ms,
        text: String::new(),
    };
    let body = stream(reader, events)?;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, plain)], body).into_response())
}

/// The events that are left to export.
struct Events {
    query: ExportQuery,
    filter: Option<Filter>,
    /// How many events may be exported.
    limit: Option<u64>,
    is_time_in_ms: bool,
    /// Lines to send.
    text: String,
}

impl Events {
    /// Sends the lines, if they have at least this many bytes.
    fn flush(text: &mut String, min_bytes: usize, chunks: &mut Chunks) -> Sent {
        if text.len() < min_bytes {
            return Sent::All;
        }
        chunks.send(Bytes::from(std::mem::take(text)))
    }
}

impl Source for Events {
    fn send(&mut self, project: &Project, chunks: &mut Chunks) -> Result<Sent, ProjectError> {
        let mut next = *self.query.numbers.start();
        // Later runs go on with the events that were there at the start.
        let last = self.query.as_of.min(project.last_event()?);
        self.query.as_of = last;
        let mut sent = Sent::All;
        let text = &mut self.text;
        // A run ends also if it finds nothing to send.
        let until = last.min(next.saturating_add(RUN_EVENTS - 1));
        let query = ExportQuery {
            numbers: next..=until,
            ..self.query.clone()
        };
        let (filter, limit) = (self.filter.as_ref(), &mut self.limit);
        if *limit == Some(0) {
            self.query.numbers = last + 1..=last;
            return Ok(Sent::All);
        }
        project.export(&query, &mut |event| {
            next = event.number + 1;
            let json = str::from_utf8(event.json).unwrap_or("");
            if !filter.is_none_or(|filter| filter.selects_event(json)) {
                return Ok(true);
            }
            let line = ExportLine {
                json,
                time_ms: event.time_ms,
                received_ms: event.received_ms,
                source: event.source,
                is_time_in_ms: self.is_time_in_ms,
                number: event.number,
                is_unweighed: event.is_unweighed,
            };
            line.write(text);
            if let Some(limit) = limit {
                *limit -= 1;
            }
            sent = Self::flush(text, CHUNK_BYTES, chunks);
            Ok(sent == Sent::All && *limit != Some(0))
        })?;
        // The next run goes on with the events that were there at the start.
        self.query.numbers = next..=last;
        if sent == Sent::All && until < last && self.limit != Some(0) {
            self.query.numbers = until + 1..=last;
            return Ok(Sent::Part);
        }
        if sent == Sent::All {
            self.query.numbers = last + 1..=last;
            sent = Self::flush(text, 1, chunks);
        }
        Ok(sent)
    }
}
