//! The errors of a store.

use std::io;
use std::path::PathBuf;

use idmerge_core::{DistinctIdBuf, EngineError, RuleBook, SnapshotError};
use idmerge_disk::RunsError;
use thiserror::Error;

/// Why a store could not do what it was asked to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process, or another part of this process, has the store open for writing. Stop the
    /// writer, or open the store with [`Reader`](crate::Reader).
    #[error(
        "the store is in use: another process has it open for writing; stop that process first"
    )]
    InUse,
    /// The file is not a store, or nothing was ever committed to it.
    #[error("the file is not an idmerge store")]
    NotAStore,
    /// The last writer ended without closing the store. Open the store for writing once: that
    /// recovers it.
    #[error(
        "the last writer of the store did not close it; open the store for writing once, then read it"
    )]
    NotClosed,
    /// A later version with another format made the store. Open the store with that version.
    #[error(
        "the store has format version {found}, and this version of idmerge opens versions up to {supported}; \
         open it with the version that made it"
    )]
    UnsupportedVersion {
        /// The store's format version.
        found: u16,
        /// The newest format version that this version opens.
        supported: u16,
    },
    /// The store was made with an engine of a custom rule book. Open it with that engine.
    #[error(
        "the store was made for the rule book {name:?}, which is not built in; open it with its engine"
    )]
    UnknownRuleBook {
        /// The name of the rule book.
        name: String,
    },
    /// The store was made with an engine of another rule book.
    #[error("the store was made for {found} ID Merge, and the engine is for {expected} ID Merge")]
    OtherRuleBook {
        /// The store's rule book.
        found: RuleBook,
        /// The engine's.
        expected: RuleBook,
    },
    /// The store was made with an engine that has other settings.
    #[error(
        "the store was made with the settings {} and cannot be opened with {}",
        shortened(found),
        shortened(expected)
    )]
    OtherSettings {
        /// The settings that the store was made with.
        found: String,
        /// The settings that it was to be opened with.
        expected: String,
    },
    /// The log cannot be read from this entry on. The entries before it are good.
    /// [`repair`](crate::repair) keeps those.
    #[error(
        "the log is damaged at entry {sequence} ({what}); repair the store to keep the entries before it"
    )]
    DamagedLog {
        /// The number of the first entry that cannot be trusted.
        sequence: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The engine answers a claim of the log in another way than when it was logged. It has other
    /// settings or other rules than the engine that wrote the log.
    #[error(
        "the engine answered entry {sequence} of the log with {logged:?} when it was logged, and now answers {now:?}"
    )]
    Diverged {
        /// The number of the entry.
        sequence: u64,
        /// The answer in the log.
        logged: String,
        /// The answer of this engine.
        now: String,
    },
    /// The state that replaced an earlier one at this entry cannot be read. See
    /// [`read_snapshot`](idmerge_core::IdentityResolver::read_snapshot) of a store.
    #[error("the state that was loaded into the store at entry {sequence} cannot be read")]
    DamagedBase {
        /// The number of the entry.
        sequence: u64,
        /// What is wrong with it.
        #[source]
        source: SnapshotError,
    },
    /// The log has no entry of this number.
    #[error("there is no entry {sequence}; the last entry is {last}")]
    NoSuchEntry {
        /// The number that was asked for.
        sequence: u64,
        /// The number of the last committed entry; 0 if there is none.
        last: u64,
    },
    /// A snapshot was loaded at this entry, so the log does not have all claims behind
    /// the state.
    #[error(
        "entry {sequence} replaced the state by a loaded snapshot, so the log does not have all claims"
    )]
    NotFromClaims {
        /// The number of the entry.
        sequence: u64,
    },
    /// The entry cannot be withdrawn: it has no claim of the rule book of the store.
    #[error(
        "entry {sequence} cannot be withdrawn: the engine of this store ignores its claim, so it changed nothing"
    )]
    NotRetractable {
        /// The number of the entry.
        sequence: u64,
    },
    /// More entries are connected with the claims than the caller lets fold again.
    #[error(
        "{connected} entries of the log are connected with this, which is more than {max}; folding them \
         again would hold up events. Stop the server and use `idmerge store retract`"
    )]
    TooManyConnected {
        /// How many entries are connected.
        connected: u64,
        /// The most that may be.
        max: u64,
    },
    /// The temporary file for the copy of a state cannot be written or read. The store is as before: give the disk
    /// room, and copy the state again.
    #[error(
        "the temporary file for a snapshot cannot be used; a snapshot needs room on the disk twice"
    )]
    Scratch(#[source] io::Error),
    /// No claim that this store's engine weighs names the ID, so there is nothing to withdraw.
    #[error(
        "no claim that the engine of this store weighs names {id}; check the ID, or list the log"
    )]
    NotNamed {
        /// The ID.
        id: DistinctIdBuf,
    },
    /// The index of the IDs in the log cannot be read. No data is lost: [`repair`](crate::repair)
    /// rebuilds the index.
    #[error("the index of the store is damaged; repair the store to rebuild the index")]
    DamagedIndex,
    /// The list of the inputs and events that the store has taken cannot be read.
    /// [`repair`](crate::repair) forgets it: inputs are then taken anew.
    #[error(
        "the list of the inputs and events that the store has taken is damaged; repair the store, which \
         then takes its inputs anew"
    )]
    DamagedIntake,
    /// The file exists already and is not replaced.
    #[error("{} exists already and is not replaced; choose another name", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A store can only be restored into a new or empty folder.
    #[error(
        "the folder {} is not empty (it has {name}); name a new folder, or an empty one. The folder of a \
         server's project is DATA/TOKEN",
        folder.display()
    )]
    NotEmpty {
        /// The folder.
        folder: PathBuf,
        /// The name of something in it.
        name: String,
    },
    /// The backup is damaged, or its end is missing.
    #[error(
        "the backup cannot be used ({what}): it was broken off while it was made or downloaded, it was \
         changed, or it is a copy of a file that was in use; make the backup again, or restore another one"
    )]
    BrokenBackup {
        /// What is wrong.
        what: String,
    },
    /// The file has a table that this version cannot copy. To back it up, stop every process that has
    /// the store open and copy the file.
    #[error(
        "the store has the table {name:?}, which this version of idmerge cannot copy; stop every process \
         that has the store open and copy the file instead"
    )]
    OtherTables {
        /// The name of the table.
        name: String,
    },
    /// The file has a table that this version, or this build of it, cannot erase people from.
    #[error(
        "the store has the table {name:?}, which this build of idmerge cannot erase from; use a build with the \
         server (feature serve) of the version that wrote it"
    )]
    NotErasable {
        /// The name of the table.
        name: String,
    },
    /// A service that keeps tables in the file reports an error.
    #[error("{0}")]
    Service(String),
    /// A snapshot has only committed claims. Commit first.
    #[error("some claims are not committed yet; commit them first")]
    Uncommitted,
    /// The caller does not want the answer any more: see [`History::only_while`](crate::History::only_while).
    #[error("the question was cancelled")]
    Cancelled,
    /// An earlier operation failed, and its effect on the file is not known. Open the store again.
    #[error("an earlier operation on the store failed; open the store again")]
    Failed,
    /// The claim is of a kind that the log format does not have.
    #[error("the log format of this version has no such kind of claim")]
    UnknownClaim,
    /// The database cannot read its file: something else has changed it, or it is a copy that was made
    /// while the store was in use.
    #[error(
        "the file of the store is damaged ({what}); repair the store or restore a backup. If it is a copy of \
         a store that was in use, such as that of a running server, it has parts of different moments: \
         make a backup instead"
    )]
    DamagedFile {
        /// What is wrong.
        what: String,
    },
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The operating system reported an error: a file does not exist or may not be written, or the disk
    /// is full or failed.
    #[error("the file cannot be read or written")]
    Io(#[from] io::Error),
    /// Any other error of the database.
    #[error("the database reported an error")]
    Database(#[source] Box<redb::Error>),
}

impl From<redb::Error> for StoreError {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            redb::Error::RepairAborted => Self::NotClosed,
            redb::Error::TableDoesNotExist(_) => Self::NotAStore,
            redb::Error::Corrupted(what) => Self::DamagedFile { what },
            redb::Error::PreviousIo | redb::Error::DatabaseClosed => Self::Failed,
            redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => Self::NotAStore,
            redb::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Self::DamagedFile {
                    what: "it ends too early".to_owned(),
                }
            }
            redb::Error::Io(error) => Self::Io(error),
            error => Self::Database(Box::new(error)),
        }
    }
}

/// The errors of the parts of the database.
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

/// Quotes the text of settings, in which a list of blocked IDs can take megabytes.
fn shortened(text: &str) -> String {
    const CHARS_MAX: usize = 400;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{:?}… ({} bytes)", &text[..end], text.len()),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_fails_while_an_index_is_read_does_not_damage_the_index() {
        let error = RunsError::Database(Box::new(redb::Error::PreviousIo));
        assert!(matches!(StoreError::from(error), StoreError::Failed));
        assert!(matches!(
            StoreError::from(RunsError::Damaged),
            StoreError::DamagedIndex
        ));
    }

    #[test]
    fn a_file_that_ends_too_early_is_damaged() {
        let error = |kind: io::ErrorKind| StoreError::from(redb::Error::Io(kind.into()));
        let short = error(io::ErrorKind::UnexpectedEof);
        assert!(matches!(short, StoreError::DamagedFile { .. }), "{short}");
        let full = error(io::ErrorKind::StorageFull);
        assert!(matches!(full, StoreError::Io(_)), "{full}");
    }
}
