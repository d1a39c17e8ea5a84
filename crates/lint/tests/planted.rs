//! Precision and recall on generated events with planted mistakes, and no findings without any.

#![allow(
    clippy::print_stdout,
    reason = "with --nocapture it prints the figures of docs/lint.md"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use idmerge_engines::{Model, Settings};
use idmerge_lint::Report;
use idmerge_workloads::{Mistake, MistakeStream, Stream, Workload};
use support::Linting;

/// Some were tried while the lint was written; these were not.
const SEEDS: std::ops::Range<u64> = 1_000..1_004;

fn planted(model: Model, events: u64, seed: u64) -> (Report, Vec<Mistake>) {
    let mut linting = Linting::new(Settings::of(model));
    let mut stream = MistakeStream::new(Workload::WebLogin, events, seed);
    let mut line = Vec::new();
    while stream.next_event(&mut line) {
        linting.add(&line);
        line.clear();
    }
    let mistakes = stream.mistakes().iter();
    let of_model = |mistake: &&Mistake| mistake.models.iter().any(|it| it == model.name());
    (
        linting.finish(),
        mistakes.filter(of_model).cloned().collect(),
    )
}

/// How many mistakes of a kind were planted, how many of them were found, and how many findings there are that
/// nobody planted.
#[derive(Clone, Copy, Debug, Default)]
struct Score {
    planted: u64,
    found: u64,
    wrong: u64,
}

impl Score {
    fn precision(self) -> f64 {
        (self.found as f64) / ((self.found + self.wrong) as f64).max(1.0)
    }

    fn recall(self) -> f64 {
        self.found as f64 / (self.planted as f64).max(1.0)
    }
}

fn score(report: &Report, mistakes: &[Mistake], scores: &mut BTreeMap<String, Score>, told: &str) {
    let found: BTreeSet<(&str, &str)> = report
        .findings
        .iter()
        .flat_map(|finding| {
            finding
                .examples
                .iter()
                .map(|it| (finding.kind.name(), it.id.as_str()))
        })
        .collect();
    let mut true_ones = BTreeSet::new();
    for mistake in mistakes {
        let score = scores.entry(mistake.mistake.clone()).or_default();
        let shown = mistake
            .ids
            .iter()
            .map(|id| (mistake.mistake.as_str(), id.as_str()));
        let shown: BTreeSet<_> = shown.collect();
        score.planted += 1;
        let is_found = !shown.is_disjoint(&found);
        score.found += u64::from(is_found);
        if !is_found {
            println!("{told}: not found {mistake:?}");
        }
        true_ones.extend(shown);
    }
    for wrong in found.difference(&true_ones) {
        println!("{told}: wrong {wrong:?}");
        scores.entry(wrong.0.to_owned()).or_default().wrong += 1;
    }
}

#[test]
fn planted_mistakes_are_found_and_nothing_else() {
    for model in [Model::Simplified, Model::Original] {
        for events in [2_000, 25_000] {
            let mut scores = BTreeMap::new();
            for seed in SEEDS {
                let (report, mistakes) = planted(model, events, seed);
                score(
                    &report,
                    &mistakes,
                    &mut scores,
                    &format!("{model} {events} {seed}"),
                );
            }
            let all = scores.values().fold(Score::default(), |all, it| Score {
                planted: all.planted + it.planted,
                found: all.found + it.found,
                wrong: all.wrong + it.wrong,
            });
            for (kind, it) in scores.iter().chain([(&"all".to_owned(), &all)]) {
                println!(
                    "{model:<10} {events:>6} {kind:<26} planted {:>5}  precision {:.3}  recall {:.3}",
                    it.planted,
                    it.precision(),
                    it.recall()
                );
                assert!(it.precision() >= 0.95, "{model} {events} {kind} {it:?}");
                // Words of tests, such as `id`, are found only if many devices have them.
                let least = if *kind == "placeholder-id" { 0.8 } else { 0.9 };
                assert!(it.recall() >= least, "{model} {events} {kind} {it:?}");
            }
        }
    }
}

#[test]
fn nothing_is_found_where_nothing_is_planted() {
    for model in Model::ALL {
        for events in [10, 300, 3_000, 12_000] {
            for seed in SEEDS {
                let mut linting = Linting::new(Settings::of(model));
                let mut stream = Stream::new(Workload::WebLogin, events, seed);
                let mut line = Vec::new();
                while stream.next_event(&mut line) {
                    linting.add(&line);
                    line.clear();
                }
                let report = linting.finish();
                assert_eq!(report.findings, [], "{model} {events} {seed}");
            }
        }
    }
}
