//! How a store is opened.

use idmerge_core::SnapshotError;

/// How a store is opened. The default values suit a service that is alone with its store.
#[derive(Clone, Debug)]
pub struct Options {
    /// The settings of the engine, in a form of the caller's. A store can only be opened with the
    /// settings that it was made with, since others may answer its claims otherwise.
    pub settings: String,
    /// Who else may have the store open.
    pub sharing: Sharing,
    /// How many snapshots are kept, at least 1. One that is damaged is no harm as long as there
    /// is one before it.
    pub snapshots_kept: usize,
    /// Whether opening checks the whole file, and not only what it needs. Takes as long as reading
    /// it. Without it a damaged entry is found when it is read.
    pub verify: bool,
    /// How many entries [`index`](crate::Durable::index) leaves to be read through, at least 1. It
    /// writes as many at a time.
    pub unindexed_max: u64,
    /// How much of the file the database may keep in memory.
    pub cache_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            settings: String::new(),
            sharing: Sharing::default(),
            snapshots_kept: 2,
            verify: false,
            unindexed_max: 1 << 14,
            cache_bytes: 64 << 20,
        }
    }
}

/// Who may have a store open while it is open for writing. Never a second writer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// Readers of other processes may. Every commit then waits for the disk twice.
    #[default]
    Readers,
    /// Nobody.
    Nobody,
}

impl From<Sharing> for redb::ConcurrencyMode {
    fn from(sharing: Sharing) -> Self {
        match sharing {
            Sharing::Readers => Self::SingleWriter,
            Sharing::Nobody => Self::ExclusiveWriter,
        }
    }
}

/// What it took to open a store.
#[derive(Debug, Default)]
pub struct Opened {
    /// The last entry in the snapshot that the state comes from; 0 where it comes from the log
    /// alone.
    pub snapshot: u64,
    /// Later snapshots that could not be read, and why. The state is right all the same.
    pub damaged: Vec<(u64, SnapshotError)>,
    /// How many entries of the log were weighed again.
    pub weighed: u64,
}
