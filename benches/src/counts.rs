//! Counts the costs of an operation that do not depend on the load of the machine: instructions,
//! allocations and bytes.

use std::collections::BTreeMap;
use std::hint::black_box;

use idmerge_core::{IdentityResolver, Resolve};
use idmerge_events::{JsonEvent, Resolved};
use idmerge_original::Original;
use idmerge_simplified::Simplified;
use idmerge_workloads::Workload;
use toml::{Table, Value};

use crate::inputs::events::{lines, parsed};
use crate::inputs::ids::Spelling;
use crate::inputs::links::{DEVICES_PER_USER, Plan};
use crate::rows::engines::{EngineRow, LinkEngine};
use crate::rows::{Entry, Row as _, look};

/// The number of operations in a run.
pub const RUN: u64 = 20_000;

/// The name of an operation, and a function that prepares a run of it.
pub type Operation = (&'static str, fn() -> Box<dyn FnMut()>);

/// The operations to count, [`RUN`] of them in a run.
pub const OPERATIONS: [Operation; 10] = [
    ("simplified apply", apply::<Simplified>),
    ("simplified apply_batch", apply_batch::<Simplified>),
    ("simplified resolve", resolve::<Simplified>),
    ("simplified resolve_batch", resolve_batch::<Simplified>),
    ("original apply", apply::<Original>),
    ("original apply_batch", apply_batch::<Original>),
    ("original resolve", resolve::<Original>),
    ("original resolve_batch", resolve_batch::<Original>),
    ("parse", parse),
    ("write_resolved", write_resolved),
];

/// Runs an operation in a function whose name callgrind can find.
#[inline(never)]
pub fn counted_operation(run: &mut dyn FnMut()) {
    run();
}

fn plan() -> Plan {
    Plan::new(RUN, Spelling::Uuid)
}

fn filled<E: LinkEngine>() -> EngineRow<E> {
    let mut row = EngineRow::default();
    row.apply(&plan().links(0..RUN));
    row
}

fn apply<E: LinkEngine + 'static>() -> Box<dyn FnMut()> {
    let (mut row, links) = (EngineRow::<E>::default(), plan().links(0..RUN));
    Box::new(move || row.apply(&links))
}

fn apply_batch<E: LinkEngine + 'static>() -> Box<dyn FnMut()> {
    let (mut row, links) = (EngineRow::<E>::default(), plan().links(0..RUN));
    Box::new(move || {
        row.apply_batch(&links);
    })
}

fn resolve<E: LinkEngine + 'static>() -> Box<dyn FnMut()> {
    let (mut row, ids) = (filled::<E>(), plan().lookups(RUN, 0, 1));
    Box::new(move || {
        row.resolve(&ids, &mut |text| {
            black_box(look(text));
        });
    })
}

fn resolve_batch<E: LinkEngine + 'static>() -> Box<dyn FnMut()> {
    let (mut row, ids) = (filled::<E>(), plan().lookups(RUN, 0, 1));
    Box::new(move || {
        row.resolve_batch(&ids, &mut |text| {
            black_box(look(text));
        });
    })
}

fn parse() -> Box<dyn FnMut()> {
    let lines = lines(Workload::WebLogin, RUN);
    Box::new(move || {
        for line in &lines {
            black_box(JsonEvent::parse(line).is_ok());
        }
    })
}

fn write_resolved() -> Box<dyn FnMut()> {
    // Leaked, so that the closure can own values that borrow from them.
    let lines: &'static [Vec<u8>] = lines(Workload::WebLogin, RUN).leak();
    let events: &'static [JsonEvent<'_>] = parsed(lines).leak();
    let engine: &'static Simplified = Box::leak(Box::default());
    let resolved: Vec<_> = events
        .iter()
        .map(|event| {
            let own = engine
                .read(&event.event())
                .ok()
                .and_then(|it| it.distinct_id);
            Resolved {
                rule_book: engine.rule_book(),
                own,
                canonical: own,
                failure: None,
            }
        })
        .collect();
    let mut out = Vec::with_capacity(1 << 20);
    Box::new(move || {
        for (event, resolved) in events.iter().zip(&resolved) {
            out.clear();
            event.write_resolved(resolved, &mut out);
            black_box(&out);
        }
    })
}

/// Measures a run: the number of allocations, and the bytes that stay allocated. The caller provides
/// the counting allocator.
pub type Measure = fn(&mut dyn FnMut()) -> (u64, i64);

/// Counts by name.
pub type Counts = BTreeMap<String, f64>;

/// How often an operation is run. Each run has other hashes, and in one of 80 a part of a table grows once more.
const RUNS: usize = 3;

/// The number of allocations in a run of each operation: the least of several runs.
#[expect(clippy::cast_precision_loss, reason = "a count is far below 2^52")]
pub fn allocations(measure: Measure) -> Counts {
    let count = |(name, prepare): &Operation| {
        let counts = (0..RUNS).map(|_| measure(&mut *prepare()).0);
        ((*name).to_owned(), counts.min().unwrap_or_default() as f64)
    };
    OPERATIONS.iter().map(count).collect()
}

/// The bytes that an engine keeps per linked device, at the best and at the worst point while it grows
/// to four times its size.
#[expect(clippy::cast_precision_loss, reason = "a count is far below 2^52")]
pub fn bytes(measure: Measure) -> Counts {
    const USERS_PER_BLOCK: u64 = 512;
    const BLOCK: u64 = USERS_PER_BLOCK * DEVICES_PER_USER;
    const BLOCKS: u64 = 32;
    let mut counts = Counts::new();
    let rows: [Entry; 2] = [
        (crate::SIMPLIFIED, || {
            Box::<EngineRow<Simplified>>::default()
        }),
        (crate::ORIGINAL, || Box::<EngineRow<Original>>::default()),
    ];
    for (engine, make) in rows {
        for (ids, spelling) in [("UUIDs", Spelling::Uuid), ("other IDs", Spelling::Sdk)] {
            let plan = Plan::in_blocks(BLOCKS * BLOCK, spelling, USERS_PER_BLOCK);
            let mut row = make();
            let (mut bytes, mut best, mut worst) = (0, f64::MAX, 0_f64);
            for block in 0..BLOCKS {
                let links = plan.links(block * BLOCK..(block + 1) * BLOCK);
                bytes += measure(&mut || row.apply(&links)).1;
                if block >= BLOCKS / 4 {
                    let each = bytes as f64 / ((block + 1) * BLOCK) as f64;
                    (best, worst) = (best.min(each), worst.max(each));
                }
            }
            counts.insert(format!("{engine}, {ids}: best"), best);
            counts.insert(format!("{engine}, {ids}: worst"), worst);
        }
    }
    counts
}

/// The kinds of counts: the tables of the file `counts.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Instructions per operation, under callgrind.
    Instructions,
    /// Allocations in a run.
    Allocations,
    /// Bytes per linked device.
    Bytes,
}

impl Kind {
    /// All kinds, in the order of the file.
    pub const ALL: [Self; 3] = [Self::Instructions, Self::Allocations, Self::Bytes];

    /// The name of the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Instructions => "instructions",
            Self::Allocations => "allocations",
            Self::Bytes => "bytes",
        }
    }

    /// The unit of the table, in a few words.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Instructions => "per operation, under callgrind",
            Self::Allocations => "in 20,000 operations",
            Self::Bytes => "per linked device",
        }
    }

    /// The percentage by which a count may exceed the one in the file. Instructions vary with the key
    /// of the hash tables and the version of the compiler.
    pub const fn tolerance_percent(self) -> f64 {
        match self {
            Self::Instructions => 5.0,
            Self::Allocations | Self::Bytes => 1.0,
        }
    }
}

/// The counts of a kind in the text of the file.
///
/// # Errors
///
/// The text is not TOML, or it has no such table of numbers.
pub fn kept(text: &str, kind: Kind) -> Result<Counts, String> {
    let file: Table = text.parse().map_err(|e| format!("counts.toml: {e}"))?;
    let table = file.get(kind.name()).and_then(Value::as_table);
    let table = table.ok_or_else(|| format!("counts.toml has no table {}", kind.name()))?;
    let number = |(name, value): (&String, &Value)| {
        let number = value.as_float().or(value.as_integer().map(|it| it as f64));
        let number = number.ok_or_else(|| format!("counts.toml: {name} is not a number"))?;
        Ok((name.clone(), number))
    };
    table.iter().map(number).collect()
}

/// The text of the file.
pub fn file_text(tables: &[(Kind, Counts)]) -> String {
    let mut text =
        "# The costs of operations that can be counted. A change that costs more fails;\n\
         # `cargo xtask bench counts --update` writes the current costs.\n"
            .to_owned();
    for (kind, counts) in tables {
        text += &format!(
            "\n# {}; up to {} % more are accepted.\n[{}]\n",
            kind.description(),
            kind.tolerance_percent(),
            kind.name()
        );
        for (name, count) in counts {
            text += &format!("{name:?} = {count:.1}\n");
        }
    }
    text
}

/// One complaint for each operation that costs more than in the file, or is in one list only.
pub fn regressions(kind: Kind, kept: &Counts, counted: &Counts) -> Vec<String> {
    let mut complaints = Vec::new();
    let update = "`cargo xtask bench counts --update` accepts it";
    for (name, count) in counted {
        match kept.get(name) {
            None => complaints.push(format!("{name} is not in counts.toml: {update}")),
            // The file has one decimal.
            Some(kept) if *count > kept * (1.0 + kind.tolerance_percent() / 100.0) + 0.05 => {
                complaints.push(format!(
                    "{name}: {count:.1} {}, {kept:.1} before: reduce it, or if it must be, {update}",
                    kind.name()
                ));
            }
            Some(_) => {}
        }
    }
    for name in kept.keys().filter(|name| !counted.contains_key(*name)) {
        complaints.push(format!(
            "{name} in counts.toml is not counted any more: {update}"
        ));
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(counts: &[(&str, f64)]) -> Counts {
        counts
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect()
    }

    #[test]
    fn a_file_reads_back() {
        let tables = Kind::ALL.map(|kind| (kind, counts(&[("resolve: \"a\"", 1.5), ("b", 0.0)])));
        let text = file_text(&tables);
        for (kind, counts) in tables {
            assert_eq!(kept(&text, kind).unwrap(), counts);
        }
        assert!(kept("", Kind::Bytes).is_err());
        assert!(kept("bytes = 1", Kind::Bytes).is_err());
        assert!(kept("[bytes]\na = true", Kind::Bytes).is_err());
    }

    #[test]
    fn more_than_before_is_a_regression() {
        let kept = counts(&[("a", 100.0), ("b", 0.0)]);
        let check = |a, b| regressions(Kind::Instructions, &kept, &counts(&[("a", a), ("b", b)]));
        assert_eq!(check(105.0, 0.0), [""; 0]);
        assert_eq!(check(1.0, 0.0), [""; 0]);
        assert_eq!(check(106.0, 0.0).len(), 1);
        assert_eq!(check(106.0, 1.0).len(), 2);
        assert_eq!(
            regressions(Kind::Bytes, &kept, &counts(&[("a", 1.0)])).len(),
            1
        );
        assert_eq!(regressions(Kind::Bytes, &counts(&[]), &kept).len(), 2);
    }
}
