//! The parts of a file, each read from its own place.

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

pub(super) struct Chunks<S> {
    source: Arc<Mutex<S>>,
    bytes: u64,
}

pub(super) struct Part<S> {
    source: Arc<Mutex<S>>,
    at: u64,
}

impl<S: Seek> Chunks<S> {
    pub(super) fn new(mut source: S) -> io::Result<Self> {
        Ok(Self {
            bytes: source.seek(SeekFrom::End(0))?,
            source: Arc::new(Mutex::new(source)),
        })
    }
}

fn lock<S>(source: &Mutex<S>) -> MutexGuard<'_, S> {
    // Each read begins with a seek.
    source.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: Send> Length for Chunks<S> {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl<S: Read + Seek + Send> ChunkReader for Chunks<S> {
    type T = BufReader<Part<S>>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(BufReader::new(Part {
            source: Arc::clone(&self.source),
            at: start,
        }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        // The length is from the file, and may be damaged: memory is only taken for what is there.
        if start.saturating_add(length as u64) > self.bytes {
            return Err(ParquetError::EOF(format!(
                "{length} bytes at {start} are not in the file, which has {} bytes",
                self.bytes
            )));
        }
        let mut bytes = vec![0; length];
        let mut source = lock(&self.source);
        source.seek(SeekFrom::Start(start))?;
        source.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

impl<S: Read + Seek> Read for Part<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut source = lock(&self.source);
        source.seek(SeekFrom::Start(self.at))?;
        let bytes = source.read(buffer)?;
        self.at += bytes as u64;
        Ok(bytes)
    }
}
