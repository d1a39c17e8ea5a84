//! Carries a retraction out, on the thread that writes.

use idmerge_engines::Settings;
use idmerge_store::{Cause, StoreError};

use crate::error::ProjectError;
use crate::open::revision;
use crate::open::state::State;
use crate::options::Options;
use crate::write::withdrawal::Withdrawal;

/// Carries the retraction out, commits it, and then moves the profiles. After a crash or an error in
/// between, the next opening moves them.
pub(crate) fn carry_out(
    withdrawal: &Withdrawal,
    state: &State,
    settings: &Settings,
    options: &Options,
) -> Result<u64, ProjectError> {
    if !(withdrawal.may_go_on)() {
        *withdrawal.result.lock() = Some(Err(StoreError::Cancelled));
        return Ok(state.store.read().committed());
    }
    let cause = Cause {
        source: Some("/v1/retract"),
        ..Cause::default()
    };
    let target = withdrawal.target.read(settings)?;
    let withdrawn = state
        .store
        .write(|store| store.withdraw(target, &withdrawal.who, &withdrawal.why, cause));
    let store = state.store.read();
    let committed = store.committed();
    let retraction = match withdrawn {
        Ok(retraction) => retraction,
        // The target is wrong by now: another retraction came first. Nothing has changed.
        Err(
            error @ (StoreError::NoSuchEntry { .. }
            | StoreError::NotRetractable { .. }
            | StoreError::NotFromClaims { .. }
            | StoreError::NotNamed { .. }),
        ) => {
            *withdrawal.result.lock() = Some(Err(error));
            return Ok(committed);
        }
        Err(error) => return Err(error.into()),
    };
    // It is durable, also if the profiles cannot be moved.
    *withdrawal.result.lock() = Some(Ok(retraction.clone()));
    if retraction.is_new {
        revision::adapt_changed(&store, retraction.changes(), options)?;
        state.near_cap.revised(&*store, retraction.changes());
    }
    Ok(committed)
}
