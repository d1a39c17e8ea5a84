//! The archive of what is stored about some people.

use std::collections::BTreeSet;
use std::vec;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use idmerge_project::{Cursor, EventFilter, Project, ProjectError};
use idmerge_wire::ExportLine;
use serde_json::value::Value;

use super::chunks::{CHUNK_BYTES, Chunks, Sent, Source, stream};
use super::query::Reader;
use crate::http::api_error::ApiError;

/// The events of a page.
const PAGE_EVENTS: usize = 1_000;

/// What is left to send about some people: of each their events, newest first, and their profile.
pub(crate) struct Archive {
    ids: vec::IntoIter<String>,
    /// The canonical IDs of those who are sent, because several IDs can be one person's.
    sent: BTreeSet<String>,
    /// Earlier events are left out.
    from_ms: i64,
    /// Whose events are sent, and up to where they were.
    current: Option<(String, Option<Cursor>)>,
}

impl Archive {
    /// Of the people with these IDs, without the events before this time.
    pub(crate) fn new(ids: Vec<String>, from_ms: i64) -> Self {
        Self {
            ids: ids.into_iter(),
            sent: BTreeSet::new(),
            from_ms,
            current: None,
        }
    }
}

/// The response with an archive.
pub(crate) fn respond(reader: Reader, id: &str, archive: Archive) -> Result<Response, ApiError> {
    let name = format!("attachment; filename=\"retrieval-{id}.ndjson\"");
    let body = stream(reader, archive)?;
    let mut response = body.into_response();
    let headers = response.headers_mut();
    let content_type = HeaderValue::from_static("application/x-ndjson");
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(name) = HeaderValue::try_from(name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

impl Source for Archive {
    fn send(&mut self, project: &Project, chunks: &mut Chunks) -> Result<Sent, ProjectError> {
        loop {
            let lines = match self.current.take() {
                Some((id, after)) => self.page(project, id, after, &chunks.may_go_on())?,
                None => match self.ids.next() {
                    None => return Ok(Sent::All),
                    Some(id) => {
                        let canonical = project.identity(&id)?.canonical;
                        if self.sent.insert(canonical.clone()) {
                            self.current = Some((canonical, None));
                        }
                        String::new()
                    }
                },
            };
            let is_over = match lines.is_empty() {
                true => chunks.is_over(),
                false => chunks.send(Bytes::from(lines)) == Sent::Part,
            };
            if is_over {
                return Ok(Sent::Part);
            }
        }
    }
}

impl Archive {
    /// The lines of a page of somebody's events, and after the last one of the profile.
    fn page(
        &mut self,
        project: &Project,
        id: String,
        after: Option<Cursor>,
        may_go_on: &idmerge_project::MayGoOn,
    ) -> Result<String, ProjectError> {
        let filter = EventFilter::default();
        let page = project.user_events_while(&id, &filter, after, PAGE_EVENTS, &**may_go_on)?;
        let mut lines = String::with_capacity(CHUNK_BYTES);
        let mut is_past = false;
        for event in &page.events {
            if event.time_ms < self.from_ms {
                is_past = true;
                break;
            }
            let line = ExportLine {
                json: &event.json,
                time_ms: event.time_ms,
                received_ms: event.received_ms,
                source: &event.source,
                is_time_in_ms: false,
                number: event.number,
                is_unweighed: false,
            };
            line.write(&mut lines);
        }
        match page.next.filter(|_| !is_past) {
            Some(next) => self.current = Some((id, Some(next))),
            None => project.visit_profile(&id, &mut |id, profile| {
                let id = Value::from(id);
                lines += &format!("{{\"$distinct_id\":{id},\"$properties\":{profile}}}\n");
            })?,
        }
        Ok(lines)
    }
}
