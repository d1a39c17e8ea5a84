//! The live stream of events, as server-sent events.
//!
//! A stream is made in runs as every long response: it reads the events after the last one that it sent, and leaves
//! off while the client does not read. So a slow client holds no event, and no event is lost to it.

use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use idmerge_project::{Project, ProjectError};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::watch;
use utoipa::{IntoParams, ToSchema};

use super::chunks::{Chunks, Sent, Source, stream_with};
use super::people::Device;
use super::query::{Parameters, Reader};
use crate::http::api_error::ApiError;
use crate::ingest::unknown_tokens::Sighting;

pub(crate) mod signal;

use signal::{LiveState, TokenFeed};

/// How many of the newest events a stream begins with.
const FIRST_EVENTS: u64 = 50;

/// How many events are read at a time. Each has at most 2 KiB of properties.
const EVENTS_AT_A_TIME: usize = 20;

/// How many unknown tokens are sent at a time.
const TOKENS_AT_A_TIME: usize = 20;

/// A comment is sent if nothing else was sent for so long.
const SILENCE: Duration = Duration::from_secs(15);

/// How often a stream that waits looks for unknown tokens.
const TICK: Duration = Duration::from_secs(1);

/// Where to begin.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LiveParameters {
    /// The number of an event: the stream begins after it. Without it, the stream begins with the newest 50 events.
    after: Option<u64>,
}

/// An event of the live stream.
#[derive(Serialize, ToSchema)]
pub(crate) struct LiveEvent<'e> {
    /// The number of the event in the project.
    number: u64,
    /// The time of the event, in milliseconds since 1970.
    time_ms: i64,
    /// When the server received it.
    received_ms: i64,
    /// The name of the event.
    event: &'e str,
    /// The canonical ID of the user. `null` if the event has no ID.
    distinct_id: Option<&'e str>,
    /// The distinct_id that it was sent with.
    own: Option<&'e str>,
    /// The name in the profile of the user.
    name: Option<&'e str>,
    /// The device that sent it, if it names one.
    device: Option<Device>,
    /// The telling properties, as the event has them: at most 2 KiB.
    #[schema(value_type = Object)]
    properties: &'e RawValue,
    /// What came of the claim of the event: `merged`, `already_merged` or `rejected`. `null` if it makes none.
    answer: Option<&'static str>,
    /// The code of a rejection.
    error: Option<&'e str>,
    /// For a rejection: the user who has the device or the alias.
    holder: Option<LiveHolder<'e>>,
    /// For a merge: how many earlier events of the ID that joined moved along.
    moved_events: Option<u64>,
    /// The number of the claim in the log, if it has an entry there.
    sequence: Option<u64>,
}

/// A user who has what a rejected claim names.
#[derive(Serialize, ToSchema)]
struct LiveHolder<'e> {
    /// The canonical ID.
    distinct_id: &'e str,
    /// The name in the profile.
    name: Option<&'e str>,
}

/// A token that no project has, in the live stream.
#[derive(Serialize, ToSchema)]
pub(crate) struct UnknownToken {
    /// The token; of a long one the beginning.
    token: String,
    /// How many events and updates came with it since the start of the server.
    events: u64,
    /// When the first of them came, in milliseconds since 1970.
    since_ms: i64,
    /// When the last of them came.
    last_ms: i64,
    /// Where it came from: the host of the page, or the address.
    from: String,
}

impl From<(Box<str>, Sighting)> for UnknownToken {
    fn from((token, sighting): (Box<str>, Sighting)) -> Self {
        Self {
            token: token.into(),
            events: sighting.records,
            since_ms: sighting.since_ms,
            last_ms: sighting.last_ms,
            from: sighting.from.into(),
        }
    }
}

/// Watch the events come
///
/// Server-sent events: `event: event` with the number as its `id`, and `event: unknown_token`, each with an object in
/// `data`. A client that comes back with `Last-Event-ID` goes on there. A comment comes every 15 seconds if nothing else
/// does. A project has 8 streams at a time.
#[utoipa::path(
    get,
    path = "/v1/live",
    params(LiveParameters, ("Last-Event-ID" = Option<u64>, Header, description = "Goes before `after`")),
    responses(
        (status = 200, description = "A stream that ends when the server stops", content(
            (LiveEvent<'_> = "text/event-stream"),
        )),
        (status = 400, description = "`after` or `Last-Event-ID` is not a number", body = ApiError),
        (status = 401, description = "The credential is missing or wrong", body = ApiError),
        (status = 429, description = "The project has 8 live streams already; try again after Retry-After", body = ApiError),
    ),
)]
pub(crate) async fn live(
    reader: Reader,
    Parameters(parameters): Parameters<LiveParameters>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let permit = reader.try_live()?;
    let after = match headers.get("last-event-id") {
        None => parameters.after,
        Some(id) => {
            let id = id.to_str().ok().and_then(|id| id.trim().parse().ok());
            let invalid = "Last-Event-ID is not the number of an event";
            Some(id.ok_or_else(|| ApiError::bad_request(invalid))?)
        }
    };
    let source = LiveSource {
        after,
        state: reader.live_signal().subscribe(),
        feed: reader.token_feed(),
        seen_records: 0,
        sent: None,
    };
    let body = stream_with(reader, permit, source);
    let event_stream = HeaderValue::from_static("text/event-stream");
    let no_store = HeaderValue::from_static("no-store");
    let headers = [
        (header::CONTENT_TYPE, event_stream),
        (header::CACHE_CONTROL, no_store),
    ];
    Ok((headers, body).into_response())
}

struct LiveSource {
    /// The number of the last event that was sent; `None` before the first ones.
    after: Option<u64>,
    state: watch::Receiver<LiveState>,
    feed: TokenFeed,
    seen_records: u64,
    /// When something was sent.
    sent: Option<Instant>,
}

impl Source for LiveSource {
    fn send(&mut self, project: &Project, chunks: &mut Chunks) -> Result<Sent, ProjectError> {
        if self.state.borrow_and_update().is_stopping {
            return Ok(Sent::All);
        }
        let after = match self.after {
            Some(after) => after,
            None => project.last_event()?.saturating_sub(FIRST_EVENTS),
        };
        self.after = Some(after);
        let mut text = String::new();
        if self.sent.is_none() {
            // So that the client has the head of the response at once.
            text += ": live\n\n";
        }
        self.write_tokens(&mut text);
        loop {
            let after = self.after.unwrap_or(after);
            let page = project.live_page_while(after, EVENTS_AT_A_TIME, chunks.may_go_on())?;
            page.events
                .iter()
                .for_each(|event| write_event(event, &mut text));
            self.after = Some(page.last);
            let is_silent = |sent: Instant| sent.elapsed() >= SILENCE;
            if text.is_empty() && self.sent.is_some_and(is_silent) {
                text += ":\n\n";
            }
            if !text.is_empty() {
                self.sent = Some(Instant::now());
                let bytes = Bytes::from(std::mem::take(&mut text));
                if chunks.send(bytes) == Sent::Part {
                    return Ok(Sent::Part);
                }
            }
            if !page.has_more {
                return Ok(Sent::AllForNow);
            }
        }
    }

    async fn more(&mut self) {
        loop {
            tokio::select! {
                // The sender is gone once the server is.
                _ = self.state.changed() => return,
                () = tokio::time::sleep(TICK) => {
                    let is_silent = |sent: Instant| sent.elapsed() >= SILENCE;
                    if self.sent.is_none_or(is_silent) || self.feed.records() != self.seen_records {
                        return;
                    }
                }
            }
        }
    }
}

impl LiveSource {
    fn write_tokens(&mut self, text: &mut String) {
        let (tokens, records) = self.feed.since(self.seen_records, TOKENS_AT_A_TIME);
        self.seen_records = records;
        for sighting in tokens.into_iter().rev() {
            let data = UnknownToken::from(sighting);
            write_message("unknown_token", None, &data, text);
        }
    }
}

fn write_event(event: &idmerge_project::LiveEvent, text: &mut String) {
    let claim = event.claim.as_ref();
    let properties: &RawValue = serde_json::from_str(&event.properties).unwrap_or(RawValue::NULL);
    let data = LiveEvent {
        number: event.number,
        time_ms: event.time_ms,
        received_ms: event.received_ms,
        event: &event.event,
        distinct_id: event.distinct_id.as_deref(),
        own: event.own.as_deref(),
        name: event.name.as_deref(),
        device: event.device.clone().map(Device::from),
        properties,
        answer: claim.map(|claim| claim.answer.name()),
        error: claim.and_then(|claim| claim.error.as_deref()),
        holder: claim.and_then(|claim| {
            let holder = claim.holder.as_ref()?;
            Some(LiveHolder {
                distinct_id: &holder.distinct_id,
                name: holder.name.as_deref(),
            })
        }),
        moved_events: claim.and_then(|claim| claim.moved_events),
        sequence: claim.and_then(|claim| claim.sequence),
    };
    write_message("event", Some(event.number), &data, text);
}

/// Appends a message. Its data has no line break but between values, where an event may have arrived on several lines.
fn write_message(name: &str, id: Option<u64>, data: &impl Serialize, text: &mut String) {
    // There is no map with keys that are not texts, so this cannot fail.
    let json = serde_json::to_string(data).unwrap_or_default();
    if let Some(id) = id {
        *text += &format!("id: {id}\n");
    }
    *text += &format!("event: {name}\n");
    for line in json.split(['\n', '\r']) {
        *text += &format!("data: {line}\n");
    }
    text.push('\n');
}
