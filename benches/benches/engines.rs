//! The inside: reading, applying and resolving events, a row an engine.

#![allow(missing_docs, reason = "the macros of criterion make public functions")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use idmerge_benches::{ENGINES, folded, lines, parsed, users};
use idmerge_events::JsonEvent;
use idmerge_workloads::Workload;

/// Enough that the tables do not fit the nearest cache.
const EVENTS: u64 = 100_000;

fn engines(criterion: &mut Criterion) {
    let lines = lines(Workload::WebLogin, EVENTS);
    let events = parsed(&lines);

    // Law 8: on this workload both models give the same users, so the rows do equal work.
    let answers = ENGINES.map(|(_, make)| {
        let users = users(&*folded(make, &events), &events);
        // An id that was never merged is spelled with the mark in one model and without in the other.
        users
            .iter()
            .map(|user| user.trim_start_matches("$device:").to_owned())
            .collect::<Vec<_>>()
    });
    assert_eq!(answers[0], answers[1]);

    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Elements(EVENTS));
    group.bench_function("JsonEvent", |bencher| {
        bencher.iter(|| {
            for line in &lines {
                black_box(JsonEvent::parse(line).is_ok());
            }
        });
    });
    group.finish();

    let mut group = criterion.benchmark_group("apply");
    group.throughput(Throughput::Elements(EVENTS));
    for (name, make) in ENGINES {
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| folded(make, &events));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("resolve");
    group.throughput(Throughput::Elements(EVENTS));
    for (name, make) in ENGINES {
        let engine = folded(make, &events);
        let readings: Vec<_> = events.iter().map(JsonEvent::event).collect();
        let ids: Vec<_> = readings
            .iter()
            .filter_map(|event| engine.read(event).ok()?.distinct_id)
            .collect();
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| {
                for &id in &ids {
                    black_box(engine.resolve(id));
                }
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = engines
}
criterion_main!(benches);
