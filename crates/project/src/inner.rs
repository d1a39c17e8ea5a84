//! [`Inner`]: what all threads of a project share.

use std::ptr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock, Weak};

use idmerge_core::Resolve;
use idmerge_engines::Settings;
use parking_lot::{Mutex, RwLock};

use crate::error::ProjectError;
use crate::figures::Figures;
use crate::open::clock::Clock;
use crate::open::health::{Failure, Health};
use crate::open::state::State;
use crate::open::store::MakeScratch;
use crate::open::store::Opener;
use crate::options::Options;
use crate::privacy::pause::Pause;
use crate::privacy::table;
use crate::privacy::tasks::Tasks;
#[cfg(test)]
use crate::simulation::hooks::{Mistake, makes};
use crate::workers::Task;
use crate::write::queue::Queue;

/// Called after a commit with new events.
pub(crate) type EventsWatch = Box<dyn Fn() + Send + Sync>;

/// What all threads of a project share.
pub(crate) struct Inner {
    /// Reading events needs no lock: it depends on the settings alone.
    pub(crate) settings: Settings,
    pub(crate) options: Options,
    pub(crate) clock: Box<dyn Clock>,
    pub(crate) scratch: MakeScratch,
    pub(crate) open: Opener,
    /// `None` from a failure until the store is open again, and during an erasure.
    state: RwLock<Option<Arc<State>>>,
    pub(crate) queue: Queue,
    /// The task that takes batches from the queue.
    pub(crate) writer: OnceLock<Weak<Task>>,
    /// Counters since the project was opened.
    pub(crate) counters: Mutex<Figures>,
    pub(crate) failure: Failure,
    /// Closes the store for an erasure.
    pub(crate) pause: Pause,
    pub(crate) tasks: Tasks,
    /// Called after a commit with new events.
    pub(crate) events_watch: RwLock<Option<EventsWatch>>,
    /// Whether the project is closing, so that no background work is worth its time.
    pub(crate) is_closing: AtomicBool,
}

impl Inner {
    pub(crate) fn new(
        state: Arc<State>,
        settings: Settings,
        options: Options,
        clock: Box<dyn Clock>,
        open: Opener,
    ) -> Self {
        let scratch = open.lock().scratch();
        Self {
            queue: Queue::new(&options),
            writer: OnceLock::new(),
            settings,
            options,
            clock,
            scratch,
            open,
            state: RwLock::new(Some(state)),
            counters: Mutex::default(),
            failure: Failure::default(),
            pause: Pause::default(),
            tasks: Tasks::default(),
            events_watch: RwLock::default(),
            is_closing: AtomicBool::new(false),
        }
    }

    /// The open store and its indexes.
    ///
    /// # Errors
    ///
    /// [`ProjectError::Failed`] from a failure until the store is open again, and [`ProjectError::Erasing`] during an
    /// erasure.
    pub(crate) fn state(&self) -> Result<Arc<State>, ProjectError> {
        let state = self.state.read().clone();
        state.ok_or_else(|| self.check().err().unwrap_or_else(reopened))
    }

    /// Gives the writer a turn.
    pub(crate) fn wake_writer(&self) {
        if let Some(writer) = self.writer.get().and_then(Weak::upgrade) {
            writer.wake();
        }
    }

    /// The state if it is still the same. A query that waits for its client between two uses must not
    /// hold the state meanwhile: the file could not be closed and opened again.
    pub(crate) fn same_state(&self, earlier: &Weak<State>) -> Result<Arc<State>, ProjectError> {
        let state = self.state()?;
        match ptr::eq(Arc::as_ptr(&state), earlier.as_ptr()) {
            true => Ok(state),
            false => Err(reopened()),
        }
    }

    /// Lets queries use a state, although batches may not be written yet.
    pub(crate) fn publish(&self, state: &Arc<State>) {
        *self.state.write() = Some(state.clone());
    }

    /// Hides the state from new readers. The store is closed when the last reader is done.
    pub(crate) fn unpublish(&self) {
        *self.state.write() = None;
    }

    /// Takes the privacy tasks of a store that was opened.
    pub(crate) fn load_tasks(&self, state: &State) -> Result<(), ProjectError> {
        #[cfg(test)]
        if makes(Mistake::ForgetsTasks) && self.tasks.all().is_empty() {
            return Ok(());
        }
        let read = state.store.read().begin_read()?;
        self.tasks.load(table::read(&read)?);
        Ok(())
    }

    /// Notes that a state has failed: what is in memory may differ from what is on the disk, so nothing
    /// shows it any more.
    pub(crate) fn fail(&self, state: &Arc<State>, reason: String) {
        {
            let mut current = self.state.write();
            if !(current.as_ref()).is_some_and(|current| Arc::ptr_eq(current, state)) {
                return;
            }
            self.failure.set(&reason);
            *current = None;
        }
        self.wake_writer();
        self.failure.report(Health::Failed { reason });
    }

    /// Notes that background work has failed, and that the project goes on.
    pub(crate) fn maintenance_failed(&self, reason: String) {
        self.counters.lock().maintenance_failures += 1;
        self.failure.report(Health::MaintenanceFailed { reason });
    }

    /// Notes why the project still cannot write.
    pub(crate) fn still_fails(&self, reason: String) {
        self.failure.set(&reason);
        self.failure.report(Health::Failed { reason });
    }

    /// Notes that the project can write again.
    pub(crate) fn recovered(&self) {
        self.counters.lock().recoveries += 1;
        self.failure.clear();
        self.failure.report(Health::Recovered);
    }

    /// Fails if the project cannot write.
    pub(crate) fn check(&self) -> Result<(), ProjectError> {
        if self.pause.is_on() {
            return Err(ProjectError::Erasing);
        }
        self.failed().map_or(Ok(()), Err)
    }

    /// Why the project cannot write. `None` if it can.
    pub(crate) fn failed(&self) -> Option<ProjectError> {
        let reason = self.failure.reason()?;
        Some(ProjectError::Failed { reason })
    }

    /// The counters, with the gauges read now. While there is no state, those of the last call.
    pub(crate) fn figures(&self) -> Figures {
        let mut figures = self.counters.lock().clone();
        (figures.queue_batches, figures.queue_bytes) = self.queue.size();
        if let Ok(state) = self.state() {
            let directory = state.directory.read();
            figures.events_total = directory.last() - directory.replaced;
            drop(directory);
            figures.sequence = state.store.read().committed();
            figures.clusters_near_cap = state.near_cap.clusters();
            figures.ids = state.store.read().clustered_ids();
            let mut last = self.counters.lock();
            last.events_total = figures.events_total;
            last.sequence = figures.sequence;
            last.clusters_near_cap = figures.clusters_near_cap;
            last.ids = figures.ids;
        }
        figures.max_ids = self.options.max_ids;
        figures.deletions_waiting = self.tasks.waiting();
        figures.is_erasing = self.pause.is_on();
        figures.failure = self.failure.reason();
        figures
    }
}

fn reopened() -> ProjectError {
    ProjectError::Failed {
        reason: "its store was opened again after an error".to_owned(),
    }
}
