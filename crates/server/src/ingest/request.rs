//! Reads a request: its head, then its body.

use axum::body::Body;
use axum::http::header::{self, HeaderName};
use axum::http::request::Parts;
use idmerge_wire::{Endpoint, Head, Problem};

use super::response::IngestError;
use crate::app::App;
use crate::http::body::{BodyError, ReadBody};
use crate::http::peers::Peer;

pub(super) fn head(endpoint: Endpoint, parts: &Parts) -> Head {
    let text = |name: HeaderName| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    Head::read(idmerge_wire::RequestParts {
        endpoint,
        query: parts.uri.query().unwrap_or(""),
        content_type: text(header::CONTENT_TYPE),
        content_encoding: text(header::CONTENT_ENCODING),
        // A header that is not text is still present: read it as empty, not as absent.
        authorization: parts
            .headers
            .get(header::AUTHORIZATION)
            .map(|value| value.to_str().unwrap_or("")),
    })
}

pub(super) async fn body(
    app: &App,
    head: &Head,
    parts: &Parts,
    body: Body,
) -> Result<ReadBody, IngestError> {
    let problem = |problem| IngestError::Problem(head.dialect(), problem);
    let max_body_bytes = app.bounds.limits.max_body_bytes;
    let announced_bytes = parts
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    // Refuse a body that is announced as too large before any of it is read.
    if announced_bytes.is_some_and(|bytes| bytes > max_body_bytes as u64) {
        return Err(problem(Problem::TooLarge { max_body_bytes }));
    }
    let peer = parts.extensions.get::<Peer>().copied();
    let read = app.bodies.read(body, peer).await;
    read.map_err(|error| match error {
        BodyError::Problem(error) => problem(error),
        error => IngestError::Body(error),
    })
}
