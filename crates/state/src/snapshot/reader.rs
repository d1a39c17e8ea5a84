//! Reads and checks the frame and the payload of a snapshot.

use std::hash::Hasher as _;
use std::io::Read;

use idmerge_core::{Id, RuleBook, SnapshotError};

use super::format::{BLOCK_BYTES, CUSTOM, Checksummed, MAGIC, rule_book_byte};

/// Reads a snapshot that a [`SnapshotWriter`](super::SnapshotWriter) wrote. Checks every byte: the
/// input may be damaged or forged.
#[derive(Debug)]
pub struct SnapshotReader<'r> {
    source: Checksummed<&'r mut dyn Read>,
    version: u16,
    block: Vec<u8>,
    /// How many bytes of the block have been read.
    used: usize,
    text: Vec<u8>,
}

/// A number of so many bytes cannot exceed 64 bits.
const SHORT_NUMBER_BYTES: usize = 9;

const DAMAGED_BLOCKS: SnapshotError = SnapshotError::Damaged {
    what: "its blocks do not fit its content",
};

/// The name of the rule book with this byte. The name of a custom one is the next in the source.
fn read_rule_book(
    source: &mut Checksummed<&mut dyn Read>,
    byte: u8,
) -> Result<String, SnapshotError> {
    if byte == CUSTOM {
        let mut length = [0];
        source.read_exact(&mut length)?;
        let mut name = vec![0; usize::from(length[0])];
        source.read_exact(&mut name)?;
        return String::from_utf8(name).map_err(|_| SnapshotError::NotASnapshot);
    }
    RuleBook::BUILT_IN
        .into_iter()
        .find(|&rule_book| rule_book_byte(rule_book) == byte)
        .map(|rule_book| rule_book.name().to_owned())
        .ok_or(SnapshotError::NotASnapshot)
}

impl<'r> SnapshotReader<'r> {
    /// Reads the head of a snapshot. Its rule book must be `rule_book`, its version from 1 to
    /// `supported`.
    ///
    /// # Errors
    ///
    /// A [`SnapshotError`] that says what is wrong.
    pub fn begin(
        source: &'r mut dyn Read,
        rule_book: RuleBook,
        supported: u16,
    ) -> Result<Self, SnapshotError> {
        let mut source = Checksummed::new(source);
        let mut head = [0; MAGIC.len() + 3];
        source.read_exact(&mut head)?;
        let [.., book, version_0, version_1] = head;
        if &head[..MAGIC.len()] != MAGIC {
            return Err(SnapshotError::NotASnapshot);
        }
        let found = read_rule_book(&mut source, book)?;
        if found != rule_book.name() {
            return Err(SnapshotError::OtherRuleBook {
                found,
                expected: rule_book,
            });
        }
        let version = u16::from_le_bytes([version_0, version_1]);
        if !(1..=supported).contains(&version) {
            return Err(SnapshotError::UnsupportedVersion {
                found: version,
                supported,
            });
        }
        Ok(Self {
            source,
            version,
            block: Vec::new(),
            used: 0,
            text: Vec::new(),
        })
    }

    /// The version of the payload.
    pub fn version(&self) -> u16 {
        self.version
    }

    /// Reads a number.
    ///
    /// # Errors
    ///
    /// A [`SnapshotError`] that says what is wrong.
    #[inline]
    pub fn number(&mut self) -> Result<u64, SnapshotError> {
        // The usual case: a number in its shortest form that is not cut by the end of the block.
        let rest = &self.block[self.used..];
        let mut number = 0;
        for (at, &byte) in rest.iter().take(SHORT_NUMBER_BYTES).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                if byte == 0 && at > 0 {
                    break;
                }
                self.used += at + 1;
                return Ok(number);
            }
        }
        self.number_by_bytes()
    }

    /// Reads any number, and says what is wrong with it.
    fn number_by_bytes(&mut self) -> Result<u64, SnapshotError> {
        const NOT_A_NUMBER: SnapshotError = SnapshotError::Damaged {
            what: "a number is not in its shortest form, or exceeds 64 bits",
        };
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let mut byte = [0];
            self.bytes(&mut byte)?;
            let bits = u64::from(byte[0] & 0x7f);
            if bits << shift >> shift != bits {
                return Err(NOT_A_NUMBER);
            }
            number |= bits << shift;
            if byte[0] & 0x80 == 0 {
                // With a redundant last byte, one state could have two snapshots.
                return if byte[0] == 0 && shift > 0 {
                    Err(NOT_A_NUMBER)
                } else {
                    Ok(number)
                };
            }
        }
        Err(NOT_A_NUMBER)
    }

    /// Reads an ID.
    ///
    /// # Errors
    ///
    /// A [`SnapshotError`] that says what is wrong.
    #[inline]
    pub fn id(&mut self) -> Result<Id<'_>, SnapshotError> {
        const NOT_AN_ID: SnapshotError = SnapshotError::Damaged {
            what: "an ID is empty, too long, or not UTF-8",
        };
        let len = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        if len > Id::CEILING_BYTES {
            return Err(NOT_AN_ID);
        }
        let start = self.used;
        let text = if len <= self.block.len() - start {
            self.used += len;
            &self.block[start..self.used]
        } else {
            // The ID is cut by the end of the block.
            let mut text = std::mem::take(&mut self.text);
            text.resize(len, 0);
            let read = self.bytes(&mut text);
            self.text = text;
            read?;
            &self.text
        };
        str::from_utf8(text)
            .ok()
            .and_then(|text| Id::new(text).ok())
            .ok_or(NOT_AN_ID)
    }

    /// Reads the end: no payload may be left, and the checksum must match. Do not use what was read
    /// before this call has succeeded.
    ///
    /// # Errors
    ///
    /// A [`SnapshotError`] that says what is wrong.
    pub fn end(mut self) -> Result<(), SnapshotError> {
        if self.used < self.block.len() || self.next_block_bytes()? != 0 {
            return Err(DAMAGED_BLOCKS);
        }
        let expected = self.source.checksum.finish();
        let mut found = [0; 8];
        self.source.inner.read_exact(&mut found)?;
        if u64::from_le_bytes(found) != expected {
            return Err(SnapshotError::Damaged {
                what: "its checksum is wrong",
            });
        }
        Ok(())
    }

    /// Fills `out` with the next bytes.
    ///
    /// # Errors
    ///
    /// A [`SnapshotError`] that says what is wrong.
    pub fn bytes(&mut self, mut out: &mut [u8]) -> Result<(), SnapshotError> {
        while !out.is_empty() {
            if self.used == self.block.len() {
                self.read_block()?;
            }
            let here = &self.block[self.used..];
            let len = here.len().min(out.len());
            let (now, later) = out.split_at_mut(len);
            now.copy_from_slice(&here[..len]);
            self.used += len;
            out = later;
        }
        Ok(())
    }

    fn read_block(&mut self) -> Result<(), SnapshotError> {
        let is_first = self.block.is_empty();
        // Only the last block may be shorter, so that one state has one snapshot.
        if !is_first && self.block.len() != BLOCK_BYTES {
            return Err(DAMAGED_BLOCKS);
        }
        let len = self.next_block_bytes()?;
        if !(1..=BLOCK_BYTES).contains(&len) {
            return Err(DAMAGED_BLOCKS);
        }
        self.block.resize(len, 0);
        self.used = 0;
        self.source.read_exact(&mut self.block)?;
        Ok(())
    }

    fn next_block_bytes(&mut self) -> Result<usize, SnapshotError> {
        let mut len = [0; 4];
        self.source.read_exact(&mut len)?;
        Ok(usize::try_from(u32::from_le_bytes(len)).unwrap_or(usize::MAX))
    }
}
