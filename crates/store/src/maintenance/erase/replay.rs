//! Writes the log of a store anew, as if the erased IDs had never been named.

use idmerge_core::IdentityResolver;
use redb::ReadableDatabase;

use super::named::NamedIds;
use super::{GoOn, go_on};
use crate::durable::Durable;
use crate::error::StoreError;
use crate::log::Log;
use crate::log::entry::{Entry, What};
use crate::state::verdict;

/// A commit after this many entries: they are in memory until then.
const ENTRIES_PER_COMMIT: u64 = 1 << 14;

impl<R: IdentityResolver> Durable<R> {
    /// Gives an empty store the entries of another log, each under its number. Those that name an erased ID are left
    /// without it (E-3). The others are weighed again: the answers and the state are those of a store that was
    /// given all other events (E-5). Returns how many entries named an erased ID.
    pub(super) fn replay(
        &mut self,
        log: Log<'_>,
        named: &NamedIds,
        may_go_on: &GoOn<'_>,
    ) -> Result<u64, StoreError> {
        let mut rewritten = 0;
        log.each_entry(1, &mut |entry| {
            let sequence = entry.sequence;
            if sequence.is_multiple_of(ENTRIES_PER_COMMIT) {
                self.commit()?;
                // A retraction looks entries up.
                self.index()?;
                go_on(may_go_on, "log", sequence, log.until)?;
            }
            rewritten += u64::from(self.replay_entry(&entry, named)?);
            Ok(true)
        })?;
        self.commit()?;
        self.index()?;
        go_on(may_go_on, "log", log.until, log.until)?;
        Ok(rewritten)
    }

    /// Returns whether the entry named an erased ID.
    fn replay_entry(&mut self, entry: &Entry<'_>, named: &NamedIds) -> Result<bool, StoreError> {
        let tail = self.commits.tail_mut();
        match entry.what {
            What::Claim { claim, outcome } if named.has_named(claim) => {
                let answer = verdict(outcome).ok_or(StoreError::UnknownClaim)?;
                tail.erased(claim.kind(), answer)?;
                return Ok(true);
            }
            What::Claim { claim, .. } => {
                let read;
                let outcome = if self.state.overlay.whole().is_some() {
                    // Borrow again: the borrow checker would extend the first borrow to the end of the function.
                    let engine = self.state.overlay.whole_mut().ok_or(StoreError::Failed)?;
                    engine.apply(claim)?
                } else {
                    read = self.database.begin_read()?;
                    self.state.apply(claim, Log::with_tail(&read, tail))?
                };
                self.seen_claims.is_news(claim, outcome, entry.sequence);
                tail.claim(claim, outcome, entry.cause)?;
            }
            What::Erased { kind, answer } => tail.erased(kind, answer)?,
            // The caller has refused such a store.
            What::Replaced => {
                return Err(StoreError::NotFromClaims {
                    sequence: entry.sequence,
                });
            }
            What::Retracted {
                retracted,
                detached,
                who,
                why,
            } => {
                let detached = detached.filter(|id| !named.has(*id));
                let texts = [who, why].map(|text| if named.is_in(text) { "" } else { text });
                tail.retracted(retracted, detached, texts, entry.cause);
                let entries = retracted.iter().collect();
                let read = self.database.begin_read()?;
                let log = Log::with_tail(&read, tail);
                self.state.withdraw(&entries, log)?;
                self.seen_claims.withdraw_entries(&entries, log)?;
            }
        }
        Ok(false)
    }
}
