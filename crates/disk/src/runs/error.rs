//! [`RunsError`].

use thiserror::Error;

/// Why an index could not be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunsError {
    /// A run or a page of it is not what was written. Rebuild the index.
    #[error("the index is damaged")]
    Damaged,
    /// The database or its disk has failed.
    #[error("the database reported an error")]
    Database(#[source] Box<redb::Error>),
}

/// The errors of the parts of the database.
macro_rules! from_part {
    ($($part:ident),*) => {$(
        impl From<redb::$part> for RunsError {
            fn from(error: redb::$part) -> Self {
                Self::Database(Box::new(error.into()))
            }
        }
    )*};
}

from_part!(TransactionError, TableError, StorageError, CommitError);
