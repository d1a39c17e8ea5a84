//! Why claims were rejected, kept from the first reading of the input to the second. They are as
//! many as events may be, so they are kept in a temporary file once they are more than a few.

use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use idmerge_core::Rejection;
use tempfile::SpooledTempFile;

const IN_MEMORY_BYTES: usize = 1024 * 1024;

/// Takes rejections in the order of events.
#[derive(Debug)]
pub(crate) struct RejectionsWriter(BufWriter<SpooledTempFile>);

impl RejectionsWriter {
    pub(crate) fn new() -> Self {
        Self(BufWriter::new(SpooledTempFile::new(IN_MEMORY_BYTES)))
    }

    /// The claim of the event with this number was rejected.
    pub(crate) fn add(&mut self, event: u64, rejection: &Rejection<'_>) -> io::Result<()> {
        self.0.write_all(&event.to_le_bytes())?;
        self.add_text(rejection.code())?;
        self.add_text(&rejection.to_string())
    }

    fn add_text(&mut self, text: &str) -> io::Result<()> {
        let bytes = u32::try_from(text.len()).map_err(io::Error::other)?;
        self.0.write_all(&bytes.to_le_bytes())?;
        self.0.write_all(text.as_bytes())
    }

    /// All of them, in the same order.
    pub(crate) fn read(self) -> io::Result<RejectionsReader> {
        let mut file = self
            .0
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        let mut reader = RejectionsReader {
            file: BufReader::new(file),
            next: None,
        };
        reader.advance()?;
        Ok(reader)
    }
}

/// Gives rejections back.
#[derive(Debug)]
pub(crate) struct RejectionsReader {
    file: BufReader<SpooledTempFile>,
    next: Option<StoredRejection>,
}

/// A rejection as text.
#[derive(Debug)]
pub(crate) struct StoredRejection {
    event: u64,
    pub(crate) code: String,
    pub(crate) description: String,
}

impl RejectionsReader {
    /// The rejection of the event with this number, if its claim was rejected. Events are asked
    /// for in order.
    pub(crate) fn of_event(&mut self, event: u64) -> io::Result<Option<StoredRejection>> {
        if self.next.as_ref().is_none_or(|next| next.event != event) {
            return Ok(None);
        }
        let found = self.next.take();
        self.advance()?;
        Ok(found)
    }

    fn advance(&mut self) -> io::Result<()> {
        let mut event = [0; 8];
        match self.file.read_exact(&mut event) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
        self.next = Some(StoredRejection {
            event: u64::from_le_bytes(event),
            code: self.text()?,
            description: self.text()?,
        });
        Ok(())
    }

    fn text(&mut self) -> io::Result<String> {
        let mut bytes = [0; 4];
        self.file.read_exact(&mut bytes)?;
        let mut text = vec![0; u32::from_le_bytes(bytes) as usize];
        self.file.read_exact(&mut text)?;
        String::from_utf8(text).map_err(io::Error::other)
    }
}
