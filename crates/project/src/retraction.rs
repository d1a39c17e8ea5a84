//! Withdrawing claims while the project is open.

use std::sync::Arc;

use idmerge_engines::Engine;
use idmerge_store::{History, MayGoOn, Retraction};
use parking_lot::Mutex;

use crate::error::ProjectError;
use crate::project::Project;
use crate::write::alone::Alone;
use crate::write::withdrawal::{RetractionTarget, Withdrawal};

/// The most entries that a retraction folds again. Batches wait meanwhile.
const CONNECTED_MAX: u64 = 20_000;

impl Project {
    /// The committed log of claims at this moment, for questions that hold nothing up.
    ///
    /// # Errors
    ///
    /// Any error of the disk.
    pub fn history(&self) -> Result<History<Engine>, ProjectError> {
        Ok(self.inner.state()?.store.read().history()?)
    }

    /// What [`retract`](Self::retract) would answer, without changing anything. It holds up no batch, and ends soon after
    /// `may_go_on` has returned `false`.
    ///
    /// # Errors
    ///
    /// [`ProjectError::Cancelled`], and those of [`retract`](Self::retract).
    pub fn preview_retraction_while(
        &self,
        target: &RetractionTarget,
        may_go_on: MayGoOn,
    ) -> Result<Retraction, ProjectError> {
        let target = target.read(&self.inner.settings)?;
        let history = self.history()?.only_while(may_go_on);
        Ok(history.preview(target, CONNECTED_MAX)?)
    }

    /// Withdraws claims, as [`idmerge_store::Durable::withdraw`] does, and moves the profiles of the users that change.
    /// It waits in the queue like a batch, and is durable when this returns.
    ///
    /// # Errors
    ///
    /// [`ProjectError::InvalidId`]; the errors of [`idmerge_store::Durable::withdraw`] that the target is to blame for, and
    /// [`idmerge_store::StoreError::TooManyConnected`]: nothing has changed then. And those of
    /// [`submit`](Self::submit).
    pub fn retract(
        &self,
        target: RetractionTarget,
        who: &str,
        why: &str,
    ) -> Result<Retraction, ProjectError> {
        self.retract_while(target, who, why, Arc::new(|| true))
    }

    /// As [`retract`](Self::retract), but changes nothing if `may_go_on` returns `false` before the turn of the
    /// retraction has come.
    ///
    /// # Errors
    ///
    /// [`ProjectError::Cancelled`], and those of [`retract`](Self::retract).
    pub fn retract_while(
        &self,
        target: RetractionTarget,
        who: &str,
        why: &str,
        may_go_on: MayGoOn,
    ) -> Result<Retraction, ProjectError> {
        // This also refuses what would take long, before anything waits for it.
        let preview = self.preview_retraction_while(&target, may_go_on.clone())?;
        if !preview.is_new {
            return Ok(preview);
        }
        let withdrawal = Arc::new(Withdrawal {
            target,
            who: who.to_owned(),
            why: why.to_owned(),
            may_go_on,
            result: Mutex::default(),
        });
        self.carry_out_alone(Alone::Withdrawal(withdrawal.clone()))?;
        let result = withdrawal.result.lock().take();
        // Only a commit that failed and is on the disk all the same gives none.
        let failed = || ProjectError::Failed {
            reason: "the retraction may be durable; the log says whether it is".to_owned(),
        };
        Ok(result.ok_or_else(failed)??)
    }
}
