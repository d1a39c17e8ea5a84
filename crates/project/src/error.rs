//! [`ProjectError`].

use idmerge_core::{EngineError, InvalidEvent};
use idmerge_disk::{DedupError, RunsError};
use idmerge_store::{StoreError, redb};
use thiserror::Error;

/// Why a project could not do what it was asked to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProjectError {
    /// The queue is full and the batch was not taken. Submit it again in a moment.
    #[error("the queue of the project is full; try again in a moment")]
    Full,
    /// The updates of the batch change profiles that are too large, or its merges read such profiles, and the
    /// batch was not taken. Submit it again in a moment, or in parts.
    #[error(
        "the updates and merges read {bytes} bytes of profiles, and {waiting_bytes} wait already; at most \
         {max_bytes} may wait; send them again later, or fewer at once"
    )]
    TooMuchWork {
        /// The bytes of the profiles that the updates and merges read.
        bytes: usize,
        /// The bytes of the profiles that earlier batches read.
        waiting_bytes: usize,
        /// The most bytes that may wait.
        max_bytes: usize,
    },
    /// The updates of the batch take too much memory, and the batch was not taken. Submit it in parts.
    #[error(
        "the names and values of the updates take more than {max_bytes} bytes of memory; send fewer updates \
         at once"
    )]
    TooManyUpdates {
        /// The most bytes that they may take.
        max_bytes: usize,
    },
    /// A claim of the batch would add an ID to the project, which has as many as it may have. The batch was
    /// not taken. Raise [`Options::max_ids`](crate::Options::max_ids).
    #[error(
        "the project has {ids} IDs, and the setting max_ids allows {max_ids}, so it takes no events that \
         connect new IDs; its operator can raise max_ids"
    )]
    TooManyIds {
        /// The IDs in clusters.
        ids: usize,
        /// The most IDs that they may have.
        max_ids: usize,
    },
    /// The project is closing and takes no more batches.
    #[error("the project is closed")]
    Closed,
    /// A commit failed, and with it every batch that waited for it. Batches acknowledged before are
    /// safe. The project opens its store again by itself once the cause is gone. Send the batch again
    /// in a few seconds: the project knows whether it has it.
    #[error(
        "the project cannot write: {reason}; it tries again by itself, so send the request again in a few \
         seconds"
    )]
    Failed {
        /// The error of the disk or the store.
        reason: String,
    },
    /// People are being erased, so no batch is taken, and in the end no query. Send it again in a few seconds.
    #[error(
        "people are being erased from the project, so it takes nothing meanwhile; send the request again in a few \
         seconds"
    )]
    Erasing,
    /// The IDs of the privacy tasks that wait or can be downloaded are as many as may be.
    #[error(
        "the deletions that wait and the retrievals of the last days have {max_ids} IDs or 10,000 tasks, which is the \
         most; try again when some are done"
    )]
    TooManyTasks {
        /// The most IDs.
        max_ids: usize,
    },
    /// The text is not an ID under the rules of the project.
    #[error(transparent)]
    InvalidId(#[from] InvalidEvent),
    /// The text is not a cursor of an earlier page.
    #[error("{cursor} is not a cursor of an earlier page")]
    InvalidCursor {
        /// The text, shortened.
        cursor: String,
    },
    /// The events of the funnel would take too much memory.
    #[error(
        "the events of the funnel would take more than {max_bytes} bytes of memory; ask for fewer days, or hold fewer properties"
    )]
    FunnelTooLarge {
        /// The most memory for the events of a funnel.
        max_bytes: usize,
    },
    /// The caller does not want the answer any more.
    #[error("the query was cancelled")]
    Cancelled,
    /// Queries that run now read too many large events. Try again later.
    #[error("too many large events are being read; try again later")]
    Busy,
    /// Stored events cannot be read: the file was changed by another program, or the disk is
    /// faulty. Restore a backup.
    #[error("stored events are damaged from event {first} on: {what}; restore a backup")]
    Damaged {
        /// The number of the first event that cannot be read.
        first: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The caller's `visit` function returned an error.
    #[error("the output cannot be written")]
    Sink(#[source] std::io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
}

impl ProjectError {
    pub(crate) const fn damaged(first: u64, what: &'static str) -> Self {
        Self::Damaged { first, what }
    }

    /// The reason of a failure with this error, for a log: the error and its sources.
    pub fn reason(&self) -> String {
        if let Self::Failed { reason } = self {
            return reason.clone();
        }
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text += &format!(": {error}");
            source = error.source();
        }
        text
    }
}

impl From<StoreError> for ProjectError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Cancelled => Self::Cancelled,
            error => Self::Store(error),
        }
    }
}

impl From<EngineError> for ProjectError {
    fn from(error: EngineError) -> Self {
        StoreError::from(error).into()
    }
}

impl From<RunsError> for ProjectError {
    fn from(error: RunsError) -> Self {
        StoreError::from(error).into()
    }
}

impl From<DedupError> for ProjectError {
    fn from(error: DedupError) -> Self {
        match error {
            DedupError::Runs(error) => error.into(),
            DedupError::Damaged { number } => {
                Self::damaged(number, "the index of duplicate events cannot be read")
            }
        }
    }
}

/// `?` takes any of the database's error types.
impl<E> From<E> for ProjectError
where
    E: Into<redb::Error> + DatabaseError,
{
    fn from(error: E) -> Self {
        StoreError::from(error.into()).into()
    }
}

/// Marks the error types of the database.
pub trait DatabaseError {}

impl DatabaseError for redb::TableError {}
impl DatabaseError for redb::StorageError {}
impl DatabaseError for redb::TransactionError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_a_failure_names_the_errors_behind_it() {
        let sink = ProjectError::Sink(std::io::Error::other("no room"));
        assert_eq!(sink.reason(), "the output cannot be written: no room");
        // The reason of a project that failed is kept as it is.
        let reason = sink.reason();
        let failed = ProjectError::Failed { reason };
        assert_eq!(failed.reason(), sink.reason());
    }
}
