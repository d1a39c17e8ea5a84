//! Outlines of the events of a block, kept from the first pass to the second, which writes events
//! by them without scanning again.
//!
//! Outlines save time, and show if a block has changed between the passes. If they could not be kept,
//! each block is scanned again.

use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use idmerge_events::{JsonEvent, Outline, OutlinedEvent};
use tempfile::SpooledTempFile;

use crate::spill::IN_MEMORY_BYTES;
use crate::stream::block::Block;

/// The outlines of the events of a block that can be used.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct BlockOutlines {
    header: Header,
    /// For each event one of
    /// - its distance from the end of the event before, one byte below [`FAR`], and its outline
    /// - [`FAR`], the distance as a number, and its outline
    /// - [`LINE`], the distance and the length of its line as numbers
    packed: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Header {
    /// The fingerprint of the block.
    fingerprint: u64,
    /// The number of lines of the block.
    lines: u64,
    /// How many of them are events, and how many events have no outline.
    events: u64,
    without_outline: u64,
    packed_bytes: u64,
}

/// Marks a distance that does not fit into the byte before.
const FAR: u8 = 254;
/// Marks an event without an outline.
const LINE: u8 = 255;

/// An event of a block.
#[derive(Debug)]
pub(crate) enum KeptEvent<'b> {
    Outlined(OutlinedEvent<'b>),
    /// The line of an event without an outline, which must be parsed again.
    Line(&'b str),
}

/// Packs the outlines of one block.
#[derive(Debug)]
pub(crate) struct OutlineWriter {
    outlines: BlockOutlines,
    /// Where the last event ends.
    end: usize,
}

impl OutlineWriter {
    /// For the block with this fingerprint.
    pub(crate) fn new(fingerprint: u64) -> Self {
        let mut outlines = BlockOutlines::default();
        outlines.header.fingerprint = fingerprint;
        Self { outlines, end: 0 }
    }

    /// Adds the event whose line starts at this offset of the block and has this many bytes.
    pub(crate) fn add(&mut self, start: usize, bytes: usize, outline: Option<&Outline>) {
        self.outlines.header.events += 1;
        let distance = start - self.end;
        self.end = start + bytes;
        let packed = &mut self.outlines.packed;
        match (outline, u8::try_from(distance)) {
            (Some(outline), Ok(near @ 0..FAR)) => {
                packed.push(near);
                outline.pack(packed);
            }
            (Some(outline), _) => {
                packed.push(FAR);
                packed.extend_from_slice(&(distance as u64).to_le_bytes());
                outline.pack(packed);
            }
            (None, _) => {
                self.outlines.header.without_outline += 1;
                packed.push(LINE);
                packed.extend_from_slice(&(distance as u64).to_le_bytes());
                packed.extend_from_slice(&(bytes as u64).to_le_bytes());
            }
        }
    }

    /// The outlines of the block, which has this many lines.
    pub(crate) fn finish(mut self, lines: u64) -> BlockOutlines {
        self.outlines.header.lines = lines;
        self.outlines.header.packed_bytes = self.outlines.packed.len() as u64;
        self.outlines
    }
}

impl BlockOutlines {
    /// Whether they are of the block with this fingerprint. The chance that a block that has changed
    /// still has its fingerprint is 1 in 2⁶⁴.
    pub(crate) fn are_of(&self, fingerprint: u64) -> bool {
        self.header.fingerprint == fingerprint
    }

    /// The number of lines of the block.
    pub(crate) fn lines(&self) -> u64 {
        self.header.lines
    }

    /// The events of the block, in order.
    pub(crate) fn events<'b>(&self, block: BlockText<'b>) -> impl Iterator<Item = KeptEvent<'b>> {
        let (mut packed, mut rest) = (&self.packed[..], block);
        std::iter::from_fn(move || take_event(&mut packed, &mut rest))
    }

    /// Parses the events that have no outline, in order.
    pub(crate) fn parse_rest<'b>(&self, block: BlockText<'b>) -> Vec<JsonEvent<'b>> {
        if self.header.without_outline == 0 {
            return Vec::new();
        }
        let parse = |event| match event {
            KeptEvent::Line(line) => JsonEvent::parse_text(line).ok(),
            KeptEvent::Outlined(_) => None,
        };
        self.events(block).filter_map(parse).collect()
    }
}

/// The rest of a block, from which events are taken one by one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockText<'b> {
    bytes: &'b [u8],
    /// Set if all of the block is UTF-8, so that lines need not be checked one by one.
    text: Option<&'b str>,
}

impl<'b> BlockText<'b> {
    pub(crate) fn new(block: &'b Block) -> Self {
        Self {
            bytes: block.bytes(),
            text: block.text(),
        }
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.bytes = self.bytes.get(bytes..)?;
        if let Some(text) = &mut self.text {
            *text = text.get(bytes..)?;
        }
        Some(())
    }

    fn take(&mut self, bytes: usize) -> Option<&'b str> {
        let text = match self.text {
            Some(text) => text.get(..bytes)?,
            None => str::from_utf8(self.bytes.get(..bytes)?).ok()?,
        };
        self.skip(bytes)?;
        Some(text)
    }
}

/// Takes the next outline, and its event from the rest of the block.
fn take_event<'b>(packed: &mut &[u8], rest: &mut BlockText<'b>) -> Option<KeptEvent<'b>> {
    let near = *packed.split_off_first()?;
    let distance = match near {
        FAR | LINE => take_number(packed)?,
        near => usize::from(near),
    };
    rest.skip(distance)?;
    Some(if near == LINE {
        KeptEvent::Line(rest.take(take_number(packed)?)?)
    } else {
        let outline = Outline::unpack(packed)?;
        let text = rest.take(outline.text_bytes())?;
        KeptEvent::Outlined(outline.of_text(text)?)
    })
}

fn take_number(packed: &mut &[u8]) -> Option<usize> {
    let (number, rest) = packed.split_first_chunk()?;
    *packed = rest;
    u64::from_le_bytes(*number).try_into().ok()
}

/// Keeps outlines, in the order of blocks.
#[derive(Debug)]
pub(crate) struct OutlinesWriter {
    /// `None` after writing has failed, as on a full disk: then everything is scanned again.
    file: Option<BufWriter<SpooledTempFile>>,
}

impl OutlinesWriter {
    pub(crate) fn new() -> Self {
        Self::to(SpooledTempFile::new(IN_MEMORY_BYTES))
    }

    fn to(file: SpooledTempFile) -> Self {
        Self {
            file: Some(BufWriter::new(file)),
        }
    }

    /// Adds the outlines of the block with this number.
    pub(crate) fn add(&mut self, number: u64, outlines: &BlockOutlines) {
        if let Some(file) = &mut self.file
            && outlines.write(number, file).is_err()
        {
            self.file = None;
        }
    }

    /// Returns what was added, in the same order.
    pub(crate) fn read(self) -> OutlinesReader {
        let read = |file: BufWriter<SpooledTempFile>| {
            let mut file = file.into_inner().ok()?;
            file.rewind().ok()?;
            Some(BufReader::new(file))
        };
        OutlinesReader {
            file: self.file.and_then(read),
            next: None,
        }
    }
}

impl BlockOutlines {
    fn write(&self, number: u64, file: &mut impl Write) -> io::Result<()> {
        let Header {
            fingerprint,
            lines,
            events,
            without_outline,
            packed_bytes,
        } = self.header;
        for number in [
            number,
            fingerprint,
            lines,
            events,
            without_outline,
            packed_bytes,
        ] {
            file.write_all(&number.to_le_bytes())?;
        }
        file.write_all(&self.packed)
    }
}

/// Gives outlines back.
#[derive(Debug)]
pub(crate) struct OutlinesReader {
    file: Option<BufReader<SpooledTempFile>>,
    /// The number of the block that comes next in the file, and its header.
    next: Option<(u64, Header)>,
}

impl OutlinesReader {
    /// Whether the outlines of all blocks could be kept.
    pub(crate) fn are_kept(&self) -> bool {
        self.file.is_some()
    }

    /// The outlines of the block with this number, or `None` if none could be kept. If the first pass
    /// had no such block, they are outlines of no block. Call it in the order of blocks.
    pub(crate) fn read_block(&mut self, number: u64) -> io::Result<Option<BlockOutlines>> {
        let Some(file) = &mut self.file else {
            return Ok(None);
        };
        if self.next.is_none() {
            self.next = read_header(file)?;
        }
        // A line that is too long takes a block's number but has no outlines. No outlines are ever
        // skipped: a block has the number it had in the first pass, or the input has changed.
        let Some((_, header)) = self.next.take_if(|(next, _)| *next == number) else {
            return Ok(Some(BlockOutlines::default()));
        };
        let mut packed = Vec::new();
        file.take(header.packed_bytes).read_to_end(&mut packed)?;
        Ok(Some(BlockOutlines { header, packed }))
    }
}

fn read_header(file: &mut impl Read) -> io::Result<Option<(u64, Header)>> {
    let mut bytes = [0; 6 * size_of::<u64>()];
    match file.read_exact(&mut bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let (numbers, _) = bytes.as_chunks();
    let [
        number,
        fingerprint,
        lines,
        events,
        without_outline,
        packed_bytes,
    ] = std::array::from_fn(|at| u64::from_le_bytes(numbers[at]));
    let header = Header {
        fingerprint,
        lines,
        events,
        without_outline,
        packed_bytes,
    };
    Ok(Some((number, header)))
}

#[cfg(test)]
mod tests {
    use idmerge_engines::{Model, Settings};

    use super::*;
    use crate::stream::event_reader::EventReader;
    use crate::stream::events::{BlockEvents, Keep};

    /// Lines of all sorts: with an outline, without one, and refused.
    fn lines() -> Vec<Vec<u8>> {
        let user = |id: &str| format!(r#"{{"event":"A","properties":{{"$user_id":"{id}"}}}}"#);
        let filling = "x".repeat(70_000);
        let mut lines: Vec<_> = [
            user("U1"),
            user(r"\u0055"),
            String::new(),
            format!("{}\r", user("\u{fc}")),
            "no event".to_owned(),
            " ".repeat(300),
            user("U2").replace('A', r"\u0041"),
            user("null"),
            user("U3").replace('A', &filling),
            user(r#"U\"4"#).replace('A', &filling),
            user("").replace("$user", "$device"),
            format!(" {}\t", user("U5").replace("user", "device")),
        ]
        .map(String::into_bytes)
        .into();
        lines.push(b"{\"event\":\"\xff\",\"properties\":{}}".to_vec());
        lines.push(user("U6").into_bytes());
        lines
    }

    fn outlines_of(block: &Block) -> BlockOutlines {
        let settings = Settings::of(Model::Simplified);
        let mut events = BlockEvents::read(
            block,
            &EventReader::new(1_000_000),
            &settings,
            Keep::Outlines,
        );
        let outlines = events.take_outlines().unwrap();
        assert_eq!(outlines.header.events, events.count() as u64);
        outlines
    }

    /// The text of each event. Checks that its outline has the distinct_id that reading it gives.
    fn events_of(outlines: &BlockOutlines, block: &Block) -> Vec<String> {
        let settings = Settings::of(Model::Simplified);
        let text = BlockText::new(block);
        let mut parsed = outlines.parse_rest(text).into_iter();
        let mut texts = Vec::new();
        for kept in outlines.events(text) {
            let (line, own) = match kept {
                KeptEvent::Line(line) => {
                    let event = parsed.next().unwrap();
                    let own = settings.read(&event.event()).unwrap().distinct_id;
                    (line, own.map(|id| id.to_string()))
                }
                KeptEvent::Outlined(event) => (event.text(), event.own().map(|id| id.to_string())),
            };
            let event = JsonEvent::parse_text(line).unwrap();
            let read = settings.read(&event.event()).unwrap().distinct_id;
            assert_eq!(own, read.map(|id| id.to_string()), "{line:.90}");
            texts.push(line.to_owned());
        }
        assert!(parsed.next().is_none());
        texts
    }

    /// The lines that are events, parsed one by one.
    fn expected(lines: &[Vec<u8>]) -> Vec<String> {
        let settings = Settings::of(Model::Simplified);
        let is_used = |line: &&Vec<u8>| {
            JsonEvent::parse(line).is_ok_and(|event| settings.read(&event.event()).is_ok())
        };
        let used = lines.iter().filter(is_used);
        used.map(|line| String::from_utf8(line.clone()).unwrap())
            .collect()
    }

    #[test]
    fn a_block_gives_the_events_that_were_outlined() {
        let lines = lines();
        for skipped in 0..lines.len() {
            for end in ["", "\n"] {
                let mut some = lines.clone();
                some.remove(skipped);
                let mut bytes = some.join(&b'\n');
                bytes.extend_from_slice(end.as_bytes());
                let marked = [b"\xef\xbb\xbf", &bytes[..]].concat();
                for block in [Block::of(&bytes), Block::of(&marked)] {
                    let outlines = outlines_of(&block);
                    assert_eq!(outlines.lines(), some.len() as u64);
                    assert_eq!(events_of(&outlines, &block), expected(&some));
                }
            }
        }
    }

    #[test]
    fn outlines_are_of_one_block() {
        let bytes = lines().join(&b'\n');
        let outlines = outlines_of(&Block::of(&bytes));
        assert!(outlines.are_of(Block::of(&bytes).fingerprint()));
        assert!(!outlines.are_of(Block::of(&bytes[1..]).fingerprint()));
        let mut other = bytes;
        other[40] ^= 1;
        assert!(!outlines.are_of(Block::of(&other).fingerprint()));
        // Another block does no harm, even if it were taken for the right one.
        for block in [&other[..], &other[1..], b"", &[b'}'; 200_000]] {
            let block = Block::of(block);
            let text = BlockText::new(&block);
            outlines.parse_rest(text);
            assert!(outlines.events(text).count() <= 11);
        }
    }

    #[test]
    fn each_block_gets_its_outlines_back() {
        let blocks = [1, 2, 5, 9].map(|lines_of_it| {
            let lines = lines();
            Block::of(&lines[..lines_of_it].join(&b'\n'))
        });
        // In memory and in a file.
        for in_memory_bytes in [IN_MEMORY_BYTES, 0] {
            let mut writer = OutlinesWriter::to(SpooledTempFile::new(in_memory_bytes));
            for (number, block) in [0, 1, 4, 5].into_iter().zip(&blocks) {
                writer.add(number, &outlines_of(block));
            }
            let mut reader = writer.read();
            let found = [0, 1, 2, 3, 4, 5, 6].map(|number| reader.read_block(number).unwrap());
            let [a, b, no_2, no_3, c, d, end] = found;
            for no_block in [no_2, no_3, end] {
                assert_eq!(no_block, Some(BlockOutlines::default()));
            }
            for (outlines, block) in [a, b, c, d].into_iter().zip(&blocks) {
                assert_eq!(outlines.unwrap(), outlines_of(block));
            }
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_gives_no_outlines() {
        let nowhere = tempfile::tempdir().unwrap().path().join("missing");
        let mut writer = OutlinesWriter::to(tempfile::spooled_tempfile_in(0, nowhere));
        let outlines = outlines_of(&Block::of(&lines().join(&b'\n')));
        for number in 0..2_000 {
            writer.add(number, &outlines);
        }
        assert_eq!(writer.read().read_block(0).unwrap(), None);
    }
}
