//! The events of a project: an endless row of blocks, and an index of whose they are.
//!
//! A B-tree row for each event would rewrite a page for each, since keys are hashes. So events are
//! appended to blocks of a size that fits a page of the database well, and the index goes into
//! sorted runs ([`Runs`]), which only append. What came since the last run is in memory, and is
//! read from the blocks again when the project is opened.

use foldhash::HashMap;
use idmerge_core::IdentityResolver;
use idmerge_events::JsonEvent;
use idmerge_store::redb::{ReadOnlyTable, WriteTransaction};
use idmerge_store::redb::{ReadTransaction, TableDefinition, TableError};
use idmerge_store::{OpenRuns, Runs};

use crate::ProjectError;
use crate::keys::{push_id, user_key};
use crate::settings::Engine;

mod block;

pub(crate) use block::{Block, EVENT_BYTES_MAX, OpenBlock, Stored};

/// Blocks by the number of their first event.
const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");
/// Their last event and the earliest and the latest time in them, in a table that is read as a
/// whole.
const BLOCKS: TableDefinition<'_, u64, (u64, i64, i64)> = TableDefinition::new("event_blocks");
/// Which events have which own distinct_id.
pub(crate) const USERS: Runs = Runs::new("user_runs", "user_pages");

/// A row that is a little shorter than this many bytes fits its pages well: the database takes a
/// power of two of them, and adds a few bytes.
const ROW_BYTES: usize = (16 << 10) - 128;
/// How much of that is aimed at, since the next block may be a little harder to compress.
const AIM_PERCENT: usize = 94;
const RAW_BYTES_MIN: usize = 16 << 10;
const RAW_BYTES_MAX: usize = 256 << 10;

/// A block as it is known without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockHead {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) min_ms: i64,
    pub(crate) max_ms: i64,
}

/// What is known of the committed events without reading them.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    blocks: Vec<BlockHead>,
    /// Events that no run has yet, by the key of their user.
    recent: HashMap<u64, Vec<u64>>,
}

impl Directory {
    /// How many events there are, which is the number of the last.
    pub(crate) fn last(&self) -> u64 {
        self.blocks.last().map_or(0, |block| block.last)
    }

    /// The first block that ends with this event or later.
    pub(crate) fn block_from(&self, number: u64) -> Option<BlockHead> {
        let at = self.blocks.partition_point(|block| block.last < number);
        self.blocks.get(at).copied()
    }

    pub(crate) fn recent(&self, user_key: u64) -> &[u64] {
        self.recent.get(&user_key).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn add_recent(&mut self, pairs: &[(u64, u64)]) {
        for &(key, number) in pairs {
            self.recent.entry(key).or_default().push(number);
        }
    }

    pub(crate) fn forget_recent(&mut self) {
        self.recent = HashMap::default();
    }

    /// Takes what was committed: blocks that are new, and one that has grown.
    pub(crate) fn add_blocks(&mut self, heads: &[BlockHead]) {
        for head in heads {
            match self.blocks.last_mut() {
                Some(last) if last.first == head.first => *last = *head,
                _ => self.blocks.push(*head),
            }
        }
    }

    pub(crate) fn read(read: &ReadTransaction) -> Result<Self, ProjectError> {
        let table = match read.open_table(BLOCKS) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(Self::default()),
            table => table?,
        };
        let mut blocks = Vec::new();
        let mut expected = 1;
        for row in table.range(0..)? {
            let (first, row) = row?;
            let first = first.value();
            let (last, min_ms, max_ms) = row.value();
            if first != expected || last < first {
                return Err((expected, "they are not there").into());
            }
            expected = last + 1;
            blocks.push(BlockHead {
                first,
                last,
                min_ms,
                max_ms,
            });
        }
        Ok(Self {
            blocks,
            recent: HashMap::default(),
        })
    }
}

impl From<(u64, &'static str)> for ProjectError {
    fn from((first, what): (u64, &'static str)) -> Self {
        Self::Damaged { first, what }
    }
}

/// The blocks as they were when this was opened.
pub(crate) struct OpenArchive {
    blocks: Option<ReadOnlyTable<u64, &'static [u8]>>,
    users: OpenRuns,
}

impl OpenArchive {
    pub(crate) fn new(read: &ReadTransaction) -> Result<Self, ProjectError> {
        let blocks = match read.open_table(EVENTS) {
            Err(TableError::TableDoesNotExist(_)) => None,
            table => Some(table?),
        };
        Ok(Self {
            blocks,
            users: USERS.open(read)?,
        })
    }

    pub(crate) fn block(&self, first: u64) -> Result<Block, ProjectError> {
        let row = match &self.blocks {
            Some(blocks) => blocks.get(first)?,
            None => None,
        };
        let row = row.ok_or((first, "they are not there"))?;
        Ok(Block::read(first, row.value()).map_err(|wrong| (first, wrong))?)
    }

    /// Adds the events of a user that are in a run.
    pub(crate) fn find(&self, user_key: u64, numbers: &mut Vec<u64>) -> Result<(), ProjectError> {
        Ok(self
            .users
            .find(user_key, &mut |number| numbers.push(number))?)
    }
}

/// The text of the own distinct_id of an event that was taken once. `false`: it is nobody's.
fn own_id_in(engine: &Engine, event: &JsonEvent<'_>, text: &mut String) -> bool {
    text.clear();
    let reading = engine.read(&event.event());
    let id = reading.ok().and_then(|reading| reading.distinct_id);
    if let Some(id) = id {
        push_id(id, text);
    }
    id.is_some()
}

/// The end of the row of blocks, which events are added to.
pub(crate) struct Appender {
    tail: OpenBlock,
    /// How long a block should be so that its row is as long as it should be.
    raw_bytes: usize,
    compressor: zstd::bulk::Compressor<'static>,
    /// Blocks that are full and not committed.
    rows: Vec<(BlockHead, Vec<u8>)>,
    /// Whose the events are that no run has yet: the committed ones, and from `committed` on those
    /// that are not.
    pairs: Vec<(u64, u64)>,
    committed: usize,
    /// The last event that a run is about.
    indexed: u64,
}

impl Appender {
    /// Goes on after the last of these blocks.
    pub(crate) fn open(
        directory: &Directory,
        archive: &OpenArchive,
        indexed: u64,
    ) -> Result<Self, ProjectError> {
        let mut tail = OpenBlock::starting_at(directory.last() + 1);
        if let Some(last) = directory.block_from(directory.last().max(1)) {
            let block = archive.block(last.first)?;
            let mut whole = OpenBlock::starting_at(last.first);
            block.each(&mut |event| {
                whole.push(&event);
                Ok::<_, ProjectError>(true)
            })?;
            if whole.next() != last.last + 1 {
                return Err((whole.next(), "they are not there").into());
            }
            if whole.raw_bytes() < RAW_BYTES_MIN {
                tail = whole;
            }
        }
        let compressor = zstd::bulk::Compressor::new(1).map_err(ProjectError::Sink)?;
        Ok(Self {
            tail,
            raw_bytes: 4 * RAW_BYTES_MIN,
            compressor,
            rows: Vec::new(),
            pairs: Vec::new(),
            committed: 0,
            indexed,
        })
    }

    /// Adds an event; its number is given here.
    pub(crate) fn push(
        &mut self,
        event: &Stored<'_>,
        user_key: Option<u64>,
    ) -> Result<(), ProjectError> {
        let number = self.tail.next();
        self.tail.push(&Stored { number, ..*event });
        self.pairs.extend(user_key.map(|key| (key, number)));
        if self.tail.raw_bytes() >= self.raw_bytes {
            let next = OpenBlock::starting_at(self.tail.next());
            let full = std::mem::replace(&mut self.tail, next);
            let row = full.row(&mut self.compressor).map_err(ProjectError::Sink)?;
            let aim = ROW_BYTES * AIM_PERCENT / 100;
            let raw_bytes = full.raw_bytes() * aim / row.len().max(1);
            self.raw_bytes = raw_bytes.clamp(RAW_BYTES_MIN, RAW_BYTES_MAX);
            self.rows.push((head(&full), row));
        }
        Ok(())
    }

    /// The pairs of an event that is committed and in no run.
    pub(crate) fn add_recent(&mut self, user_key: u64, number: u64) {
        self.pairs.push((user_key, number));
        self.committed = self.pairs.len();
    }

    /// How many events are in no run.
    pub(crate) fn unindexed(&self) -> u64 {
        self.tail.next() - 1 - self.indexed
    }

    /// Writes what is not committed.
    pub(crate) fn write(
        &mut self,
        write: &WriteTransaction,
    ) -> Result<Vec<BlockHead>, ProjectError> {
        let mut rows = std::mem::take(&mut self.rows);
        if !self.tail.is_empty() {
            let row = self
                .tail
                .row(&mut self.compressor)
                .map_err(ProjectError::Sink)?;
            rows.push((head(&self.tail), row));
        }
        let mut events = write.open_table(EVENTS)?;
        let mut blocks = write.open_table(BLOCKS)?;
        for (head, row) in &rows {
            events.insert(head.first, &**row)?;
            blocks.insert(head.first, (head.last, head.min_ms, head.max_ms))?;
        }
        Ok(rows.into_iter().map(|(head, _)| head).collect())
    }

    /// Writes a run of all pairs, which are then of no use here.
    pub(crate) fn write_run(&mut self, write: &WriteTransaction) -> Result<(), ProjectError> {
        let pairs = std::mem::take(&mut self.pairs);
        self.committed = 0;
        self.indexed = self.tail.next() - 1;
        Ok(USERS.add(write, pairs, self.indexed)?)
    }

    /// The pairs that have been added since this was last asked.
    pub(crate) fn new_pairs(&mut self) -> &[(u64, u64)] {
        let from = std::mem::replace(&mut self.committed, self.pairs.len());
        &self.pairs[from..]
    }
}

fn head(block: &OpenBlock) -> BlockHead {
    let (min_ms, max_ms) = block.times.unwrap_or_default();
    BlockHead {
        first: block.first,
        last: block.next() - 1,
        min_ms,
        max_ms,
    }
}

/// Shows the key of the user of each event from this number on.
pub(crate) fn each_key_from(
    directory: &Directory,
    archive: &OpenArchive,
    from: u64,
    engine: &Engine,
    visit: &mut dyn FnMut(u64, u64),
) -> Result<(), ProjectError> {
    let mut text = String::new();
    let mut from = from;
    while let Some(head) = directory.block_from(from) {
        archive.block(head.first)?.each(&mut |stored| {
            if stored.number >= from {
                let event = JsonEvent::parse_text(stored.text);
                let event = event.map_err(|_| (stored.number, "it is no event"))?;
                if own_id_in(engine, &event, &mut text) {
                    visit(user_key(&text), stored.number);
                }
            }
            Ok::<_, ProjectError>(true)
        })?;
        from = head.last + 1;
    }
    Ok(())
}

/// By which the events of a distinct_id are found.
pub(crate) fn key_of(id: idmerge_core::DistinctId<'_>) -> u64 {
    let mut text = String::new();
    push_id(id, &mut text);
    user_key(&text)
}
