//! [`Health`]: whether a project can write.

use parking_lot::Mutex;

/// A change of the health of a project, for [`Project::watch`](crate::Project::watch).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// The project cannot write. It opens its store again by itself. Reported again if that fails for
    /// another reason.
    Failed {
        /// The error of the disk or the store.
        reason: String,
    },
    /// The project can write again.
    Recovered,
    /// Background work failed. Nothing is lost, but reading and opening become slower until a later
    /// round succeeds.
    MaintenanceFailed {
        /// The error.
        reason: String,
    },
}

type Watch = dyn Fn(&Health) + Send + Sync;

/// Why a project cannot write, and who is told.
#[derive(Default)]
pub(crate) struct Failure {
    reason: Mutex<Option<String>>,
    /// What was reported since the project could last write, so that each is reported once.
    reported: Mutex<Vec<Health>>,
    watch: Mutex<Option<Box<Watch>>>,
}

/// The most reports of one failure.
const REPORTS_MAX: usize = 8;

impl Failure {
    /// Why the project cannot write; `None` if it can.
    pub(crate) fn reason(&self) -> Option<String> {
        self.reason.lock().clone()
    }

    pub(crate) fn watch(&self, watch: Box<Watch>) {
        *self.watch.lock() = Some(watch);
    }

    /// Notes that the project cannot write. [`report`](Self::report) it after.
    pub(crate) fn set(&self, reason: &str) {
        *self.reason.lock() = Some(reason.to_owned());
    }

    pub(crate) fn clear(&self) {
        *self.reason.lock() = None;
        self.reported.lock().clear();
    }

    /// Notes that background work has succeeded: its next failure is another one.
    pub(crate) fn maintained(&self) {
        let is_other = |health: &Health| !matches!(health, Health::MaintenanceFailed { .. });
        self.reported.lock().retain(is_other);
    }

    /// Tells whoever watches, unless they know.
    pub(crate) fn report(&self, health: Health) {
        {
            let mut reported = self.reported.lock();
            if reported.contains(&health) || reported.len() >= REPORTS_MAX {
                return;
            }
            if health != Health::Recovered {
                reported.push(health.clone());
            }
        }
        if let Some(watch) = &*self.watch.lock() {
            watch(&health);
        }
    }
}
