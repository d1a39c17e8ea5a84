//! A block: the bytes that a thread works on.

use std::fmt;
use std::io::{self, Read};
use std::mem;
use std::ops::Range;
use std::sync::Arc;

use idmerge_events::EventLayout;
use idmerge_ingest::Content;
use twox_hash::XxHash3_64;

use crate::stream::adapt::block::AdaptedBlock;
use crate::stream::adapt::table::Table;

/// The size of a block, unless it is one longer line or the end of an input.
///
/// Large enough that work done once per block costs nothing; small enough that a block, its parsed
/// events and its output fit into the cache of one core together.
pub(crate) const BLOCK_BYTES: usize = 256 * 1024;

/// Bytes of one input. The buffer is reused for the next block.
#[derive(Debug, Default)]
pub(crate) struct Block {
    buffer: Vec<u8>,
    /// Memory that an adapted block does not use: that of the records, and before that of earlier events.
    spare: Vec<u8>,
    pub(super) filled: usize,
    /// The index of the input that the bytes come from.
    pub(crate) input: usize,
    /// Whether this is the first block of that input.
    pub(crate) starts_input: bool,
    /// The first bytes of the input, in its first block.
    pub(crate) head: Vec<u8>,
    /// How many lines or records of the input were passed over, because they were read before (AR-3).
    pub(crate) passed: Option<Passed>,
    /// The content of the input up to the end of the last whole line or record of this block. `None` if
    /// that is not tracked, or if the block does not end with it.
    pub(crate) content: Option<Content>,
    /// Of an input that is not made of lines (IN-6): the line of the input on which each record of
    /// the block begins. In the block each record is a line.
    pub(crate) record_lines: Option<Vec<u64>>,
    /// Of records that another product wrote: what they became. The bytes are then their events.
    pub(crate) adapted: Option<AdaptedBlock>,
    /// If the input is a table.
    pub(crate) table: Option<Arc<Table>>,
    /// The events that were read while duplicates were looked for, so that they need not be scanned again: the number of
    /// the line of each, counted from 1 and in order, and where its parts are in the line.
    pub(super) layouts: Vec<(u64, EventLayout)>,
    /// The fingerprint of the bytes, if some of them have been blanked out since.
    fingerprint: Option<u64>,
}

/// The limits of a reader of input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// A longer line is refused (IN-3).
    pub(crate) max_line_bytes: u64,
    /// Whether an export that was terminated early is read as if it were complete (IN-6).
    pub(crate) allow_incomplete: bool,
}

/// The beginning of an input that was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    /// The number of the known input that this is.
    pub(crate) number: u64,
    /// How many lines or records it has.
    pub(crate) records: u64,
}

impl Block {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }

    /// The bytes as text, if all of them are UTF-8. A check of the block is cheaper than one of each line.
    pub(crate) fn text(&self) -> Option<&str> {
        str::from_utf8(self.bytes()).ok()
    }

    /// A hash that tells this block from others. Duplicates that are left out count as they were read.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.fingerprint
            .unwrap_or_else(|| XxHash3_64::oneshot(self.bytes()))
    }

    /// The layout of the event on this line, counted from 1, if the event was read before.
    #[inline]
    pub(crate) fn layout_of(&self, line: u64) -> Option<&EventLayout> {
        let index = self.layouts.binary_search_by_key(&line, |(line, _)| *line);
        self.layouts.get(index.ok()?).map(|(_, layout)| layout)
    }

    /// Whether the input consists of lines or of records.
    pub(crate) fn unit(&self) -> Unit {
        match self.record_lines {
            Some(_) => Unit::Record,
            None => Unit::Line,
        }
    }

    /// How many lines or records of the input this is, if the block has this many lines.
    pub(crate) fn records(&self, lines: u64) -> u64 {
        self.adapted
            .as_ref()
            .map_or(lines, |adapted| adapted.records)
    }

    /// Puts the events of the records in place of the records.
    pub(super) fn replace(&mut self, events: Vec<u8>, adapted: AdaptedBlock) {
        self.filled = events.len();
        self.spare = mem::replace(&mut self.buffer, events);
        self.adapted = Some(adapted);
    }

    /// Takes memory for the events that replace the records.
    pub(super) fn take_spare(&mut self) -> Vec<u8> {
        mem::take(&mut self.spare)
    }

    /// Blanks these parts of the bytes out.
    pub(super) fn blank_out(&mut self, parts: impl IntoIterator<Item = Range<usize>>) {
        for part in parts {
            // The bytes may be read again from the input, where nothing is blanked out.
            self.fingerprint = Some(self.fingerprint());
            self.buffer[..self.filled][part].fill(b' ');
        }
    }

    /// A block with these bytes.
    #[cfg(test)]
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut block = Self::default();
        block.push(bytes);
        block
    }

    /// Empties the block, and frees the memory that a long line took.
    pub(crate) fn clear(&mut self) {
        if self.adapted.take().is_some() {
            mem::swap(&mut self.buffer, &mut self.spare);
            self.spare.clear();
            self.spare.shrink_to(2 * BLOCK_BYTES);
        }
        self.filled = 0;
        self.head = Vec::new();
        self.passed = None;
        self.content = None;
        self.record_lines = None;
        self.table = None;
        self.fingerprint = None;
        self.buffer.truncate(BLOCK_BYTES);
        self.buffer.shrink_to(BLOCK_BYTES);
    }

    /// Makes the buffer at least this long, without the slack of an ordinary `reserve`.
    pub(super) fn grow_to(&mut self, bytes: usize) {
        if self.buffer.len() < bytes {
            self.buffer.reserve_exact(bytes - self.buffer.len());
            self.buffer.resize(bytes, 0);
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let filled = self.filled + bytes.len();
        self.grow_to(filled);
        self.buffer[self.filled..filled].copy_from_slice(bytes);
        self.filled = filled;
    }

    /// Adds a part of a record, and makes room for more parts: up to `max_bytes` together.
    pub(super) fn push_growing(&mut self, bytes: &[u8], max_bytes: usize) {
        let filled = self.filled + bytes.len();
        if filled > self.buffer.len() {
            self.grow_to(filled.max((self.buffer.len() * 2).min(max_bytes)));
        }
        self.push(bytes);
    }

    /// Makes a line of the record that starts at this offset and ends the block. It is valid JSON,
    /// so its line breaks are outside of strings.
    pub(super) fn end_record(&mut self, start: usize, first_line: u64) {
        let is_break = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let record = &self.buffer[start..self.filled];
        if let Some(first) = record.iter().position(is_break) {
            let mut end = start + first;
            for at in start + first..self.filled {
                let byte = self.buffer[at];
                if !is_break(&byte) {
                    self.buffer[end] = byte;
                    end += 1;
                }
            }
            self.filled = end;
        }
        self.push(b"\n");
        self.add_record(first_line);
    }

    /// Stores the line of the input on which a record begins.
    pub(super) fn add_record(&mut self, first_line: u64) {
        self.record_lines.get_or_insert_default().push(first_line);
    }

    /// Reads this many bytes.
    pub(crate) fn read_exact(&mut self, bytes: usize, input: &mut dyn Read) -> io::Result<()> {
        self.grow_to(bytes);
        input.read_exact(&mut self.buffer[..bytes])?;
        self.filled = bytes;
        Ok(())
    }

    /// Reads until the buffer is full. `true` if the input ended first.
    pub(super) fn fill(&mut self, input: &mut dyn Read) -> io::Result<bool> {
        while self.filled < self.buffer.len() {
            match input.read(&mut self.buffer[self.filled..]) {
                Ok(0) => return Ok(true),
                Ok(bytes) => self.filled += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}

/// The parts that an input consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Line,
    /// An element of an array, or an object of several in a row (IN-6).
    Record,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Line => "line",
            Self::Record => "record",
        })
    }
}
