//! [`Tasks`]: the privacy tasks in memory.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;

use super::task::{PrivacyTask, TaskStatus};
use crate::error::ProjectError;

/// A finished task is forgotten after this time. The link of a retrieval ends earlier.
const KEPT_MS: i64 = 90 * 24 * 3_600_000;
/// The most tasks; the oldest that are finished give way.
const TASKS_MAX: usize = 10_000;
/// The most IDs in all tasks together: they are in memory.
const IDS_MAX: usize = 100_000;

/// The privacy tasks in memory. Their rows are in the store, which is closed during an erasure.
#[derive(Default)]
pub(crate) struct Tasks(Mutex<Contents>);

#[derive(Default)]
struct Contents {
    by_id: BTreeMap<String, PrivacyTask>,
    /// Those that are carried out now.
    started: BTreeSet<String>,
}

impl Tasks {
    /// Takes the tasks of a store that was opened.
    pub(crate) fn load(&self, tasks: Vec<PrivacyTask>) {
        let tasks = tasks.into_iter().map(|task| (task.id.clone(), task));
        self.0.lock().by_id = tasks.collect();
    }

    /// All tasks, the oldest first.
    pub(crate) fn all(&self) -> Vec<PrivacyTask> {
        let contents = self.0.lock();
        let mut all: Vec<_> = contents
            .by_id
            .values()
            .map(|it| contents.seen(it))
            .collect();
        all.sort_by(|a, b| (a.requested_ms, &a.id).cmp(&(b.requested_ms, &b.id)));
        all
    }

    pub(crate) fn get(&self, id: &str) -> Option<PrivacyTask> {
        let contents = self.0.lock();
        contents.by_id.get(id).map(|task| contents.seen(task))
    }

    /// How many deletions wait or are carried out.
    pub(crate) fn waiting(&self) -> usize {
        let contents = self.0.lock();
        contents.by_id.values().filter(|task| task.waits()).count()
    }

    /// When the oldest deletion that waits was requested.
    pub(crate) fn oldest_waiting_ms(&self) -> Option<i64> {
        let contents = self.0.lock();
        let waiting = contents.by_id.values().filter(|task| task.waits());
        waiting.map(|task| task.requested_ms).min()
    }

    /// The tasks that are to be removed so that a new one is added.
    pub(crate) fn room_for(&self, task: &PrivacyTask) -> Result<Vec<String>, ProjectError> {
        let contents = self.0.lock();
        let until = task.requested_ms - KEPT_MS;
        let mut finished: Vec<_> = contents
            .by_id
            .values()
            .filter(|task| !task.waits())
            .map(|task| (task.requested_ms, &task.id))
            .collect();
        finished.sort_unstable();
        let surplus = (contents.by_id.len() + 1).saturating_sub(TASKS_MAX);
        let old = finished.iter().take_while(|(ms, _)| *ms < until).count();
        let removed: BTreeSet<_> = finished
            .into_iter()
            .take(old.max(surplus))
            .map(|(_, id)| id.clone())
            .collect();
        let left = contents
            .by_id
            .values()
            .filter(|task| !removed.contains(&task.id));
        let ids: usize = left.map(|task| task.distinct_ids.len()).sum();
        let fits = contents.by_id.len() + 1 - removed.len() <= TASKS_MAX
            && ids + task.distinct_ids.len() <= IDS_MAX;
        match fits {
            true => Ok(removed.into_iter().collect()),
            false => Err(ProjectError::TooManyTasks { max_ids: IDS_MAX }),
        }
    }

    /// Takes note of tasks that were written, and of others that were removed.
    pub(crate) fn written(&self, tasks: &[PrivacyTask], removed: &[String]) {
        let mut contents = self.0.lock();
        for id in removed {
            contents.by_id.remove(id);
        }
        for task in tasks {
            contents.by_id.insert(task.id.clone(), task.clone());
        }
    }

    /// Starts the deletions that were requested until this time. Returns them.
    pub(crate) fn start(&self, until_ms: i64) -> Vec<PrivacyTask> {
        let mut contents = self.0.lock();
        let is_due = |task: &&PrivacyTask| task.waits() && task.requested_ms <= until_ms;
        let due: Vec<_> = contents.by_id.values().filter(is_due).cloned().collect();
        contents.started = due.iter().map(|task| task.id.clone()).collect();
        due
    }

    /// Ends what was started. Those that are not done wait again.
    pub(crate) fn stop(&self) {
        self.0.lock().started.clear();
    }
}

impl Contents {
    /// The task with the status of this moment.
    fn seen(&self, task: &PrivacyTask) -> PrivacyTask {
        let mut task = task.clone();
        if task.waits() && self.started.contains(&task.id) {
            task.status = TaskStatus::Started;
        }
        task
    }
}
