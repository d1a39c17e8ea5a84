//! A simulated disk. It can fail at a given sync, and shows what a reboot would find on it.

use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};

use idmerge_store::{BackendError, StorageBackend};

/// The unit that a disk writes whole or not at all, in bytes.
const SECTOR_BYTES: usize = 512;

/// A change that is not synced.
#[derive(Clone, Debug)]
enum Change {
    Length(usize),
    Write(usize, Vec<u8>),
}

impl Change {
    fn make(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Length(length) => bytes.resize(*length, 0),
            Self::Write(at, written) => {
                bytes.resize(bytes.len().max(at + written.len()), 0);
                bytes[*at..at + written.len()].copy_from_slice(written);
            }
        }
    }
}

#[derive(Debug, Default)]
struct Contents {
    /// The content as a process with the file open sees it.
    bytes: Vec<u8>,
    /// The content that is synced.
    synced: Vec<u8>,
    since: Vec<Change>,
    syncs: usize,
    /// The number of the sync at which the disk fails.
    dies_at: Option<usize>,
    is_dead: bool,
    /// Whether syncs do nothing but report success.
    lies: bool,
    /// A read of these bytes fails.
    unreadable: Option<&'static [u8]>,
}

/// A file in memory, shared by its clones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Mutex<Contents>>);

impl Disk {
    /// A disk with this content.
    pub(crate) fn with_bytes(bytes: Vec<u8>) -> Self {
        let contents = Contents {
            synced: bytes.clone(),
            bytes,
            ..Contents::default()
        };
        Self(Arc::new(Mutex::new(contents)))
    }

    /// A disk that fails from the sync of this number on; the first sync has the number 0.
    pub(crate) fn that_dies_at(sync: usize) -> Self {
        let disk = Self::default();
        disk.contents().dies_at = Some(sync);
        disk
    }

    /// A disk whose syncs do nothing.
    pub(crate) fn that_lies() -> Self {
        let disk = Self::default();
        disk.contents().lies = true;
        disk
    }

    /// How many syncs there were.
    pub(crate) fn syncs(&self) -> usize {
        self.contents().syncs
    }

    /// The content as a process with the file open sees it.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.contents().bytes.clone()
    }

    /// The disk as a reboot finds it. `choose` decides whether each change that was not synced is there,
    /// missing, or there in part: it gets the number of choices and returns one of them.
    pub(crate) fn after_reboot(&self, mut choose: impl FnMut(usize) -> usize) -> Self {
        let contents = self.contents();
        let mut bytes = contents.synced.clone();
        for change in &contents.since {
            match (choose(3), change) {
                (0, _) => {}
                (1, Change::Write(at, written)) => {
                    // Only some sectors are written.
                    let mut at = *at;
                    for sector in written.chunks(SECTOR_BYTES) {
                        if choose(2) == 0 {
                            Change::Write(at, sector.to_vec()).make(&mut bytes);
                        }
                        at += sector.len();
                    }
                }
                (_, change) => change.make(&mut bytes),
            }
        }
        Self::with_bytes(bytes)
    }

    /// From now on, the disk cannot read the places that have these bytes.
    pub(crate) fn cannot_read(&self, bytes: &'static [u8]) {
        self.contents().unreadable = Some(bytes);
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap()
    }

    /// The content, unless the disk has failed.
    fn alive(&self) -> io::Result<MutexGuard<'_, Contents>> {
        let contents = self.contents();
        if contents.is_dead {
            return Err(io::Error::other("the disk is dead"));
        }
        Ok(contents)
    }
}

fn place(number: u64) -> usize {
    number.try_into().expect("test disks are small")
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.alive()?.bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let contents = self.alive()?;
        let at = place(offset);
        let bytes = contents.bytes.get(at..at + out.len());
        let bytes = bytes.ok_or(io::ErrorKind::UnexpectedEof)?;
        if let Some(unreadable) = contents.unreadable
            && bytes.windows(unreadable.len()).any(|it| it == unreadable)
        {
            return Err(io::Error::other("the disk cannot read this"));
        }
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let change = Change::Length(place(len));
        let mut contents = self.alive()?;
        change.make(&mut contents.bytes);
        contents.since.push(change);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut contents = self.alive()?;
        if contents.dies_at == Some(contents.syncs) {
            contents.is_dead = true;
            return Err(io::Error::other("the disk dies"));
        }
        contents.syncs += 1;
        if contents.lies {
            return Ok(());
        }
        for change in std::mem::take(&mut contents.since) {
            change.make(&mut contents.synced);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let change = Change::Write(place(offset), data.to_vec());
        let mut contents = self.alive()?;
        change.make(&mut contents.bytes);
        contents.since.push(change);
        Ok(())
    }

    // No other process uses the disk, so every lock is free.

    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn try_lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn unlock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn query_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(false)
    }
}
