//! The claims that count, with the answers that they have now.

use std::collections::HashSet;

use idmerge_core::{Claim, IdentityResolver, Outcome};

use crate::error::StoreError;
use crate::history::History;
use crate::log::entry::What;
use crate::log::index::Index;
use crate::state::State;

impl<R: IdentityResolver> History<R> {
    /// The numbers of the entries that do not count, because they were withdrawn.
    ///
    /// # Errors
    ///
    /// If the log cannot be read.
    pub fn withdrawn(&self) -> Result<HashSet<u64>, StoreError> {
        Index::new(self.log())?.withdrawn()
    }

    /// Calls `visit` with each claim of the log that is not withdrawn, in order, and with the answer that
    /// it has now. If nothing was ever withdrawn, these are the answers in the log. Otherwise other
    /// claims may have other answers than in the log, so all that count are applied to a fresh engine.
    ///
    /// # Errors
    ///
    /// If the log cannot be read.
    pub fn counting_claims(
        &self,
        visit: &mut dyn FnMut(Claim<'_>, Outcome<'_>),
    ) -> Result<(), StoreError> {
        let index = Index::new(self.log())?;
        let is_answered_as_logged = index.retractions()?.is_empty();
        let withdrawn = index.withdrawn()?;
        let mut state = State::new(self.fresh.clone());
        self.entries(1, &mut |entry| {
            match entry.what {
                What::Claim { claim, outcome } if is_answered_as_logged => visit(claim, outcome),
                What::Claim { claim, .. } if !withdrawn.contains(&entry.sequence) => {
                    visit(claim, state.overlay.apply(claim, self.log())?);
                }
                What::Replaced if !is_answered_as_logged => {
                    state.read_base(self.log(), entry.sequence)?;
                }
                What::Claim { .. }
                | What::Erased { .. }
                | What::Replaced
                | What::Retracted { .. } => {}
            }
            Ok(true)
        })
    }
}
