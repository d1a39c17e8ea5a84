//! Copies of streams, which can be read only once.

use std::env;
use std::fs::File;
use std::io::{self, Read, Write};

/// A reader that copies what is read.
pub(super) struct Tee<'i> {
    pub(super) stream: File,
    pub(super) copy: &'i mut File,
}

impl Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.stream.read(buffer)?;
        self.copy.write_all(&buffer[..bytes]).map_err(not_copied)?;
        Ok(bytes)
    }
}

/// The error of a copy.
pub(super) fn not_copied(error: io::Error) -> io::Error {
    let message = format!(
        "it must be read twice, and its copy cannot be written to {}: {error} (TMPDIR sets another \
         folder)",
        env::temp_dir().display()
    );
    io::Error::new(error.kind(), message)
}
