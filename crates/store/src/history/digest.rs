//! [`Digest`]: a hash of a state.

use std::{fmt, io};

use idmerge_core::IdentityResolver;

use crate::error::StoreError;
use crate::history::History;

/// A hash of a state (BLAKE3 of its snapshot). Equal states have equal digests, and different states
/// have different ones.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of the state of an engine. The settings are not part of it.
    ///
    /// # Errors
    ///
    /// If the engine cannot write its snapshot.
    pub fn of(engine: &dyn IdentityResolver) -> Result<Self, StoreError> {
        Self::written_by(|sink| engine.write_snapshot(sink))
    }

    /// The digest of the snapshot that `write` writes.
    pub(crate) fn written_by(
        write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
    ) -> Result<Self, StoreError> {
        let mut hasher = blake3::Hasher::new();
        write(&mut hasher)?;
        Ok(Self(*hasher.finalize().as_bytes()))
    }

    /// The bytes of the hash.
    pub fn bytes(&self) -> [u8; 32] {
        self.0
    }
}

/// Writes 64 hex digits.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<R: IdentityResolver> History<R> {
    /// The digest of the state after this entry.
    ///
    /// # Errors
    ///
    /// Those of [`as_of`](Self::as_of).
    pub fn digest(&self, sequence: u64) -> Result<Digest, StoreError> {
        let engine = self.as_of(sequence)?;
        let log = self.log();
        let digest = Digest::written_by(|sink| {
            let check = &|| log.check();
            engine.write_snapshot(&mut Checked { sink, check })
        });
        // The engine passes on an error of the disk.
        digest.map_err(|error| log.check().err().unwrap_or(error))
    }
}

/// Writes as long as a check succeeds.
struct Checked<'s> {
    sink: &'s mut dyn io::Write,
    check: &'s dyn Fn() -> Result<(), StoreError>,
}

impl io::Write for Checked<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.check)().map_err(io::Error::other)?;
        self.sink.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}
