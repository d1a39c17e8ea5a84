//! Cuts arrays, or objects in a row, into records, and makes each a line (IN-6).

use std::io::{self, Read, Write};
use std::mem;

use super::scanner::{Scanned, ValueScanner};
use super::text::BYTE_ORDER_MARK;
use super::tracker::Tracker;
use super::{Form, Prefixed, terminated_early};
use idmerge_ingest::{Content, ContentHasher};

use crate::stream::block::{BLOCK_BYTES, Block};

/// How much is read at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// How much of the text after broken syntax is kept, to see whether it ends an incomplete export.
const TAIL_BYTES: usize = 256;

/// A block ends after the record that makes it this long.
const FULL_BYTES: usize = BLOCK_BYTES / 2;

/// The records of an input that is not made of lines.
pub(in crate::stream) struct Records<'i> {
    input: Prefixed<'i>,
    is_array: bool,
    max_record_bytes: u64,
    /// What has been read and, from `at` on, is not in a block yet.
    chunk: Vec<u8>,
    at: usize,
    /// Whether the next byte of the input is the first one of a line.
    starts_line: bool,
    scanner: ValueScanner,
    place: Place,
    /// The line of the next byte, counted from 1.
    line: u64,
    /// The line on which the last record began.
    record_line: u64,
    /// The start of a record that did not fit into the last block.
    deferred: Option<Vec<u8>>,
    /// The error that ended the chunk, reported behind it.
    error: Option<io::Error>,
    ends_early: bool,
    /// Hashes the bytes that are passed over, so that the input is known again (AR-3).
    tracker: Option<Tracker>,
}

/// Whether a text ends with the line that ends an incomplete export. A tool may have closed the array
/// behind it.
fn ends_early(text: &[u8]) -> bool {
    let text = text.trim_ascii_end();
    terminated_early(text.strip_suffix(b"]").unwrap_or(text)).is_some()
}

/// Where the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the bracket of the first array.
    Start,
    /// Before the first record of an array, or the bracket that ends it.
    StartOfArray,
    BeforeRecord,
    InRecord,
    /// Before a comma, or the bracket that ends the array.
    AfterElement,
    /// After an array. Another one can follow.
    AfterArray,
    /// In text that cannot be read.
    Broken,
}

/// What was put into a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::stream) enum Cut {
    /// Whole records, as lines.
    Records,
    /// The start of a record that is longer than allowed (IN-3).
    LongRecord,
    /// The start of the text after broken syntax. It can be empty.
    BrokenRest,
    /// The last records.
    End,
    /// The last records of an export that was terminated early.
    TerminatedEarly,
}

impl<'i> Records<'i> {
    pub(super) fn new(input: Prefixed<'i>, form: Form, max_record_bytes: u64) -> Self {
        let is_array = form == Form::Array;
        Self {
            input,
            is_array,
            max_record_bytes,
            chunk: Vec::new(),
            at: 0,
            starts_line: true,
            scanner: ValueScanner::new(max_record_bytes),
            place: match is_array {
                true => Place::Start,
                false => Place::BeforeRecord,
            },
            line: 1,
            record_line: 1,
            deferred: None,
            error: None,
            ends_early: false,
            tracker: None,
        }
    }

    /// The input, before anything is read from it.
    pub(super) fn input(&mut self) -> &mut Prefixed<'i> {
        &mut self.input
    }

    /// Reads on after a record that ends behind this many line breaks.
    pub(super) fn resume(&mut self, line_breaks: u64, starts_line: bool) {
        self.line += line_breaks;
        self.starts_line = starts_line;
        if self.is_array {
            self.place = Place::AfterElement;
        }
    }

    /// Hashes the bytes that are passed over from here on.
    pub(in crate::stream) fn track(&mut self, hasher: ContentHasher) {
        self.tracker = Some(Tracker::new(hasher));
    }

    /// The content up to the end of the last record of the last block; `None` if it is not tracked.
    pub(in crate::stream) fn content(&mut self) -> Option<Content> {
        self.tracker.as_mut().map(Tracker::content)
    }

    /// Fills an empty block. After an error it has the whole records before it.
    pub(in crate::stream) fn cut(&mut self, block: &mut Block) -> io::Result<Cut> {
        // Where the record begins that is not complete.
        let mut start = 0;
        let room = usize::try_from(self.max_record_bytes).unwrap_or(usize::MAX);
        let room = room.saturating_add(CHUNK_BYTES + 8);
        let mut has_part = false;
        if let Some(part) = self.deferred.take() {
            block.push(&part);
            has_part = true;
        }
        loop {
            if !mem::take(&mut has_part) {
                if self.at == self.chunk.len()
                    && !self.read_chunk().inspect_err(|_| block.filled = start)?
                {
                    if self.end() {
                        return Ok(Cut::End);
                    }
                } else if self.place == Place::InRecord {
                    self.pass_part(|part| block.push_growing(part, room));
                } else {
                    self.pass_space();
                    if self.at < self.chunk.len() {
                        self.pass_between();
                    }
                    if self.place != Place::Broken {
                        continue;
                    }
                }
            }
            let bytes = block.bytes().len() - start;
            let is_broken = self.place == Place::Broken;
            if is_broken && bytes == 0 && self.is_terminated_early()? {
                return Ok(Cut::TerminatedEarly);
            }
            let is_long = bytes as u64 > self.max_record_bytes;
            if start > 0 && (is_broken || is_long || block.bytes().len() >= BLOCK_BYTES) {
                self.deferred = Some(block.bytes()[start..].to_vec());
                block.filled = start;
                return Ok(Cut::Records);
            }
            if is_broken || is_long {
                block.add_record(self.record_line);
                return Ok(match is_long {
                    true => Cut::LongRecord,
                    false => Cut::BrokenRest,
                });
            }
            if self.place != Place::InRecord {
                block.end_record(start, self.record_line);
                if let Some(tracker) = &mut self.tracker {
                    tracker.end_record();
                }
                start = block.bytes().len();
                if start >= FULL_BYTES {
                    return Ok(Cut::Records);
                }
            }
        }
    }

    /// Decides what the end of the input ends. `true` if no record is left.
    fn end(&mut self) -> bool {
        self.place = match self.place {
            Place::InRecord if !self.is_array && self.scanner.may_end() => Place::BeforeRecord,
            Place::InRecord => Place::Broken,
            Place::BeforeRecord if !self.is_array => return true,
            Place::AfterArray => return true,
            _ => {
                self.record_line = self.line;
                Place::Broken
            }
        };
        false
    }

    /// Copies the rest of a long record, or of the input if its syntax is broken. An error of the
    /// input is returned by the next [`cut`](Self::cut).
    pub(in crate::stream) fn copy_rest(&mut self, to: &mut dyn Write) -> io::Result<()> {
        let mut tail = Vec::new();
        loop {
            if self.at == self.chunk.len() {
                match self.read_chunk() {
                    Ok(true) => {}
                    Ok(false) => {
                        self.place = Place::Broken;
                        self.ends_early = ends_early(&tail);
                        return Ok(());
                    }
                    Err(error) => {
                        self.error = Some(error);
                        return Ok(());
                    }
                }
            }
            match self.place {
                Place::InRecord => {
                    let mut result = Ok(());
                    self.pass_part(|part| result = to.write_all(part));
                    result?;
                    if let Some(tracker) = &mut self.tracker {
                        tracker.hash_passed();
                    }
                }
                Place::Broken => {
                    self.tracker = None;
                    let rest = &self.chunk[self.at..];
                    to.write_all(rest)?;
                    tail.extend_from_slice(rest);
                    tail.drain(..tail.len().saturating_sub(TAIL_BYTES));
                    self.at = self.chunk.len();
                }
                _ => return Ok(()),
            }
        }
    }

    /// Whether the whole input was copied, since its syntax is broken.
    pub(in crate::stream) fn is_used_up(&self) -> bool {
        self.place == Place::Broken && self.error.is_none()
    }

    /// Whether the text after broken syntax ends with the line that ends an incomplete export.
    pub(in crate::stream) fn ends_early(&self) -> bool {
        self.ends_early
    }

    /// Passes what belongs to the record, and hands it on.
    fn pass_part(&mut self, mut take: impl FnMut(&[u8])) {
        let part = &self.chunk[self.at..];
        let (bytes, place) = match self.scanner.scan(part) {
            Scanned::All => (part.len(), Place::InRecord),
            Scanned::Ended(bytes) if self.is_array => (bytes, Place::AfterElement),
            Scanned::Ended(bytes) => (bytes, Place::BeforeRecord),
            Scanned::Broken(bytes) => (bytes, Place::Broken),
        };
        take(&part[..bytes]);
        self.pass(bytes);
        self.place = place;
    }

    fn pass(&mut self, bytes: usize) {
        let passed = &self.chunk[self.at..][..bytes];
        self.line += memchr::memchr_iter(b'\n', passed).count() as u64;
        self.at += bytes;
        if let Some(tracker) = &mut self.tracker {
            tracker.pass(bytes);
        }
    }

    /// Passes white space, and between arrays the byte order mark of a file that was put behind another one.
    fn pass_space(&mut self) {
        let space = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        loop {
            let bytes = self.chunk[self.at..].iter().take_while(space).count();
            self.pass(bytes);
            let may_have_mark = matches!(self.place, Place::Start | Place::AfterArray);
            if !may_have_mark || !self.chunk[self.at..].starts_with(BYTE_ORDER_MARK) {
                return;
            }
            self.pass(BYTE_ORDER_MARK.len());
        }
    }

    /// Passes a byte between records, or starts one with it.
    fn pass_between(&mut self) {
        self.place = match (self.place, self.chunk[self.at]) {
            (Place::Start | Place::AfterArray, b'[') => Place::StartOfArray,
            (Place::AfterElement, b',') => Place::BeforeRecord,
            (Place::StartOfArray | Place::AfterElement, b']') => Place::AfterArray,
            (Place::StartOfArray | Place::BeforeRecord, _) => {
                self.scanner.restart();
                self.record_line = self.line;
                self.place = Place::InRecord;
                return;
            }
            _ => {
                self.record_line = self.line;
                self.place = Place::Broken;
                return;
            }
        };
        self.pass(1);
    }

    /// Whether the rest is only the line that ends an incomplete export.
    fn is_terminated_early(&mut self) -> io::Result<bool> {
        let enough = TAIL_BYTES;
        while self.chunk.len() - self.at < enough {
            if !self.read_chunk()? {
                return Ok(ends_early(&self.chunk[self.at..]));
            }
        }
        Ok(false)
    }

    /// Reads on, without the byte order marks at the starts of lines (IN-4). `false` at the end.
    fn read_chunk(&mut self) -> io::Result<bool> {
        self.chunk.drain(..self.at);
        self.at = 0;
        let before = self.chunk.len();
        // A whole chunk can be marks, and they are all left out.
        while self.chunk.len() == before {
            if !self.read_bytes(CHUNK_BYTES)? {
                return Ok(false);
            }
            // Half a mark cannot be told from other bytes.
            let mark = BYTE_ORDER_MARK;
            while self.chunk.ends_with(&mark[..1]) || self.chunk.ends_with(&mark[..2]) {
                match self.read_bytes(1) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        self.error = Some(error);
                        break;
                    }
                }
            }
            self.leave_out_marks(before);
        }
        self.starts_line = self.chunk.ends_with(b"\n");
        Ok(true)
    }

    /// Leaves out the byte order marks at the starts of lines, from this byte of the chunk on.
    fn leave_out_marks(&mut self, before: usize) {
        let mut end = before;
        while let Some(mark) = memchr::memmem::find(&self.chunk[end..], BYTE_ORDER_MARK) {
            end += mark;
            let starts_line = match end.checked_sub(1) {
                Some(last) if end > before => self.chunk[last] == b'\n',
                _ => self.starts_line,
            };
            if starts_line {
                self.chunk.drain(end..end + BYTE_ORDER_MARK.len());
                if let Some(tracker) = &mut self.tracker {
                    tracker.leave_out_mark(end);
                }
            } else {
                end += BYTE_ORDER_MARK.len();
            }
        }
    }

    /// Reads up to this many bytes. `false` at the end.
    fn read_bytes(&mut self, bytes: usize) -> io::Result<bool> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        let before = self.chunk.len();
        let input = &mut self.input;
        let result = input.take(bytes as u64).read_to_end(&mut self.chunk);
        if let Some(tracker) = &mut self.tracker {
            tracker.read(&self.chunk[before..]);
        }
        let has_read = self.chunk.len() > before;
        match result {
            Ok(_) => Ok(has_read),
            Err(error) if has_read => {
                self.error = Some(error);
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }
}
