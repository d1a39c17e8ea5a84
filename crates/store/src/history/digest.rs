//! A state as a few bytes, to compare.

use std::fmt;

use idmerge_core::IdentityResolver;

use crate::error::StoreError;
use crate::history::History;

/// A hash of a state. Equal states have equal digests; others have others.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of an engine's state. The settings are not part of it.
    ///
    /// # Errors
    ///
    /// Where the engine cannot write its snapshot.
    pub fn of(engine: &dyn IdentityResolver) -> Result<Self, StoreError> {
        let mut hasher = blake3::Hasher::new();
        engine.write_snapshot(&mut hasher)?;
        Ok(Self(*hasher.finalize().as_bytes()))
    }

    /// Its bytes.
    pub fn bytes(&self) -> [u8; 32] {
        self.0
    }
}

/// In hex digits.
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
    /// The digest of the state as it was after this entry.
    ///
    /// # Errors
    ///
    /// Those of [`as_of`](Self::as_of).
    pub fn digest(&self, sequence: u64) -> Result<Digest, StoreError> {
        Digest::of(&self.as_of(sequence)?)
    }
}
