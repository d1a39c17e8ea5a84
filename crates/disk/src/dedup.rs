//! [`Dedup`]: detects duplicate events (AR-2).
//!
//! The index has a 128-bit fingerprint of each event that can have duplicates, in sorted runs: one half
//! is the key and the other half the value. Searching all runs for each new event would read a page
//! per run. So each run, as it is first written, has a filter in memory, with the range of times of its events.
//! A new event is looked up only in filters whose range includes its time, and only in the runs whose filters
//! say that it may be there.

mod error;
mod filter;
mod filters;
mod lazy_runs;

use std::fmt;

use foldhash::HashSet;
use redb::{
    ReadTransaction, ReadableTable, StorageError, TableDefinition, TableError, TableHandle,
    WriteTransaction,
};

pub use self::error::DedupError;
use self::filter::{Filter, TimeRange};
use self::filters::Filters;
pub use self::lazy_runs::LazyRuns;
use crate::row;
use crate::runs::Runs;

const FINGERPRINT_BYTES: usize = 16;

/// The bits of a fingerprint from this one to 63 have no part in the filters. A caller can distinguish variants of
/// an event by them, and look all of them up at once.
pub const VARIANT_SHIFT: u32 = 60;

type Rows = TableDefinition<'static, u64, &'static [u8]>;

/// The tables of an index of fingerprints.
#[derive(Clone, Copy)]
pub struct DedupTables {
    runs: Runs,
    /// Fingerprints that are not in a run yet, one row per commit.
    recent: Rows,
    /// One filter for each run as it was first written. Merging runs keeps their filters.
    filters: Rows,
}

impl DedupTables {
    /// The index with its runs in this index of pairs, and the rest in the tables of these names.
    pub const fn new(runs: Runs, recent: &'static str, filters: &'static str) -> Self {
        Self {
            runs,
            recent: TableDefinition::new(recent),
            filters: TableDefinition::new(filters),
        }
    }

    /// The names of the tables.
    pub fn tables(&self) -> [&str; 4] {
        let [heads, pages] = self.runs.tables();
        [heads, pages, self.recent.name(), self.filters.name()]
    }

    /// The runs, for [`Runs::merge`].
    pub const fn runs(&self) -> &Runs {
        &self.runs
    }
}

impl fmt::Debug for DedupTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DedupTables").finish_non_exhaustive()
    }
}

/// The key of a new row: `last`, or a greater one if a row has that key. There are rows for
/// commits that stored no event.
fn free_key(rows: &impl ReadableTable<u64, &'static [u8]>, last: u64) -> Result<u64, StorageError> {
    let greatest = rows.last()?.map(|(key, _)| key.value());
    Ok(greatest.map_or(last, |greatest| last.max(greatest + 1)))
}

/// The key and the value of a fingerprint in a run.
#[expect(clippy::cast_possible_truncation, reason = "these are the two halves")]
fn halves(fingerprint: u128) -> (u64, u64) {
    ((fingerprint >> 64) as u64, fingerprint as u64)
}

/// The fingerprints of all events that were taken and can have duplicates.
pub struct Dedup {
    tables: DedupTables,
    /// The fingerprints that are in no run, committed or not.
    recent: HashSet<u128>,
    recent_times: TimeRange,
    /// The fingerprints that are not committed.
    new: Vec<u128>,
    new_times: TimeRange,
    filters: Filters,
    /// The greatest number that was written.
    last: u64,
}

impl Dedup {
    /// Reads the filters and the recent fingerprints into memory.
    ///
    /// # Errors
    ///
    /// If the disk fails or a row is damaged.
    pub fn open(tables: DedupTables, read: &ReadTransaction) -> Result<Self, DedupError> {
        let damaged = |number| DedupError::Damaged { number };
        let mut dedup = Self {
            tables,
            recent: HashSet::default(),
            recent_times: TimeRange::EMPTY,
            new: Vec::new(),
            new_times: TimeRange::EMPTY,
            filters: Filters::default(),
            last: 0,
        };
        match read.open_table(tables.filters) {
            Err(TableError::TableDoesNotExist(_)) => {}
            table => {
                for row in table?.range(0..)? {
                    let (key, row) = row?;
                    let key = key.value();
                    let filter = Filter::read(key, row.value());
                    dedup.last = dedup.last.max(key);
                    dedup.filters.push(filter.ok_or_else(|| damaged(key))?);
                }
            }
        }
        match read.open_table(tables.recent) {
            Err(TableError::TableDoesNotExist(_)) => {}
            table => {
                for row in table?.range(0..)? {
                    let (key, row) = row?;
                    let key = key.value();
                    let rest = row::open(key, row.value()).and_then(TimeRange::read);
                    let (times, fingerprints) = rest.ok_or_else(|| damaged(key))?;
                    let (fingerprints, _) = fingerprints.as_chunks::<FINGERPRINT_BYTES>();
                    dedup
                        .recent
                        .extend(fingerprints.iter().map(|bytes| u128::from_le_bytes(*bytes)));
                    dedup.recent_times.add(times);
                    dedup.last = dedup.last.max(key);
                }
            }
        }
        Ok(dedup)
    }

    /// Whether the event was taken before. If not, it is added.
    ///
    /// # Errors
    ///
    /// If the disk fails or a run is damaged.
    pub fn is_repeated(
        &mut self,
        fingerprint: u128,
        time_ms: i64,
        runs: &mut LazyRuns<'_>,
    ) -> Result<bool, DedupError> {
        let suspects = self.suspects([Some((fingerprint, time_ms))]);
        if self
            .first_of(&[fingerprint], suspects.of(0), runs)?
            .is_some()
        {
            return Ok(true);
        }
        self.add(fingerprint, time_ms);
        Ok(false)
    }

    /// Asks the filters about the events of a batch, each a fingerprint with its time. They are asked about all
    /// at once, because the processor then waits for several reads of memory at a time. The answer holds
    /// until a run is written.
    pub fn suspects(&self, events: impl IntoIterator<Item = Option<(u128, i64)>>) -> Suspects {
        let mut suspects = Suspects::default();
        for event in events {
            if let Some((fingerprint, time_ms)) = event {
                self.filters.find(fingerprint, time_ms, &mut |filter| {
                    suspects.filters.push(filter);
                });
            }
            suspects.ends.push(suspects.filters.len());
        }
        suspects
    }

    /// The place of the first of these fingerprints that is of an event that was taken before. They may
    /// differ in the bits from [`VARIANT_SHIFT`] to 63 alone, which the filters do not use. `suspects` is the
    /// answer of the filters to one of them.
    ///
    /// # Errors
    ///
    /// If the disk fails or a run is damaged.
    pub fn first_of(
        &self,
        variants: &[u128],
        suspects: &[usize],
        runs: &mut LazyRuns<'_>,
    ) -> Result<Option<usize>, DedupError> {
        let mut first = variants
            .iter()
            .position(|variant| self.recent.contains(variant));
        let Some((key, _)) = variants.first().copied().map(halves) else {
            return Ok(None);
        };
        if suspects.is_empty() || first == Some(0) {
            return Ok(first);
        }
        let filters = self.filters.len();
        runs.find(&self.tables.runs, filters, suspects, key, &mut |value| {
            let is_value = |variant: &u128| halves(*variant) == (key, value);
            if let Some(place) = variants.iter().position(is_value) {
                first = Some(first.map_or(place, |first| first.min(place)));
            }
        })?;
        Ok(first)
    }

    /// Adds an event that was not taken before.
    pub fn add(&mut self, fingerprint: u128, time_ms: i64) {
        self.recent.insert(fingerprint);
        self.recent_times.add(TimeRange::of(time_ms));
        self.new.push(fingerprint);
        self.new_times.add(TimeRange::of(time_ms));
    }

    /// The greatest number that was given to [`write`](Self::write) or [`write_run`](Self::write_run);
    /// 0 if there is none.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// How many fingerprints are not written yet.
    pub fn unwritten(&self) -> usize {
        self.new.len()
    }

    /// How many fingerprints are in no run yet.
    pub fn recent(&self) -> usize {
        self.recent.len()
    }

    /// Writes the new fingerprints. `last` is the number of the last event of the commit: a number
    /// of the caller's that never falls.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn write(&mut self, write: &WriteTransaction, last: u64) -> Result<(), DedupError> {
        if self.new.is_empty() {
            return Ok(());
        }
        let mut row = row::start();
        self.new_times.write(&mut row);
        row.extend(
            self.new
                .iter()
                .flat_map(|fingerprint| fingerprint.to_le_bytes()),
        );
        let mut recent = write.open_table(self.tables.recent)?;
        let key = free_key(&recent, last)?;
        recent.insert(key, &*row::seal(key, row))?;
        self.last = key;
        self.new.clear();
        self.new_times = TimeRange::EMPTY;
        Ok(())
    }

    /// Writes the fingerprints that are in no run as a new run with its filter. `last` is the same
    /// number as that of [`write`](Self::write).
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn write_run(&mut self, write: &WriteTransaction, last: u64) -> Result<(), DedupError> {
        self.new.clear();
        self.new_times = TimeRange::EMPTY;
        write.delete_table(self.tables.recent)?;
        if self.recent.is_empty() {
            return Ok(());
        }
        let filter = Filter::new(&self.recent, self.recent_times);
        let mut filters = write.open_table(self.tables.filters)?;
        let key = free_key(&filters, last)?;
        filters.insert(key, &*filter.row(key))?;
        self.filters.push(filter);
        self.last = key;
        let pairs = self.recent.drain().map(halves).collect();
        self.recent_times = TimeRange::EMPTY;
        Ok(self.tables.runs.add(write, pairs, last)?)
    }
}

/// The filters that may have the events of a batch.
#[derive(Debug, Default)]
pub struct Suspects {
    filters: Vec<usize>,
    /// For each event: where its filters end.
    ends: Vec<usize>,
}

impl Suspects {
    /// The filters that may have an event of the batch, in order; none if there is no such event.
    pub fn of(&self, event: usize) -> &[usize] {
        let start = match event.checked_sub(1) {
            Some(before) => self.ends.get(before).copied().unwrap_or_default(),
            None => 0,
        };
        let end = self.ends.get(event).copied().unwrap_or(start);
        &self.filters[start..end]
    }
}

impl fmt::Debug for Dedup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dedup")
            .field("recent", &self.recent.len())
            .field("filters", &self.filters.len())
            .finish_non_exhaustive()
    }
}
