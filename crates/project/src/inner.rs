//! [`Inner`]: the state that all threads of a project share.

use idmerge_engines::{Engine, Settings};
use idmerge_shared::Shared;
use idmerge_store::Durable;
use parking_lot::{Mutex, RwLock};

use crate::archive::directory::Directory;
use crate::error::ProjectError;
use crate::figures::Figures;
use crate::options::Options;
use crate::write::maintenance::Requests;
use crate::write::near_cap::NearCap;
use crate::write::queue::Queue;

/// The state that all threads of a project share.
pub(crate) struct Inner {
    /// Reading events needs no lock: it depends on the settings alone.
    pub(crate) settings: Settings,
    pub(crate) options: Options,
    pub(crate) store: Shared<Durable<Engine>>,
    /// The committed blocks. Look here first and open a database transaction afterwards: then every
    /// block found here is in the transaction.
    pub(crate) directory: RwLock<Directory>,
    pub(crate) queue: Queue,
    pub(crate) maintenance: Requests,
    pub(crate) near_cap: NearCap,
    /// Counters since the project was opened.
    pub(crate) counters: Mutex<Figures>,
    /// Why the project cannot write any more.
    pub(crate) failure: Mutex<Option<String>>,
}

impl Inner {
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
        figures.events_total = {
            let directory = self.directory.read();
            directory.last() - directory.replaced
        };
        figures.sequence = self.store.read().committed();
        figures.clusters_near_cap = self.near_cap.clusters();
        figures.failure = self.failure.lock().clone();
        figures
    }
}
