//! What is said of a store, as lines of JSON.

use idmerge_core::{Claim, DistinctId, Outcome};
use idmerge_store::{Cause, Entry, What};
use serde::Serialize;
use serde_json::{Value, json};

use crate::output::Output;

pub(crate) fn write(line: &impl Serialize, output: &mut Output) -> anyhow::Result<()> {
    output.write_with(|out| {
        serde_json::to_writer(&mut *out, line)?;
        out.write_all(b"\n")
    })
}

/// An entry of the log, with the answer of when it came.
pub(super) fn entry(entry: &Entry<'_>) -> Value {
    let mut line = match entry.what {
        What::Claim { claim, outcome } => {
            let mut line = claim_line(entry.sequence, claim);
            add_answer(&mut line, outcome);
            line
        }
        What::Retracted {
            retracted,
            who,
            why,
        } => json!({
            "sequence": entry.sequence,
            "retracted": retracted,
            "who": who,
            "why": why,
        }),
        What::Replaced => json!({ "sequence": entry.sequence, "replaced": true }),
        _ => json!({ "sequence": entry.sequence }),
    };
    add_cause(&mut line, &entry.cause);
    line
}

fn claim_line(sequence: u64, claim: Claim<'_>) -> Value {
    match claim {
        Claim::Link { device, user } => {
            json!({ "sequence": sequence, "claim": "link", "device": device, "user": user })
        }
        Claim::Identify { identified, anon } => {
            json!({ "sequence": sequence, "claim": "identify", "identified": identified, "anon": anon })
        }
        Claim::Alias { distinct_id, alias } => {
            json!({ "sequence": sequence, "claim": "alias", "distinct_id": distinct_id, "alias": alias })
        }
        Claim::Merge { first, second } => {
            json!({ "sequence": sequence, "claim": "merge", "first": first, "second": second })
        }
        _ => json!({ "sequence": sequence, "claim": claim }),
    }
}

fn add_answer(line: &mut Value, outcome: Outcome<'_>) {
    match outcome {
        Outcome::Merged => line["answer"] = "merged".into(),
        Outcome::AlreadyMerged => line["answer"] = "already merged".into(),
        Outcome::Ignored => line["answer"] = "ignored".into(),
        Outcome::Rejected(rejection) => {
            line["answer"] = rejection.code().into();
            line["description"] = rejection.to_string().into();
        }
        _ => {}
    }
}

/// Adds what made an entry, as far as it is known.
pub(super) fn add_cause(line: &mut Value, cause: &Cause<'_>) {
    if let Some(insert_id) = cause.insert_id {
        line["insert_id"] = insert_id.into();
    }
    if let Some(time_ms) = cause.time_ms {
        line["time_ms"] = time_ms.into();
    }
    if let Some(source) = cause.source {
        line["source"] = source.into();
    }
}

pub(super) fn remap(sequence: u64, [id, from, to]: [DistinctId<'_>; 3]) -> Value {
    json!({ "sequence": sequence, "id": id, "from": from, "to": to })
}
