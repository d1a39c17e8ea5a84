//! Reading ahead of a stream, and reading the same again.

use std::fs::File;
use std::io::{self, Read, Seek, Write};

use tempfile::SpooledTempFile;

/// Bytes that are read ahead are held in memory up to this size, and beyond it in a temporary file.
const HELD_BYTES_MAX: usize = 1 << 20;

/// A stream that was read ahead in part.
#[derive(Debug)]
pub(super) struct Ahead {
    stream: File,
    held: SpooledTempFile,
    /// Why it could not be held.
    pub(super) failed: Option<io::Error>,
}

impl Ahead {
    pub(super) fn new(stream: File) -> Self {
        Self {
            stream,
            held: SpooledTempFile::new(HELD_BYTES_MAX),
            failed: None,
        }
    }

    /// The stream from its start.
    pub(super) fn start_over(&mut self) -> io::Result<impl Read + Send + '_> {
        self.held.rewind()?;
        Ok((&mut self.held).chain(&self.stream))
    }
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.stream.read(buffer)?;
        if let Err(error) = self.held.write_all(&buffer[..bytes]) {
            let kind = error.kind();
            self.failed = Some(error);
            return Err(kind.into());
        }
        Ok(bytes)
    }
}
