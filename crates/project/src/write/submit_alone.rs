//! Waits for what is carried out in a commit of its own.

use std::sync::mpsc;

use crate::error::ProjectError;
use crate::project::Project;
use crate::write::alone::Alone;
use crate::write::prepare::PreparedBatch;
use crate::write::queue::Job;

impl Project {
    /// Puts `alone` into the queue, and waits until it is carried out and durable.
    pub(crate) fn carry_out_alone(&self, alone: Alone) -> Result<(), ProjectError> {
        let batch = PreparedBatch::of_alone(alone);
        let (sender, receiver) = mpsc::sync_channel(1);
        let erasures = self.inner.pause.begun();
        self.inner.check()?;
        let reservation = self.inner.queue.reserve(batch.bytes)?;
        reservation.fill(Job {
            batch,
            erasures,
            refused: None,
            // This cannot fail: the receiver lives until it has received.
            callback: Box::new(move |answer| drop(sender.send(answer))),
        });
        self.inner.wake_writer();
        receiver.recv().unwrap_or(Err(ProjectError::Closed))?;
        Ok(())
    }
}
