//! Why claims were rejected, kept from the first pass to the second. There can be as many
//! rejections as events, so beyond a small size they go to a temporary file.

use std::fmt::Write as _;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use idmerge_core::Rejection;
use tempfile::SpooledTempFile;

const IN_MEMORY_BYTES: usize = 1024 * 1024;

/// Keeps rejections, in the order of events.
#[derive(Debug)]
pub(crate) struct RejectionsWriter {
    file: BufWriter<SpooledTempFile>,
    description: String,
}

impl RejectionsWriter {
    pub(crate) fn new() -> Self {
        Self {
            file: BufWriter::new(SpooledTempFile::new(IN_MEMORY_BYTES)),
            description: String::new(),
        }
    }

    /// Adds the rejection of this event's claim; `event` counts the usable events of the block.
    pub(crate) fn add(
        &mut self,
        block: u64,
        event: usize,
        rejection: &Rejection<'_>,
    ) -> io::Result<()> {
        let mut description = std::mem::take(&mut self.description);
        description.clear();
        write!(description, "{rejection}").map_err(io::Error::other)?;
        let added = self.add_text(block, event, rejection.code(), &description);
        self.description = description;
        added
    }

    /// As [`add`](Self::add), of the texts of a rejection.
    pub(crate) fn add_text(
        &mut self,
        block: u64,
        event: usize,
        code: &str,
        description: &str,
    ) -> io::Result<()> {
        self.file.write_all(&block.to_le_bytes())?;
        for length in [event, code.len(), description.len()] {
            let length = u32::try_from(length).map_err(io::Error::other)?;
            self.file.write_all(&length.to_le_bytes())?;
        }
        self.file.write_all(code.as_bytes())?;
        self.file.write_all(description.as_bytes())
    }

    /// Returns what was added, in the same order.
    pub(crate) fn read(self) -> io::Result<RejectionsReader> {
        let mut file = self
            .file
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        let mut reader = RejectionsReader {
            file: BufReader::new(file),
            next_block: None,
        };
        reader.advance()?;
        Ok(reader)
    }
}

/// Gives rejections back.
#[derive(Debug)]
pub(crate) struct RejectionsReader {
    file: BufReader<SpooledTempFile>,
    /// The block of the rejection that comes next in the file.
    next_block: Option<u64>,
}

/// The rejections of one block, as text.
#[derive(Debug, Default)]
pub(crate) struct BlockRejections {
    rejections: Vec<TextRange>,
    texts: String,
}

/// Where the code and the description of a rejection end in the texts. They begin where the rejection
/// before ends.
#[derive(Debug)]
struct TextRange {
    event: usize,
    code_end: usize,
    end: usize,
}

impl RejectionsReader {
    /// Reads the rejections of this block. Call it in the order of blocks.
    pub(crate) fn read_block(&mut self, block: u64) -> io::Result<BlockRejections> {
        let mut into = BlockRejections::default();
        while self.next_block == Some(block) {
            let [event, code_bytes, description_bytes] =
                [self.number()?, self.number()?, self.number()?];
            let code_end = into.texts.len() + code_bytes;
            let end = code_end + description_bytes;
            let bytes = (code_bytes + description_bytes) as u64;
            self.file
                .by_ref()
                .take(bytes)
                .read_to_string(&mut into.texts)?;
            into.rejections.push(TextRange {
                event,
                code_end,
                end,
            });
            self.advance()?;
        }
        Ok(into)
    }

    fn advance(&mut self) -> io::Result<()> {
        let mut block = [0; 8];
        self.next_block = match self.file.read_exact(&mut block) {
            Ok(()) => Some(u64::from_le_bytes(block)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => return Err(error),
        };
        Ok(())
    }

    fn number(&mut self) -> io::Result<usize> {
        let mut bytes = [0; 4];
        self.file.read_exact(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes) as usize)
    }
}

/// Why the claim of an event was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoredRejection<'r> {
    /// The number of the event among the usable events of its block.
    pub(crate) event: usize,
    pub(crate) code: &'r str,
    pub(crate) description: &'r str,
}

impl BlockRejections {
    pub(crate) fn iter(&self) -> impl Iterator<Item = StoredRejection<'_>> {
        let mut start = 0;
        self.rejections.iter().map(move |range| {
            let code = &self.texts[start..range.code_end];
            let description = &self.texts[range.code_end..range.end];
            start = range.end;
            StoredRejection {
                event: range.event,
                code,
                description,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use idmerge_core::Id;

    use super::*;

    #[test]
    fn each_block_gets_its_rejections_back() {
        let id = |text| Id::new(text).unwrap();
        let same = |text| Rejection::SameIds { id: id(text) };
        let mut writer = RejectionsWriter::new();
        for (block, event, text) in [(1, 0, "a"), (1, 7, "ü"), (4, 2, "c")] {
            writer.add(block, event, &same(text)).unwrap();
        }
        let mut reader = writer.read().unwrap();
        let mut found = Vec::new();
        for block in 0..6 {
            for rejection in reader.read_block(block).unwrap().iter() {
                assert_eq!(rejection.code, "errSameIDs");
                let description = rejection.description.to_owned();
                found.push((block, rejection.event, description));
            }
        }
        let expected = [(1, 0, "a"), (1, 7, "ü"), (4, 2, "c")];
        assert_eq!(
            found,
            expected.map(|(block, event, text)| (block, event, same(text).to_string()))
        );
    }
}
