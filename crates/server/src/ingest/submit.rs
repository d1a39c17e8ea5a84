//! Groups the records of a request by project, and queues one batch at each.

use std::collections::BTreeMap;

use idmerge_project::{Batch, EventOrder, Record};
use idmerge_wire::{Credentials, Dialect, Endpoint, Head, Message, Problem, Report};

use super::calls;
use super::records::{self, AcceptedRecord};
use super::response::{IngestError, problem};
use super::unknown_tokens::RequestOrigin;
use crate::app::App;
use crate::clock::now_ms;
use crate::http::access;
use crate::projects::PendingBatch;

/// A request with batches that wait to be written.
pub(super) struct Submission {
    pub(super) dialect: Dialect,
    pub(super) batches: Vec<SubmittedBatch>,
    /// The results known already: records that were ignored, and those at fault.
    pub(super) report: Report,
    /// The bytes of the decoded text, which the batches have until they are durable.
    pub(super) text_bytes: usize,
}

/// The batch of one project, which waits to be written.
pub(super) struct SubmittedBatch {
    pub(super) project_index: usize,
    pub(super) pending: PendingBatch,
    /// One for each record of the batch, in order.
    pub(super) labels: Vec<RecordLabel>,
}

/// How a response refers to a record.
pub(super) struct RecordLabel {
    /// The position of the record in the request, from 0.
    pub(super) index: usize,
    pub(super) insert_id: Option<String>,
}

/// Checks the records of a decoded body, and queues them at their projects. `has_room` says whether there is
/// memory for this many bytes of text that the body is converted to.
pub(super) fn submit(
    app: &App,
    endpoint: Endpoint,
    head: &Head,
    origin: RequestOrigin<'_>,
    message: Result<Message<'_>, Problem>,
    has_room: &dyn Fn(usize) -> bool,
) -> Result<Submission, IngestError> {
    let mut message = message.map_err(|problem| IngestError::Problem(head.dialect(), problem))?;
    let dialect = message.dialect.clone();
    let is_strict = message.is_strict;
    let error = |problem| IngestError::Problem(dialect.clone(), problem);
    let refused =
        |credentials: &Credentials, problem| match access::is_wrong_secret(credentials, &problem) {
            true => IngestError::WrongSecret(dialect.clone(), problem),
            false => error(problem),
        };
    let call_kind = match endpoint {
        Endpoint::Calls(kind) => Some(kind),
        Endpoint::Pixel(kind) => Some(Some(kind)),
        _ => None,
    };
    let accepted = match call_kind {
        Some(kind) => {
            let (converted, accepted) = calls::accept(app, kind, origin, &message, has_room)
                .map_err(|problem| refused(&message.credentials, problem))?;
            message = converted;
            accepted
        }
        None => records::accept(app, endpoint, origin, &message)
            .map_err(|problem| refused(&message.credentials, problem))?,
    };
    let mut batches = Vec::new();
    let mut text_bytes = 0;
    for batch in batch_by_project(accepted.records, message, endpoint, accepted.source) {
        text_bytes += batch.batch.text.len();
        let pending = app.projects[batch.project_index]
            .submit(batch.batch)
            .map_err(|failed| error(problem(&failed)))?;
        batches.push(SubmittedBatch {
            project_index: batch.project_index,
            pending,
            labels: batch.labels,
        });
    }
    Ok(Submission {
        batches,
        report: Report {
            is_strict,
            ..accepted.report
        },
        dialect,
        text_bytes,
    })
}

/// The records of one project.
struct ProjectBatch {
    project_index: usize,
    batch: Batch,
    labels: Vec<RecordLabel>,
}

/// One batch for each project. If there is only one project, its batch takes the text of the
/// request as a whole, without a copy.
fn batch_by_project(
    records: Vec<AcceptedRecord>,
    message: Message<'_>,
    endpoint: Endpoint,
    source: &'static str,
) -> Vec<ProjectBatch> {
    let has_labels = message.dialect.is_modern();
    let Some(first) = records.first() else {
        return Vec::new();
    };
    let first_index = first.project_index;
    let has_one_project = records
        .iter()
        .all(|record| record.project_index == first_index);
    let mut batches = BTreeMap::new();
    let text = message.into_text();
    for accepted in records {
        let project_index = accepted.project_index;
        let batch = batches
            .entry(project_index)
            .or_insert_with(|| ProjectBatch {
                project_index,
                batch: Batch {
                    order: event_order(endpoint),
                    ..Batch::new(source, now_ms())
                },
                labels: Vec::new(),
            });
        batch.labels.push(RecordLabel {
            index: accepted.index,
            insert_id: if has_labels {
                insert_id(&accepted.record)
            } else {
                None
            },
        });
        if has_one_project {
            let record = (accepted.range, accepted.record);
            batch.batch.records.push(record);
        } else {
            let text = &text[accepted.range];
            batch.batch.push(text, accepted.record);
        }
    }
    let mut batches: Vec<_> = batches.into_values().collect();
    if let ([only], true) = (&mut batches[..], has_one_project) {
        only.batch.text = text;
    }
    batches
}

/// AR-1: SDKs of browsers do not keep the order of calls that are made at about the same time.
/// Importers send a history that they have put in order.
fn event_order(endpoint: Endpoint) -> EventOrder {
    match endpoint {
        Endpoint::Track => EventOrder::ByTime,
        Endpoint::Import
        | Endpoint::Calls(_)
        | Endpoint::Pixel(_)
        | Endpoint::Engage
        | Endpoint::Groups => EventOrder::AsSent,
    }
}

fn insert_id(record: &Record) -> Option<String> {
    match record {
        Record::Event { insert_id, .. } => insert_id.as_deref().map(str::to_owned),
        Record::Update => None,
    }
}
