//! Merging runs.

use redb::{Database, ReadOnlyTable, ReadableDatabase, Table};

use super::head::{Head, LEVEL_SHIFT};
use super::page::{PAGE_PAIRS, page_number, page_pairs, page_row, pair_of};
use super::{OpenRuns, Runs, RunsError};

/// This many runs of one size become one run of the next size.
const RUNS_MAX: usize = 8;

/// How many pages of a merged run one transaction writes. Other commits can come between.
const PAGES_PER_COMMIT: usize = 64;

type ReadPages = ReadOnlyTable<(u64, u32), &'static [u8]>;
type WritePages<'t> = Table<'t, (u64, u32), &'static [u8]>;

impl Runs {
    /// Merges runs of one size if there are many of them, and returns whether it did. Call it
    /// until it answers `false`. Commits can come between; another merge of these runs must not.
    ///
    /// # Errors
    ///
    /// If the disk fails or a run is damaged. The index then has what it had before.
    pub fn merge(&self, database: &Database) -> Result<bool, RunsError> {
        let read = database.begin_read()?;
        let runs = self.open(&read)?;
        let Some(pages) = &runs.pages else {
            return Ok(false);
        };
        let Some(level) = level_to_merge(&runs) else {
            return Ok(false);
        };
        let of_level = |level| runs.heads.iter().filter(move |head| head.level() == level);
        let merged: Vec<&Head> = of_level(level).take(RUNS_MAX).collect();
        let last_of_next = of_level(level + 1).next_back();
        let run = last_of_next.map_or((level as u64 + 1) << LEVEL_SHIFT, |head| head.run + 1);
        self.clear(database, run)?;

        let mut sources = Vec::new();
        for head in &merged {
            sources.push(Source::new(pages, head)?);
        }
        let mut head = Head {
            run,
            until: merged.iter().map(|head| head.until).max().unwrap_or(0),
            first_keys: Vec::new(),
        };
        let mut is_done = false;
        while !is_done {
            let write = database.begin_write()?;
            {
                let mut pages = write.open_table(self.pages)?;
                is_done = write_pages(&mut pages, &mut head, &mut sources)?;
                if is_done {
                    // One transaction adds the new run and removes the old ones.
                    let mut heads = write.open_table(self.heads)?;
                    heads.insert(run, &*head.row())?;
                    for old in &merged {
                        heads.remove(old.run)?;
                        pages.retain_in((old.run, 0)..=(old.run, u32::MAX), |_, _| false)?;
                    }
                }
            }
            write.commit()?;
        }
        Ok(true)
    }

    /// Removes the pages that a crash has left of an unfinished merge into this run.
    fn clear(&self, database: &Database, run: u64) -> Result<(), RunsError> {
        let write = database.begin_write()?;
        write
            .open_table(self.pages)?
            .retain_in((run, 0)..=(run, u32::MAX), |_, _| false)?;
        Ok(write.commit()?)
    }
}

/// The smallest size that has enough runs to merge.
fn level_to_merge(runs: &OpenRuns) -> Option<usize> {
    let mut counts: Vec<usize> = Vec::new();
    for head in &runs.heads {
        let level = head.level();
        counts.resize(counts.len().max(level + 1), 0);
        counts[level] += 1;
    }
    counts.iter().position(|&count| count >= RUNS_MAX)
}

/// Writes the next pages of a merged run, and returns whether all sources are used up.
fn write_pages(
    pages: &mut WritePages<'_>,
    head: &mut Head,
    sources: &mut [Source<'_>],
) -> Result<bool, RunsError> {
    for _ in 0..PAGES_PER_COMMIT {
        let mut page = Vec::with_capacity(PAGE_PAIRS);
        while page.len() < PAGE_PAIRS
            && let Some(pair) = next_of(sources)?
        {
            page.push(pair);
        }
        let Some(&(first_key, _)) = page.first() else {
            return Ok(true);
        };
        let key = (head.run, page_number(head.first_keys.len())?);
        pages.insert(key, &*page_row(key, &page))?;
        head.first_keys.push(first_key);
    }
    Ok(false)
}

/// The least pair of all sources. There are only [`RUNS_MAX`] sources, so a heap gains nothing.
fn next_of(sources: &mut [Source<'_>]) -> Result<Option<(u64, u64)>, RunsError> {
    let least = sources
        .iter_mut()
        .filter(|source| source.next.is_some())
        .min_by_key(|source| source.next);
    let Some(source) = least else {
        return Ok(None);
    };
    let pair = source.next;
    source.advance()?;
    Ok(pair)
}

/// A run that is read from its first pair to its last.
struct Source<'r> {
    pages: &'r ReadPages,
    run: u64,
    page: u32,
    page_count: u32,
    pairs: std::vec::IntoIter<(u64, u64)>,
    next: Option<(u64, u64)>,
}

impl<'r> Source<'r> {
    fn new(pages: &'r ReadPages, head: &Head) -> Result<Self, RunsError> {
        let mut source = Self {
            pages,
            run: head.run,
            page: 0,
            page_count: page_number(head.first_keys.len())?,
            pairs: Vec::new().into_iter(),
            next: None,
        };
        source.advance()?;
        Ok(source)
    }

    fn advance(&mut self) -> Result<(), RunsError> {
        self.next = self.pairs.next();
        while self.next.is_none() && self.page < self.page_count {
            let key = (self.run, self.page);
            let row = self.pages.get(key)?.ok_or(RunsError::Damaged)?;
            let pairs = page_pairs(key, row.value())?;
            self.pairs = pairs.iter().map(pair_of).collect::<Vec<_>>().into_iter();
            self.page += 1;
            self.next = self.pairs.next();
        }
        Ok(())
    }
}
