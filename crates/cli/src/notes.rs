//! What the first reading leaves of a block for the second: by it, events are written without being
//! scanned again.
//!
//! Notes are a help and no more. Where there are none of a block, or it is not what it was, it is
//! scanned once more.

use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use idmerge_events::{JsonEvent, Outline, OutlinedEvent};
use tempfile::SpooledTempFile;
use twox_hash::XxHash3_64;

use crate::blocks::Block;
use crate::lines::Line;

/// What is more is kept in a temporary file. An event takes 14 bytes.
const IN_MEMORY_BYTES: usize = 4 * 1024 * 1024;

/// The usable events of a block.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct BlockNotes {
    header: Header,
    /// For each event, how many bytes there are between the one before and it: a byte, or
    /// [`FAR`] and a number. Its outline follows, or [`LINE`] stands before the number and its own
    /// bytes behind.
    packed: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Header {
    /// Of the block.
    hash: u64,
    /// How many lines the block has.
    lines: u64,
    /// How many of them can be used, and how many of those must be read again.
    events: u64,
    lines_again: u64,
    packed_bytes: u64,
}

/// So far from the event before that a number says it.
const FAR: u8 = 254;
/// An event that must be read again.
const LINE: u8 = 255;

/// An event that was noted.
#[derive(Debug)]
pub(crate) enum Noted<'b> {
    Outlined(OutlinedEvent<'b>),
    /// A line that must be read again.
    Line(&'b str),
}

/// Makes notes of a block.
#[derive(Debug)]
pub(crate) struct NoteTaker {
    notes: BlockNotes,
    /// Where the last event ends.
    end: usize,
}

impl NoteTaker {
    pub(crate) fn new(block: &Block) -> Self {
        let mut notes = BlockNotes::default();
        notes.header.hash = hash(block);
        Self { notes, end: 0 }
    }

    /// The event of this line can be used.
    pub(crate) fn add(&mut self, line: &Line<'_>, outline: Option<&Outline>) {
        self.notes.header.events += 1;
        let distance = line.start - self.end;
        self.end = line.start + line.bytes.len();
        let packed = &mut self.notes.packed;
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
                self.notes.header.lines_again += 1;
                packed.push(LINE);
                packed.extend_from_slice(&(distance as u64).to_le_bytes());
                packed.extend_from_slice(&(line.bytes.len() as u64).to_le_bytes());
            }
        }
    }

    /// The notes of the block, which has so many lines.
    pub(crate) fn finish(mut self, lines: u64) -> BlockNotes {
        self.notes.header.lines = lines;
        self.notes.header.packed_bytes = self.notes.packed.len() as u64;
        self.notes
    }
}

/// By what a block is told from another one. Where an input starts, a byte order mark is none.
fn hash(block: &Block) -> u64 {
    XxHash3_64::oneshot_with_seed(block.starts_input.into(), block.bytes())
}

impl BlockNotes {
    /// Whether this is the block that they were taken of, in all likelihood: the chance that another
    /// one looks like it is 1 in 2⁶⁴.
    pub(crate) fn are_of(&self, block: &Block) -> bool {
        self.header.hash == hash(block)
    }

    /// How many lines the block has.
    pub(crate) fn lines(&self) -> u64 {
        self.header.lines
    }

    /// The events of the block, in order.
    pub(crate) fn events<'b>(&self, block: BlockText<'b>) -> impl Iterator<Item = Noted<'b>> {
        let (mut packed, mut rest) = (&self.packed[..], block);
        std::iter::from_fn(move || take_event(&mut packed, &mut rest))
    }

    /// Reads again what must be.
    pub(crate) fn read_again<'b>(&self, block: BlockText<'b>) -> Vec<JsonEvent<'b>> {
        if self.header.lines_again == 0 {
            return Vec::new();
        }
        let read = |noted| match noted {
            Noted::Line(line) => JsonEvent::parse_text(line).ok(),
            Noted::Outlined(_) => None,
        };
        self.events(block).filter_map(read).collect()
    }
}

/// What of a block was not taken yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockText<'b> {
    bytes: &'b [u8],
    /// Where all of it is UTF-8, it is not looked at line by line.
    text: Option<&'b str>,
}

impl<'b> BlockText<'b> {
    pub(crate) fn of(block: &'b Block) -> Self {
        let bytes = block.bytes();
        let text = str::from_utf8(bytes).ok();
        Self { bytes, text }
    }

    fn pass(&mut self, bytes: usize) -> Option<()> {
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
        self.pass(bytes)?;
        Some(text)
    }
}

/// Takes what was noted of one event, and the event from the rest of the block.
fn take_event<'b>(packed: &mut &[u8], rest: &mut BlockText<'b>) -> Option<Noted<'b>> {
    let near = *packed.split_off_first()?;
    let distance = match near {
        FAR | LINE => take_number(packed)?,
        near => usize::from(near),
    };
    rest.pass(distance)?;
    Some(if near == LINE {
        Noted::Line(rest.take(take_number(packed)?)?)
    } else {
        let outline = Outline::unpack(packed)?;
        let text = rest.take(outline.text_bytes())?;
        Noted::Outlined(outline.of_text(text)?)
    })
}

fn take_number(packed: &mut &[u8]) -> Option<usize> {
    let (number, rest) = packed.split_first_chunk()?;
    *packed = rest;
    u64::from_le_bytes(*number).try_into().ok()
}

/// Takes notes in the order of blocks.
#[derive(Debug)]
pub(crate) struct NotesWriter {
    /// None where a file took no more: then everything is scanned again.
    file: Option<BufWriter<SpooledTempFile>>,
}

impl NotesWriter {
    pub(crate) fn new() -> Self {
        Self::to(SpooledTempFile::new(IN_MEMORY_BYTES))
    }

    fn to(file: SpooledTempFile) -> Self {
        Self {
            file: Some(BufWriter::new(file)),
        }
    }

    /// The notes of the block with this number.
    pub(crate) fn add(&mut self, number: u64, notes: &BlockNotes) {
        if let Some(file) = &mut self.file
            && notes.write(number, file).is_err()
        {
            self.file = None;
        }
    }

    /// All of them, in the same order.
    pub(crate) fn read(self) -> NotesReader {
        let read = |file: BufWriter<SpooledTempFile>| {
            let mut file = file.into_inner().ok()?;
            file.rewind().ok()?;
            Some(BufReader::new(file))
        };
        NotesReader {
            file: self.file.and_then(read),
            next: None,
        }
    }
}

impl BlockNotes {
    fn write(&self, number: u64, file: &mut impl Write) -> io::Result<()> {
        let Header {
            hash,
            lines,
            events,
            lines_again,
            packed_bytes,
        } = self.header;
        for number in [number, hash, lines, events, lines_again, packed_bytes] {
            file.write_all(&number.to_le_bytes())?;
        }
        file.write_all(&self.packed)
    }
}

/// Gives notes back.
#[derive(Debug)]
pub(crate) struct NotesReader {
    file: Option<BufReader<SpooledTempFile>>,
    /// The block of the notes that the file stands in, and their header.
    next: Option<(u64, Header)>,
}

impl NotesReader {
    /// The notes of the block with this number. Blocks are asked for in order.
    pub(crate) fn read_block(&mut self, number: u64) -> io::Result<Option<BlockNotes>> {
        let Some(file) = &mut self.file else {
            return Ok(None);
        };
        if self.next.is_none() {
            self.next = read_header(file)?;
        }
        // The numbers of long lines have none. None is passed over: blocks have the numbers that
        // they had, or are not what they were.
        let Some((_, header)) = self.next.take_if(|(next, _)| *next == number) else {
            return Ok(None);
        };
        let mut packed = Vec::new();
        file.take(header.packed_bytes).read_to_end(&mut packed)?;
        Ok(Some(BlockNotes { header, packed }))
    }
}

fn read_header(file: &mut impl Read) -> io::Result<Option<(u64, Header)>> {
    let mut bytes = [0; 6 * size_of::<u64>()];
    match file.read_exact(&mut bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let (numbers, _) = bytes.as_chunks();
    let [number, hash, lines, events, lines_again, packed_bytes] =
        std::array::from_fn(|at| u64::from_le_bytes(numbers[at]));
    let header = Header {
        hash,
        lines,
        events,
        lines_again,
        packed_bytes,
    };
    Ok(Some((number, header)))
}

#[cfg(test)]
mod tests {
    use idmerge_core::IdentityResolver;
    use idmerge_simplified::Simplified;

    use super::*;
    use crate::events::{BlockEvents, Keep, Refusals};

    /// Lines of all sorts: some are noted, some must be read again, some are refused.
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

    fn notes_of(block: &Block) -> BlockNotes {
        let (engine, mut refusals) = (Simplified::default(), Refusals::default());
        let mut events = BlockEvents::read(block, 1_000_000, &engine, Keep::Notes, &mut refusals);
        let notes = events.take_notes().unwrap();
        assert_eq!(notes.header.events, events.count() as u64);
        notes
    }

    /// The text of each event, and its own distinct_id as the notes have it and as it is read.
    fn events_of(notes: &BlockNotes, block: &Block) -> Vec<String> {
        let engine = Simplified::default();
        let text = BlockText::of(block);
        let mut again = notes.read_again(text).into_iter();
        let mut texts = Vec::new();
        for noted in notes.events(text) {
            let (line, own) = match noted {
                Noted::Line(line) => {
                    let event = again.next().unwrap();
                    let own = engine.read(&event.event()).unwrap().distinct_id;
                    (line, own.map(|id| id.to_string()))
                }
                Noted::Outlined(event) => (event.text(), event.own().map(|id| id.to_string())),
            };
            let event = JsonEvent::parse_text(line).unwrap();
            let read = engine.read(&event.event()).unwrap().distinct_id;
            assert_eq!(own, read.map(|id| id.to_string()), "{line:.90}");
            texts.push(line.to_owned());
        }
        assert!(again.next().is_none());
        texts
    }

    /// The lines that are events, read one by one.
    fn expected(lines: &[Vec<u8>]) -> Vec<String> {
        let engine = Simplified::default();
        let is_used = |line: &&Vec<u8>| {
            JsonEvent::parse(line).is_ok_and(|event| engine.read(&event.event()).is_ok())
        };
        let used = lines.iter().filter(is_used);
        used.map(|line| String::from_utf8(line.clone()).unwrap())
            .collect()
    }

    #[test]
    fn a_block_gives_the_events_that_were_noted() {
        let lines = lines();
        for skipped in 0..lines.len() {
            for end in ["", "\n"] {
                let mut some = lines.clone();
                some.remove(skipped);
                let mut bytes = some.join(&b'\n');
                bytes.extend_from_slice(end.as_bytes());
                let marked = [b"\xef\xbb\xbf", &bytes[..]].concat();
                for block in [Block::of(&bytes, false), Block::of(&marked, true)] {
                    let notes = notes_of(&block);
                    assert_eq!(notes.lines(), some.len() as u64);
                    assert_eq!(events_of(&notes, &block), expected(&some));
                }
            }
        }
    }

    #[test]
    fn notes_are_of_one_block() {
        let bytes = lines().join(&b'\n');
        let notes = notes_of(&Block::of(&bytes, false));
        assert!(notes.are_of(&Block::of(&bytes, false)));
        // Where an input starts, a byte order mark may be passed over.
        assert!(!notes.are_of(&Block::of(&bytes, true)));
        assert!(!notes.are_of(&Block::of(&bytes[1..], false)));
        let mut other = bytes;
        other[40] ^= 1;
        assert!(!notes.are_of(&Block::of(&other, false)));
        // No other block does harm, were it taken for the right one.
        for block in [&other[..], &other[1..], b"", &[b'}'; 200_000]] {
            let block = Block::of(block, false);
            let text = BlockText::of(&block);
            notes.read_again(text);
            assert!(notes.events(text).count() <= 11);
        }
    }

    #[test]
    fn each_block_gets_its_notes_back() {
        let blocks = [1, 2, 5, 9].map(|lines_of_it| {
            let lines = lines();
            Block::of(&lines[..lines_of_it].join(&b'\n'), false)
        });
        // In memory and in a file.
        for in_memory_bytes in [IN_MEMORY_BYTES, 0] {
            let mut writer = NotesWriter::to(SpooledTempFile::new(in_memory_bytes));
            for (number, block) in [0, 1, 4, 5].into_iter().zip(&blocks) {
                writer.add(number, &notes_of(block));
            }
            let mut reader = writer.read();
            let found = [0, 1, 2, 3, 4, 5, 6].map(|number| reader.read_block(number).unwrap());
            let [a, b, none, none_either, c, d, end] = found;
            assert_eq!([none, none_either, end], [None, None, None]);
            for (notes, block) in [a, b, c, d].into_iter().zip(&blocks) {
                assert_eq!(notes.unwrap(), notes_of(block));
            }
        }
    }

    #[test]
    fn where_a_file_takes_no_more_there_are_no_notes() {
        let nowhere = tempfile::tempdir().unwrap().path().join("missing");
        let mut writer = NotesWriter::to(tempfile::spooled_tempfile_in(0, nowhere));
        let notes = notes_of(&Block::of(&lines().join(&b'\n'), false));
        for number in 0..2_000 {
            writer.add(number, &notes);
        }
        assert_eq!(writer.read().read_block(0).unwrap(), None);
    }
}
