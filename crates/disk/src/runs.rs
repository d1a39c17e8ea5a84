//! Sorted runs: an index of numbers by numbers for which a commit only appends.
//!
//! The keys are hashes, so a tree with one row for each pair would write a page for nearly every
//! pair. Pairs are written in sorted runs of some pages each instead, and when there are many runs
//! of one size they are merged into one run of the next size. A lookup looks into every run.

mod error;
mod head;
mod merge;
mod page;

use std::cmp::Reverse;
use std::fmt;

use redb::{
    ReadOnlyTable, ReadTransaction, ReadableTable, TableDefinition, TableHandle, WriteTransaction,
};

pub use self::error::RunsError;
use self::head::{Head, LEVEL_SHIFT};
use self::page::{PAGE_PAIRS, page_number, page_pairs, page_row, pair_of};

type Pages = TableDefinition<'static, (u64, u32), &'static [u8]>;
type Heads = TableDefinition<'static, u64, &'static [u8]>;

/// An index in two tables of a database: which values a key has.
///
/// Keys must be hashes or as evenly spread, so that a page is found quickly. A pair that is added
/// twice is there twice.
#[derive(Clone, Copy)]
pub struct Runs {
    /// By the number of the run: the head of the run.
    heads: Heads,
    /// By the numbers of the run and of the page: the pairs.
    pages: Pages,
}

impl Runs {
    /// The index in the tables of these names. The tables are made when the first pairs are added.
    pub const fn new(heads: &'static str, pages: &'static str) -> Self {
        Self {
            heads: TableDefinition::new(heads),
            pages: TableDefinition::new(pages),
        }
    }

    /// The names of the tables.
    pub fn tables(&self) -> [&str; 2] {
        [self.heads.name(), self.pages.name()]
    }

    /// Adds pairs of a key and a value as a new run, and records that the index covers everything
    /// up to `until`, a number of the caller's that never falls.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn add(
        &self,
        write: &WriteTransaction,
        mut pairs: Vec<(u64, u64)>,
        until: u64,
    ) -> Result<(), RunsError> {
        pairs.sort_unstable();
        let mut heads = write.open_table(self.heads)?;
        let mut pages = write.open_table(self.pages)?;
        let run = {
            let last = heads.range(..1 << LEVEL_SHIFT)?.next_back().transpose()?;
            let head = last.map(|(run, _)| run.value());
            // The pages of runs that were merged may still be there.
            let last = pages.range(..(1 << LEVEL_SHIFT, 0))?.next_back();
            let page = last.transpose()?.map(|(page, _)| page.value().0);
            head.max(page).map_or(0, |run| run + 1)
        };
        let mut first_keys = Vec::new();
        for page in pairs.chunks(PAGE_PAIRS) {
            let key = (run, page_number(first_keys.len())?);
            pages.insert(key, &*page_row(key, page))?;
            first_keys.extend(page.first().map(|pair| pair.0));
        }
        let head = Head {
            run,
            until,
            first_keys,
        };
        heads.insert(run, &*head.row())?;
        Ok(())
    }

    /// How far the index goes: the greatest `until` that was given to [`add`](Self::add), or 0 if
    /// nothing was added.
    ///
    /// # Errors
    ///
    /// If the disk fails or a run is damaged.
    pub fn until(&self, read: &ReadTransaction) -> Result<u64, RunsError> {
        Ok(self.open(read)?.until())
    }

    /// Opens the index to look keys up.
    ///
    /// # Errors
    ///
    /// If the disk fails or a run is damaged.
    pub fn open(&self, read: &ReadTransaction) -> Result<OpenRuns, RunsError> {
        let pages = match read.open_table(self.pages) {
            Err(redb::TableError::TableDoesNotExist(_)) => None,
            pages => Some(pages?),
        };
        Ok(OpenRuns {
            heads: self.all(read)?,
            pages,
        })
    }

    fn all(&self, read: &ReadTransaction) -> Result<Vec<Head>, RunsError> {
        let heads = match read.open_table(self.heads) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            heads => heads?,
        };
        let mut all = Vec::new();
        for row in heads.range(0..)? {
            let (run, row) = row?;
            all.push(Head::read(run.value(), row.value())?);
        }
        Ok(all)
    }
}

impl fmt::Debug for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runs").finish_non_exhaustive()
    }
}

/// An index as it was when it was opened.
pub struct OpenRuns {
    heads: Vec<Head>,
    pages: Option<ReadOnlyTable<(u64, u32), &'static [u8]>>,
}

impl OpenRuns {
    /// Calls `visit` with each value of a key, in no particular order.
    ///
    /// # Errors
    ///
    /// If the disk fails or a page is damaged.
    pub fn find(&self, key: u64, visit: &mut dyn FnMut(u64)) -> Result<(), RunsError> {
        self.heads
            .iter()
            .try_for_each(|head| self.find_in(head, key, visit))
    }

    fn find_in(&self, head: &Head, key: u64, visit: &mut dyn FnMut(u64)) -> Result<(), RunsError> {
        let Some(pages) = &self.pages else {
            return Ok(());
        };
        // The page before the first page that begins with the key may end with the key.
        let from = head.first_keys.partition_point(|first| *first < key);
        for number in from.saturating_sub(1)..head.first_keys.len() {
            if head.first_keys[number] > key {
                break;
            }
            let place = (head.run, page_number(number)?);
            let row = pages.get(place)?.ok_or(RunsError::Damaged)?;
            let pairs = page_pairs(place, row.value())?;
            let from = pairs.partition_point(|pair| pair_of(pair).0 < key);
            let found = pairs[from..].iter().map(pair_of);
            found
                .take_while(|pair| pair.0 == key)
                .for_each(|pair| visit(pair.1));
        }
        Ok(())
    }

    /// How far the index goes, as [`Runs::until`].
    pub fn until(&self) -> u64 {
        self.heads.iter().map(|head| head.until).max().unwrap_or(0)
    }

    /// The runs by age, the oldest first: for each the number of additions that it has the pairs of.
    ///
    /// Runs of a greater size are older, since only the oldest runs of a size are merged.
    pub(crate) fn by_age(&self) -> Vec<(usize, AgedRun)> {
        let mut heads: Vec<usize> = (0..self.heads.len()).collect();
        heads.sort_by_key(|&head| {
            let head = &self.heads[head];
            (Reverse(head.level()), head.run)
        });
        let additions = |head: usize| merge::additions(self.heads[head].level());
        heads
            .into_iter()
            .map(|head| (additions(head), AgedRun(head)))
            .collect()
    }

    /// As [`find`](Self::find), in one run.
    ///
    /// # Errors
    ///
    /// If the disk fails or a page is damaged.
    pub(crate) fn find_in_run(
        &self,
        run: AgedRun,
        key: u64,
        visit: &mut dyn FnMut(u64),
    ) -> Result<(), RunsError> {
        self.find_in(&self.heads[run.0], key, visit)
    }

    /// Reads every page.
    ///
    /// # Errors
    ///
    /// If the disk fails or a page is damaged.
    pub fn check(&self) -> Result<(), RunsError> {
        self.each(&mut |_, _| Ok::<_, RunsError>(()))
    }

    /// Calls `visit` with each pair of a key and a value, those of one run after those of another.
    ///
    /// # Errors
    ///
    /// Those of `visit`, and if the disk fails or a page is damaged.
    pub fn each<E: From<RunsError>>(
        &self,
        visit: &mut dyn FnMut(u64, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(pages) = &self.pages else {
            return Ok(());
        };
        for head in &self.heads {
            for number in 0..head.first_keys.len() {
                let place = (head.run, page_number(number)?);
                let row = pages.get(place).map_err(RunsError::from)?;
                let row = row.ok_or(RunsError::Damaged)?;
                for pair in page_pairs(place, row.value())? {
                    let (key, value) = pair_of(pair);
                    visit(key, value)?;
                }
            }
        }
        Ok(())
    }
}

/// One of the runs of an index, by its place among the heads.
#[derive(Clone, Copy)]
pub(crate) struct AgedRun(usize);

impl fmt::Debug for OpenRuns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenRuns")
            .field("runs", &self.heads.len())
            .finish_non_exhaustive()
    }
}
