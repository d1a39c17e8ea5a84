//! Merging runs.

use redb::{Database, ReadOnlyTable, ReadableDatabase, ReadableTable, Table};

use super::head::{Head, LEVEL_SHIFT};
use super::page::{PAGE_PAIRS, page_number, page_pairs, page_row, pair_of};
use super::{OpenRuns, Runs, RunsError};

/// This many runs of one size become one run of the next size.
const RUNS_MAX: usize = 8;

/// How many pages one transaction writes or removes. Other commits can come between.
const PAGES_PER_COMMIT: usize = 64;

/// How many additions have become a run of this size.
pub(super) fn additions(level: usize) -> usize {
    let level = u32::try_from(level).unwrap_or(u32::MAX);
    RUNS_MAX.saturating_pow(level)
}

type ReadPages = ReadOnlyTable<(u64, u32), &'static [u8]>;
type WritePages<'t> = Table<'t, (u64, u32), &'static [u8]>;

impl Runs {
    /// Merges runs of one size if there are many of them, or removes the pages of runs that were merged.
    /// Returns whether it did one of the two: call it until it answers `false`. `give_way` is called before each
    /// transaction, which writes or removes 64 pages at most. Commits can come between; another merge of these
    /// runs must not.
    ///
    /// # Errors
    ///
    /// If the disk fails or a run is damaged. The index then has what it had before.
    pub fn merge(&self, database: &Database, give_way: &dyn Fn()) -> Result<bool, RunsError> {
        let read = database.begin_read()?;
        let runs = self.open(&read)?;
        let Some(pages) = &runs.pages else {
            return Ok(false);
        };
        if let Some(run) = run_without_head(pages, &runs)? {
            self.remove_pages(database, run, give_way)?;
            return Ok(true);
        }
        let Some(level) = level_to_merge(&runs) else {
            return Ok(false);
        };
        let of_level = |level| runs.heads.iter().filter(move |head| head.level() == level);
        let merged: Vec<&Head> = of_level(level).take(RUNS_MAX).collect();
        let last_of_next = of_level(level + 1).next_back();
        let run = last_of_next.map_or((level as u64 + 1) << LEVEL_SHIFT, |head| head.run + 1);

        let mut sources = Sources::open(pages, &merged)?;
        let mut head = Head {
            run,
            until: merged.iter().map(|head| head.until).max().unwrap_or(0),
            first_keys: Vec::new(),
        };
        let mut is_done = false;
        while !is_done {
            give_way();
            let write = database.begin_write()?;
            {
                let mut pages = write.open_table(self.pages)?;
                is_done = write_pages(&mut pages, &mut head, &mut sources)?;
                if is_done {
                    // The new run takes the place of the old ones at once. Their pages are removed later.
                    let mut heads = write.open_table(self.heads)?;
                    heads.insert(run, &*head.row())?;
                    for old in &merged {
                        heads.remove(old.run)?;
                    }
                }
            }
            write.commit()?;
        }
        Ok(true)
    }

    /// Removes the pages of a run that has no head.
    fn remove_pages(
        &self,
        database: &Database,
        run: u64,
        give_way: &dyn Fn(),
    ) -> Result<(), RunsError> {
        let mut is_left = true;
        while is_left {
            give_way();
            let write = database.begin_write()?;
            {
                let mut pages = write.open_table(self.pages)?;
                let of_run = (run, 0)..=(run, u32::MAX);
                let mut some = Vec::new();
                for page in pages.range(of_run.clone())?.take(PAGES_PER_COMMIT) {
                    some.push(page?.0.value());
                }
                for page in some {
                    pages.remove(page)?;
                }
                // After this transaction it is too late to ask: once no page is left, a new run may get this number.
                is_left = pages.range(of_run)?.next().is_some();
            }
            write.commit()?;
        }
        Ok(())
    }
}

/// A run that has pages and no head: it was merged, or a crash has broken its own merge off.
fn run_without_head(pages: &ReadPages, runs: &OpenRuns) -> Result<Option<u64>, RunsError> {
    let mut next = Some(0);
    while let Some(from) = next
        && let Some(page) = pages.range((from, 0)..)?.next()
    {
        let (run, _) = page?.0.value();
        if runs.heads.iter().all(|head| head.run != run) {
            return Ok(Some(run));
        }
        next = run.checked_add(1);
    }
    Ok(None)
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
    sources: &mut Sources<'_>,
) -> Result<bool, RunsError> {
    for _ in 0..PAGES_PER_COMMIT {
        let page = sources.next_pairs(PAGE_PAIRS)?;
        let Some(&(first_key, _)) = page.first() else {
            return Ok(true);
        };
        let key = (head.run, page_number(head.first_keys.len())?);
        pages.insert(key, &*page_row(key, page))?;
        head.first_keys.push(first_key);
    }
    Ok(false)
}

/// The runs that are merged.
struct Sources<'r> {
    sources: Vec<Source<'r>>,
    /// The least pairs of all sources, sorted, and how many of them are used.
    sorted: Vec<(u64, u64)>,
    used: usize,
}

impl<'r> Sources<'r> {
    fn open(pages: &'r ReadPages, heads: &[&Head]) -> Result<Self, RunsError> {
        let sources = heads.iter().map(|head| Source::new(pages, head));
        Ok(Self {
            sources: sources.collect::<Result<_, _>>()?,
            sorted: Vec::new(),
            used: 0,
        })
    }

    /// The next least pairs of all sources. Fewer than `count` only at the end.
    fn next_pairs(&mut self, count: usize) -> Result<&[(u64, u64)], RunsError> {
        while self.sorted.len() - self.used < count && self.refill()? {}
        let start = self.used;
        self.used = self.sorted.len().min(start + count);
        Ok(&self.sorted[start..self.used])
    }

    /// Takes the pairs of every source up to the end of the page that ends first: no later pair is less.
    /// Returns whether there were any.
    fn refill(&mut self) -> Result<bool, RunsError> {
        let Some(end) = self.sources.iter().filter_map(Source::page_end).min() else {
            return Ok(false);
        };
        self.sorted.drain(..self.used);
        self.used = 0;
        let start = self.sorted.len();
        for source in &mut self.sources {
            source.take_until(end, &mut self.sorted)?;
        }
        // The stable sort merges parts that are sorted already, which is faster than the other one here.
        self.sorted[start..].sort();
        Ok(true)
    }
}

/// A run that is read from its first pair to its last.
struct Source<'r> {
    pages: &'r ReadPages,
    run: u64,
    /// The number of the next page.
    page: u32,
    page_count: u32,
    /// The pairs of the page before it, and how many of them are taken.
    pairs: Vec<(u64, u64)>,
    taken: usize,
}

impl<'r> Source<'r> {
    fn new(pages: &'r ReadPages, head: &Head) -> Result<Self, RunsError> {
        let mut source = Self {
            pages,
            run: head.run,
            page: 0,
            page_count: page_number(head.first_keys.len())?,
            pairs: Vec::new(),
            taken: 0,
        };
        source.read_page()?;
        Ok(source)
    }

    /// The last pair of the page that is being read; `None` at the end of the run.
    fn page_end(&self) -> Option<(u64, u64)> {
        self.pairs[self.taken..].last().copied()
    }

    /// Moves the pairs of this page up to this one.
    fn take_until(
        &mut self,
        end: (u64, u64),
        sorted: &mut Vec<(u64, u64)>,
    ) -> Result<(), RunsError> {
        let rest = &self.pairs[self.taken..];
        let count = rest.partition_point(|pair| *pair <= end);
        sorted.extend_from_slice(&rest[..count]);
        self.taken += count;
        self.read_page()
    }

    /// Reads the next page if this one is used up.
    fn read_page(&mut self) -> Result<(), RunsError> {
        while self.taken == self.pairs.len() && self.page < self.page_count {
            let key = (self.run, self.page);
            let row = self.pages.get(key)?.ok_or(RunsError::Damaged)?;
            let pairs = page_pairs(key, row.value())?;
            self.pairs.clear();
            self.pairs.extend(pairs.iter().map(pair_of));
            self.taken = 0;
            self.page += 1;
        }
        Ok(())
    }
}
