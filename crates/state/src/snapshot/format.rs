//! The constants of the format, and the running checksum.

use std::hash::Hasher as _;
use std::io::{self, Read, Write};

use idmerge_core::RuleBook;
use twox_hash::XxHash3_64;

pub(super) const MAGIC: &[u8; 7] = b"IDMERGE";
pub(super) const BLOCK_BYTES: usize = 64 * 1024;

/// The byte of a rule book that is not built in. The name follows the version.
pub(super) const CUSTOM: u8 = b'C';

/// The byte that names a rule book.
pub(super) const fn rule_book_byte(rule_book: RuleBook) -> u8 {
    match rule_book {
        RuleBook::Simplified => b'S',
        RuleBook::Original => b'O',
        RuleBook::Legacy => b'L',
        _ => CUSTOM,
    }
}

/// A sink or a source, and the running checksum of the bytes that pass through it.
pub(super) struct Checksummed<T> {
    pub(super) inner: T,
    pub(super) checksum: XxHash3_64,
}

impl<T> Checksummed<T> {
    pub(super) fn new(inner: T) -> Self {
        Self {
            inner,
            checksum: XxHash3_64::new(),
        }
    }
}

impl Checksummed<&mut dyn Write> {
    pub(super) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.checksum.write(bytes);
        self.inner.write_all(bytes)
    }
}

impl Checksummed<&mut dyn Read> {
    pub(super) fn read_exact(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.inner.read_exact(bytes)?;
        self.checksum.write(bytes);
        Ok(())
    }
}

impl<T> std::fmt::Debug for Checksummed<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checksummed").finish_non_exhaustive()
    }
}
