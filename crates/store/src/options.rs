//! How a store is opened, and how long a question may take.

use std::sync::Arc;

use idmerge_core::SnapshotError;

use crate::log::file::last_sync::LastSync;

/// How a store is opened. The defaults suit a service that is the only writer of its store.
#[derive(Clone, Debug)]
pub struct Options {
    /// The settings of the engine as text, in a form that the caller chooses. A store opens only with
    /// the settings that it was made with, because other settings may answer its claims in another
    /// way.
    pub settings: String,
    /// Which other processes may have the store open.
    pub sharing: Sharing,
    /// How many snapshots are kept, at least 1. If the latest one is damaged, opening uses the one
    /// before it.
    pub snapshots_kept: usize,
    /// Whether opening checks the whole file and not only the parts it needs. This takes as long as
    /// reading the file. Without it, damage is found when the damaged part is read.
    pub verify: bool,
    /// How many entries [`index`](crate::Durable::index) may leave out of the index, at least 1. It
    /// also writes this many at a time.
    pub unindexed_max: u64,
    /// How many bytes of the file the database may keep in memory.
    pub cache_bytes: usize,
    /// On how many threads an image is read when the store is opened. With two or more, one thread reads the log while
    /// another applies its claims. All of them end before the store is open.
    pub threads: usize,
    /// The bytes of a snapshot from which on [`image`](crate::Durable::image) writes one. A smaller snapshot is read in
    /// a moment.
    pub image_from_bytes: u64,
    /// The length in bytes of the journal: a file beside the store for small commits, which take a third to half of the
    /// time with it. It is rounded down to a multiple of 4,096. The file exists from its first use until the store is
    /// closed. With less than 4,096 there is none, which suits a service that always uses
    /// [`commit_with`](crate::Durable::commit_with) or reads after each commit.
    pub journal_bytes: usize,
    /// How many small commits a process makes before it makes the journal. Making and removing it takes about as long as
    /// eight commits save with it. A commit is small if its entries take at most 256 KiB.
    pub journal_after: u64,
    /// For a process that opens a store again after an error: give a clone of the same value each time.
    /// A commit that failed is then not in the store, although the system may show what it wrote.
    pub last_sync: LastSync,
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
            threads: 1,
            image_from_bytes: 16 << 20,
            journal_bytes: 1 << 20,
            journal_after: 8,
            last_sync: LastSync::default(),
        }
    }
}

/// Which other processes may have a store open while one process writes it. There is never a second
/// writer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// Readers. Every commit to the database then waits for the disk twice. One to the [journal](Options::journal_bytes)
    /// waits once.
    #[default]
    Readers,
    /// No other process.
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

/// How a store came to its state when it was opened.
#[derive(Debug, Default)]
pub struct Opened {
    /// The number of the last entry in the snapshot that opening began with; 0 if it began with the
    /// empty state.
    pub snapshot: u64,
    /// Whether that snapshot was read from its image.
    pub is_from_image: bool,
    /// Later snapshots that could not be read, with the reason. The state is right without them.
    pub damaged: Vec<(u64, SnapshotError)>,
    /// Whether the log was revised since the service last called
    /// [`clear_revised`](crate::clear_revised): an entry was withdrawn, or a repair lost
    /// entries. What a service derived from an earlier state may then contradict the state.
    pub is_revised: bool,
    /// Up to this entry the log may lack repeats of claims, because a version of idmerge with format
    /// version 1 wrote it; 0 if it lacks none. If a claim is withdrawn there, another claim that said
    /// the same may be missing.
    pub incomplete_until: u64,
    /// How many entries of the log were applied after the snapshot.
    pub applied: u64,
}

/// Returns whether the caller still wants the answer to its question. It is called often, so it must be fast.
pub type MayGoOn = Arc<dyn Fn() -> bool + Send + Sync>;
