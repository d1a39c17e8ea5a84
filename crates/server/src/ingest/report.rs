//! Turns the answers of projects into the response to the client.

use std::collections::BTreeMap;

use idmerge_core::InvalidEventReason;
use idmerge_project::{ClaimAnswer, RecordAnswer, RecordError};
use idmerge_wire::{Endpoint, FailedRecord, Fault};

use super::response::{IngestError, problem};
use super::submit::Submission;
use crate::app::App;

/// Waits until all batches of a request are durable, and writes the answer.
pub(super) async fn when_durable(
    app: &App,
    endpoint: Endpoint,
    submission: Submission,
) -> Result<idmerge_wire::Response, IngestError> {
    let Submission {
        dialect,
        batches,
        mut report,
        text_bytes: _,
    } = submission;
    for batch in batches {
        let answer = batch.pending.answer().await;
        let answer =
            answer.map_err(|error| IngestError::Problem(dialect.clone(), problem(&error)))?;
        count_results(app, batch.project_index, endpoint, &answer.records);
        for (label, record) in batch.labels.into_iter().zip(answer.records) {
            match record {
                RecordAnswer::Stored(_) | RecordAnswer::Repeated => report.taken += 1,
                RecordAnswer::Refused(error) => report.failed.push(FailedRecord {
                    index: label.index,
                    insert_id: label.insert_id,
                    fault: fault(endpoint, &error),
                }),
            }
        }
    }
    report.failed.sort_by_key(|failed| failed.index);
    Ok(dialect.report(&report))
}

/// The result of a `$merge` or a `$create_alias` from a sender that may not make its claim.
const UNWEIGHED: &str = "unweighed";

/// Counts the records of a batch by their results. Merges are counted by the project itself.
fn count_results(app: &App, project_index: usize, endpoint: Endpoint, records: &[RecordAnswer]) {
    let mut counts = BTreeMap::<&'static str, u64>::new();
    for record in records {
        let result = match record {
            RecordAnswer::Stored(ClaimAnswer::NotAllowed) => UNWEIGHED,
            RecordAnswer::Stored(_) => "stored",
            RecordAnswer::Repeated => "repeated",
            RecordAnswer::Refused(_) => "refused",
        };
        *counts.entry(result).or_default() += 1;
    }
    let open = &app.projects[project_index];
    // The SDKs at /track may send a merge that does not count.
    let is_unexpected = !matches!(endpoint, Endpoint::Track);
    if is_unexpected && counts.contains_key(UNWEIGHED) {
        open.warn_of_merge();
    }
    let token = Some(&*open.config.token);
    for (result, count) in counts {
        app.metrics.count_records(token, endpoint, result, count);
    }
}

/// The fault of a record that the rules of ID Merge refuse.
fn fault(endpoint: Endpoint, error: &RecordError) -> Fault {
    let field = match (error, error.property()) {
        (RecordError::Id(invalid), Some(property)) => {
            match invalid.reason() {
                // The property has two names. The vendor's message has this one.
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
                // An update names its user in `$distinct_id`.
                _ if matches!(endpoint, Endpoint::Engage | Endpoint::Groups) => {
                    format!("${property}")
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
