//! Erasing people while the project is open (E-1 to E-6).

use std::time::Duration;

use idmerge_core::DistinctIdBuf;
use idmerge_store::{ErasedEvents, Erasure, ErasureProgress, ErasureReceipt, StoreError};

use super::pause::Phase;
use super::task::{PrivacyTask, TaskStatus};
use crate::error::ProjectError;
use crate::inner::Inner;
use crate::project::Project;

/// How long queries that read from the store may take to end.
const READERS_TIMEOUT: Duration = Duration::from_secs(60);
/// How long to wait before the store is tried again.
const READERS_DELAY: Duration = Duration::from_millis(20);

impl Project {
    /// Carries out the deletions that were requested until this time, in one erasure. `None` if there are none. The
    /// `key` is that of [`Erasure::key`].
    ///
    /// The store is written anew meanwhile: batches get [`ProjectError::Erasing`], and queries still find who is erased.
    /// Then it is closed, renamed and opened, and queries get that error too. A batch that is begun is written before.
    /// [`privacy_task`](Self::privacy_task) always answers. After a crash everything or nothing is erased, and the tasks
    /// say so.
    ///
    /// # Errors
    ///
    /// Nothing is erased then. [`StoreError::NotFromClaims`] and [`StoreError::NotErasable`]: the tasks have failed for
    /// good. After other errors they wait, and this can be called again: [`StoreError::InUse`] if a query reads from
    /// the store for more than a minute, [`ProjectError::Closed`], [`ProjectError::Failed`] if the project cannot write
    /// now, and any error of the disk.
    pub fn erase_waiting(
        &self,
        until_ms: i64,
        key: [u8; 32],
    ) -> Result<Option<ErasureReceipt>, ProjectError> {
        let inner = &self.inner;
        inner.check()?;
        if (inner.tasks.oldest_waiting_ms()).is_none_or(|oldest| oldest > until_ms) {
            return Ok(None);
        }
        if !inner.pause.begin() {
            return Err(ProjectError::Erasing);
        }
        let paused = Paused(inner);
        inner.wake_writer();
        match inner.pause.wait_while(Phase::Wanted)? {
            Phase::Held => {}
            // The writer has failed before.
            _ => return Err(inner.check().err().unwrap_or(ProjectError::Erasing)),
        }
        let due = inner.tasks.start(until_ms);
        let erased = inner.erase(&due, key);
        drop(paused);
        inner.pause.wait_while(Phase::Ending)?;
        match &erased {
            Ok(None) => {}
            Ok(Some(receipt)) => self.note_receipt(&due, receipt),
            Err(error) => self.note_failure(due, error),
        }
        erased
    }

    /// Keeps the receipt with the tasks. They are done, also if this fails.
    fn note_receipt(&self, due: &[PrivacyTask], receipt: &ErasureReceipt) {
        let receipt = serde_json::to_string(receipt).ok();
        let done = due.iter().filter_map(|task| self.privacy_task(&task.id));
        let done: Vec<_> = done
            .map(|task| PrivacyTask {
                receipt: receipt.clone(),
                ..task
            })
            .collect();
        drop(self.write_privacy_tasks(done, Vec::new()));
    }

    /// If the store can never be erased from, the tasks have failed.
    fn note_failure(&self, mut due: Vec<PrivacyTask>, error: &ProjectError) {
        let is_for_ever = matches!(
            error,
            ProjectError::Store(StoreError::NotFromClaims { .. } | StoreError::NotErasable { .. })
        );
        if is_for_ever {
            for task in &mut due {
                task.status = TaskStatus::Failure;
                task.error = Some(error.reason());
            }
            drop(self.write_privacy_tasks(due, Vec::new()));
        }
    }
}

/// Lets the project go on when it is dropped.
struct Paused<'p>(&'p Inner);

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        self.0.tasks.stop();
        if self.0.pause.is_on() {
            self.0.pause.resume();
            self.0.wake_writer();
        }
    }
}

impl Inner {
    fn erase(
        &self,
        due: &[PrivacyTask],
        key: [u8; 32],
    ) -> Result<Option<ErasureReceipt>, ProjectError> {
        let mut ids: Vec<DistinctIdBuf> = Vec::new();
        for id in due.iter().flat_map(|task| &task.distinct_ids) {
            ids.push(self.settings.read_id(id)?.to_buf());
        }
        if ids.is_empty() {
            // They were cancelled meanwhile.
            return Ok(None);
        }
        let erasure = Erasure {
            ids,
            until_ms: None,
            events: ErasedEvents::Erased,
            key,
            dry_run: false,
        };
        let receipt = self.write_anew(&erasure)?;
        let replaced = self.close_store().and_then(|()| self.replace());
        let older_files = replaced.inspect_err(|_| self.open.lock().discard_erasure())?;
        let mut counters = self.counters.lock();
        counters.erasures += 1;
        counters.ids_erased += receipt.ids_erased;
        Ok(Some(ErasureReceipt {
            older_files,
            ..receipt
        }))
    }

    /// Writes what the store is to be to another file. Queries go on.
    fn write_anew(&self, erasure: &Erasure) -> Result<ErasureReceipt, ProjectError> {
        let go_on = |_: ErasureProgress| !self.pause.is_closing() && self.failed().is_none();
        let state = self.state()?;
        let store = state.store.read();
        match self.open.lock().begin_erasure(&store, erasure, &go_on) {
            Err(StoreError::Cancelled) => Err(self.failed_or_closed()),
            written => Ok(written?),
        }
    }

    /// Has the writer close the store.
    fn close_store(&self) -> Result<(), ProjectError> {
        self.pause.close_store();
        self.wake_writer();
        match self.pause.wait_while(Phase::Closing)? {
            Phase::Closed => Ok(()),
            _ => Err(self.failed_or_closed()),
        }
    }

    fn failed_or_closed(&self) -> ProjectError {
        self.failed().unwrap_or(ProjectError::Closed)
    }

    /// Puts the other file in the place of the store, once no query reads from it.
    fn replace(&self) -> Result<Vec<String>, ProjectError> {
        let mut waited = Duration::ZERO;
        loop {
            match self.open.lock().finish_erasure() {
                Err(StoreError::InUse) if waited < READERS_TIMEOUT => {}
                replaced => return Ok(replaced?),
            }
            if self.pause.is_closing() {
                return Err(ProjectError::Closed);
            }
            self.pause.wait(READERS_DELAY);
            waited += READERS_DELAY;
        }
    }
}
