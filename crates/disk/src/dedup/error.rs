//! [`DedupError`].

use thiserror::Error;

use crate::runs::RunsError;

/// The index of duplicate events could not be read or written.
#[derive(Debug, Error)]
pub enum DedupError {
    /// A row is damaged.
    #[error("the index of duplicate events cannot be read: row {number} is damaged")]
    Damaged {
        /// The number of the row, which is the number of the last event in it.
        number: u64,
    },
    /// The runs or the database reported an error.
    #[error(transparent)]
    Runs(#[from] RunsError),
}

/// The errors of the parts of the database.
macro_rules! from_part {
    ($($part:ident),*) => {$(
        impl From<redb::$part> for DedupError {
            fn from(error: redb::$part) -> Self {
                Self::Runs(error.into())
            }
        }
    )*};
}

from_part!(TableError, StorageError);
