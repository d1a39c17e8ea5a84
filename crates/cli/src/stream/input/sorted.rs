//! An input whose records were sorted, and where each of them was.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};

/// Where a record was before it was sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The index of its input.
    pub(crate) input: u32,
    /// The line on which it begins, counted from 1.
    pub(crate) line: u64,
    /// Its number, counted from 1, if its input is not made of lines; otherwise 0.
    pub(crate) record: u64,
}

impl Origin {
    pub(crate) const BYTES: usize = 20;

    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&self.input.to_le_bytes());
        bytes[4..12].copy_from_slice(&self.line.to_le_bytes());
        bytes[12..].copy_from_slice(&self.record.to_le_bytes());
        bytes
    }

    fn of_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let number = |at: usize| {
            let mut number = [0; 8];
            number.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(number)
        };
        Self {
            input: u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
            line: number(4),
            record: number(12),
        }
    }
}

/// The origin of each sorted record, in a temporary file.
#[derive(Debug)]
pub(crate) struct Origins {
    file: Mutex<File>,
    names: Vec<String>,
}

impl Origins {
    /// Where the sorted record with this number was, counted from 1, and the name of its input. `None` if it
    /// cannot be read.
    pub(crate) fn of(&self, number: u64) -> Option<(&str, Origin)> {
        let mut bytes = [0; Origin::BYTES];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let at = number.checked_sub(1)? * Origin::BYTES as u64;
        file.seek(SeekFrom::Start(at)).ok()?;
        file.read_exact(&mut bytes).ok()?;
        let origin = Origin::of_bytes(&bytes);
        let name = self.names.get(usize::try_from(origin.input).ok()?)?;
        Some((name, origin))
    }
}

/// Takes sorted records.
pub(crate) struct SortedWriter {
    records: BufWriter<File>,
    origins: BufWriter<File>,
}

impl SortedWriter {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            records: BufWriter::new(tempfile::tempfile()?),
            origins: BufWriter::new(tempfile::tempfile()?),
        })
    }

    /// Adds a record: its origin, and then its bytes.
    pub(crate) fn add(&mut self, record: &[u8]) -> io::Result<()> {
        let (origin, record) = record.split_at(Origin::BYTES);
        self.origins.write_all(origin)?;
        self.records.write_all(record)?;
        self.records.write_all(b"\n")
    }

    /// The records, and the origin of each. `names` are those of the inputs.
    pub(crate) fn finish(self, names: Vec<String>) -> io::Result<(File, Origins)> {
        let into_file =
            |out: BufWriter<File>| out.into_inner().map_err(io::IntoInnerError::into_error);
        let origins = Origins {
            file: Mutex::new(into_file(self.origins)?),
            names,
        };
        Ok((into_file(self.records)?, origins))
    }
}
