//! Carries out what needs a commit of its own, on the thread that writes.

use idmerge_engines::Settings;
use idmerge_store::{Cause, StoreError};

use crate::error::ProjectError;
use crate::open::revision;
use crate::open::state::State;
use crate::options::Options;
use crate::write::alone::Alone;
use crate::write::withdrawal::Withdrawal;

/// Carries it out, and commits it. Returns the number of the last entry of the log.
pub(crate) fn carry_out(
    alone: &Alone,
    state: &State,
    settings: &Settings,
    options: &Options,
) -> Result<u64, ProjectError> {
    match alone {
        Alone::Withdrawal(withdrawal) => withdraw(withdrawal, state, settings, options),
        Alone::Rows(rows) => {
            let committed = state
                .store
                .read()
                .commit_with(|write| (rows.write)(write))?;
            (rows.committed)();
            Ok(committed)
        }
    }
}

/// Commits a retraction, and then moves the profiles. After a crash or an error in between, the next opening
/// moves them.
fn withdraw(
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
