//! What can go wrong in a project.

use idmerge_core::{EngineError, InvalidEvent};
use idmerge_store::{RunsError, StoreError, redb};
use thiserror::Error;

/// A project that could not do what it was asked for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProjectError {
    /// There is more waiting than is allowed. Try again in a moment; nothing was taken.
    #[error("too much is waiting to be written; try again in a moment")]
    Full,
    /// The project is being closed and takes nothing more.
    #[error("the project is closed")]
    Closed,
    /// A commit failed, and with it everything that waited for it. What was acknowledged before is
    /// safe. Make room on the disk, or mend it, and open the project again.
    #[error("the project cannot write any more: {reason}; open it again when that is mended")]
    Failed {
        /// What the disk or the store said.
        reason: String,
    },
    /// The text that should be an ID is none.
    #[error(transparent)]
    NotAnId(#[from] InvalidEvent),
    /// The text is no cursor that a page came with.
    #[error("{cursor} is not a cursor of an earlier page")]
    NoCursor {
        /// The text, shortened.
        cursor: String,
    },
    /// The question is about too many events at once. Ask about fewer days.
    #[error("the funnel is about more than {events_max} events; ask about fewer days")]
    TooManyEvents {
        /// How many it may be about.
        events_max: usize,
    },
    /// What is kept cannot be read: it was changed by something else.
    #[error("event {first} and those after it are damaged: {what}")]
    Damaged {
        /// The number of the first event that cannot be read.
        first: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The caller's own sink has failed.
    #[error("what was read could not be passed on")]
    Sink(#[source] std::io::Error),
    /// The store below has failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<EngineError> for ProjectError {
    fn from(error: EngineError) -> Self {
        Self::Store(error.into())
    }
}

impl From<RunsError> for ProjectError {
    fn from(error: RunsError) -> Self {
        Self::Store(error.into())
    }
}

/// An error of the database, of which there are many types.
impl<E> From<E> for ProjectError
where
    E: Into<redb::Error> + DatabaseError,
{
    fn from(error: E) -> Self {
        Self::Store(StoreError::from(error.into()))
    }
}

/// The types of errors of the database.
pub trait DatabaseError {}

impl DatabaseError for redb::TableError {}
impl DatabaseError for redb::StorageError {}
impl DatabaseError for redb::TransactionError {}
