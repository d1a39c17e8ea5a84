//! [`Alone`]: what waits in the queue in the place of a batch, and is carried out in a commit of its own.

use std::sync::{Arc, mpsc};

use idmerge_store::redb::WriteTransaction;

use crate::error::ProjectError;
use crate::project::Project;
use crate::write::prepare::PreparedBatch;
use crate::write::queue::Job;
use crate::write::withdrawal::Withdrawal;

/// What is carried out in a commit of its own.
pub(crate) enum Alone {
    /// A retraction.
    Withdrawal(Arc<Withdrawal>),
    /// Rows of a table that has nothing to do with events and claims.
    Rows(RowChange),
}

/// Rows to write, and what to do once they are durable. Both happen on the thread that writes.
pub(crate) struct RowChange {
    pub(crate) bytes: usize,
    pub(crate) write: Box<dyn Fn(&WriteTransaction) -> Result<(), ProjectError> + Send>,
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

impl Project {
    /// Puts `alone` into the queue, and waits until it is carried out and durable.
    pub(crate) fn carry_out_alone(&self, alone: Alone) -> Result<(), ProjectError> {
        let batch = PreparedBatch::of_alone(alone);
        let (sender, receiver) = mpsc::sync_channel(1);
        self.inner.check()?;
        let reservation = self.inner.queue.reserve(batch.bytes)?;
        reservation.fill(Job {
            batch,
            refused: None,
            // This cannot fail: the receiver lives until it has received.
            callback: Box::new(move |answer| drop(sender.send(answer))),
        });
        self.inner.wake_writer();
        receiver.recv().unwrap_or(Err(ProjectError::Closed))?;
        Ok(())
    }
}
