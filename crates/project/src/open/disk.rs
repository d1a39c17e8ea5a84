//! A disk that fails as it is told to.

use std::io;
use std::sync::Arc;

use idmerge_store::StorageBackend;
use parking_lot::Mutex;

/// A disk with a cache that a crash loses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Mutex<Content>>);

#[derive(Debug, Default)]
struct Content {
    /// What reads see.
    cached: Vec<u8>,
    /// What is left after a crash.
    stored: Vec<u8>,
    /// The ranges that a sync writes.
    dirty: Vec<(usize, usize)>,
    fault: Option<Fault>,
    /// How many operations succeed before the fault.
    before: u64,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing can be written until [`Disk::mend`].
    Full,
    /// The same, and the first write that fails writes its first half.
    Short,
    /// One operation fails. If it is a sync, everything is stored anyway.
    OnceStored,
    /// One operation fails. If it is a sync, what it was to write is never stored, and the next sync
    /// does not know about it.
    OnceLost,
}

impl Disk {
    /// Lets some operations succeed and then goes wrong.
    pub(crate) fn break_after(&self, operations: u64, fault: Fault) {
        let mut content = self.0.lock();
        content.fault = Some(fault);
        content.before = operations;
    }

    pub(crate) fn mend(&self) {
        self.0.lock().fault = None;
    }

    /// The disk after a crash.
    pub(crate) fn crash(&self) -> Self {
        let stored = self.0.lock().stored.clone();
        Self(Arc::new(Mutex::new(Content {
            cached: stored.clone(),
            stored,
            ..Content::default()
        })))
    }
}

impl Content {
    /// The fault of this operation, if it has one.
    fn fault(&mut self) -> Option<Fault> {
        let fault = self.fault?;
        if self.before > 0 {
            self.before -= 1;
            return None;
        }
        match fault {
            Fault::Full => {}
            Fault::Short => self.fault = Some(Fault::Full),
            Fault::OnceStored | Fault::OnceLost => self.fault = None,
        }
        Some(fault)
    }

    fn write(&mut self, offset: usize, data: &[u8]) -> io::Result<()> {
        let end = offset + data.len();
        let cached = self.cached.get_mut(offset..end);
        cached
            .ok_or(io::ErrorKind::InvalidInput)?
            .copy_from_slice(data);
        self.dirty.push((offset, end));
        Ok(())
    }

    fn store(&mut self) {
        self.stored.resize(self.cached.len(), 0);
        for (start, end) in std::mem::take(&mut self.dirty) {
            let end = end.min(self.cached.len());
            if start < end {
                self.stored[start..end].copy_from_slice(&self.cached[start..end]);
            }
        }
    }
}

fn error(fault: Fault) -> io::Error {
    match fault {
        Fault::Full | Fault::Short => io::ErrorKind::StorageFull.into(),
        Fault::OnceStored | Fault::OnceLost => io::Error::other("the disk failed"),
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().cached.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let content = self.0.lock();
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let range = content.cached.get(start..start + out.len());
        out.copy_from_slice(range.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut content = self.0.lock();
        if let Some(fault) = content.fault() {
            return Err(error(fault));
        }
        let len = usize::try_from(len).map_err(io::Error::other)?;
        content.cached.resize(len, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut content = self.0.lock();
        let fault = content.fault();
        match fault {
            None | Some(Fault::OnceStored) => content.store(),
            Some(Fault::OnceLost) => content.dirty.clear(),
            Some(Fault::Full | Fault::Short) => {}
        }
        fault.map_or(Ok(()), |fault| Err(error(fault)))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut content = self.0.lock();
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        match content.fault() {
            None => content.write(offset, data),
            Some(fault) => {
                if fault == Fault::Short {
                    content.write(offset, &data[..data.len() / 2])?;
                }
                Err(error(fault))
            }
        }
    }
}
