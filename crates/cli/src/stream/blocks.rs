//! Cuts inputs into blocks of whole lines, the unit of work of a thread.

use std::io::{self, Read, Write};
use std::{fmt, mem, slice};

use twox_hash::XxHash3_64;

use crate::stream::forms::{self, Cut, Source, TERMINATED_EARLY};
use crate::stream::input::{Input, Reread};
use crate::stream::progress::Progress;

/// The size of a block, unless it is one longer line or the end of an input.
///
/// Large enough that work done once per block costs nothing; small enough that a block, its parsed
/// events and its output fit into the cache of one core together.
pub(crate) const BLOCK_BYTES: usize = 256 * 1024;

/// Bytes of one input. The buffer is reused for the next block.
#[derive(Debug, Default)]
pub(crate) struct Block {
    buffer: Vec<u8>,
    filled: usize,
    /// The index of the input that the bytes come from.
    pub(crate) input: usize,
    /// Whether this is the first block of that input.
    pub(crate) starts_input: bool,
    /// The first bytes of the input, in its first block.
    pub(crate) head: Vec<u8>,
    /// Of an input that is not made of lines (IN-6): the line of the input on which each record of
    /// the block begins. In the block each record is a line.
    pub(crate) record_lines: Option<Vec<u64>>,
}

impl Block {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }

    /// A hash that tells this block from others.
    pub(crate) fn fingerprint(&self) -> u64 {
        XxHash3_64::oneshot(self.bytes())
    }

    /// What the input is made of.
    pub(crate) fn unit(&self) -> Unit {
        match self.record_lines {
            Some(_) => Unit::Record,
            None => Unit::Line,
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
    fn clear(&mut self) {
        self.filled = 0;
        self.head = Vec::new();
        self.record_lines = None;
        self.buffer.truncate(BLOCK_BYTES);
        self.buffer.shrink_to(BLOCK_BYTES);
    }

    /// Makes the buffer at least this long, without the slack of an ordinary `reserve`.
    fn grow_to(&mut self, bytes: usize) {
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
            for at in end..self.filled {
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

    /// Notes on which line of the input a record begins.
    pub(super) fn add_record(&mut self, first_line: u64) {
        self.record_lines.get_or_insert_default().push(first_line);
    }

    pub(super) fn cut_to(&mut self, bytes: usize) {
        self.filled = bytes;
    }

    /// Reads until the buffer is full. `true` if the input ended first.
    fn fill(&mut self, input: &mut dyn Read) -> io::Result<bool> {
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

/// What an input is made of.
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

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The block holds whole lines.
    Lines,
    /// The block holds the start of a line that is longer than allowed (IN-3). It must be
    /// [copied](Blocks::copy_rest) before anything else is read.
    LongLine,
    /// The block holds the start of what follows broken syntax, to be copied likewise (IN-6).
    BrokenRest,
    /// All inputs have been read.
    End,
}

/// Why reading stopped.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// An input could not be opened.
    Open(anyhow::Error),
    /// Reading an input failed, after the lines that came before.
    Read(io::Error),
    /// After the lines that came before, an input says that it is incomplete (IN-6).
    TerminatedEarly,
}

/// What a reader of input allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// A longer line is refused (IN-3).
    pub(crate) max_line_bytes: u64,
    /// Whether an export that was terminated early is read as if it were complete (IN-6).
    pub(crate) allow_incomplete: bool,
}

/// Reads inputs one after another.
pub(crate) struct Blocks<'i> {
    inputs: slice::IterMut<'i, Input>,
    reread: Reread,
    progress: &'i Progress,
    limits: Limits,
    open: Option<Source<'i>>,
    /// The first bytes of the open input, until its first block is returned.
    head: Vec<u8>,
    /// How many inputs were opened.
    opened: usize,
    starts_input: bool,
    /// The start of a line that the last block left for the next one.
    rest: Vec<u8>,
    /// The error that ended the input, reported after the last block before it.
    broken: Option<ReadError>,
}

impl<'i> Blocks<'i> {
    pub(crate) fn new(
        inputs: &'i mut [Input],
        reread: Reread,
        progress: &'i Progress,
        limits: Limits,
    ) -> Self {
        Self {
            inputs: inputs.iter_mut(),
            reread,
            progress,
            limits,
            open: None,
            head: Vec::new(),
            opened: 0,
            starts_input: false,
            rest: Vec::new(),
            broken: None,
        }
    }

    /// Reads the next block. The same input always gives the same blocks, however its bytes arrive.
    pub(crate) fn next(&mut self, block: &mut Block) -> Result<Next, ReadError> {
        loop {
            block.clear();
            if self.open.is_none() && !self.open_next().map_err(ReadError::Open)? {
                return Ok(Next::End);
            }
            block.input = self.opened - 1;
            block.starts_input = mem::take(&mut self.starts_input);
            if let Some(error) = self.broken.take() {
                return Err(error);
            }
            let next = match &self.open {
                Some(Source::Records(_)) => self.read_records(block),
                _ => self.read_lines(block),
            };
            if block.filled > 0 || next == Next::BrokenRest {
                if block.starts_input {
                    block.head = mem::take(&mut self.head);
                }
                return Ok(next);
            }
            self.starts_input = block.starts_input;
        }
    }

    fn open_next(&mut self) -> anyhow::Result<bool> {
        let Some(input) = self.inputs.next() else {
            return Ok(false);
        };
        let input = input.read(self.reread, self.progress)?;
        let (source, head) = forms::settle(input, self.limits.max_line_bytes);
        (self.open, self.head) = (Some(source), head);
        self.opened += 1;
        self.starts_input = true;
        Ok(true)
    }

    /// Reads records, each of which becomes a line.
    fn read_records(&mut self, block: &mut Block) -> Next {
        let Some(Source::Records(records)) = &mut self.open else {
            return Next::End;
        };
        block.record_lines = Some(Vec::new());
        match records.cut(block) {
            Ok(Cut::LongRecord) => return Next::LongLine,
            Ok(Cut::BrokenRest) => return Next::BrokenRest,
            Ok(Cut::Records) => {}
            Ok(Cut::TerminatedEarly) if !self.limits.allow_incomplete => {
                self.broken = Some(ReadError::TerminatedEarly);
            }
            Ok(Cut::TerminatedEarly | Cut::End) => self.open = None,
            Err(error) => self.broken = Some(ReadError::Read(error)),
        }
        Next::Lines
    }

    fn read_lines(&mut self, block: &mut Block) -> Next {
        let Some(Source::Lines(input)) = &mut self.open else {
            return Next::End;
        };
        block.push(&self.rest);
        self.rest.clear();
        self.rest.shrink_to(BLOCK_BYTES);
        let long_bytes = usize::try_from(self.limits.max_line_bytes.saturating_add(2));
        let long_bytes = long_bytes.unwrap_or(usize::MAX);
        let mut without_end = 0;
        block.grow_to(BLOCK_BYTES);
        loop {
            let is_at_end = match block.fill(input) {
                Ok(false) => false,
                Ok(true) => {
                    self.end_lines(block);
                    return Next::Lines;
                }
                Err(error) => {
                    self.broken = Some(ReadError::Read(error));
                    true
                }
            };
            let new = &block.bytes()[without_end..];
            if let Some(end) = memchr::memrchr(b'\n', new) {
                let mut end = without_end + end + 1;
                // The line may turn out to be the last one.
                if let Some(start @ 1..) = terminated_early(&block.bytes()[..end]) {
                    end = start;
                }
                if !is_at_end {
                    self.rest.extend_from_slice(&block.bytes()[end..]);
                }
                block.filled = end;
                return Next::Lines;
            }
            if is_at_end {
                block.filled = 0;
                return Next::Lines;
            }
            // The block is one unfinished line; `long_bytes` leaves room for a CRLF at its end.
            if block.filled >= long_bytes {
                return Next::LongLine;
            }
            without_end = block.filled;
            block.grow_to((block.filled * 2).min(long_bytes));
        }
    }

    /// Takes the line from the last block that says that the export is incomplete (IN-6).
    fn end_lines(&mut self, block: &mut Block) {
        if let Some(start) = terminated_early(block.bytes()) {
            block.filled = start;
            if !self.limits.allow_incomplete {
                self.broken = Some(ReadError::TerminatedEarly);
                return;
            }
        }
        self.open = None;
    }

    /// Copies the whole line that was too long, or the whole rest; `start` holds its start. If
    /// reading fails in the middle, the next call of [`Self::next`] returns the error.
    pub(crate) fn copy_rest(&mut self, start: &Block, to: &mut dyn Write) -> io::Result<()> {
        to.write_all(start.bytes())?;
        let input = match &mut self.open {
            None => return Ok(()),
            Some(Source::Records(records)) => {
                records.copy_rest(to)?;
                if records.is_used_up() {
                    self.open = None;
                }
                return Ok(());
            }
            Some(Source::Lines(input)) => input,
        };
        let mut part = Block::default();
        loop {
            part.clear();
            part.grow_to(BLOCK_BYTES);
            let is_at_end = part.fill(input).unwrap_or_else(|error| {
                self.broken = Some(ReadError::Read(error));
                true
            });
            let bytes = part.bytes();
            if let Some(end) = memchr::memchr(b'\n', bytes) {
                self.rest.extend_from_slice(&bytes[end + 1..]);
                return to.write_all(&bytes[..end]);
            }
            to.write_all(bytes)?;
            if is_at_end {
                return Ok(());
            }
        }
    }
}

/// Where the last line starts, if it is the one that ends an incomplete export.
fn terminated_early(lines: &[u8]) -> Option<usize> {
    let before = lines.trim_ascii_end().strip_suffix(TERMINATED_EARLY)?;
    (before.is_empty() || before.ends_with(b"\n")).then_some(before.len())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::stream::input;

    /// The blocks of `text`, with each long line as a whole.
    fn blocks_of(text: &[u8], max_line_bytes: u64) -> Vec<(Next, Vec<u8>)> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        let mut inputs = input::find_all(&[file.path().to_owned()]).unwrap();
        let progress = Progress::of_bytes(None, true);
        let limits = Limits {
            max_line_bytes,
            allow_incomplete: false,
        };
        let mut blocks = Blocks::new(&mut inputs, Reread::No, &progress, limits);
        let (mut block, mut all) = (Block::default(), Vec::new());
        loop {
            let next = blocks.next(&mut block).unwrap();
            assert_eq!(block.starts_input, all.is_empty(), "{next:?}");
            all.push(match next {
                Next::Lines => (next, block.bytes().to_owned()),
                Next::LongLine | Next::BrokenRest => {
                    let mut line = Vec::new();
                    blocks.copy_rest(&block, &mut line).unwrap();
                    (next, line)
                }
                Next::End => return all,
            });
        }
    }

    #[test]
    fn blocks_are_whole_lines_and_nothing_is_lost() {
        let lines: Vec<_> = (0..200_000).map(|n| format!("line {n}\n")).collect();
        let text = lines.concat();
        let blocks = blocks_of(text.as_bytes(), 1_000);
        assert!(blocks.len() > 5);
        for (next, bytes) in &blocks {
            assert_eq!(*next, Next::Lines);
            assert!(bytes.ends_with(b"\n") && bytes.len() <= BLOCK_BYTES);
        }
        let bytes: Vec<_> = blocks.into_iter().flat_map(|(_, bytes)| bytes).collect();
        assert!(bytes == text.as_bytes());
    }

    #[test]
    fn a_line_may_be_longer_than_a_block_but_not_than_allowed() {
        let (max, long) = (3 * BLOCK_BYTES, 5 * BLOCK_BYTES);
        let line = |bytes: usize| "x".repeat(bytes) + "\n";
        let text = [line(max), line(long), line(7)].concat();
        let blocks = blocks_of(text.as_bytes(), max as u64);
        let of_kind = |kind| -> Vec<u8> {
            let of_kind = blocks.iter().filter(|(next, _)| *next == kind);
            of_kind.flat_map(|(_, bytes)| bytes.clone()).collect()
        };
        assert!(of_kind(Next::Lines) == [line(max), line(7)].concat().as_bytes());
        assert!(of_kind(Next::LongLine) == "x".repeat(long).as_bytes());
        // Also if the line ends the input.
        let blocks = blocks_of("y".repeat(long).as_bytes(), max as u64);
        assert!(blocks == [(Next::LongLine, "y".repeat(long).into_bytes())]);
        assert_eq!(blocks_of(b"", 9), []);
    }
}
