//! A simulated disk. It can fail at a given sync, and shows what a reboot would find on it.

use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};

use idmerge_store::{BackendError, Durable, Options, StorageBackend, StoreError};

use super::Engine;

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
    /// A read of these bytes fails.
    unreadable: Option<&'static [u8]>,
}

/// What the files of a disk have in common.
#[derive(Debug, Default)]
struct Health {
    syncs: usize,
    /// The number of the sync at which the disk fails.
    dies_at: Option<usize>,
    is_dead: bool,
    /// Whether syncs do nothing but report success.
    lies: bool,
}

/// A file in memory, shared by its clones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    file: Arc<Mutex<Contents>>,
    health: Arc<Mutex<Health>>,
}

impl Disk {
    /// A disk with this content.
    pub(crate) fn with_bytes(bytes: Vec<u8>) -> Self {
        let contents = Contents {
            synced: bytes.clone(),
            bytes,
            ..Contents::default()
        };
        Self {
            file: Arc::new(Mutex::new(contents)),
            health: Arc::default(),
        }
    }

    /// Another file on the same disk, with this content.
    pub(crate) fn beside(&self, bytes: Vec<u8>) -> Self {
        Self {
            health: self.health.clone(),
            ..Self::with_bytes(bytes)
        }
    }

    /// A disk that fails from the sync of this number on; the first sync has the number 0.
    pub(crate) fn that_dies_at(sync: usize) -> Self {
        let disk = Self::default();
        disk.dies_after(sync);
        disk
    }

    /// From now on, so many syncs succeed, and then the disk fails.
    pub(crate) fn dies_after(&self, syncs: usize) {
        let mut health = self.health();
        health.dies_at = Some(health.syncs + syncs);
    }

    /// A disk whose syncs do nothing.
    pub(crate) fn that_lies() -> Self {
        let disk = Self::default();
        disk.health().lies = true;
        disk
    }

    /// How many syncs there were of all files.
    pub(crate) fn syncs(&self) -> usize {
        self.health().syncs
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
        self.file.lock().unwrap()
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap()
    }

    /// The content, unless the disk has failed.
    fn alive(&self) -> io::Result<MutexGuard<'_, Contents>> {
        if self.health().is_dead {
            return Err(io::Error::other("the disk is dead"));
        }
        Ok(self.contents())
    }
}

/// The two files of a store, on one disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    pub(crate) store: Disk,
    pub(crate) journal: Disk,
    is_alone: bool,
}

impl Files {
    /// The files of a store that is not made yet.
    pub(crate) fn on(disk: Disk) -> Self {
        Self {
            journal: disk.beside(Vec::new()),
            store: disk,
            is_alone: false,
        }
    }

    /// The file of a store that has no journal.
    pub(crate) fn alone_on(disk: Disk) -> Self {
        Self {
            is_alone: true,
            ..Self::on(disk)
        }
    }

    pub(crate) fn open<E: Engine>(&self, options: Options) -> Result<Durable<E>, StoreError> {
        let Self { store, journal, .. } = self.clone();
        match self.is_alone {
            true => Durable::open_backend(store, E::empty, options),
            false => Durable::open_backends(store, journal, E::empty, options),
        }
    }

    /// The files as a reboot finds them, as [`Disk::after_reboot`] does.
    pub(crate) fn after_reboot(&self, mut choose: impl FnMut(usize) -> usize) -> Self {
        let store = self.store.after_reboot(&mut choose);
        let journal = self.journal.after_reboot(&mut choose);
        Self {
            journal: store.beside(journal.bytes()),
            store,
            is_alone: self.is_alone,
        }
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
        let mut health = self.health();
        if health.dies_at == Some(health.syncs) {
            health.is_dead = true;
            return Err(io::Error::other("the disk dies"));
        }
        health.syncs += 1;
        if health.lies {
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
