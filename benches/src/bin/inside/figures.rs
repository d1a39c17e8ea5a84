//! The figures of all rows, and their targets.

use idmerge_benches::measure::{Asking, Samples};
use idmerge_benches::report::{Report, grouped};
use idmerge_benches::{EXPERT, MAP, ORIGINAL, PETGRAPH, ROWS, SIMPLIFIED};

use crate::own_process::Measured;

/// The measurements of one row.
#[derive(Default)]
pub(crate) struct Figures {
    apply: Samples,
    apply_batch: Samples,
    resolve: Samples,
    pub(crate) resolve_batch: Samples,
    missing: Samples,
    missing_batch: Samples,
}

impl Figures {
    /// Adds what a process has measured.
    pub(crate) fn push(&mut self, asking: Asking, measured: &Measured) {
        let (apply, resolve, missing) = match asking {
            Asking::OneByOne => (&mut self.apply, &mut self.resolve, &mut self.missing),
            Asking::InBatches => (
                &mut self.apply_batch,
                &mut self.resolve_batch,
                &mut self.missing_batch,
            ),
        };
        apply.push(measured.apply);
        for pair in measured.resolve.as_chunks::<2>().0 {
            resolve.push(pair[0]);
            missing.push(pair[1]);
        }
    }
}

/// The figures of a row.
pub(crate) fn of<'f>(figures: &'f [Figures], name: &str) -> &'f Figures {
    let at = ROWS.iter().position(|(row, _)| *row == name);
    &figures[at.unwrap_or_default()]
}

/// The tables of one size, and its targets.
pub(crate) fn tables(devices: u64, figures: &[Figures], report: &mut Report) {
    let cell = |samples: &Samples| {
        if samples.is_empty() {
            String::new()
        } else {
            format!("{:.1}", samples.median())
        }
    };
    type Pick = fn(&Figures) -> &Samples;
    let columns: [(&str, Pick); 6] = [
        ("apply", |figures| &figures.apply),
        ("apply_batch", |figures| &figures.apply_batch),
        ("resolve", |figures| &figures.resolve),
        ("resolve_batch", |figures| &figures.resolve_batch),
        ("resolve, missing", |figures| &figures.missing),
        ("resolve_batch, missing", |figures| &figures.missing_batch),
    ];
    let head: Vec<&str> = ["row"]
        .into_iter()
        .chain(columns.iter().map(|(name, _)| *name))
        .collect();
    let table = |cell: &dyn Fn(&Samples) -> String| -> Vec<Vec<String>> {
        let rows = ROWS.iter().zip(figures);
        rows.map(|((name, _), figures)| {
            let cells = columns.iter().map(|(_, pick)| cell(pick(figures)));
            [(*name).to_owned()].into_iter().chain(cells).collect()
        })
        .collect()
    };
    let heading = format!("{} linked devices, ns", grouped(devices));
    report.table(&heading, &head, &table(&cell));
    let heading = format!("{} linked devices, ns: least to greatest", grouped(devices));
    report.table(&heading, &head, &table(&Samples::spread));

    targets(devices, figures, report);
}

/// The targets: how many times faster than a peer, one by one and in batches.
fn targets(devices: u64, figures: &[Figures], report: &mut Report) {
    let size = grouped(devices);
    let [map, petgraph, expert] = [MAP, PETGRAPH, EXPERT].map(|peer| of(figures, peer));
    for (engine, resolve_wanted) in [(SIMPLIFIED, 1.0), (ORIGINAL, 0.7)] {
        let own = of(figures, engine);
        let [apply, apply_batch] = [("apply", &own.apply), ("apply_batch", &own.apply_batch)];
        let resolve = ("resolve", &own.resolve);
        let resolve_batch = ("resolve_batch", &own.resolve_batch);
        for ((what, samples), wanted, name, peer) in [
            (resolve_batch, 5.0, MAP, &map.resolve),
            (resolve, 2.0, MAP, &map.resolve),
            (apply, 3.0, PETGRAPH, &petgraph.apply),
            (apply_batch, 3.0, PETGRAPH, &petgraph.apply),
            (apply, 0.9, EXPERT, &expert.apply),
            (apply_batch, 1.2, EXPERT, &expert.apply),
            (resolve, resolve_wanted, EXPERT, &expert.resolve),
            (resolve_batch, 2.0, EXPERT, &expert.resolve),
        ] {
            let target = format!("{engine} {what}, {size}: times {name}");
            let ratio = peer.median() / samples.median();
            report.at_least(&target, wanted, ratio, " ×");
        }
    }
}
