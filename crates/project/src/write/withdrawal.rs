//! A retraction that waits in the queue, in the place of a batch.

use idmerge_core::DistinctId;
use idmerge_engines::Settings;
use idmerge_store::{MayGoOn, Retraction, StoreError, Target};
use parking_lot::Mutex;

use crate::error::ProjectError;

/// What to withdraw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetractionTarget {
    /// The claim of the entry with this number, or the retraction that the entry is.
    Entry(u64),
    /// Every claim that names the ID with this text.
    Named(String),
}

impl RetractionTarget {
    pub(crate) fn read<'t>(&'t self, settings: &Settings) -> Result<Target<'t>, ProjectError> {
        Ok(match self {
            Self::Entry(sequence) => Target::Entry(*sequence),
            Self::Named(id) => {
                let id: DistinctId<'t> = settings.read_id(id)?;
                Target::Named(id)
            }
        })
    }
}

/// A retraction that waits in the queue.
pub(crate) struct Withdrawal {
    pub(crate) target: RetractionTarget,
    pub(crate) who: String,
    pub(crate) why: String,
    /// Whether somebody still waits for it. If not, it is abandoned.
    pub(crate) may_go_on: MayGoOn,
    /// What the store answered.
    pub(crate) result: Mutex<Option<Result<Retraction, StoreError>>>,
}

impl Withdrawal {
    pub(crate) fn bytes(&self) -> usize {
        self.who.len() + self.why.len()
    }
}
