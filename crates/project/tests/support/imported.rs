//! What a sender with a credential imports.

#![allow(dead_code, reason = "each test target uses a part of it")]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests; the lint sees only test functions"
)]

use idmerge_project::{Batch, Project, Record, RecordAnswer, Sender};

/// Stores one record, which must be taken.
pub(crate) fn submit(project: &Project, json: &str, record: Record) {
    let mut batch = Batch::new("/import", 7);
    batch.push(json, record);
    let answer = project.submit_and_wait(batch).unwrap();
    assert!(answer.records.iter().all(RecordAnswer::is_stored));
}

/// Stores a `$merge` of two IDs.
pub(crate) fn merge(project: &Project, first: &str, second: &str) {
    let merge = Record::Event {
        time_ms: Some(1),
        insert_id: None,
        sender: Sender::Credential,
        layout: None,
    };
    let json =
        format!(r#"{{"event":"$merge","properties":{{"$distinct_ids":["{first}","{second}"]}}}}"#);
    submit(project, &json, merge);
}
