//! [`Appender`]: adds events to the archive.

use idmerge_store::StoreError;
use idmerge_store::redb::WriteTransaction;

use crate::archive::block::{BlockBuilder, EventBlock, StoredEvent, Visit};
use crate::archive::directory::{BlockHead, Directory};
use crate::archive::reader::ArchiveReader;
use crate::archive::tables::{BLOCK_HEADS, BLOCKS, USER_INDEX};
use crate::error::ProjectError;

/// The size that a compressed block should not exceed. The database stores a row in a power of two
/// of pages and adds a few bytes, so rows just below such a size waste the least.
const MAX_ROW_BYTES: usize = (16 << 10) - 128;
/// The percentage of that size to aim at, since the next block may compress a little worse.
const AIM_PERCENT: usize = 94;
/// Bounds of the uncompressed size of a block.
const MIN_RAW_BYTES: usize = 16 << 10;
const MAX_RAW_BYTES: usize = 256 << 10;

/// Adds events after the last block, and remembers their user keys until a run is written.
pub(crate) struct Appender {
    tail: BlockBuilder,
    /// The uncompressed size at which a block is full. It follows how well the events compress.
    raw_bytes: usize,
    compressor: zstd::bulk::Compressor<'static>,
    /// Blocks that are full and not committed.
    rows: Vec<(BlockHead, Vec<u8>)>,
    /// Pairs of a user key and the number of an event, for events that are in no run. The first
    /// `committed` of them are committed.
    pairs: Vec<(u64, u64)>,
    committed: usize,
    /// The number of the last event that is in a run.
    indexed: u64,
}

impl Appender {
    /// Continues after the last block, or in it if there is room.
    pub(crate) fn open(
        directory: &Directory,
        archive: &ArchiveReader,
        indexed: u64,
    ) -> Result<Self, ProjectError> {
        let mut tail = BlockBuilder::starting_at(directory.last() + 1);
        if let Some(last) = directory.block_from(directory.last().max(1)) {
            let block = archive.block(last.first)?;
            let mut whole = BlockBuilder::starting_at(last.first);
            block.each(&mut |event| {
                whole.push(&event);
                Ok(true)
            })?;
            if whole.next() != last.last + 1 {
                let first = whole.next();
                return Err(ProjectError::damaged(
                    first,
                    "events of a block are missing",
                ));
            }
            if whole.raw_bytes() < MIN_RAW_BYTES {
                tail = whole;
            }
        }
        let compressor = zstd::bulk::Compressor::new(1).map_err(StoreError::from)?;
        Ok(Self {
            tail,
            raw_bytes: 4 * MIN_RAW_BYTES,
            compressor,
            rows: Vec::new(),
            pairs: Vec::new(),
            committed: 0,
            indexed,
        })
    }

    /// Adds an event and gives it the next number.
    pub(crate) fn push(
        &mut self,
        event: &StoredEvent<'_>,
        user_key: Option<u64>,
    ) -> Result<(), ProjectError> {
        let number = self.tail.next();
        self.tail.push(event);
        self.pairs.extend(user_key.map(|key| (key, number)));
        if self.tail.raw_bytes() >= self.raw_bytes {
            let next = BlockBuilder::starting_at(self.tail.next());
            let full = std::mem::replace(&mut self.tail, next);
            let row = full.row(&mut self.compressor).map_err(StoreError::from)?;
            let aim = MAX_ROW_BYTES * AIM_PERCENT / 100;
            let raw_bytes = full.raw_bytes() * aim / row.len().max(1);
            self.raw_bytes = raw_bytes.clamp(MIN_RAW_BYTES, MAX_RAW_BYTES);
            self.rows.push((full.head(), row));
        }
        Ok(())
    }

    /// The number that the next event gets.
    pub(crate) fn next(&self) -> u64 {
        self.tail.next()
    }

    /// Calls `visit` with the events of the block of an event, if that block is not committed or can
    /// still grow. Returns whether it is.
    pub(crate) fn each_of_block(
        &self,
        number: u64,
        visit: &mut Visit<'_>,
    ) -> Result<bool, ProjectError> {
        if number >= self.tail.head().first {
            self.tail.each(visit)?;
            return Ok(true);
        }
        let full = self.rows.iter().find(|(head, _)| number <= head.last);
        let Some((head, row)) = full.filter(|(head, _)| head.first <= number) else {
            return Ok(false);
        };
        EventBlock::read(head.first, row)?.each(visit)?;
        Ok(true)
    }

    /// Adds an event that is committed and in no run.
    pub(crate) fn add_unindexed(&mut self, user_key: u64, number: u64) {
        self.pairs.push((user_key, number));
        self.committed = self.pairs.len();
    }

    /// The number of events that are in no run.
    pub(crate) fn unindexed(&self) -> u64 {
        self.tail.next() - 1 - self.indexed
    }

    /// Writes the blocks that are not committed, and returns their heads.
    pub(crate) fn write(
        &mut self,
        write: &WriteTransaction,
    ) -> Result<Vec<BlockHead>, ProjectError> {
        let mut rows = std::mem::take(&mut self.rows);
        if !self.tail.is_empty() {
            let row = self
                .tail
                .row(&mut self.compressor)
                .map_err(StoreError::from)?;
            rows.push((self.tail.head(), row));
        }
        let mut blocks = write.open_table(BLOCKS)?;
        let mut heads = write.open_table(BLOCK_HEADS)?;
        for (head, row) in &rows {
            blocks.insert(head.first, &**row)?;
            heads.insert(head.first, (head.last, head.min_ms, head.max_ms))?;
        }
        Ok(rows.into_iter().map(|(head, _)| head).collect())
    }

    /// Writes the user keys of all events that are in no run as a new run.
    pub(crate) fn write_run(&mut self, write: &WriteTransaction) -> Result<(), ProjectError> {
        let pairs = std::mem::take(&mut self.pairs);
        self.committed = 0;
        self.indexed = self.tail.next() - 1;
        Ok(USER_INDEX.add(write, pairs, self.indexed)?)
    }

    /// The pairs of the last commit. Call this once per commit.
    pub(crate) fn new_pairs(&mut self) -> &[(u64, u64)] {
        let from = std::mem::replace(&mut self.committed, self.pairs.len());
        &self.pairs[from..]
    }
}

#[cfg(test)]
mod tests {
    use idmerge_engines::{Engine, Model, Settings};
    use idmerge_store::backends::InMemoryBackend;
    use idmerge_store::{Durable, Options, Sharing};

    use super::*;

    const KIB: usize = 1 << 10;

    fn store() -> Durable<Engine> {
        let settings = Settings::of(Model::Simplified);
        let fresh = move || settings.engine();
        let options = Options {
            sharing: Sharing::Nobody,
            ..Options::default()
        };
        Durable::open_backend(InMemoryBackend::new(), fresh, options).unwrap()
    }

    fn open(store: &Durable<Engine>) -> (Appender, Directory) {
        let read = store.begin_read().unwrap();
        let directory = Directory::read(&read).unwrap();
        let archive = ArchiveReader::new(&read).unwrap();
        (Appender::open(&directory, &archive, 0).unwrap(), directory)
    }

    fn push(appender: &mut Appender, text: &str) {
        let event = StoredEvent {
            number: 0,
            time_ms: 1,
            received_ms: 1,
            source: "/track",
            failure: None,
            attributed: None,
            text,
        };
        appender.push(&event, Some(7)).unwrap();
    }

    fn commit(appender: &mut Appender, store: &Durable<Engine>) -> Vec<BlockHead> {
        let mut heads = Vec::new();
        store
            .commit_with(|write| {
                heads = appender.write(write)?;
                Ok::<_, ProjectError>(())
            })
            .unwrap();
        heads
    }

    /// A text of this length in bytes. `bits` per byte are random, so zstd needs about `bits` of 8.
    fn text(seed: &mut u64, bytes: usize, bits: u32) -> String {
        let mut letter = || {
            *seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            char::from(b'0' + u8::try_from(*seed >> (64 - bits)).unwrap())
        };
        (0..bytes).map(|_| letter()).collect()
    }

    /// Stores events of 1 KiB. Returns the bytes of the texts and of the row of each full block.
    fn full_blocks(events: usize, mut next: impl FnMut() -> String) -> Vec<(usize, usize)> {
        let store = store();
        let (mut appender, _) = open(&store);
        for _ in 0..events {
            push(&mut appender, &next());
        }
        let heads = commit(&mut appender, &store);
        let read = store.begin_read().unwrap();
        let rows = read.open_table(BLOCKS).unwrap();
        let size = |head: &BlockHead| {
            let row = rows.get(head.first).unwrap().unwrap().value().len();
            let events = usize::try_from(head.last - head.first).unwrap() + 1;
            (events * KIB, row)
        };
        let mut sizes: Vec<_> = heads.iter().map(size).collect();
        // The last one still grows.
        sizes.pop();
        sizes
    }

    #[test]
    fn the_size_of_a_block_follows_how_well_events_compress() {
        let mut seed = 1;
        // Each byte has 4 random bits.
        let half = full_blocks(400, || text(&mut seed, KIB, 4));
        let (first, later) = half.split_first().unwrap();
        assert!((63 * KIB..=65 * KIB).contains(&first.0), "{first:?}");
        assert!(later.len() > 5);
        for (_, row) in later {
            // A row fits into 16 KiB, and most of it is used.
            assert!((14 * KIB..16 * KIB).contains(row), "{half:?}");
        }
    }

    #[test]
    fn blocks_are_neither_very_small_nor_very_large() {
        let same = "a".repeat(KIB);
        let easy = full_blocks(2000, || same.clone());
        for (raw, _) in &easy[1..] {
            assert!((250 * KIB..=260 * KIB).contains(raw), "{easy:?}");
        }
        let mut seed = 2;
        let hard = full_blocks(400, || text(&mut seed, KIB, 6));
        for (raw, row) in &hard[1..] {
            assert!(*raw >= 15 * KIB && *row < 16 * KIB, "{hard:?}");
        }
    }

    #[test]
    fn a_project_that_is_opened_often_continues_in_its_last_block() {
        let store = store();
        let event = "e".repeat(100);
        for number in 1..=400 {
            let (mut appender, _) = open(&store);
            assert_eq!(appender.next(), number);
            push(&mut appender, &event);
            commit(&mut appender, &store);
        }
        let (appender, directory) = open(&store);
        assert_eq!((appender.next(), directory.last()), (401, 400));
        let first = directory.block_from(1).unwrap();
        // 16 KiB of events with their heads.
        assert!((140..=164).contains(&first.last), "{first:?}");
        let second = directory.block_from(first.last + 1).unwrap();
        assert!((280..=328).contains(&second.last), "{second:?}");
        assert_eq!(directory.block_from(400).unwrap().first, second.last + 1);
    }

    #[test]
    fn events_are_unindexed_until_a_run_has_them() {
        let store = store();
        let (mut appender, _) = open(&store);
        assert_eq!(appender.unindexed(), 0);
        for number in 1..=3 {
            push(&mut appender, "{}");
            assert_eq!(appender.unindexed(), number);
        }
        assert_eq!(appender.new_pairs(), [(7, 1), (7, 2), (7, 3)]);
        assert_eq!(appender.new_pairs(), []);
        let run = |write: &WriteTransaction| appender.write_run(write);
        store.commit_with(run).unwrap();
        assert_eq!(appender.unindexed(), 0);
        push(&mut appender, "{}");
        assert_eq!(appender.unindexed(), 1);
        assert_eq!(appender.new_pairs(), [(7, 4)]);
    }

    /// The numbers of the events of the block of an event, if the appender has it.
    fn block_of(appender: &Appender, number: u64) -> Option<Vec<u64>> {
        let mut numbers = Vec::new();
        let has_block = appender.each_of_block(number, &mut |event| {
            numbers.push(event.number);
            Ok(true)
        });
        has_block.unwrap().then_some(numbers)
    }

    #[test]
    fn the_appender_has_the_blocks_that_are_not_committed_and_the_one_that_grows() {
        let store = store();
        let (mut appender, _) = open(&store);
        let mut seed = 3;
        let mut fill = |appender: &mut Appender| {
            for _ in 0..100 {
                push(appender, &text(&mut seed, 2 * KIB, 6));
            }
        };
        fill(&mut appender);
        let committed = commit(&mut appender, &store);
        let grows = committed.last().unwrap().first;
        fill(&mut appender);
        for number in 1..=200 {
            let block = block_of(&appender, number);
            assert_eq!(block.is_some(), number >= grows, "{number}");
            if let Some(block) = block {
                assert!(block.contains(&number), "{number}: {block:?}");
            }
        }
        // Each block is given as it is stored.
        let heads = commit(&mut appender, &store);
        assert!(committed.len() > 2 && heads.len() > 3);
        let (mut again, _) = open(&self::store());
        let mut seed = 3;
        for _ in 0..200 {
            push(&mut again, &text(&mut seed, 2 * KIB, 6));
        }
        for head in &heads {
            let block: Vec<u64> = (head.first..=head.last).collect();
            for number in [head.first, head.last] {
                assert_eq!(block_of(&again, number).as_ref(), Some(&block));
            }
        }
    }
}
