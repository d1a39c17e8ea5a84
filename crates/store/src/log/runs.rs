//! Sorted runs: an index of numbers by numbers for which a commit only appends.
//!
//! A tree of rows would write a page for nearly every pair that is added, since keys are hashes. So
//! pairs are written in sorted runs, each some pages long, and runs of one size are merged into one
//! of the next size when there are many. What is looked for is looked for in every run.

use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction,
};

use crate::error::StoreError;
use crate::log::block::hash;

/// As many pairs as fit four pages of the database with what it adds.
const PAGE_PAIRS: usize = 1_000;
const PAIR_BYTES: usize = 16;

/// So many runs of one size become one of the next.
const RUNS_MAX: usize = 8;

/// How many pages of a merged run are written at a time. Commits can come between.
const PAGES_AT_A_TIME: usize = 64;

/// The size of a run is in the highest bits of its number.
const LEVEL_SHIFT: u32 = 56;

type Pages = TableDefinition<'static, (u64, u32), &'static [u8]>;
type Heads = TableDefinition<'static, u64, &'static [u8]>;

/// An index in two tables of the store's database: which values a key has.
///
/// Keys are hashes, so that a page can be found by halving. A pair that is added twice is there
/// twice.
#[derive(Clone, Copy)]
pub struct Runs {
    /// By number of the run: how far it goes, how many pages it has, and the first key of each.
    heads: Heads,
    /// By number of the run and of the page: pairs.
    pages: Pages,
}

impl std::fmt::Debug for Runs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runs").finish_non_exhaustive()
    }
}

/// What the head of a run says.
struct Head {
    run: u64,
    until: u64,
    first_keys: Vec<u64>,
}

impl Runs {
    /// The index in the tables of these names. Tables are made when something is added.
    pub const fn new(heads: &'static str, pages: &'static str) -> Self {
        Self {
            heads: TableDefinition::new(heads),
            pages: TableDefinition::new(pages),
        }
    }

    /// Adds pairs of a key and a value, and remembers that they go up to `until`, a number of the
    /// caller's that never falls.
    ///
    /// # Errors
    ///
    /// Where the disk fails.
    pub fn add(
        &self,
        write: &WriteTransaction,
        mut pairs: Vec<(u64, u64)>,
        until: u64,
    ) -> Result<(), StoreError> {
        pairs.sort_unstable();
        let mut heads = write.open_table(self.heads)?;
        let run = {
            let last = heads.range(..1 << LEVEL_SHIFT)?.next_back().transpose()?;
            last.map_or(0, |(run, _)| run.value() + 1)
        };
        let mut pages = write.open_table(self.pages)?;
        let mut first_keys = Vec::new();
        for page in pairs.chunks(PAGE_PAIRS) {
            let place = (run, page_number(first_keys.len())?);
            pages.insert(place, &*page_row(place, page))?;
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

    /// How far the pairs go: the greatest `until`, 0 where nothing was added.
    ///
    /// # Errors
    ///
    /// Where the disk fails or a run is damaged.
    pub fn until(&self, read: &ReadTransaction) -> Result<u64, StoreError> {
        Ok(self
            .all(read)?
            .iter()
            .map(|head| head.until)
            .max()
            .unwrap_or(0))
    }

    /// Opens the index for looking things up.
    ///
    /// # Errors
    ///
    /// Where the disk fails or a run is damaged.
    pub fn open(&self, read: &ReadTransaction) -> Result<OpenRuns, StoreError> {
        let pages = match read.open_table(self.pages) {
            Err(redb::TableError::TableDoesNotExist(_)) => None,
            pages => Some(pages?),
        };
        Ok(OpenRuns {
            heads: self.all(read)?,
            pages,
        })
    }

    fn all(&self, read: &ReadTransaction) -> Result<Vec<Head>, StoreError> {
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

    /// Merges runs of one size where there are many of them. Answers whether there were; call it
    /// until there are none. Commits can come between, another merge must not.
    ///
    /// # Errors
    ///
    /// Where the disk fails or a run is damaged. What was there before is there still.
    pub(crate) fn merge(&self, database: &Database) -> Result<bool, StoreError> {
        let read = database.begin_read()?;
        let runs = self.open(&read)?;
        let Some(pages) = &runs.pages else {
            return Ok(false);
        };
        let mut by_level: Vec<Vec<&Head>> = Vec::new();
        for head in &runs.heads {
            let level = usize::try_from(head.run >> LEVEL_SHIFT).unwrap_or(usize::MAX);
            by_level.resize_with(by_level.len().max(level + 1), Vec::new);
            by_level[level].push(head);
        }
        let Some(level) = by_level.iter().position(|runs| runs.len() >= RUNS_MAX) else {
            return Ok(false);
        };
        let merged = &by_level[level][..RUNS_MAX];
        let next_level = (level as u64 + 1) << LEVEL_SHIFT;
        let of_next_level = by_level.get(level + 1).and_then(|runs| runs.last());
        let run = of_next_level.map_or(next_level, |head| head.run + 1);
        // What a crash has left of a merge that did not come to its end.
        let write = database.begin_write()?;
        write
            .open_table(self.pages)?
            .retain_in((run, 0)..=(run, u32::MAX), |_, _| false)?;
        write.commit()?;

        let mut sources = Vec::new();
        for head in merged {
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
            let mut pages = write.open_table(self.pages)?;
            for _ in 0..PAGES_AT_A_TIME {
                let mut page = Vec::with_capacity(PAGE_PAIRS);
                while page.len() < PAGE_PAIRS
                    && let Some(pair) = next_of(&mut sources)?
                {
                    page.push(pair);
                }
                let Some(&(first_key, _)) = page.first() else {
                    is_done = true;
                    break;
                };
                let place = (run, page_number(head.first_keys.len())?);
                pages.insert(place, &*page_row(place, &page))?;
                head.first_keys.push(first_key);
            }
            if is_done {
                // In one step: the new run is there and the old ones are not.
                let mut heads = write.open_table(self.heads)?;
                heads.insert(run, &*head.row())?;
                for old in merged {
                    heads.remove(old.run)?;
                    pages.retain_in((old.run, 0)..=(old.run, u32::MAX), |_, _| false)?;
                }
            }
            drop(pages);
            write.commit()?;
        }
        Ok(true)
    }
}

/// An index as it was when it was opened.
pub struct OpenRuns {
    heads: Vec<Head>,
    pages: Option<redb::ReadOnlyTable<(u64, u32), &'static [u8]>>,
}

impl OpenRuns {
    /// Calls `visit` with each value of a key, in no order.
    ///
    /// # Errors
    ///
    /// Where the disk fails or a page is damaged.
    pub fn find(&self, key: u64, visit: &mut dyn FnMut(u64)) -> Result<(), StoreError> {
        let Some(pages) = &self.pages else {
            return Ok(());
        };
        for head in &self.heads {
            // The page before the first that begins with the key may end with it.
            let from = head.first_keys.partition_point(|first| *first < key);
            for number in from.saturating_sub(1)..head.first_keys.len() {
                if head.first_keys[number] > key {
                    break;
                }
                let place = (head.run, page_number(number)?);
                let row = pages.get(place)?.ok_or(DAMAGED)?;
                let pairs = page_pairs(place, row.value())?;
                let from = pairs.partition_point(|pair| pair_of(pair).0 < key);
                let found = pairs[from..].iter().map(pair_of);
                found
                    .take_while(|pair| pair.0 == key)
                    .for_each(|pair| visit(pair.1));
            }
        }
        Ok(())
    }
}

impl OpenRuns {
    /// Reads all of it.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let Some(pages) = &self.pages else {
            return Ok(());
        };
        for head in &self.heads {
            let mut source = Source::new(pages, head)?;
            while source.next.is_some() {
                source.advance()?;
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for OpenRuns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenRuns")
            .field("runs", &self.heads.len())
            .finish_non_exhaustive()
    }
}

/// A damaged index is found out and made again by `repair`; nothing is lost with it.
const DAMAGED: StoreError = StoreError::DamagedIndex;

impl Head {
    fn row(&self) -> Vec<u8> {
        let mut row = vec![0; 8];
        row.extend(self.until.to_le_bytes());
        for first_key in &self.first_keys {
            row.extend(first_key.to_le_bytes());
        }
        with_hash(self.run, row)
    }

    fn read(run: u64, row: &[u8]) -> Result<Self, StoreError> {
        let (words, rest) = without_hash(run, row)?.as_chunks::<8>();
        let (until, first_keys) = words.split_first().ok_or(DAMAGED)?;
        if !rest.is_empty() {
            return Err(DAMAGED);
        }
        Ok(Self {
            run,
            until: u64::from_le_bytes(*until),
            first_keys: first_keys
                .iter()
                .map(|key| u64::from_le_bytes(*key))
                .collect(),
        })
    }
}

fn page_number(pages: usize) -> Result<u32, StoreError> {
    u32::try_from(pages).map_err(|_| DAMAGED)
}

fn page_row(place: (u64, u32), pairs: &[(u64, u64)]) -> Vec<u8> {
    let mut row = Vec::with_capacity(8 + pairs.len() * PAIR_BYTES);
    row.extend([0; 8]);
    for (key, value) in pairs {
        row.extend(key.to_le_bytes());
        row.extend(value.to_le_bytes());
    }
    with_hash(seed(place), row)
}

fn page_pairs(place: (u64, u32), row: &[u8]) -> Result<&[[u8; PAIR_BYTES]], StoreError> {
    let (pairs, rest) = without_hash(seed(place), row)?.as_chunks();
    rest.is_empty().then_some(pairs).ok_or(DAMAGED)
}

fn pair_of(bytes: &[u8; PAIR_BYTES]) -> (u64, u64) {
    let (words, _) = bytes.as_chunks();
    (u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1]))
}

fn seed((run, page): (u64, u32)) -> u64 {
    run.rotate_left(32) ^ u64::from(page)
}

/// Puts the hash of all that comes after it into the first eight bytes.
fn with_hash(seed: u64, mut row: Vec<u8>) -> Vec<u8> {
    let hash = hash(seed, &row[8..]);
    row[..8].copy_from_slice(&hash.to_le_bytes());
    row
}

fn without_hash(seed: u64, row: &[u8]) -> Result<&[u8], StoreError> {
    let (stored, rest) = row.split_first_chunk().ok_or(DAMAGED)?;
    if u64::from_le_bytes(*stored) != hash(seed, rest) {
        return Err(DAMAGED);
    }
    Ok(rest)
}

/// A run that is read from its first pair to its last.
struct Source<'r> {
    pages: &'r redb::ReadOnlyTable<(u64, u32), &'static [u8]>,
    run: u64,
    page: u32,
    pages_max: u32,
    pairs: std::vec::IntoIter<(u64, u64)>,
    next: Option<(u64, u64)>,
}

impl<'r> Source<'r> {
    fn new(
        pages: &'r redb::ReadOnlyTable<(u64, u32), &'static [u8]>,
        head: &Head,
    ) -> Result<Self, StoreError> {
        let mut source = Self {
            pages,
            run: head.run,
            page: 0,
            pages_max: page_number(head.first_keys.len())?,
            pairs: Vec::new().into_iter(),
            next: None,
        };
        source.advance()?;
        Ok(source)
    }

    fn advance(&mut self) -> Result<(), StoreError> {
        self.next = self.pairs.next();
        while self.next.is_none() && self.page < self.pages_max {
            let place = (self.run, self.page);
            let row = self.pages.get(place)?.ok_or(DAMAGED)?;
            let pairs = page_pairs(place, row.value())?;
            self.pairs = pairs.iter().map(pair_of).collect::<Vec<_>>().into_iter();
            self.page += 1;
            self.next = self.pairs.next();
        }
        Ok(())
    }
}

/// The least pair of all sources. There are as few as [`RUNS_MAX`].
fn next_of(sources: &mut [Source<'_>]) -> Result<Option<(u64, u64)>, StoreError> {
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
