//! Adding, cancelling and reading privacy tasks.

use std::sync::Arc;

use super::table;
use super::task::{PrivacyTask, TaskStatus};
use crate::error::ProjectError;
use crate::project::Project;
use crate::write::alone::{Alone, RowChange};

impl Project {
    /// Adds a task. It is durable when this returns.
    ///
    /// # Errors
    ///
    /// [`ProjectError::InvalidId`] if a text is not an ID under the rules of the project,
    /// [`ProjectError::TooManyTasks`], and those of [`submit`](Self::submit).
    pub fn add_privacy_task(&self, task: PrivacyTask) -> Result<(), ProjectError> {
        for id in &task.distinct_ids {
            self.inner.settings.read_id(id)?;
        }
        let removed = self.inner.tasks.room_for(&task)?;
        self.write_privacy_tasks(vec![task], removed)
    }

    /// Cancels a deletion that waits, or a retrieval. Returns the status of the task from now on: another one than
    /// [`TaskStatus::Revoked`] if it is too late. `None` if there is no such task.
    ///
    /// # Errors
    ///
    /// Those of [`submit`](Self::submit).
    pub fn cancel_privacy_task(&self, id: &str) -> Result<Option<TaskStatus>, ProjectError> {
        let Some(mut task) = self.inner.tasks.get(id) else {
            return Ok(None);
        };
        let is_open = match task.status {
            TaskStatus::Pending => true,
            TaskStatus::Success => task.key.is_some(),
            _ => false,
        };
        if is_open {
            task.revoke();
            self.write_privacy_tasks(vec![task.clone()], Vec::new())?;
        }
        Ok(Some(task.status))
    }

    /// The task with this ID. This works during an erasure as well.
    pub fn privacy_task(&self, id: &str) -> Option<PrivacyTask> {
        self.inner.tasks.get(id)
    }

    /// All tasks that are kept, the oldest first: those that wait, and those of the last 90 days. This works during an
    /// erasure as well.
    pub fn privacy_tasks(&self) -> Vec<PrivacyTask> {
        self.inner.tasks.all()
    }

    /// When the oldest deletion that waits was requested, in milliseconds since 1970.
    pub fn oldest_deletion_ms(&self) -> Option<i64> {
        self.inner.tasks.oldest_waiting_ms()
    }

    pub(crate) fn write_privacy_tasks(
        &self,
        tasks: Vec<PrivacyTask>,
        removed: Vec<String>,
    ) -> Result<(), ProjectError> {
        let bytes = tasks.iter().map(|task| task.to_row().len()).sum();
        let inner = Arc::downgrade(&self.inner);
        let rows = Arc::new((tasks, removed));
        let written = rows.clone();
        self.carry_out_alone(Alone::Rows(RowChange {
            bytes,
            write: Box::new(move |write| table::write(write, &rows.0, &rows.1)),
            // On the thread that writes, so that no erasure comes in between.
            committed: Box::new(move || {
                if let Some(inner) = inner.upgrade() {
                    inner.tasks.written(&written.0, &written.1);
                }
            }),
        }))
    }
}
