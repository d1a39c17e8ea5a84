//! The snapshots of the oracles: lines of text.
//!
//! ```text
//! idmerge-oracle 1 original
//! id 2:U1 0 i-
//! id 2:A1 0 --
//! end 0123456789abcdef
//! ```
//!
//! An ID is its number of bytes, a colon and the bytes, so it may contain anything. Snapshots are
//! canonical: after reading one, an oracle writes the state again and compares the bytes. That also
//! checks the checksum, which is the FNV-1a of all bytes before it.

use std::io::{self, Read, Write};

use idmerge_core::{Id, RuleBook, SnapshotError};

const MAGIC: &str = "idmerge-oracle ";
const VERSION: u16 = 1;

/// The longest word of a snapshot, apart from IDs.
const LONGEST_WORD: usize = 20;

/// FNV-1a, 64 bits.
fn checksum(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in bytes {
        hash ^= u64::from(*byte);
        hash = hash.wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash
}

/// An ID in the form of snapshots.
pub(super) fn id_text(id: &str) -> String {
    format!("{}:{id}", id.len())
}

/// The whole snapshot with these lines.
pub(super) fn bytes_of(rule_book: RuleBook, lines: &[String]) -> Vec<u8> {
    let mut text = format!("{MAGIC}{VERSION} {rule_book}\n");
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    let sum = checksum(text.as_bytes());
    text.push_str(&format!("end {sum:016x}\n"));
    text.into_bytes()
}

/// Writes the snapshot with these lines.
pub(super) fn write(sink: &mut dyn Write, rule_book: RuleBook, lines: &[String]) -> io::Result<()> {
    sink.write_all(&bytes_of(rule_book, lines))
}

/// The error for bytes that contradict the format.
pub(super) fn damaged<T>(what: &'static str) -> Result<T, SnapshotError> {
    Err(SnapshotError::Damaged { what })
}

/// Reads a snapshot word by word, without reading past its end, and keeps the bytes it has read.
pub(super) struct Words<'s> {
    source: &'s mut dyn Read,
    read: Vec<u8>,
}

impl<'s> Words<'s> {
    /// Reads the first line, up to the first fact.
    pub(super) fn open(
        source: &'s mut dyn Read,
        expected: RuleBook,
    ) -> Result<Self, SnapshotError> {
        let read = Vec::new();
        let mut words = Self { source, read };
        for byte in MAGIC.bytes() {
            if words.byte()? != byte {
                return Err(SnapshotError::NotASnapshot);
            }
        }
        let version = words.word(b' ')?;
        match version.parse() {
            Ok(VERSION) => {}
            Ok(found) if found > VERSION => {
                let supported = VERSION;
                return Err(SnapshotError::UnsupportedVersion { found, supported });
            }
            _ => return damaged("its version is not a number"),
        }
        let name = words.word(b'\n')?;
        match RuleBook::BUILT_IN
            .into_iter()
            .find(|book| book.name() == name)
        {
            Some(found) if found == expected => Ok(words),
            Some(found) => Err(SnapshotError::OtherRuleBook {
                found: found.name().to_owned(),
                expected,
            }),
            None => damaged("its rule book is unknown"),
        }
    }

    /// One byte.
    fn byte(&mut self) -> Result<u8, SnapshotError> {
        let mut byte = [0];
        self.source.read_exact(&mut byte)?;
        self.read.push(byte[0]);
        Ok(byte[0])
    }

    /// The text up to the byte that ends it.
    pub(super) fn word(&mut self, end: u8) -> Result<String, SnapshotError> {
        let mut word = String::new();
        loop {
            match self.byte()? {
                byte if byte == end => return Ok(word),
                byte if byte.is_ascii_graphic() && word.len() < LONGEST_WORD => {
                    word.push(char::from(byte));
                }
                _ => return damaged("a word does not end"),
            }
        }
    }

    /// An ID, and the byte that ends it.
    pub(super) fn id(&mut self, end: u8) -> Result<String, SnapshotError> {
        let length: usize = match self.word(b':')?.parse() {
            Ok(length) if length <= Id::CEILING_BYTES => length,
            _ => return damaged("an ID has an impossible length"),
        };
        let mut bytes = Vec::new();
        for _ in 0..length {
            bytes.push(self.byte()?);
        }
        match String::from_utf8(bytes) {
            Ok(id) if Id::new(&id).is_ok() && self.byte()? == end => Ok(id),
            _ => damaged("an ID is not valid"),
        }
    }

    /// The bytes read so far.
    pub(super) fn read(&self) -> &[u8] {
        &self.read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_fnv_1a() {
        // The published values of the 64-bit hash.
        assert_eq!(checksum(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(checksum(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(checksum(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
