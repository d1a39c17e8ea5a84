//! What can go wrong in a store.

use std::io;
use std::path::PathBuf;

use idmerge_core::{EngineError, RuleBook, SnapshotError};
use idmerge_disk::RunsError;
use thiserror::Error;

/// A store that could not do what it was asked for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process, or another part of this one, has the store open for writing. Stop it, or
    /// open the store read-only.
    #[error("the store is open for writing elsewhere; one writer at a time")]
    InUse,
    /// The file is something else, or nothing was ever committed to it.
    #[error("not a store of idmerge")]
    NotAStore,
    /// The last writer did not come to close the store. Open it for writing once, which repairs it.
    #[error("the store was not closed; open it for writing once before it is read")]
    NotClosed,
    /// Another version made the store. Open it with that version.
    #[error("the store has format version {found}; this version opens {supported}")]
    UnsupportedVersion {
        /// The store's format version.
        found: u16,
        /// The one that this version opens.
        supported: u16,
    },
    /// The store was made with an engine of the other rule book.
    #[error("the store is of {found} ID Merge, and the engine of {expected}")]
    OtherRuleBook {
        /// The store's rule book.
        found: RuleBook,
        /// The engine's.
        expected: RuleBook,
    },
    /// The store was made with an engine that has other settings.
    #[error("the store was made with the settings {found:?}, and not {expected:?}")]
    OtherSettings {
        /// What the store was made with.
        found: String,
        /// What it was opened with.
        expected: String,
    },
    /// The log cannot be read from this entry on. What comes before it is good.
    #[error("the log is damaged at entry {sequence}: {what}")]
    DamagedLog {
        /// The sequence number of the first entry that cannot be trusted.
        sequence: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A claim of the log is answered otherwise than it was. The engine has other settings or
    /// other rules than the one that wrote the log.
    #[error("entry {sequence} of the log was answered with {logged:?}, and now with {now:?}")]
    Diverged {
        /// The entry's sequence number.
        sequence: u64,
        /// What the log says.
        logged: String,
        /// What the engine says.
        now: String,
    },
    /// The state that the log goes on from cannot be read. See
    /// [`read_snapshot`](idmerge_core::IdentityResolver::read_snapshot) of a store.
    #[error("the state that was put in at entry {sequence} cannot be read")]
    DamagedBase {
        /// The entry's sequence number.
        sequence: u64,
        /// What is wrong with it.
        #[source]
        source: SnapshotError,
    },
    /// The log is not as long as that.
    #[error("there is no entry {sequence}; the last is {last}")]
    NoSuchEntry {
        /// The sequence number asked for.
        sequence: u64,
        /// That of the last committed entry, 0 where there is none.
        last: u64,
    },
    /// The state was replaced here by one from elsewhere, so it is not made of claims alone.
    #[error("entry {sequence} replaced the state by one from elsewhere")]
    NotFromClaims {
        /// The entry's sequence number.
        sequence: u64,
    },
    /// The entry cannot be withdrawn: it is of no claim that changed or tried to change anything
    /// under the store's rules.
    #[error("entry {sequence} has nothing that could be withdrawn")]
    NotRetractable {
        /// The entry's sequence number.
        sequence: u64,
    },
    /// The entry is withdrawn already. To bring it back, withdraw what withdrew it.
    #[error("entry {sequence} was withdrawn by entry {by}")]
    RetractedAlready {
        /// The entry's sequence number.
        sequence: u64,
        /// The number of the entry that withdrew it.
        by: u64,
    },
    /// The index of who is named where cannot be read. Nothing is lost with it; repairing the store
    /// makes it again.
    #[error("the index of the store is damaged; repair the store to make it again")]
    DamagedIndex,
    /// There is a file already, and it is not replaced.
    #[error("{} exists", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file has tables of somebody else, which would be lost.
    #[error("the file of the store has another table, {name:?}, which a repair would lose")]
    OtherTables {
        /// The name of one.
        name: String,
    },
    /// A store that is open for reading applies nothing.
    #[error("the store is open for reading only")]
    ReadOnly,
    /// A snapshot is of what is committed; commit first.
    #[error("there are claims that are not committed")]
    Uncommitted,
    /// The store failed before, and no longer knows what it has written. Open it again.
    #[error("the store has failed; open it again")]
    Failed,
    /// The claim is of a kind that this version has no form for.
    #[error("a claim of a kind that the log has no form for")]
    UnknownClaim,
    /// What the database says of its file: it was changed by something else.
    #[error("the file of the store is damaged: {what}")]
    DamagedFile {
        /// What is wrong.
        what: String,
    },
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The disk failed, is full or may not be written.
    #[error("the disk failed")]
    Io(#[from] io::Error),
    /// Anything else that the database may say.
    #[error("the database failed")]
    Database(#[source] Box<redb::Error>),
}

impl From<redb::Error> for StoreError {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            redb::Error::RepairAborted => Self::NotClosed,
            redb::Error::TableDoesNotExist(_) => Self::NotAStore,
            redb::Error::Corrupted(what) => Self::DamagedFile { what },
            redb::Error::PreviousIo => Self::Failed,
            redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => Self::NotAStore,
            redb::Error::Io(error) => Self::Io(error),
            error => Self::Database(Box::new(error)),
        }
    }
}

/// The errors of the database's parts.
macro_rules! from_part {
    ($($part:ident),*) => {$(
        impl From<redb::$part> for StoreError {
            fn from(error: redb::$part) -> Self {
                redb::Error::from(error).into()
            }
        }
    )*};
}

from_part!(
    DatabaseError,
    TransactionError,
    TableError,
    StorageError,
    CommitError
);

impl From<RunsError> for StoreError {
    fn from(error: RunsError) -> Self {
        match error {
            RunsError::Database(error) => (*error).into(),
            // Nothing is lost with an index: `repair` makes it again.
            _ => Self::DamagedIndex,
        }
    }
}

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Engine(error) => error,
            error => Self::Store(Box::new(error)),
        }
    }
}
