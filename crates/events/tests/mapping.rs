//! Mappings as rows.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use idmerge_core::{Claim, Id, IdentityResolver, Resolve};
use idmerge_events::{MappingFormat, MappingWriter};
use idmerge_simplified::Simplified;

#[test]
fn each_member_but_the_canonical_one_has_a_row() {
    let mut engine = Simplified::default();
    for (device, user) in [("D1", "U,\"1"), ("D2", "U,\"1"), ("D3", "U2")] {
        let [device, user] = [device, user].map(|id| Id::new(id).unwrap());
        engine.apply(Claim::Link { device, user }).unwrap();
    }
    let rows = |format| {
        let mut rows = MappingWriter::new(format, Vec::new()).unwrap();
        for cluster in engine.clusters() {
            rows.write_cluster(&cluster).unwrap();
        }
        let rows = String::from_utf8(rows.finish().unwrap()).unwrap();
        let mut rows: Vec<_> = rows.lines().map(str::to_owned).collect();
        rows.sort_unstable();
        rows
    };
    assert_eq!(
        rows(MappingFormat::Csv),
        [
            r#"$device:D1,"U,""1""#,
            r#"$device:D2,"U,""1""#,
            "$device:D3,U2",
            "distinct_id,resolved_distinct_id",
        ]
    );
    assert_eq!(
        rows(MappingFormat::Ndjson),
        [
            r#"{"distinct_id":"$device:D1","resolved_distinct_id":"U,\"1"}"#,
            r#"{"distinct_id":"$device:D2","resolved_distinct_id":"U,\"1"}"#,
            r#"{"distinct_id":"$device:D3","resolved_distinct_id":"U2"}"#,
        ]
    );
}
