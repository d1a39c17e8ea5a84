//! Durable claims, in commits of several sizes.

use std::fmt;
use std::io::{Read, Write};
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context as _, Result, ensure};
use idmerge_benches::inputs::ids::Spelling;
use idmerge_benches::inputs::links::{Links, Plan};
use idmerge_benches::measure::{Samples, timed};
use idmerge_benches::programs::numbers;
use idmerge_benches::report::{Report, grouped};
use idmerge_core::{
    Claim, Cluster, DistinctId, EngineError, Event, IdentityResolver, InvalidEvent, Outcome,
    Reading, Resolve, RuleBook, SnapshotError,
};
use idmerge_store::{Cause, Durable, Options, Sharing};
use rusqlite::{Connection, params};

use crate::inputs::{SOURCE, caused, claims, folder_bytes, in_own_process};

/// The rows, and their names.
const ROWS: [(Row, &str); 3] = [
    (Row::Sqlite, "SQLite"),
    (Row::Readers, "store, Sharing::Readers"),
    (Row::Nobody, "store, Sharing::Nobody"),
];

/// The sizes of commits, the number of claims, and how many times `SQLite` a store must be.
const GROUPS: [(u64, u64, f64); 3] = [
    (1, 2_000, 1.2),
    (100, 100_000, 1.2),
    (10_000, 1_000_000, 4.0),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Row {
    Sqlite,
    /// Other processes can read the store.
    Readers,
    Nobody,
}

/// One measurement: `ROW,GROUP,TOTAL`, each a number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    row: Row,
    group: u64,
    total: u64,
}

impl FromStr for Run {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let [row, group, total] = numbers::<u64>(text)?[..] else {
            anyhow::bail!("three numbers");
        };
        let (row, _) = ROWS.get(usize::try_from(row)?).context("no such row")?;
        Ok(Self {
            row: *row,
            group,
            total,
        })
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = ROWS.iter().position(|(row, _)| *row == self.row);
        write!(
            f,
            "{},{},{}",
            row.unwrap_or_default(),
            self.group,
            self.total
        )
    }
}

impl Run {
    /// The seconds of all commits into an empty folder. All claims are there afterwards.
    pub(crate) fn seconds(self, folder: &Path) -> Result<f64> {
        let links = Plan::new(self.total, Spelling::Uuid).links(0..self.total);
        let caused = caused(links.len());
        let (causes, group) = (caused.causes(), usize::try_from(self.group)?);
        match self.row {
            Row::Sqlite => by_sqlite(folder, group, &links, &causes),
            Row::Readers => by_store(folder, group, &claims(&links), &causes, Sharing::Readers),
            Row::Nobody => by_store(folder, group, &claims(&links), &causes, Sharing::Nobody),
        }
    }
}

/// Claims per second, in commits of several sizes.
pub(crate) fn compare(scale: u64, rounds: u64, report: &mut Report) -> Result<()> {
    let mut rows = Vec::new();
    for (group, total, wanted) in GROUPS {
        let total = (total / scale).max(100);
        let mut samples = [(); ROWS.len()].map(|()| Samples::default());
        let mut bytes = [0; ROWS.len()];
        for round in 0..rounds {
            eprintln!("commits of {group}, round {}", round + 1);
            for (((row, _), samples), bytes) in ROWS.iter().zip(&mut samples).zip(&mut bytes) {
                let folder = tempfile::tempdir()?;
                let run = Run {
                    row: *row,
                    group,
                    total,
                }
                .to_string();
                let taken = in_own_process(&["--commits", &run], folder.path())?;
                samples.push(total as f64 / taken);
                *bytes = folder_bytes(folder.path())?;
            }
        }
        let sqlite = samples[0].median();
        for (((row, name), samples), bytes) in ROWS.iter().zip(&samples).zip(bytes) {
            let ratio = samples.median() / sqlite;
            rows.push(vec![
                format!("{name}, {}", grouped(group)),
                format!("{:.0}", samples.median()),
                format!("{ratio:.2}"),
                format!("{:.1}", bytes as f64 / total as f64),
            ]);
            if *row != Row::Sqlite {
                let target = format!("{name}, commits of {}: times SQLite", grouped(group));
                report.at_least(&target, wanted, ratio, " ×");
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
