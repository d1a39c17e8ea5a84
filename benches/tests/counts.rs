//! Allocations and bytes do not exceed those of `counts.toml`. `cargo xtask bench counts` checks
//! instructions too.

use idmerge_benches::counts::{Counts, Kind, Measure, allocations, bytes, kept, regressions};

const FILE: &str = include_str!("../counts.toml");

fn check(kind: Kind, count: fn(Measure) -> Counts) {
    let counted = count(|run| {
        let info = allocation_counter::measure(run);
        (info.count_total, info.bytes_current)
    });
    let kept = kept(FILE, kind).expect("the file has all tables");
    let complaints = regressions(kind, &kept, &counted);
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn no_operation_allocates_more_often_than_before() {
    check(Kind::Allocations, allocations);
}

#[test]
fn an_id_takes_no_more_bytes_than_before() {
    check(Kind::Bytes, bytes);
}
