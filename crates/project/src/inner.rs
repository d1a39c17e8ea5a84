//! [`Inner`]: what all threads of a project share.

use std::sync::{Arc, OnceLock, Weak};

use idmerge_engines::Settings;
use parking_lot::{Mutex, RwLock};

use crate::error::ProjectError;
use crate::figures::Figures;
use crate::open::clock::Clock;
use crate::open::state::State;
use crate::options::Options;
use crate::workers::Task;
use crate::write::queue::Queue;

/// What all threads of a project share.
pub(crate) struct Inner {
    /// Reading events needs no lock: it depends on the settings alone.
    pub(crate) settings: Settings,
    pub(crate) options: Options,
    pub(crate) clock: Box<dyn Clock>,
    state: RwLock<Arc<State>>,
    pub(crate) queue: Queue,
    /// The task that takes batches from the queue.
    pub(crate) writer: OnceLock<Weak<Task>>,
    /// Counters since the project was opened.
    pub(crate) counters: Mutex<Figures>,
    /// Why the project cannot write any more.
    pub(crate) failure: Mutex<Option<String>>,
}

impl Inner {
    pub(crate) fn new(
        state: Arc<State>,
        settings: Settings,
        options: Options,
        clock: Box<dyn Clock>,
    ) -> Self {
        Self {
            queue: Queue::new(&options),
            writer: OnceLock::new(),
            settings,
            options,
            clock,
            state: RwLock::new(state),
            counters: Mutex::default(),
            failure: Mutex::default(),
        }
    }

    /// The open store and its indexes. Ask for it again after each wait.
    #[expect(
        clippy::unnecessary_wraps,
        reason = "there is no state while a store is opened again"
    )]
    pub(crate) fn state(&self) -> Result<Arc<State>, ProjectError> {
        Ok(self.state.read().clone())
    }

    /// Gives the writer a turn.
    pub(crate) fn wake_writer(&self) {
        if let Some(writer) = self.writer.get().and_then(Weak::upgrade) {
            writer.wake();
        }
    }

    /// Fails if the project cannot write any more.
    pub(crate) fn check(&self) -> Result<(), ProjectError> {
        match &*self.failure.lock() {
            None => Ok(()),
            Some(reason) => Err(ProjectError::Failed {
                reason: reason.clone(),
            }),
        }
    }

    /// The counters, with the gauges read now.
    pub(crate) fn figures(&self) -> Figures {
        let mut figures = self.counters.lock().clone();
        (figures.queue_batches, figures.queue_bytes) = self.queue.size();
        if let Ok(state) = self.state() {
            let directory = state.directory.read();
            figures.events_total = directory.last() - directory.replaced;
            drop(directory);
            figures.sequence = state.store.read().committed();
            figures.clusters_near_cap = state.near_cap.clusters();
        }
        figures.failure = self.failure.lock().clone();
        figures
    }
}
