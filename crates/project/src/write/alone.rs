//! [`Alone`]: what waits in the queue in the place of a batch, and is carried out in a commit of its own.

use std::sync::Arc;

use idmerge_store::redb::WriteTransaction;

use crate::error::ProjectError;
use crate::write::withdrawal::Withdrawal;

/// What is carried out in a commit of its own.
pub(crate) enum Alone {
    /// A retraction.
    Withdrawal(Arc<Withdrawal>),
    /// Rows of a table that has nothing to do with events and claims.
    Rows(RowChange),
}

/// Writes rows.
type WriteRows = Box<dyn Fn(&WriteTransaction) -> Result<(), ProjectError> + Send>;

/// Rows to write, and what to do once they are durable. Both happen on the thread that writes.
pub(crate) struct RowChange {
    pub(crate) bytes: usize,
    pub(crate) write: WriteRows,
    pub(crate) committed: Box<dyn Fn() + Send>,
}

impl Alone {
    /// The bytes that it takes in the queue.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Withdrawal(withdrawal) => withdrawal.bytes(),
            Self::Rows(rows) => rows.bytes,
        }
    }
}
