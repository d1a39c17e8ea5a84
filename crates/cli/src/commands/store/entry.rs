//! Entries and changes of a store as JSON.

use idmerge_core::{Claim, DistinctId, Outcome};
use idmerge_store::{Cause, Entry, What};
use serde_json::{Value, json};

/// An entry of the log, with the answer that its claim got when it was applied.
pub(super) fn entry_line(entry: &Entry<'_>) -> Value {
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

/// Adds the parts of the cause that are known.
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

/// A change of a canonical ID.
pub(super) fn change_line(sequence: u64, [id, from, to]: [DistinctId<'_>; 3]) -> Value {
    json!({ "sequence": sequence, "id": id, "from": from, "to": to })
}
