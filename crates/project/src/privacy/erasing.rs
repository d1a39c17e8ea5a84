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
    /// The store is closed meanwhile, which takes as long as writing it anew: batches and queries get
    /// [`ProjectError::Erasing`], and [`privacy_task`](Self::privacy_task) still answers. A batch that is begun is
    /// written before. After a crash everything or nothing is erased, and the tasks say so.
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
            Phase::Closed => {}
            // The writer has failed before it could close the store.
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

/// Opens the store again when it is dropped.
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
        let mut waited = Duration::ZERO;
        loop {
            let go_on = |_: ErasureProgress| !self.pause.is_closing();
            match self.open.lock().erase(&erasure, &go_on) {
                Err(StoreError::InUse) if waited < READERS_TIMEOUT => {}
                Err(StoreError::Cancelled) => return Err(ProjectError::Closed),
                erased => {
                    let receipt = erased?;
                    let mut counters = self.counters.lock();
                    counters.erasures += 1;
                    counters.ids_erased += receipt.ids_erased;
                    return Ok(Some(receipt));
                }
            }
            if self.pause.is_closing() {
                return Err(ProjectError::Closed);
            }
            self.pause.wait(READERS_DELAY);
            waited += READERS_DELAY;
        }
    }
}
