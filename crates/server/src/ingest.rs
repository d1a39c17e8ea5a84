//! The endpoints that take records: `/track`, `/import`, `/engage` and `/groups`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use idmerge_core::{InvalidEventReason, RuleBook};
use idmerge_project::{Answer, Batch, ProjectError, Record, RecordAnswer, RecordError};
use idmerge_wire::{
    Dialect, Endpoint, EventRecord, FailedRecord, Fault, Head, Message, Problem, Report,
    Requirements,
};

use crate::access::{self, Wish};
use crate::app::App;
use crate::body::NoBody;
use crate::metrics::{RecordLabels, RequestLabels};
use crate::projects::Waiting;

/// When to come back where more is sent than can be written, in seconds.
const RETRY_AFTER_SECONDS: &str = "2";

/// From so many bytes on a body is decoded beside the other requests of its thread.
const LONG_BODY_BYTES: usize = 64 * 1024;

pub(crate) async fn track(State(app): State<Arc<App>>, request: Request) -> Response {
    take(&app, Endpoint::Track, request).await
}

pub(crate) async fn import(State(app): State<Arc<App>>, request: Request) -> Response {
    take(&app, Endpoint::Import, request).await
}

pub(crate) async fn engage(State(app): State<Arc<App>>, request: Request) -> Response {
    take(&app, Endpoint::Engage, request).await
}

pub(crate) async fn groups(State(app): State<Arc<App>>, request: Request) -> Response {
    take(&app, Endpoint::Groups, request).await
}

fn path(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Track => "/track",
        Endpoint::Import => "/import",
        Endpoint::Engage => "/engage",
        Endpoint::Groups => "/groups",
    }
}

/// The name of an endpoint, as the metrics have it.
fn name(endpoint: Endpoint) -> &'static str {
    &path(endpoint)[1..]
}

async fn take(app: &App, endpoint: Endpoint, request: Request) -> Response {
    let started = Instant::now();
    let (parts, body) = request.into_parts();
    let head = head(endpoint, &parts);
    let response = match read_and_write(app, endpoint, &head, &parts, body).await {
        Ok(answer) => response(answer),
        Err(refused) => refused.into_response(),
    };
    app.metrics
        .request_seconds
        .observe(started.elapsed().as_secs_f64());
    app.metrics
        .requests
        .get_or_create(&RequestLabels {
            endpoint: name(endpoint),
            status: response.status().as_u16(),
        })
        .inc();
    response
}

fn head(endpoint: Endpoint, parts: &Parts) -> Head {
    let text = |name: HeaderName| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    Head::read(idmerge_wire::Parts {
        endpoint,
        query: parts.uri.query().unwrap_or(""),
        content_type: text(header::CONTENT_TYPE),
        content_encoding: text(header::CONTENT_ENCODING),
        // A header that is no text is not none.
        authorization: parts
            .headers
            .get(header::AUTHORIZATION)
            .map(|value| value.to_str().unwrap_or("")),
    })
}

/// A request that is not taken as a whole.
enum Refusal {
    /// And why, in the dialect of its sender.
    Problem(Dialect, Problem),
    /// Its body took too long, or did not come.
    NoBody,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (dialect, problem) = match self {
            Self::Problem(dialect, problem) => (dialect, problem),
            Self::NoBody => {
                let close = [(header::CONNECTION, "close")];
                return (StatusCode::REQUEST_TIMEOUT, close).into_response();
            }
        };
        let mut response = response(dialect.refuse(&problem));
        if matches!(problem, Problem::RateLimited | Problem::Unavailable) {
            let seconds = HeaderValue::from_static(RETRY_AFTER_SECONDS);
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

fn response(answer: idmerge_wire::Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body.into_owned()));
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = HeaderValue::from_static(answer.content_type);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}

async fn read_and_write(
    app: &App,
    endpoint: Endpoint,
    head: &Head,
    parts: &Parts,
    body: Body,
) -> Result<idmerge_wire::Answer, Refusal> {
    let refused = |problem| Refusal::Problem(head.dialect(), problem);
    let limits = &app.bounds.limits;
    let body_bytes_max = limits.body_bytes_max;
    let promised = parts.headers.get(header::CONTENT_LENGTH);
    let promised = promised.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    // Before any of it is read.
    if promised.is_some_and(|bytes| bytes > body_bytes_max as u64) {
        return Err(refused(Problem::TooLarge { body_bytes_max }));
    }
    let body = app
        .room
        .gather(body)
        .await
        .map_err(|no_body| match no_body {
            NoBody::Problem(problem) => refused(problem),
            NoBody::TooSlow | NoBody::Broken => Refusal::NoBody,
        })?;
    let body_bytes = body.bytes.len();

    let hand_in = || -> Result<HandedIn, Refusal> {
        let message = head.decode(body.bytes, limits).map_err(refused)?;
        let dialect = message.dialect.clone();
        let refused = |problem| Refusal::Problem(dialect.clone(), problem);
        let is_strict = message.is_strict;
        let taken = sort(app, endpoint, &message).map_err(refused)?;
        let submit = |batch: ProjectBatch| {
            let waiting = app.projects[batch.place].submit(batch.batch);
            let waiting = waiting.map_err(|error| refused(problem(&error)))?;
            Ok((batch.place, waiting, batch.labels))
        };
        let waiting = batches(taken.records, message, endpoint)
            .into_iter()
            .map(submit)
            .collect::<Result<_, Refusal>>()?;
        Ok(HandedIn {
            waiting,
            report: Report {
                is_strict,
                ..taken.report
            },
            dialect,
        })
    };
    let handed_in = if body_bytes < LONG_BODY_BYTES {
        hand_in()?
    } else {
        tokio::task::block_in_place(hand_in)?
    };
    let HandedIn {
        dialect,
        waiting,
        mut report,
    } = handed_in;
    for (place, waiting, labels) in waiting {
        let answer = waiting.answer().await;
        let answer = answer.map_err(|error| Refusal::Problem(dialect.clone(), problem(&error)))?;
        count_answer(app, place, endpoint, &answer);
        for ((index, insert_id), record) in labels.into_iter().zip(answer.records) {
            match record {
                RecordAnswer::Stored(_) | RecordAnswer::Repeated => report.taken += 1,
                RecordAnswer::Refused(error) => report.failed.push(FailedRecord {
                    index,
                    insert_id,
                    fault: fault(&error),
                }),
            }
        }
    }
    report.failed.sort_by_key(|failed| failed.index);
    Ok(dialect.report(&report))
}

/// A request whose records wait to be written.
struct HandedIn {
    dialect: Dialect,
    waiting: Vec<(usize, Waiting, Vec<Label>)>,
    report: Report,
}

fn problem(error: &ProjectError) -> Problem {
    match error {
        ProjectError::Full => Problem::RateLimited,
        error => {
            tracing::error!(
                error = error as &dyn std::error::Error,
                "a batch was not written"
            );
            Problem::Unavailable
        }
    }
}

/// What the rules find wrong with a record, in the words of the wire.
fn fault(error: &RecordError) -> Fault {
    let field = match (error, error.property()) {
        (RecordError::Id(refused), Some(property)) => {
            match refused.reason() {
                // The one of its two names that the vendor's text says.
                InvalidEventReason::NoIdentifiedId => {
                    return Fault::Missing {
                        field: "distinct_id",
                    };
                }
                InvalidEventReason::NoAnonId
                | InvalidEventReason::NoDistinctId
                | InvalidEventReason::NoAlias => {
                    return Fault::Missing { field: property };
                }
                _ => format!("properties.{property}"),
            }
        }
        (_, Some(property)) => property.to_owned(),
        (_, None) => String::new(),
    };
    Fault::Refused {
        field,
        reason: error.to_string(),
    }
}

/// What a failed record is reported by: which of the request's it is, and its `$insert_id`.
type Label = (usize, Option<String>);

/// The records of one project.
struct ProjectBatch {
    place: usize,
    batch: Batch,
    labels: Vec<Label>,
}

/// One batch for each project. That of the only one takes the text as it is.
fn batches(records: Vec<Sorted>, message: Message<'_>, endpoint: Endpoint) -> Vec<ProjectBatch> {
    let has_labels = message.dialect.is_modern();
    let empty = |place| ProjectBatch {
        place,
        batch: Batch::new(path(endpoint), now_ms()),
        labels: Vec::new(),
    };
    let Some(first) = records.first() else {
        return Vec::new();
    };
    let is_of_one = records.iter().all(|record| record.place == first.place);
    let mut all = BTreeMap::new();
    let text = message.into_text();
    for sorted in records {
        let of_project = all
            .entry(sorted.place)
            .or_insert_with(|| empty(sorted.place));
        of_project
            .labels
            .push((sorted.index, sorted.insert_id(has_labels)));
        if is_of_one {
            of_project.batch.records.push((sorted.range, sorted.record));
        } else {
            of_project.batch.push(&text[sorted.range], sorted.record);
        }
    }
    let mut all: Vec<_> = all.into_values().collect();
    if let ([only], true) = (&mut all[..], is_of_one) {
        only.batch.text = text;
    }
    all
}

/// A record with its project.
struct Sorted {
    place: usize,
    /// Which of the request's records it is.
    index: usize,
    range: Range<usize>,
    record: Record,
}

impl Sorted {
    fn insert_id(&self, is_wanted: bool) -> Option<String> {
        match &self.record {
            Record::Event { insert_id, .. } if is_wanted => insert_id.as_deref().map(str::to_owned),
            _ => None,
        }
    }
}

/// The records of a request.
#[derive(Default)]
struct Taken {
    records: Vec<Sorted>,
    /// Those that need no more work: thrown away by their sender's wish, or wrong.
    report: Report,
}

fn sort(app: &App, endpoint: Endpoint, message: &Message<'_>) -> Result<Taken, Problem> {
    match endpoint {
        Endpoint::Track => sort_tracked(app, message),
        Endpoint::Import => sort_imported(app, message),
        Endpoint::Engage | Endpoint::Groups => sort_updates(app, endpoint, message),
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Nobody vouches for these: each says itself whose it is, and none can merge any two IDs.
fn sort_tracked(app: &App, message: &Message<'_>) -> Result<Taken, Problem> {
    let mut taken = Taken::default();
    let events = message.events(&app.bounds.limits)?;
    if events.is_empty() {
        return Err(Problem::NoData);
    }
    for (index, event) in events.into_iter().enumerate() {
        let whose = event.and_then(|event| match &event.token {
            None => Err(Fault::Missing { field: "token" }),
            Some(token) => Ok((app.by_token(token), event)),
        });
        match whose {
            Ok((Some(place), event)) if !event.is_ignored => taken.records.push(Sorted {
                place,
                index,
                range: message.range(event.text),
                record: record(&event, false),
            }),
            // The vendor takes events of tokens that it does not know, and so do we; and what its
            // sender wants thrown away is.
            Ok((place, _)) => {
                taken.report.taken += 1;
                let result = if place.is_some() {
                    "ignored"
                } else {
                    "unknown_token"
                };
                count(app, place, Endpoint::Track, result);
            }
            Err(fault) => {
                count(app, None, Endpoint::Track, "invalid");
                taken.report.failed.push(failed(index, fault));
            }
        }
    }
    Ok(taken)
}

fn record(event: &EventRecord<'_>, may_merge: bool) -> Record {
    Record::Event {
        time_ms: event.time.ms(),
        insert_id: event.mark().map(Into::into),
        may_merge,
    }
}

fn failed(index: usize, fault: Fault) -> FailedRecord {
    FailedRecord {
        index,
        insert_id: None,
        fault,
    }
}

/// Somebody vouches for these, and all are of one project.
fn sort_imported(app: &App, message: &Message<'_>) -> Result<Taken, Problem> {
    let configs = app.configs();
    let place = access::project(
        &configs,
        &message.credentials,
        message.project_id.as_deref(),
        Wish::Import,
    )?;
    let events = message.events(&app.bounds.limits)?;
    let is_simplified = configs[place].engine.rule_book() == RuleBook::Simplified;
    let is_identity = |event: &Result<EventRecord<'_>, Fault>| {
        event.as_ref().is_ok_and(EventRecord::is_identity_event)
    };
    if is_simplified && events.iter().any(is_identity) {
        return Err(Problem::IdentityEvents);
    }
    let requirements = Requirements {
        is_strict: message.is_strict,
        waives_distinct_id: is_simplified,
        now_ms: now_ms(),
    };
    let mut taken = Taken::default();
    taken.records.reserve_exact(events.len());
    for (index, event) in events.into_iter().enumerate() {
        let mut insert_id = None;
        let checked = event.and_then(|event| {
            insert_id.clone_from(&event.insert_id);
            event.check(&requirements, &app.bounds.limits)?;
            Ok(event)
        });
        match checked {
            Ok(event) if event.is_ignored => {
                taken.report.taken += 1;
                count(app, Some(place), Endpoint::Import, "ignored");
            }
            Ok(event) => taken.records.push(Sorted {
                place,
                index,
                range: message.range(event.text),
                record: record(&event, true),
            }),
            Err(fault) => {
                count(app, Some(place), Endpoint::Import, "invalid");
                taken.report.failed.push(FailedRecord {
                    insert_id: insert_id.map(String::from),
                    ..failed(index, fault)
                });
            }
        }
    }
    Ok(taken)
}

fn sort_updates(app: &App, endpoint: Endpoint, message: &Message<'_>) -> Result<Taken, Problem> {
    let mut taken = Taken::default();
    let updates = message.updates(&app.bounds.limits)?;
    if updates.is_empty() {
        return Err(Problem::NoData);
    }
    for (index, update) in updates.into_iter().enumerate() {
        match update.map(|update| (app.by_token(&update.token), update)) {
            Ok((Some(place), update)) => taken.records.push(Sorted {
                place,
                index,
                range: message.range(update.text),
                record: Record::Update,
            }),
            Ok((None, _)) => {
                taken.report.taken += 1;
                count(app, None, endpoint, "unknown_token");
            }
            Err(fault) => {
                count(app, None, endpoint, "invalid");
                taken.report.failed.push(failed(index, fault));
            }
        }
    }
    Ok(taken)
}

fn count(app: &App, place: Option<usize>, endpoint: Endpoint, result: &'static str) {
    // A token that is not known is anybody's text, and would make as many rows as they like.
    let project = place.map(|place| app.projects[place].config.token.clone());
    app.metrics
        .records
        .get_or_create(&RecordLabels {
            project: project.unwrap_or_default(),
            endpoint: name(endpoint),
            result,
        })
        .inc();
}

/// Counts what became of the records of a batch. Merges and the like the project counts itself.
fn count_answer(app: &App, place: usize, endpoint: Endpoint, answer: &Answer) {
    let mut results = BTreeMap::<&'static str, u64>::new();
    for record in &answer.records {
        let result = match record {
            RecordAnswer::Stored(_) => "stored",
            RecordAnswer::Repeated => "repeated",
            RecordAnswer::Refused(_) => "refused",
        };
        *results.entry(result).or_default() += 1;
    }
    for (result, count) in results {
        let labels = RecordLabels {
            project: app.projects[place].config.token.clone(),
            endpoint: name(endpoint),
            result,
        };
        app.metrics.records.get_or_create(&labels).inc_by(count);
    }
}
