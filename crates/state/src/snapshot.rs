//! The frame of a snapshot: what stands around an engine's state, and how numbers and ids are
//! written in it.
//!
//! ```text
//! "IDMERGE"  7 bytes
//! rule book  1 byte: 'S' or 'O'
//! version    2 bytes, little endian; of the payload, chosen by the engine
//! blocks     each: length (4 bytes, little endian, 1 to 65,536), then as many bytes of payload;
//!            every block but the last is full
//! end        4 bytes: 0
//! checksum   8 bytes, little endian: XXH3-64 of everything before it
//! ```
//!
//! Blocks, so that a reader knows how far it may read ahead. In the payload a number is LEB128
//! without needless bytes, and an id is its length as a number, then its UTF-8 text.

use std::hash::Hasher as _;
use std::io::{self, Read, Write};

use idmerge_core::{Id, RuleBook, SnapshotError};
use twox_hash::XxHash3_64;

const MAGIC: &[u8; 7] = b"IDMERGE";
const BLOCK_BYTES: usize = 64 * 1024;

const fn letter(rule_book: RuleBook) -> u8 {
    match rule_book {
        RuleBook::Simplified => b'S',
        RuleBook::Original => b'O',
    }
}

/// Writes a snapshot: the frame around what the engine puts in.
#[derive(Debug)]
pub struct SnapshotWriter<'w> {
    sink: Hashing<&'w mut dyn Write>,
    block: Vec<u8>,
}

impl<'w> SnapshotWriter<'w> {
    /// Begins a snapshot whose payload has this version.
    ///
    /// # Errors
    ///
    /// Whatever the sink fails with, here and in the other methods.
    pub fn begin(sink: &'w mut dyn Write, rule_book: RuleBook, version: u16) -> io::Result<Self> {
        let mut sink = Hashing::new(sink);
        sink.write_all(MAGIC)?;
        sink.write_all(&[letter(rule_book)])?;
        sink.write_all(&version.to_le_bytes())?;
        Ok(Self {
            sink,
            block: Vec::with_capacity(BLOCK_BYTES),
        })
    }

    /// Writes a number.
    ///
    /// # Errors
    ///
    /// Whatever the sink fails with.
    pub fn number(&mut self, mut number: u64) -> io::Result<()> {
        let mut bytes = [0; 10];
        let mut len = 0;
        loop {
            bytes[len] = number.to_le_bytes()[0] & 0x7f;
            number >>= 7;
            len += 1;
            if number == 0 {
                break;
            }
            bytes[len - 1] |= 0x80;
        }
        self.bytes(&bytes[..len])
    }

    /// Writes an id.
    ///
    /// # Errors
    ///
    /// Whatever the sink fails with.
    pub fn id(&mut self, id: Id<'_>) -> io::Result<()> {
        let text = id.text();
        self.number(text.len() as u64)?;
        self.bytes(text.as_bytes())
    }

    /// Ends the snapshot. One that is not ended cannot be read.
    ///
    /// # Errors
    ///
    /// Whatever the sink fails with.
    pub fn end(mut self) -> io::Result<()> {
        if !self.block.is_empty() {
            self.write_block()?;
        }
        self.sink.write_all(&0_u32.to_le_bytes())?;
        let checksum = self.sink.hasher.finish();
        self.sink.inner.write_all(&checksum.to_le_bytes())
    }

    /// Writes bytes as they are. Their number must be known when they are read.
    ///
    /// # Errors
    ///
    /// Whatever the sink fails with.
    pub fn bytes(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK_BYTES - self.block.len()));
            self.block.extend_from_slice(now);
            bytes = later;
            if self.block.len() == BLOCK_BYTES {
                self.write_block()?;
            }
        }
        Ok(())
    }

    fn write_block(&mut self) -> io::Result<()> {
        let len = u32::try_from(self.block.len()).map_err(io::Error::other)?;
        self.sink.write_all(&len.to_le_bytes())?;
        self.sink.write_all(&self.block)?;
        self.block.clear();
        Ok(())
    }
}

/// Reads a snapshot that [`SnapshotWriter`] wrote, and trusts none of its bytes.
#[derive(Debug)]
pub struct SnapshotReader<'r> {
    source: Hashing<&'r mut dyn Read>,
    version: u16,
    block: Vec<u8>,
    /// How much of the block is used up.
    used: usize,
    text: Vec<u8>,
}

const DAMAGED_BLOCKS: SnapshotError = SnapshotError::Damaged {
    what: "its blocks do not fit its content",
};

impl<'r> SnapshotReader<'r> {
    /// Reads the head of a snapshot: it must be of this rule book and of a version from 1 to
    /// `supported`.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] says what is wrong.
    pub fn begin(
        source: &'r mut dyn Read,
        rule_book: RuleBook,
        supported: u16,
    ) -> Result<Self, SnapshotError> {
        let mut source = Hashing::new(source);
        let mut head = [0; MAGIC.len() + 3];
        source.read_exact(&mut head)?;
        let [.., book, version_0, version_1] = head;
        if &head[..MAGIC.len()] != MAGIC {
            return Err(SnapshotError::NotASnapshot);
        }
        if book != letter(rule_book) {
            return Err(RuleBook::ALL
                .into_iter()
                .find(|&other| letter(other) == book)
                .map_or(SnapshotError::NotASnapshot, |found| {
                    SnapshotError::OtherRuleBook {
                        found,
                        expected: rule_book,
                    }
                }));
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

    /// The payload's version.
    pub fn version(&self) -> u16 {
        self.version
    }

    /// Reads a number.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] says what is wrong.
    pub fn number(&mut self) -> Result<u64, SnapshotError> {
        const NOT_A_NUMBER: SnapshotError = SnapshotError::Damaged {
            what: "a number is not written as it should be",
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
                // A needless last byte would give one state two snapshots.
                return if byte[0] == 0 && shift > 0 {
                    Err(NOT_A_NUMBER)
                } else {
                    Ok(number)
                };
            }
        }
        Err(NOT_A_NUMBER)
    }

    /// Reads an id.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] says what is wrong.
    pub fn id(&mut self) -> Result<Id<'_>, SnapshotError> {
        const NOT_AN_ID: SnapshotError = SnapshotError::Damaged {
            what: "an ID is no ID",
        };
        let len = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        if len > Id::CEILING_BYTES {
            return Err(NOT_AN_ID);
        }
        let mut text = std::mem::take(&mut self.text);
        text.resize(len, 0);
        let read = self.bytes(&mut text);
        self.text = text;
        read?;
        str::from_utf8(&self.text)
            .ok()
            .and_then(Id::new)
            .ok_or(NOT_AN_ID)
    }

    /// Reads the end: nothing may be left over, and the checksum must be right. Until then what
    /// was read is not to be trusted.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] says what is wrong.
    pub fn end(mut self) -> Result<(), SnapshotError> {
        if self.used < self.block.len() || self.next_block_bytes()? != 0 {
            return Err(DAMAGED_BLOCKS);
        }
        let expected = self.source.hasher.finish();
        let mut found = [0; 8];
        self.source.inner.read_exact(&mut found)?;
        if u64::from_le_bytes(found) != expected {
            return Err(SnapshotError::Damaged {
                what: "its checksum is wrong",
            });
        }
        Ok(())
    }

    /// Reads as many bytes as `out` has.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] says what is wrong.
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
        // Every block but the last is full, so that one state has one snapshot.
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

/// A sink or source, and the checksum of what went through it.
struct Hashing<T> {
    inner: T,
    hasher: XxHash3_64,
}

impl<T> Hashing<T> {
    fn new(inner: T) -> Self {
        Self {
            inner,
            hasher: XxHash3_64::new(),
        }
    }
}

impl Hashing<&mut dyn Write> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.write(bytes);
        self.inner.write_all(bytes)
    }
}

impl Hashing<&mut dyn Read> {
    fn read_exact(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.inner.read_exact(bytes)?;
        self.hasher.write(bytes);
        Ok(())
    }
}

impl<T> std::fmt::Debug for Hashing<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hashing").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOOK: RuleBook = RuleBook::Original;

    fn written(numbers: &[u64], ids: &[String]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = SnapshotWriter::begin(&mut bytes, BOOK, 1).unwrap();
        for &number in numbers {
            writer.number(number).unwrap();
        }
        for id in ids {
            writer.id(Id::new(id).unwrap()).unwrap();
        }
        writer.end().unwrap();
        bytes
    }

    fn read(
        bytes: &mut &[u8],
        numbers: usize,
        ids: usize,
    ) -> Result<(Vec<u64>, Vec<String>), SnapshotError> {
        let mut reader = SnapshotReader::begin(bytes, BOOK, 1)?;
        assert_eq!(reader.version(), 1);
        let numbers = (0..numbers)
            .map(|_| reader.number())
            .collect::<Result<_, _>>()?;
        let ids = (0..ids)
            .map(|_| Ok(reader.id()?.to_string()))
            .collect::<Result<_, SnapshotError>>()?;
        reader.end()?;
        Ok((numbers, ids))
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            numbers in prop::collection::vec((any::<u64>(), 0..64_u32).prop_map(|(n, s)| n >> s), 0..50),
            ids in prop::collection::vec("\\PC{1,300}", 0..50),
        ) {
            let mut bytes = written(&numbers, &ids);
            bytes.extend_from_slice(b"more");
            let mut rest = &bytes[..];
            let back = read(&mut rest, numbers.len(), ids.len()).unwrap();
            prop_assert_eq!(back, (numbers, ids));
            // Not a byte too many.
            prop_assert_eq!(rest, b"more");
        }

        #[test]
        fn a_changed_or_missing_byte_is_noticed(at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
            let bytes = written(&[1, 2, 300], &["abc".to_owned()]);
            let mut changed = bytes.clone();
            *at.get_mut(&mut changed) ^= flip;
            prop_assert!(read(&mut &changed[..], 3, 1).is_err());
            prop_assert!(read(&mut &bytes[..at.index(bytes.len())], 3, 1).is_err());
        }
    }

    #[test]
    fn a_payload_of_many_blocks_is_read() {
        let ids: Vec<String> = (0..5_000)
            .map(|n| format!("{n}-{}", "x".repeat(n % 100)))
            .collect();
        let bytes = written(&[], &ids);
        assert!(bytes.len() > 3 * BLOCK_BYTES);
        assert_eq!(read(&mut &bytes[..], 0, ids.len()).unwrap().1, ids);
        // A payload that ends with a block leaves no empty one behind.
        let exact = "x".repeat(BLOCK_BYTES - 3);
        let bytes = written(&[], std::slice::from_ref(&exact));
        assert_eq!(bytes.len(), 10 + 4 + BLOCK_BYTES + 4 + 8);
        assert_eq!(read(&mut &bytes[..], 0, 1).unwrap().1, [exact]);
    }

    #[test]
    fn leftover_payload_is_an_error() {
        let bytes = written(&[1, 2], &[]);
        assert!(matches!(
            read(&mut &bytes[..], 1, 0),
            Err(SnapshotError::Damaged { .. })
        ));
        assert!(matches!(
            read(&mut &bytes[..], 3, 0),
            Err(SnapshotError::Damaged { .. })
        ));
    }

    #[test]
    fn the_head_is_checked() {
        let mut bytes = written(&[], &[]);
        let begin = |bytes: &[u8], book| SnapshotReader::begin(&mut &*bytes, book, 1).map(|_| ());
        assert!(matches!(
            begin(&bytes, RuleBook::Simplified),
            Err(SnapshotError::OtherRuleBook {
                found: RuleBook::Original,
                expected: RuleBook::Simplified
            })
        ));
        bytes[8] = 2;
        assert!(matches!(
            begin(&bytes, BOOK),
            Err(SnapshotError::UnsupportedVersion {
                found: 2,
                supported: 1
            })
        ));
        bytes[8] = 0;
        assert!(matches!(
            begin(&bytes, BOOK),
            Err(SnapshotError::UnsupportedVersion { .. })
        ));
        bytes[7] = b'?';
        assert!(matches!(
            begin(&bytes, BOOK),
            Err(SnapshotError::NotASnapshot)
        ));
        assert!(matches!(
            begin(b"PK\x03\x04......", BOOK),
            Err(SnapshotError::NotASnapshot)
        ));
        assert!(matches!(
            begin(b"IDM", BOOK),
            Err(SnapshotError::Damaged { .. })
        ));
    }

    /// A payload in a frame with a right checksum, as somebody who knows the format could forge it.
    fn forged(payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = SnapshotWriter::begin(&mut bytes, BOOK, 1).unwrap();
        writer.bytes(payload).unwrap();
        writer.end().unwrap();
        bytes
    }

    #[test]
    fn a_number_has_one_spelling() {
        for needless in [&[0x80, 0][..], &[0xff, 0x80, 0], &[0xff; 10], &[0xff; 9]] {
            assert!(
                read(&mut &forged(needless)[..], 1, 0).is_err(),
                "{needless:?}"
            );
        }
        let greatest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(
            read(&mut &forged(&greatest)[..], 1, 0).unwrap().0,
            [u64::MAX]
        );
        let mut beyond = greatest;
        beyond[9] = 0x02;
        assert!(read(&mut &forged(&beyond)[..], 1, 0).is_err());
    }

    #[test]
    fn an_id_must_be_one() {
        for payload in [&[0][..], &[1, 0xff], &[0x80, 0x80, 0x04]] {
            assert!(
                read(&mut &forged(payload)[..], 0, 1).is_err(),
                "{payload:?}"
            );
        }
        assert!(read(&mut &forged(&[1, b'a'])[..], 0, 1).is_ok());
    }
}
