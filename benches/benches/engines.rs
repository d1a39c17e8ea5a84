//! Single calls of the engines: reading, applying, resolving, snapshots, and the JSON of events. They
//! are small, so that `cargo test --bench` runs each once quickly. For figures to compare, use the
//! programs in `src/bin`.

#![allow(missing_docs, reason = "the macros of criterion make public functions")]

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use idmerge_benches::inputs::events::{folded, lines, parsed, users};
use idmerge_benches::inputs::ids::Spelling;
use idmerge_benches::inputs::links::Plan;
use idmerge_benches::rows::engines::{EngineRow, LinkEngine};
use idmerge_benches::rows::{Row as _, check, look};
use idmerge_core::{Event, IdentityResolver};
use idmerge_engines::Model;
use idmerge_events::{JsonEvent, Resolved};
use idmerge_original::Original;
use idmerge_simplified::Simplified;
use idmerge_workloads::Workload;

/// Enough events that the tables do not fit the nearest cache.
const EVENTS: u64 = 50_000;
const DEVICES: u64 = 100_000;
const LOOKUPS: u64 = 10_000;

fn events(criterion: &mut Criterion) {
    let lines = lines(Workload::WebLogin, EVENTS);
    let events = parsed(&lines);

    // Law 8: on this workload both models find the same users, so both do the same work.
    let answers = Model::ALL.map(|model| {
        let users = users(&*folded(model, &events), &events);
        // One model spells an ID that was never merged with the prefix, and the other without.
        users
            .iter()
            .map(|user| user.trim_start_matches("$device:").to_owned())
            .collect::<Vec<_>>()
    });
    assert_eq!(answers[0], answers[1]);

    let mut group = criterion.benchmark_group("events");
    group.throughput(Throughput::Elements(EVENTS));
    group.bench_function("parse", |bencher| {
        bencher.iter(|| {
            for line in &lines {
                black_box(JsonEvent::parse(line).is_ok());
            }
        });
    });
    for model in Model::ALL {
        group.bench_function(BenchmarkId::new("read and apply", model), |bencher| {
            bencher.iter_with_large_drop(|| folded(model, &events));
        });

        let engine = folded(model, &events);
        group.bench_function(BenchmarkId::new("read", model), |bencher| {
            bencher.iter(|| {
                for event in &events {
                    black_box(engine.read(&event.event()).is_ok());
                }
            });
        });

        let readings: Vec<_> = events.iter().map(JsonEvent::event).collect();
        let resolved: Vec<_> = readings
            .iter()
            .map(|event| resolved(&*engine, event))
            .collect();
        let mut out = Vec::new();
        group.bench_function(BenchmarkId::new("write_resolved", model), |bencher| {
            bencher.iter(|| {
                for (event, resolved) in events.iter().zip(&resolved) {
                    out.clear();
                    event.write_resolved(resolved, &mut out);
                    black_box(&out);
                }
            });
        });
    }
    group.finish();
}

fn resolved<'a>(engine: &'a dyn IdentityResolver, event: &Event<'a>) -> Resolved<'a> {
    let own = engine.read(event).ok().and_then(|it| it.distinct_id);
    Resolved {
        rule_book: engine.rule_book(),
        own,
        canonical: own.map(|id| engine.resolve(id)),
        failure: None,
    }
}

fn claims(criterion: &mut Criterion) {
    of_engine::<Simplified>("simplified", criterion);
    of_engine::<Original>("original", criterion);
}

fn of_engine<E: LinkEngine>(name: &str, criterion: &mut Criterion) {
    let plan = Plan::new(DEVICES, Spelling::Uuid);
    let links = plan.links(0..DEVICES);
    let ids = plan.lookups(LOOKUPS, 0, 1);
    let mut row = EngineRow::<E>::default();
    row.apply(&links);
    assert_eq!(check(name, &mut row, &links), Ok(()));

    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(DEVICES));
    group.bench_function("apply", |bencher| {
        bencher.iter_with_large_drop(|| {
            let mut row = EngineRow::<E>::default();
            row.apply(&links);
            row
        });
    });
    group.bench_function("apply_batch", |bencher| {
        bencher.iter_with_large_drop(|| {
            let mut row = EngineRow::<E>::default();
            row.apply_batch(&links);
            row
        });
    });

    group.throughput(Throughput::Elements(LOOKUPS));
    let mut seen = |text: &str| {
        black_box(look(text));
    };
    group.bench_function("resolve", |bencher| {
        bencher.iter(|| row.resolve(&ids, &mut seen));
    });
    group.bench_function("resolve_batch", |bencher| {
        bencher.iter(|| row.resolve_batch(&ids, &mut seen));
    });

    group.throughput(Throughput::Elements(DEVICES));
    let mut bytes = Vec::new();
    group.bench_function("snapshot, write", |bencher| {
        bencher.iter(|| {
            bytes.clear();
            black_box(row.engine.write_snapshot(&mut bytes).is_ok());
        });
    });
    group.bench_function("snapshot, read", |bencher| {
        bencher.iter_batched(
            E::default,
            |mut engine| {
                assert!(engine.read_snapshot(&mut bytes.as_slice()).is_ok());
                engine
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = events, claims
}
criterion_main!(benches);
