//! Cuts inputs into blocks of whole lines, the unit of work of a thread.

use std::io::{self, Write};
use std::sync::Arc;
use std::{mem, slice};

use anyhow::Context;
use idmerge_ingest::{Content, ContentHasher, KnownInputs};

use crate::stream::adapt::table::{Table, Tables};
use crate::stream::block::{BLOCK_BYTES, Block, Limits, Passed};
use crate::stream::forms::{self, Cut, Source, terminated_early};
use crate::stream::input::{Input, Reread};
use crate::stream::progress::Progress;

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The block holds whole lines.
    Lines,
    /// The block holds the start of a line that is longer than allowed (IN-3). It must be
    /// [copied](Blocks::copy_rest) before anything else is read.
    LongLine,
    /// The block holds the start of the text after broken syntax, which must be copied too (IN-6).
    BrokenRest,
    /// All inputs have been read.
    End,
}

/// Why reading stopped.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// An input could not be opened.
    Open(anyhow::Error),
    /// The records of an input cannot be what `--from` says.
    Records(anyhow::Error),
    /// Reading an input failed, after the lines that came before.
    Read(io::Error),
    /// After the lines that came before, an input says that it is incomplete (IN-6).
    TerminatedEarly,
    /// Reading the blocks that an earlier pass has kept failed.
    Kept(anyhow::Error),
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
    /// If inputs that were read before are passed over (AR-3).
    known: Option<&'i mut KnownInputs>,
    track: Track,
    tables: Option<Tables>,
    table: Option<Arc<Table>>,
}

/// The parts of the open input that were read before, and in this run.
#[derive(Debug, Default)]
struct Track {
    passed: Option<Passed>,
    passed_bytes: u64,
    /// Hashes lines. Records are hashed where they are cut.
    hasher: Option<ContentHasher>,
    /// The content up to the end of the last whole line or record, and how many lines or records this
    /// run has read.
    content: Option<Content>,
    records: u64,
}

impl Track {
    /// An input with this index has ended: it is known from now on.
    fn end_input(&self, known: &mut KnownInputs, index: usize) {
        if let Some(content) = self.content
            && content.bytes > self.passed_bytes
        {
            // Lines that may turn out to be records are one: the first value settles the form (IN-6).
            known.add(index, content, self.records.max(1));
        }
    }
}

impl<'i> Blocks<'i> {
    pub(crate) fn new(
        inputs: &'i mut [Input],
        reread: Reread,
        progress: &'i Progress,
        limits: Limits,
        known: Option<&'i mut KnownInputs>,
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
            known,
            track: Track::default(),
            tables: None,
            table: None,
        }
    }

    /// Reads tables row by row.
    pub(crate) fn with_tables(self, tables: Option<Tables>) -> Self {
        Self { tables, ..self }
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
            block.passed = self.track.passed;
            if let Some(error) = self.broken.take() {
                return Err(error);
            }
            let next = match &self.open {
                Some(Source::Records(_)) => self.read_records(block),
                _ => self.read_lines(block),
            };
            if next == Next::Lines {
                self.track(block);
            }
            if block.filled > 0 || next == Next::BrokenRest {
                block.table.clone_from(&self.table);
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
        let found = match &self.known {
            Some(known) => input.find_known(known)?,
            None => None,
        };
        let name = input.name.clone();
        let input = input.read(self.reread, self.progress)?;
        let (mut source, head) = forms::settle(input, self.limits.max_line_bytes);
        self.track = Track::default();
        if let Some(known) = &mut self.known {
            let mut hasher = ContentHasher::default();
            if let Some(found) = found {
                let records = source
                    .pass(&found, &mut hasher)
                    .with_context(|| format!("cannot read {name}"))?;
                self.track.passed = Some(Passed {
                    number: found.number,
                    records,
                });
                self.track.passed_bytes = found.content.bytes;
                self.track.records = found.records;
                known.pass(found);
            }
            match &mut source {
                Source::Lines(_) => self.track.hasher = Some(hasher),
                Source::Records(records) => records.track(hasher),
            }
        }
        self.table = self
            .tables
            .and_then(|tables| tables.table(&head))
            .map(Arc::new);
        (self.open, self.head) = (Some(source), head);
        self.opened += 1;
        self.starts_input = true;
        Ok(true)
    }

    /// Notes how far the input was read, up to the end of this block.
    fn track(&mut self, block: &mut Block) {
        let Some(known) = &mut self.known else {
            return;
        };
        let track = &mut self.track;
        if let Some(hasher) = &mut track.hasher {
            let lines_end = memchr::memrchr(b'\n', block.bytes()).map_or(0, |end| end + 1);
            let (lines, last) = block.bytes().split_at(lines_end);
            hasher.update(lines);
            // Only the last line of an input has no line break. It may still be being written.
            if forms::is_whole_value(last, self.limits.max_line_bytes) {
                hasher.update(last);
            }
            block.content = (block.filled > 0).then(|| hasher.content());
        }
        track.records += block.record_lines.as_ref().map_or(0, Vec::len) as u64;
        track.content = block.content.or(track.content);
        if self.open.is_none() {
            track.end_input(known, self.opened - 1);
        }
    }

    /// Reads records. Each record becomes a line.
    fn read_records(&mut self, block: &mut Block) -> Next {
        let Some(Source::Records(records)) = &mut self.open else {
            return Next::End;
        };
        block.record_lines = Some(Vec::new());
        let cut = records.cut(block);
        if block.filled > 0 && !matches!(cut, Ok(Cut::LongRecord | Cut::BrokenRest)) {
            block.content = records.content();
        }
        match cut {
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
            let end_of_lines = match &self.table {
                Some(table) => table.end_of_rows(block.bytes()),
                None => memchr::memrchr(b'\n', &block.bytes()[without_end..])
                    .map(|end| without_end + end + 1),
            };
            if let Some(mut end) = end_of_lines {
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
        let Track { hasher, .. } = &mut self.track;
        let mut hash = |bytes: &[u8]| {
            if let Some(hasher) = hasher {
                hasher.update(bytes);
            }
        };
        hash(start.bytes());
        let input = match &mut self.open {
            None => return Ok(()),
            Some(Source::Records(records)) => {
                records.copy_rest(to)?;
                if records.ends_early() && !self.limits.allow_incomplete {
                    self.broken = Some(ReadError::TerminatedEarly);
                } else if records.is_used_up() {
                    self.open = None;
                    if let Some(known) = &mut self.known {
                        self.track.end_input(known, self.opened - 1);
                    }
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
                hash(&bytes[..=end]);
                return to.write_all(&bytes[..end]);
            }
            hash(bytes);
            to.write_all(bytes)?;
            if is_at_end {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::stream::input;
    use crate::stream::lines::Lines;

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
        let mut blocks = Blocks::new(&mut inputs, Reread::No, &progress, limits, None);
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

    /// The numbers and texts of the JSON values in these inputs, each as it is read behind the ones
    /// before it.
    fn values_of(texts: &[&[u8]]) -> Vec<Vec<(u64, String)>> {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<_> = (0..texts.len())
            .map(|n| folder.path().join(n.to_string()))
            .collect();
        for (path, text) in paths.iter().zip(texts) {
            fs::write(path, text).unwrap();
        }
        let mut inputs = input::find_all(&paths).unwrap();
        let progress = Progress::of_bytes(None, true);
        let limits = Limits {
            max_line_bytes: 60,
            allow_incomplete: false,
        };
        let mut known = KnownInputs::default();
        let known = Some(&mut known);
        let mut blocks = Blocks::new(&mut inputs, Reread::No, &progress, limits, known);
        let (mut block, mut before) = (Block::default(), 0);
        let mut values = vec![Vec::new(); texts.len()];
        loop {
            let next = blocks.next(&mut block).unwrap();
            if block.starts_input {
                before = block.passed.map_or(0, |passed| passed.records);
            }
            match next {
                Next::End => return values,
                Next::LongLine | Next::BrokenRest => {
                    blocks.copy_rest(&block, &mut io::sink()).unwrap();
                    before += 1;
                }
                Next::Lines => {
                    let mut lines = Lines::new(block.bytes(), limits.max_line_bytes);
                    for line in &mut lines {
                        let text = str::from_utf8(line.bytes).unwrap_or_default().trim();
                        if text.starts_with('{') && forms::is_whole_value(line.bytes, 1_000) {
                            values[block.input].push((before + line.number, text.to_owned()));
                        }
                    }
                    before += lines.count;
                }
            }
        }
    }

    #[test]
    fn ar_3_an_input_is_continued_wherever_it_was_cut() {
        let long = "x".repeat(90);
        let texts = [
            "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n".to_owned(),
            "\u{feff}{\"a\":1}\r\n\r\n\u{feff}{\"b\":2}\r\n \n{\"c\":\"ü\"} ".to_owned(),
            format!("{{\"a\":1}}\n{{\"{long}\":2}}\nno JSON\n{{\"c\":3}}\n"),
            "\u{feff}[ {\"a\":1}\n,\n\u{feff}{\"b\":\n\u{feff}2},5,{\"c\":[3]}\n]\n".to_owned(),
            format!("[{{\"a\":1}},{{\"{long}\":2}},{{\"c\":3}}]"),
            "[] [{\"a\":1}]\u{feff}[{\"b\":\n2}]\n[]\n\u{feff}[{\"c\":3}]\n".to_owned(),
            "{\"a\":\n1}{\"b\":2}\n\u{feff}{\n\"c\":3}".to_owned(),
            format!("{{\"a\":1}} {{\"{long}\":2}}\n{{\"c\":3}}\n"),
        ];
        for text in &texts {
            let text = text.as_bytes();
            let [whole] = &values_of(&[text])[..] else {
                unreachable!("there is one input")
            };
            assert!(whole.len() >= 2, "{whole:?}");
            // Before the end of the first value there is no usable event, and the run would fail.
            let is_usable = |cut: &usize| !values_of(&[&text[..*cut]])[0].is_empty();
            for cut in (0..=text.len()).filter(is_usable) {
                for second in [cut + 1, cut + 5] {
                    let second = second.min(text.len());
                    let texts = [&text[..cut], &text[..second], text, &text[..second], text];
                    let values = values_of(&texts).concat();
                    assert_eq!(values, *whole, "{} {cut} {second}", text.escape_ascii());
                }
            }
        }
    }
}
