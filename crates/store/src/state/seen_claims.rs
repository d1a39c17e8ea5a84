//! Decides which claims need no entry, because every state of the log is the same without it (LG-1).

mod components;
mod form;

use std::collections::{BTreeSet, HashMap, HashSet};

use idmerge_core::{Claim, Id, Outcome, Resolve, RuleBook};
use idmerge_disk::row;

use self::components::Components;
pub(crate) use self::form::Head;
use crate::error::StoreError;
use crate::log::Log;
use crate::log::codec;
use crate::log::entry::{Entry, What};

/// The claims that have an entry, as fingerprints of 128 bits, and what decides whether a repeat of
/// one needs another entry. All of it follows from the log.
///
/// A claim may have no entry if it changes nothing in **any** fold of the log: whichever claims are
/// withdrawn, now or later. A repeat changes nothing, with one exception (`docs/store.md` has the
/// reasons): an `$identify` that O-11 rejects is accepted once other claims have joined its IDs, and
/// then marks its identified ID (O-13). For that,
///
/// - another identified ID must be connected with it by attempted claims: the one that O-11 found;
/// - a claim must have joined its IDs since it last came, which a claim only does the first time.
///
/// So `$identify` needs another entry if its component has several identified IDs and an entry of a
/// claim that was new, after the last entry of this claim. Of an unknown rule book only the laws 2
/// and 9 are known: there every repeat needs an entry if its component has another one since.
#[derive(Debug)]
pub(crate) struct SeenClaims {
    /// The rule book of the engine.
    rule_book: RuleBook,
    /// The claims that have an entry which no retraction followed, and the IDs that an `$identify`
    /// named as identified. Links that Simplified accepted are left out: the engine knows them.
    fingerprints: HashSet<u128>,
    /// The last entries of the claims that may need an entry again.
    last_entries: HashMap<u128, u64>,
    components: Components,
    /// The links of Simplified that were withdrawn and did not come again. Each counts as new, also
    /// if its retraction is withdrawn.
    withdrawn_links: HashSet<u128>,
    /// A buffer for the bytes to hash.
    scratch: Vec<u8>,
}

/// The first of the hashed bytes if an ID was named as identified. The codes of kinds are smaller.
const IDENTIFIED: u8 = 32;

impl SeenClaims {
    pub(crate) fn new(rule_book: RuleBook) -> Self {
        Self {
            rule_book,
            fingerprints: HashSet::new(),
            last_entries: HashMap::new(),
            components: Components::default(),
            withdrawn_links: HashSet::new(),
            scratch: Vec::new(),
        }
    }

    /// Whether the log needs an entry for a claim. If so, `next` is its number, and the claim is
    /// remembered.
    #[inline]
    pub(crate) fn is_news(&mut self, claim: Claim<'_>, outcome: Outcome<'_>, next: u64) -> bool {
        // The common case: the engine knows whether it has seen the link.
        if self.withdrawn_links.is_empty() && self.is_known_by_state(claim, outcome) {
            return outcome == Outcome::Merged;
        }
        let Some(fingerprint) = self.of_claim(claim) else {
            // The log refuses a claim of a kind that it does not have.
            return true;
        };
        if self.withdrawn_links.remove(&fingerprint) {
            self.fingerprints.insert(fingerprint);
            return true;
        }
        if self.is_known_by_state(claim, outcome) {
            return outcome == Outcome::Merged;
        }
        self.remember(claim, fingerprint, next)
    }

    /// Whether a claim is a link that Simplified accepts: this claim and no other has linked the
    /// device.
    fn is_known_by_state(&self, claim: Claim<'_>, outcome: Outcome<'_>) -> bool {
        self.rule_book == RuleBook::Simplified
            && matches!(claim, Claim::Link { .. })
            && matches!(outcome, Outcome::Merged | Outcome::AlreadyMerged)
    }

    /// Remembers a claim, and returns whether it is new or may change a state again.
    fn remember(&mut self, claim: Claim<'_>, fingerprint: u128, next: u64) -> bool {
        let is_first = self.fingerprints.insert(fingerprint);
        if !self.connects(claim) || !is_first && !self.may_repeat(claim) {
            return is_first;
        }
        let keys = claim.ids().map(|id| self.key(id.id()));
        if is_first {
            let counts = match claim {
                _ if !self.is_built_in() => 2,
                Claim::Identify { identified, .. } => u32::from(self.is_new_identified(identified)),
                _ => 0,
            };
            let has_several = self.components.connect(keys, counts, next);
            if has_several && self.may_repeat(claim) {
                self.last_entries.insert(fingerprint, next);
            }
            return true;
        }
        let Some(since) = self.components.last_entry(keys[0]) else {
            return false;
        };
        if self
            .last_entries
            .get(&fingerprint)
            .is_some_and(|&last| last >= since)
        {
            return false;
        }
        self.last_entries.insert(fingerprint, next);
        if !self.is_built_in() {
            self.components.connect(keys, 2, next);
        }
        true
    }

    /// Whether the claim connects IDs for other claims. Those of Simplified do not affect each other's
    /// repeats.
    fn connects(&self, claim: Claim<'_>) -> bool {
        !matches!(claim, Claim::Link { .. }) || !self.is_built_in()
    }

    /// Whether a repeat of the claim can ever change a state.
    fn may_repeat(&self, claim: Claim<'_>) -> bool {
        matches!(claim, Claim::Identify { .. }) || !self.is_built_in()
    }

    fn is_built_in(&self) -> bool {
        RuleBook::BUILT_IN.contains(&self.rule_book)
    }

    /// Remembers an entry of the log. `engine` has the state after the entry.
    pub(crate) fn entry(
        &mut self,
        entry: &Entry<'_>,
        log: Log<'_>,
        engine: &impl Resolve,
    ) -> Result<(), StoreError> {
        match entry.what {
            What::Claim { claim, outcome } => {
                self.is_news(claim, outcome, entry.sequence);
                Ok(())
            }
            What::Erased { .. } => Ok(()),
            What::Replaced => {
                self.start_over(engine);
                Ok(())
            }
            What::Retracted { retracted, .. } => {
                self.withdraw_entries(&retracted.iter().collect(), log)
            }
        }
    }

    /// Forgets the claims of these entries, which are withdrawn.
    pub(crate) fn withdraw_entries(
        &mut self,
        entries: &BTreeSet<u64>,
        log: Log<'_>,
    ) -> Result<(), StoreError> {
        log.each_of(entries, &mut |entry| {
            if let What::Claim { claim, .. } = entry.what {
                self.withdraw(claim);
            }
            Ok(())
        })
    }

    /// Forgets a claim that is withdrawn: an event that makes it again is new evidence (LG-2).
    fn withdraw(&mut self, claim: Claim<'_>) {
        let Some(fingerprint) = self.of_claim(claim) else {
            return;
        };
        self.fingerprints.remove(&fingerprint);
        self.last_entries.remove(&fingerprint);
        if self.rule_book == RuleBook::Simplified && matches!(claim, Claim::Link { .. }) {
            self.withdrawn_links.insert(fingerprint);
        }
    }

    /// Forgets everything, because a loaded state replaced the one of the log. Its IDs may have marks,
    /// and are connected if they are in one cluster.
    pub(crate) fn start_over(&mut self, engine: &impl Resolve) {
        self.clear();
        if self.rule_book == RuleBook::Simplified {
            return;
        }
        for cluster in engine.clusters() {
            let first = self.key(cluster.canonical.id());
            for member in cluster.members {
                let key = self.key(member.id());
                self.components.connect([first, key], 2, 0);
            }
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.rule_book);
    }

    fn is_new_identified(&mut self, id: Id<'_>) -> bool {
        let fingerprint = self.fingerprint(IDENTIFIED, &[id]);
        self.fingerprints.insert(fingerprint)
    }

    /// The fingerprint of a claim; `None` if the log does not have its kind.
    fn of_claim(&mut self, claim: Claim<'_>) -> Option<u128> {
        let kind = codec::kind_code(claim.kind())?;
        Some(self.fingerprint(kind, &claim.ids().map(|id| id.id())))
    }

    /// Truncated BLAKE3, without a key: a collision of two claims takes 2⁶⁴ tries.
    fn fingerprint(&mut self, what: u8, ids: &[Id<'_>]) -> u128 {
        self.scratch.clear();
        self.scratch.push(what);
        for id in ids {
            codec::put_id(&mut self.scratch, *id);
        }
        let hash = blake3::hash(&self.scratch);
        let (fingerprint, _) = hash.as_bytes().as_chunks::<16>();
        u128::from_le_bytes(fingerprint[0])
    }

    /// A hash of an ID, for its component. Two IDs with one hash count as connected: some claims then
    /// get an entry that they do not need.
    fn key(&mut self, id: Id<'_>) -> u32 {
        self.scratch.clear();
        codec::put_id(&mut self.scratch, id);
        components::key(row::checksum(1, &self.scratch))
    }
}

#[cfg(test)]
mod tests;
