//! The format of a block: some hundred successive events, compressed together.
//!
//! ```text
//! row     XXH3-64 of the rest, seeded with the number of the first event   8 bytes
//!         uncompressed length of what follows                              4 bytes
//!         zstd of: number of events (4 bytes), length of all heads (4 bytes), heads, texts
//! head    flags: which optional fields follow                              1 byte
//!         length of the text; time and arrival time, as differences to the event before
//!         optional: source, if it differs from the event before
//!         optional: code and description of a rejection
//!         optional: the distinct_id that the event was attributed to at its arrival
//! number  7 bits per byte, the lowest first; differences in zigzag encoding
//! ```

use idmerge_disk::row::{self, CHECKSUM_BYTES};
use idmerge_disk::varint::{self, VarintError};

use idmerge_core::{Attribution, DistinctId, Id};
use idmerge_engines::Settings;

use crate::archive::directory::BlockHead;
use crate::error::ProjectError;

/// The most bytes of an event (rule IN-3).
pub(crate) const MAX_EVENT_BYTES: usize = 16 << 20;
/// The most bytes of a block without compression: the longest event can follow a nearly full block.
const MAX_RAW_BYTES: usize = MAX_EVENT_BYTES + (8 << 20);

/// The bytes of the uncompressed length, and the position of the compressed frame after it.
const LENGTH_BYTES: usize = 4;
const FRAME_START: usize = CHECKSUM_BYTES + LENGTH_BYTES;

const HAS_FAILURE: u8 = 1;
const HAS_SOURCE: u8 = 2;
const HAS_ATTRIBUTED: u8 = 4;

/// What is wrong with a stored event that cannot be parsed.
pub(crate) const NOT_AN_EVENT: &str = "the text is not an event";

/// An event as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoredEvent<'b> {
    /// Events are numbered from 1, in the order in which they are stored.
    pub(crate) number: u64,
    pub(crate) time_ms: i64,
    pub(crate) received_ms: i64,
    pub(crate) source: &'b str,
    /// Why its claim was rejected: the code and the description.
    pub(crate) failure: Option<[&'b str; 2]>,
    /// In a model that attributes events at their arrival: the ID that the event was attributed to, if
    /// that is another than its own distinct_id (L-3).
    pub(crate) attributed: Option<&'b str>,
    /// The JSON text, unchanged; empty if the event was erased (E-1).
    pub(crate) text: &'b str,
}

impl<'b> StoredEvent<'b> {
    /// What a model that attributes events at their arrival has given to an event with this own ID;
    /// `None` in other models, in which the answer is that of now.
    pub(crate) fn at_arrival(
        &self,
        settings: &Settings,
        own: DistinctId<'b>,
    ) -> Option<DistinctId<'b>> {
        if settings.attribution() == Attribution::Retroactive {
            return None;
        }
        let attributed = self.attributed.and_then(|text| Id::new(text).ok());
        Some(attributed.map_or(own, DistinctId::plain))
    }
}

/// A block that is being filled.
#[derive(Clone, Debug, Default)]
pub(crate) struct BlockBuilder {
    first: u64,
    count: u32,
    heads: Vec<u8>,
    texts: Vec<u8>,
    /// The time and the arrival time of the last event.
    last_times: (i64, i64),
    /// The source of the last event.
    last_source: String,
    /// The earliest and the latest time.
    times: Option<(i64, i64)>,
}

impl BlockBuilder {
    pub(crate) fn starting_at(first: u64) -> Self {
        Self {
            first,
            ..Self::default()
        }
    }

    pub(crate) fn push(&mut self, event: &StoredEvent<'_>) {
        if event.text.is_empty() {
            return self.push_erased();
        }
        let is_new_source = self.last_source != event.source;
        let mut has = 0;
        has |= if event.failure.is_some() {
            HAS_FAILURE
        } else {
            0
        };
        has |= if is_new_source { HAS_SOURCE } else { 0 };
        has |= if event.attributed.is_some() {
            HAS_ATTRIBUTED
        } else {
            0
        };
        self.heads.push(has);
        varint::put(&mut self.heads, event.text.len() as u64);
        for (now, before) in [
            (event.time_ms, self.last_times.0),
            (event.received_ms, self.last_times.1),
        ] {
            varint::put_signed(&mut self.heads, now.wrapping_sub(before));
        }
        if is_new_source {
            varint::put_text(&mut self.heads, event.source);
            event.source.clone_into(&mut self.last_source);
        }
        let failure = event.failure.into_iter().flatten();
        for text in failure.chain(event.attributed) {
            varint::put_text(&mut self.heads, text);
        }
        self.texts.extend_from_slice(event.text.as_bytes());
        self.count += 1;
        self.last_times = (event.time_ms, event.received_ms);
        let (min, max) = self.times.unwrap_or((event.time_ms, event.time_ms));
        self.times = Some((min.min(event.time_ms), max.max(event.time_ms)));
    }

    /// Adds what is left of an event that was erased: its number. It has no text, which no other event lacks, and the
    /// time and source of the event before it.
    pub(crate) fn push_erased(&mut self) {
        self.heads.push(0);
        varint::put(&mut self.heads, 0);
        for _ in 0..2 {
            varint::put_signed(&mut self.heads, 0);
        }
        self.count += 1;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The number of the next event.
    pub(crate) fn next(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    pub(crate) fn raw_bytes(&self) -> usize {
        8 + self.heads.len() + self.texts.len()
    }

    /// Calls `visit` with each event in order, until it returns `false`.
    pub(crate) fn each(&self, visit: &mut Visit<'_>) -> Result<(), ProjectError> {
        Contents {
            count: self.count,
            heads: &self.heads,
            texts: &self.texts,
        }
        .each(self.first, visit)
    }

    pub(crate) fn head(&self) -> BlockHead {
        let (min_ms, max_ms) = self.times.unwrap_or_default();
        BlockHead {
            first: self.first,
            last: self.next() - 1,
            min_ms,
            max_ms,
        }
    }

    /// The row of the block, compressed.
    pub(crate) fn row(
        &self,
        compressor: &mut zstd::bulk::Compressor<'_>,
    ) -> std::io::Result<Vec<u8>> {
        let mut raw = Vec::with_capacity(self.raw_bytes());
        raw.extend(self.count.to_le_bytes());
        raw.extend(length(self.heads.len()).to_le_bytes());
        raw.extend_from_slice(&self.heads);
        raw.extend_from_slice(&self.texts);
        let bound = zstd::zstd_safe::compress_bound(raw.len());
        // The allocator has zeroed memory at hand, so this is faster than `row::start` and `resize`.
        let mut row = vec![0; FRAME_START + bound];
        row[CHECKSUM_BYTES..FRAME_START].copy_from_slice(&length(raw.len()).to_le_bytes());
        let written = compressor.compress_to_buffer(&raw, &mut row[FRAME_START..])?;
        row.truncate(FRAME_START + written);
        Ok(row::seal(self.first, row))
    }
}

/// A block that was read and decompressed.
#[derive(Debug)]
pub(crate) struct EventBlock {
    first: u64,
    raw: Vec<u8>,
}

impl EventBlock {
    /// How many bytes the block of a row has without compression, as the row says.
    pub(crate) fn raw_bytes(row: &[u8]) -> usize {
        let length = row.get(CHECKSUM_BYTES..FRAME_START);
        let length = length.and_then(|bytes| bytes.try_into().ok());
        length.map_or(0, |bytes| u32::from_le_bytes(bytes) as usize)
    }

    pub(crate) fn read(first: u64, row: &[u8]) -> Result<Self, ProjectError> {
        let damaged = |what| ProjectError::damaged(first, what);
        let rest =
            row::open(first, row).ok_or(damaged("the checksum of a block does not match"))?;
        let (bytes, frame) = rest.split_first_chunk().ok_or(damaged(TOO_SHORT))?;
        let bytes = u32::from_le_bytes(*bytes) as usize;
        if bytes > MAX_RAW_BYTES {
            return Err(damaged("a block is too long"));
        }
        let raw = zstd::bulk::decompress(frame, bytes)
            .map_err(|_| damaged("a block cannot be decompressed"))?;
        Ok(Self { first, raw })
    }

    /// Calls `visit` with each event in order, until it returns `false`.
    pub(crate) fn each(&self, visit: &mut Visit<'_>) -> Result<(), ProjectError> {
        match Contents::of_block(&self.raw) {
            Ok(contents) => contents.each(self.first, visit),
            Err(Missing) => Err(ProjectError::damaged(self.first, TOO_SHORT)),
        }
    }
}

/// Called with an event; `false` ends the visit.
pub(crate) type Visit<'v> = dyn FnMut(StoredEvent<'_>) -> Result<bool, ProjectError> + 'v;

/// The parts of a block without compression.
struct Contents<'c> {
    count: u32,
    heads: &'c [u8],
    texts: &'c [u8],
}

impl<'c> Contents<'c> {
    fn of_block(raw: &'c [u8]) -> Result<Self, Missing> {
        let (count, rest) = raw.split_first_chunk().ok_or(Missing)?;
        let (heads_bytes, rest) = rest.split_first_chunk().ok_or(Missing)?;
        let heads_bytes = u32::from_le_bytes(*heads_bytes) as usize;
        let (heads, texts) = rest.split_at_checked(heads_bytes).ok_or(Missing)?;
        Ok(Self {
            count: u32::from_le_bytes(*count),
            heads,
            texts,
        })
    }

    /// Calls `visit` with each event in order, until it returns `false`. The first one has the number
    /// `first`.
    fn each(&self, first: u64, visit: &mut Visit<'_>) -> Result<(), ProjectError> {
        let mut next = first;
        match self.try_each(&mut next, visit) {
            Ok(result) => result,
            Err(Missing) => Err(ProjectError::damaged(next, TOO_SHORT)),
        }
    }

    /// The outer error: the block ends too early. The inner error: `visit` failed.
    fn try_each(
        &self,
        next: &mut u64,
        visit: &mut Visit<'_>,
    ) -> Result<Result<(), ProjectError>, Missing> {
        let mut heads = self.heads;
        let mut texts = str::from_utf8(self.texts).map_err(|_| Missing)?;
        let [mut time_ms, mut received_ms] = [0_i64; 2];
        let mut source = "";
        for _ in 0..self.count {
            let (&has, rest) = heads.split_first().ok_or(Missing)?;
            heads = rest;
            let bytes = usize::try_from(varint::take(&mut heads)?).map_err(|_| Missing)?;
            time_ms = time_ms.wrapping_add(varint::take_signed(&mut heads)?);
            received_ms = received_ms.wrapping_add(varint::take_signed(&mut heads)?);
            if has & HAS_SOURCE != 0 {
                source = varint::take_text(&mut heads)?;
            }
            let failure = if has & HAS_FAILURE != 0 {
                Some([
                    varint::take_text(&mut heads)?,
                    varint::take_text(&mut heads)?,
                ])
            } else {
                None
            };
            let attributed = if has & HAS_ATTRIBUTED != 0 {
                Some(varint::take_text(&mut heads)?)
            } else {
                None
            };
            let (text, rest) = texts.split_at_checked(bytes).ok_or(Missing)?;
            texts = rest;
            let event = StoredEvent {
                number: *next,
                time_ms,
                received_ms,
                source,
                failure,
                attributed,
                text,
            };
            *next += 1;
            match visit(event) {
                Ok(true) => {}
                Ok(false) => return Ok(Ok(())),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(()))
    }
}

const TOO_SHORT: &str = "a block is too short";

/// Bytes that should be there are missing, or are not UTF-8.
struct Missing;

impl From<VarintError> for Missing {
    fn from(_: VarintError) -> Self {
        Self
    }
}

/// [`MAX_RAW_BYTES`] is below 4 GiB, so no length is cut.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Owned = (
        i64,
        i64,
        String,
        Option<[String; 2]>,
        Option<String>,
        String,
    );

    fn any_event() -> impl Strategy<Value = Owned> {
        let time = prop_oneof![any::<i64>(), 1_700_000_000_000..1_700_000_010_000_i64];
        let failure = prop::option::of(["[a-z]{0,4}", "\\PC{0,9}"]);
        let attributed = prop::option::of("\\PC{1,9}");
        (
            time,
            any::<i64>(),
            "/[a-c]",
            failure,
            attributed,
            "\\PC{1,40}",
        )
    }

    fn stored(number: u64, event: &Owned) -> StoredEvent<'_> {
        let (time_ms, received_ms, source, failure, attributed, text) = event;
        StoredEvent {
            number,
            time_ms: *time_ms,
            received_ms: *received_ms,
            source,
            failure: failure
                .as_ref()
                .map(|pair| pair.each_ref().map(String::as_str)),
            attributed: attributed.as_deref(),
            text,
        }
    }

    #[test]
    fn a_row_says_how_many_bytes_its_block_has() {
        let mut builder = BlockBuilder::starting_at(1);
        let text = "x".repeat(300_000);
        let event = (1, 2, "/a".to_owned(), None, None, text);
        for number in 1..4 {
            builder.push(&stored(number, &event));
        }
        let row = builder.row(&mut zstd::bulk::Compressor::default()).unwrap();
        assert_eq!(EventBlock::raw_bytes(&row), builder.raw_bytes());
        assert!(builder.raw_bytes() > 900_000 && row.len() < 9_000);
    }

    fn read(first: u64, row: &[u8]) -> Result<Vec<String>, ProjectError> {
        let block = EventBlock::read(first, row)?;
        let mut all = Vec::new();
        block.each(&mut |event| {
            all.push(format!("{event:?}"));
            Ok(true)
        })?;
        Ok(all)
    }

    #[test]
    fn a_block_that_claims_to_be_too_long_is_not_decompressed() {
        let mut row = row::start();
        row.extend(u32::MAX.to_le_bytes());
        row.extend(zstd::bulk::compress(&[0; 8], 1).unwrap());
        let error = read(7, &row::seal(7, row)).unwrap_err();
        assert!(error.to_string().contains("too long"), "{error}");
    }

    #[test]
    fn a_block_of_the_greatest_length_is_read() {
        for (bytes, is_read) in [(MAX_RAW_BYTES, true), (MAX_RAW_BYTES + 1, false)] {
            let mut row = row::start();
            row.extend(length(bytes).to_le_bytes());
            row.extend(zstd::bulk::compress(&vec![0; bytes], 1).unwrap());
            let block = EventBlock::read(7, &row::seal(7, row));
            assert_eq!(block.is_ok(), is_read, "{bytes}");
        }
    }

    proptest! {
        #[test]
        fn a_written_block_is_read_back(
            first in 1..u64::MAX / 2,
            events in prop::collection::vec(any_event(), 0..20),
            flip in any::<prop::sample::Index>(),
        ) {
            let mut block = BlockBuilder::starting_at(first);
            let mut wanted = Vec::new();
            for event in &events {
                let event = stored(block.next(), event);
                block.push(&event);
                wanted.push(format!("{event:?}"));
            }
            let times = events.iter().map(|event| event.0);
            prop_assert_eq!(block.times, times.clone().min().zip(times.max()));
            let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
            let mut row = block.row(&mut compressor).unwrap();
            prop_assert_eq!(read(first, &row).unwrap(), wanted);

            prop_assert!(read(first + 1, &row).is_err());
            let at = flip.index(row.len());
            row[at] ^= 1;
            prop_assert!(read(first, &row).is_err());
            prop_assert!(read(first, &row[..at]).is_err());
        }

        #[test]
        fn no_bytes_make_reading_panic(mut row in prop::collection::vec(any::<u8>(), 0..200)) {
            // Make the checksum and the compression valid, so that the test reaches the rest of the
            // row.
            let raw = row.split_off(row.len().min(12));
            row.truncate(0);
            row.extend(row::start());
            row.extend(length(raw.len()).to_le_bytes());
            row.extend(zstd::bulk::compress(&raw, 1).unwrap());
            let row = row::seal(7, row);
            let _may_fail = read(7, &row).is_ok();
        }
    }
}
