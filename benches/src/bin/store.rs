//! Compares a store with `SQLite`, and measures a large store.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a benchmark prints its results"
)]

use std::fs;
use std::hint::black_box;
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Result, ensure};
use clap::Parser;
use idmerge_benches::inputs::ids::{Spelling, scattered_below};
use idmerge_benches::inputs::links::{Links, Plan};
use idmerge_benches::measure::{Samples, timed};
use idmerge_benches::report::{Report, grouped};
use idmerge_core::{
    Claim, Cluster, DistinctId, EngineError, Event, Id, IdentityResolver, InvalidEvent, InvalidId,
    Outcome, Reading, Resolve, RuleBook, SnapshotError,
};
use idmerge_simplified::Simplified;
use idmerge_store::{Cause, Durable, Options, Sharing};
use rusqlite::{Connection, params};

/// Compares a store with `SQLite` at the same durability, and measures a large store
#[derive(Debug, Parser)]
struct Args {
    /// A small run, for a test of the program
    #[arg(long)]
    quick: bool,
}

/// The events of the claims, the same for every row.
struct Caused {
    insert_ids: Vec<String>,
    times_ms: Vec<i64>,
}

const SOURCE: &str = "web";

fn main() -> Result<()> {
    let args = Args::parse();
    let mut report = Report::default();
    report.text(
        "Each claim links a new device, with `$insert_id` (a UUID), time and source. \
         SQLite: one row per claim, a prepared statement, WAL, `synchronous=FULL`. Rows are \
         interleaved; a figure is the median of its rounds.",
    );
    let (scale, rounds) = if args.quick { (20, 1) } else { (1, 5) };
    groups(scale, rounds, &mut report)?;
    large(10_000_000 / scale, &mut report)?;
    print!("{report}");
    Ok(())
}

fn caused(count: usize) -> Caused {
    let mut insert_ids = Vec::with_capacity(count);
    let mut times_ms = Vec::with_capacity(count);
    for number in 0..count as u64 {
        let mut text = String::new();
        Spelling::Uuid.write_device(number + (1 << 40), &mut text);
        insert_ids.push(text);
        times_ms.push(1_700_000_000_000 + 37 * number.cast_signed());
    }
    Caused {
        insert_ids,
        times_ms,
    }
}

fn claims(links: &Links) -> Vec<Claim<'_>> {
    let links = links.iter();
    let claims = links.flat_map(|link| {
        let (device, user) = (Id::new(link.device)?, Id::new(link.user)?);
        Ok::<_, InvalidId>(Claim::Link { device, user })
    });
    claims.collect()
}

impl Caused {
    fn causes(&self) -> Vec<Cause<'_>> {
        let all = self.insert_ids.iter().zip(&self.times_ms);
        all.map(|(insert_id, time_ms)| Cause {
            insert_id: Some(insert_id),
            time_ms: Some(*time_ms),
            source: Some(SOURCE),
        })
        .collect()
    }
}

/// Claims per second, in commits of several sizes.
fn groups(scale: u64, rounds: u64, report: &mut Report) -> Result<()> {
    const NAMES: [&str; 3] = [
        "SQLite",
        "store, Sharing::Readers",
        "store, Sharing::Nobody",
    ];
    let mut rows = Vec::new();
    for (group, total) in [(1, 2_000), (100, 100_000), (10_000, 1_000_000)] {
        let total = (total / scale).max(100);
        let links = Plan::new(total, Spelling::Uuid).links(0..total);
        let (claims, caused) = (claims(&links), caused(links.len()));
        let causes = caused.causes();
        let mut samples = [(); 3].map(|()| Samples::default());
        let mut bytes = [0; 3];
        for round in 0..rounds {
            eprintln!("commits of {group}, round {}", round + 1);
            for (at, samples) in samples.iter_mut().enumerate() {
                let folder = tempfile::tempdir()?;
                let taken = match at {
                    0 => by_sqlite(folder.path(), group, &links, &causes)?,
                    1 => by_store(folder.path(), group, &claims, &causes, Sharing::Readers)?,
                    _ => by_store(folder.path(), group, &claims, &causes, Sharing::Nobody)?,
                };
                samples.push(total as f64 / taken);
                bytes[at] = folder_bytes(folder.path())?;
            }
        }
        let sqlite = samples[0].median();
        for ((name, samples), bytes) in NAMES.iter().zip(&samples).zip(bytes) {
            rows.push(vec![
                format!("{name}, {}", grouped(group as u64)),
                format!("{:.0}", samples.median()),
                format!("{:.2}", samples.median() / sqlite),
                format!("{:.1}", bytes as f64 / total as f64),
            ]);
        }
        for (name, samples) in NAMES[1..].iter().zip(&samples[1..]) {
            let target = format!("{name}, commits of {}: times SQLite", grouped(group as u64));
            let ratio = samples.median() / sqlite;
            if group == 10_000 {
                report.at_least(&target, 3.0, ratio, " ×");
            } else {
                report.stated(&target, ratio, " ×");
            }
        }
    }
    let head = [
        "row, claims per commit",
        "claims/s",
        "times SQLite",
        "bytes per claim",
    ];
    report.table("Durable claims", &head, &rows);
    Ok(())
}

fn by_store(
    folder: &Path,
    group: usize,
    claims: &[Claim<'_>],
    causes: &[Cause<'_>],
    sharing: Sharing,
) -> Result<f64> {
    let options = Options {
        sharing,
        ..Options::default()
    };
    let mut store = Durable::open(folder, || Silent, options)?;
    let (taken, done) = timed(|| -> Result<()> {
        for (claims, causes) in claims.chunks(group).zip(causes.chunks(group)) {
            store.apply_batch_caused(claims, causes, &mut |_| ())?;
            store.commit()?;
        }
        Ok(())
    });
    done?;
    ensure!(
        store.committed() == claims.len() as u64,
        "a claim is missing"
    );
    Ok(taken)
}

fn by_sqlite(folder: &Path, group: usize, links: &Links, causes: &[Cause<'_>]) -> Result<f64> {
    let connection = Connection::open(folder.join("log.db"))?;
    connection.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
         CREATE TABLE log(seq INTEGER PRIMARY KEY, kind INTEGER, outcome INTEGER, device TEXT,
         user TEXT, insert_id TEXT, time INTEGER, source TEXT);",
    )?;
    let all: Vec<_> = links.iter().zip(causes).collect();
    let mut sequence = 0_i64;
    let (taken, done) = timed(|| -> Result<()> {
        for group in all.chunks(group) {
            connection.execute_batch("BEGIN")?;
            let mut insert =
                connection.prepare_cached("INSERT INTO log VALUES(?,?,?,?,?,?,?,?)")?;
            for (link, cause) in group {
                sequence += 1;
                let (insert_id, time) = (cause.insert_id, cause.time_ms);
                insert.execute(params![
                    sequence,
                    0,
                    0,
                    link.device,
                    link.user,
                    insert_id,
                    time,
                    SOURCE
                ])?;
            }
            connection.execute_batch("COMMIT")?;
        }
        Ok(())
    });
    done?;
    let rows: i64 = connection.query_row("SELECT count(*) FROM log", [], |row| row.get(0))?;
    ensure!(rows == sequence, "a row is missing");
    Ok(taken)
}

/// Opens, resolves, withdraws and explains in a large store.
fn large(devices: u64, report: &mut Report) -> Result<()> {
    const USERS_PER_BLOCK: u64 = 25_000;
    let size = grouped(devices);
    let plan = Plan::in_blocks(devices, Spelling::Uuid, USERS_PER_BLOCK);
    let folder = tempfile::tempdir()?;
    let open = || Durable::open(folder.path(), Simplified::default, Options::default());
    let mut store = open()?;
    let mut bare = Simplified::default();
    let mut rows = Vec::new();
    let mut row = |what: &str, figure: String| rows.push(vec![what.to_owned(), figure]);

    let (applying, indexing) = fill(&mut store, &mut bare, &plan, devices)?;
    row(
        "applying and committing, µs per claim",
        each(applying, devices),
    );
    row("indexing, µs per claim", each(indexing, devices));
    let bytes = folder_bytes(folder.path())?;
    row(
        "bytes on disk per claim, with the index",
        format!("{:.1}", bytes as f64 / devices as f64),
    );

    resolve(&store, &bare, &plan, &size, report);
    drop(bare);
    retract(&mut store, devices, &size, report)?;

    store.close()?;
    let (taken, store) = timed(open);
    let store = store?;
    row("opening from the log alone, s", format!("{taken:.1}"));
    let (taken, done) = timed(|| store.snapshot());
    done?;
    row("writing a snapshot, s", format!("{taken:.1}"));
    store.close()?;
    let (taken, store) = timed(open);
    let store = store?;
    row("opening from a snapshot, s", format!("{taken:.1}"));
    let bytes = folder_bytes(folder.path())?;
    row(
        "bytes on disk per claim, with a snapshot",
        format!("{:.1}", bytes as f64 / devices as f64),
    );
    row(
        "explaining why two ids are one user, ms",
        format!("{:.1}", explain_ms(&store, &plan, devices)?),
    );
    report.table(
        &format!("A store of {size} claims"),
        &["what", "figure"],
        &rows,
    );
    Ok(())
}

/// Applies the claims to a store and to an engine without a store. Returns the seconds of applying with
/// its commits, and those of indexing.
fn fill(
    store: &mut Durable<Simplified>,
    bare: &mut Simplified,
    plan: &Plan,
    devices: u64,
) -> Result<(f64, f64)> {
    const BLOCK: u64 = 1_000_000;
    let size = grouped(devices);
    let (mut applying, mut indexing) = (0.0, 0.0);
    for start in (0..devices).step_by(usize::try_from(BLOCK)?) {
        eprintln!("{size} claims: {}", grouped(start));
        let links = plan.links(start..(start + BLOCK).min(devices));
        let (claims, caused) = (claims(&links), caused(links.len()));
        let causes = caused.causes();
        for (claims, causes) in claims.chunks(10_000).zip(causes.chunks(10_000)) {
            let (taken, done) = timed(|| -> Result<_> {
                store.apply_batch_caused(claims, causes, &mut |_| ())?;
                Ok(store.commit()?)
            });
            done?;
            applying += taken;
            bare.apply_batch(claims, &mut |_| ())?;
        }
        let (taken, done) = timed(|| store.index());
        done?;
        indexing += taken;
    }
    Ok((applying, indexing))
}

/// The median time of an explanation, in milliseconds.
fn explain_ms(store: &Durable<Simplified>, plan: &Plan, devices: u64) -> Result<f64> {
    let history = store.history()?;
    let mut samples = Samples::default();
    for number in 0..50 {
        let (device, user) = pair(plan, scattered_below(number, devices));
        let ids = [(&device, true), (&user, false)].map(|(text, is_device)| {
            let id = Id::new(text);
            id.map(if is_device {
                DistinctId::device
            } else {
                DistinctId::plain
            })
        });
        let [Ok(device), Ok(user)] = ids else {
            continue;
        };
        let (taken, explained) = timed(|| history.explain(store, device, user));
        black_box(explained?);
        samples.push(taken * 1e3);
    }
    Ok(samples.median())
}

fn each(seconds: f64, count: u64) -> String {
    format!("{:.2}", seconds * 1e6 / count as f64)
}

fn pair(plan: &Plan, device: u64) -> (String, String) {
    let links = plan.links(device..device + 1);
    let link = links.iter().next();
    link.map_or_else(Default::default, |link| {
        (link.device.to_owned(), link.user.to_owned())
    })
}

/// Compares lookups in the store with the same lookups in an engine without a store.
fn resolve(
    store: &Durable<Simplified>,
    bare: &Simplified,
    plan: &Plan,
    size: &str,
    report: &mut Report,
) {
    let (mut through, mut alone) = (Samples::default(), Samples::default());
    for round in 0..15 {
        let texts = plan.lookups(300_000, 0, round);
        let ids: Vec<_> = texts
            .iter()
            .flat_map(Id::new)
            .map(DistinctId::device)
            .collect();
        let time = |engine: &dyn Fn(DistinctId<'_>) -> bool| {
            let (taken, users) = timed(|| ids.iter().filter(|id| engine(**id)).count());
            assert_eq!(users, ids.len(), "each device has its user");
            taken
        };
        let first_is_store = round % 2 == 0;
        for is_store in [first_is_store, !first_is_store] {
            if is_store {
                through.push(time(&|id| !store.resolve(id).is_device()));
            } else {
                alone.push(time(&|id| !bare.resolve(id).is_device()));
            }
        }
    }
    let target = format!("resolve through Durable, {size} claims: times the engine alone");
    report.at_most(&target, 1.05, through.median() / alone.median(), " ×");
}

fn retract(
    store: &mut Durable<Simplified>,
    devices: u64,
    size: &str,
    report: &mut Report,
) -> Result<()> {
    let mut samples = Samples::default();
    let mut most = 0.0_f64;
    for number in 0..100 {
        let sequence = 1 + scattered_below(number, devices);
        let (taken, retracted) =
            timed(|| store.retract(sequence, "a bench", "to measure it", Cause::default()));
        let changes = retracted?.changes().len();
        ensure!(changes == 1, "one device resolves to itself again");
        samples.push(taken * 1e3);
        most = most.max(taken * 1e3);
    }
    let target = format!("retract, {size} claims: median");
    report.at_most(&target, 50.0, samples.median(), " ms");
    let target = format!("retract, {size} claims: slowest of 100");
    report.at_most(&target, 50.0, most, " ms");
    Ok(())
}

fn folder_bytes(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for file in fs::read_dir(folder)? {
        bytes += file?.metadata()?.len();
    }
    Ok(bytes)
}

/// An engine that does nothing, so that only the store is compared.
#[derive(Debug)]
struct Silent;

impl Resolve for Silent {
    fn rule_book(&self) -> RuleBook {
        RuleBook::Simplified
    }

    fn resolve<'a>(&'a self, id: DistinctId<'a>) -> DistinctId<'a> {
        id
    }

    fn cluster<'a>(&'a self, _: DistinctId<'a>) -> Option<Cluster<'a>> {
        None
    }

    fn clusters(&self) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
        Box::new(std::iter::empty())
    }
}

impl IdentityResolver for Silent {
    fn read<'e>(&self, _: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
        Ok(Reading::default())
    }

    fn apply<'a>(&'a mut self, _: Claim<'a>) -> Result<Outcome<'a>, EngineError> {
        Ok(Outcome::Merged)
    }

    fn write_snapshot(&self, _: &mut dyn Write) -> std::io::Result<()> {
        Ok(())
    }

    fn read_snapshot(&mut self, _: &mut dyn Read) -> Result<(), SnapshotError> {
        Ok(())
    }
}
