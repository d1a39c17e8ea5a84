//! Writes the frame and the payload of a snapshot.

use std::hash::Hasher as _;
use std::io::{self, Write};

use idmerge_core::{Id, IdBuffer, RuleBook};

use super::format::{BLOCK_BYTES, CUSTOM, Checksummed, MAGIC, rule_book_byte};

/// Writes a snapshot: the frame, around the payload of an engine.
#[derive(Debug)]
pub struct SnapshotWriter<'w> {
    sink: Checksummed<&'w mut dyn Write>,
    block: Vec<u8>,
}

impl<'w> SnapshotWriter<'w> {
    /// Begins a snapshot. `version` is the version of the payload.
    ///
    /// # Errors
    ///
    /// Any error of the sink.
    pub fn begin(sink: &'w mut dyn Write, rule_book: RuleBook, version: u16) -> io::Result<Self> {
        let mut sink = Checksummed::new(sink);
        sink.write_all(MAGIC)?;
        sink.write_all(&[rule_book_byte(rule_book)])?;
        sink.write_all(&version.to_le_bytes())?;
        if rule_book_byte(rule_book) == CUSTOM {
            let name = rule_book.name().as_bytes();
            let length = u8::try_from(name.len()).map_err(|_| {
                io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "the name of a rule book has at most 255 bytes",
                )
            })?;
            sink.write_all(&[length])?;
            sink.write_all(name)?;
        }
        Ok(Self {
            sink,
            block: Vec::with_capacity(BLOCK_BYTES),
        })
    }

    /// Writes a number.
    ///
    /// # Errors
    ///
    /// Any error of the sink.
    #[inline]
    pub fn number(&mut self, mut number: u64) -> io::Result<()> {
        // The usual case.
        if number < 0x80 {
            return self.bytes(&[number.to_le_bytes()[0]]);
        }
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

    /// Writes an ID.
    ///
    /// # Errors
    ///
    /// Any error of the sink.
    pub fn id(&mut self, id: Id<'_>) -> io::Result<()> {
        let mut buffer = IdBuffer::new();
        let text = id.text_in(&mut buffer);
        self.number(text.len() as u64)?;
        self.bytes(text.as_bytes())
    }

    /// Ends the snapshot. Without this call the snapshot cannot be read.
    ///
    /// # Errors
    ///
    /// Any error of the sink.
    pub fn end(mut self) -> io::Result<()> {
        if !self.block.is_empty() {
            self.write_block()?;
        }
        self.sink.write_all(&0_u32.to_le_bytes())?;
        let checksum = self.sink.checksum.finish();
        self.sink.inner.write_all(&checksum.to_le_bytes())
    }

    /// Writes bytes without their length: the reader must know how many to read.
    ///
    /// # Errors
    ///
    /// Any error of the sink.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        // The usual case: the bytes do not fill the block.
        if bytes.len() < BLOCK_BYTES - self.block.len() {
            self.block.extend_from_slice(bytes);
            return Ok(());
        }
        self.bytes_by_blocks(bytes)
    }

    #[cold]
    fn bytes_by_blocks(&mut self, mut bytes: &[u8]) -> io::Result<()> {
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
