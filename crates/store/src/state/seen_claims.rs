//! Which claims need no entry because they add nothing to the log.

use std::collections::HashSet;

use idmerge_core::{Claim, Id, Outcome};

use crate::log::codec;

/// The claims that were rejected or ignored before and the marks that were made before, as
/// fingerprints of 128 bits.
///
/// A claim that merges needs no fingerprint: when it comes again the engine answers that its IDs are
/// already merged. The other claims need one: rejected claims, claims of the other rule book, and
/// claims that set a mark of rule O-13, because the answer of the engine does not mention marks.
#[derive(Debug, Default)]
pub(crate) struct SeenClaims {
    fingerprints: HashSet<u128>,
    /// A buffer for the bytes to hash.
    scratch: Vec<u8>,
}

// The first of the hashed bytes: a mark, or the kind of a claim. Kinds have smaller numbers.
const IDENTIFIED: u8 = 32;
const USED_AS_ALIAS: u8 = 33;
/// Added to the kind of a claim that was not accepted.
const NOT_ACCEPTED: u8 = 64;

impl SeenClaims {
    /// Remembers a claim and its outcome, and returns whether the log needs an entry for it.
    pub(crate) fn is_news(&mut self, claim: Claim<'_>, outcome: Outcome<'_>) -> bool {
        match outcome {
            Outcome::Merged => {
                self.marks(claim);
                true
            }
            // The claim may still set a mark (O-13).
            Outcome::AlreadyMerged => self.marks(claim),
            _ => {
                let fingerprint = self.not_accepted(claim);
                fingerprint.is_none_or(|fingerprint| self.fingerprints.insert(fingerprint))
            }
        }
    }

    /// Remembers the mark that an accepted claim sets, and returns whether it is new.
    fn marks(&mut self, claim: Claim<'_>) -> bool {
        match claim {
            Claim::Identify { identified, .. } => self.insert(IDENTIFIED, &[identified]),
            Claim::Alias { alias, .. } => self.insert(USED_AS_ALIAS, &[alias]),
            _ => false,
        }
    }

    /// Forgets the marks of an ID, before the claims that set them are applied again.
    pub(crate) fn forget_marks(&mut self, id: Id<'_>) {
        for mark in [IDENTIFIED, USED_AS_ALIAS] {
            let fingerprint = self.fingerprint(mark, &[id]);
            self.fingerprints.remove(&fingerprint);
        }
    }

    /// Forgets that a claim was not accepted.
    pub(crate) fn forget(&mut self, claim: Claim<'_>) {
        if let Some(fingerprint) = self.not_accepted(claim) {
            self.fingerprints.remove(&fingerprint);
        }
    }

    /// The fingerprint of a claim that was not accepted; `None` if the log does not have its kind.
    fn not_accepted(&mut self, claim: Claim<'_>) -> Option<u128> {
        let kind = codec::kind_code(claim.kind())?;
        let ids = claim.ids().map(|id| id.id());
        Some(self.fingerprint(NOT_ACCEPTED | kind, &ids))
    }

    fn insert(&mut self, what: u8, ids: &[Id<'_>]) -> bool {
        let fingerprint = self.fingerprint(what, ids);
        self.fingerprints.insert(fingerprint)
    }

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

    /// Forgets everything. Some claims may then be logged twice, which is harmless.
    pub(crate) fn clear(&mut self) {
        self.fingerprints.clear();
    }

    /// The fingerprints, sorted so that equal states have equal snapshots.
    pub(crate) fn sorted(&self) -> Vec<u128> {
        let mut fingerprints: Vec<u128> = self.fingerprints.iter().copied().collect();
        fingerprints.sort_unstable();
        fingerprints
    }

    pub(crate) fn replace(&mut self, fingerprints: impl IntoIterator<Item = u128>) {
        self.fingerprints = fingerprints.into_iter().collect();
    }
}

#[cfg(test)]
mod tests {
    use idmerge_core::Rejection;

    use super::*;

    fn id(text: &str) -> Id<'_> {
        Id::new(text).unwrap()
    }

    fn identify<'a>(identified: &'a str, anon: &'a str) -> Claim<'a> {
        Claim::Identify {
            identified: id(identified),
            anon: id(anon),
        }
    }

    #[test]
    fn o_13_a_claim_that_is_already_merged_is_news_where_it_marks() {
        let mut seen = SeenClaims::default();
        assert!(seen.is_news(identify("U", "A"), Outcome::Merged));
        assert!(!seen.is_news(identify("U", "A"), Outcome::AlreadyMerged));
        assert!(!seen.is_news(identify("U", "B"), Outcome::AlreadyMerged));
        assert!(seen.is_news(identify("B", "U"), Outcome::AlreadyMerged));

        let alias = |distinct_id, alias| Claim::Alias {
            distinct_id: id(distinct_id),
            alias: id(alias),
        };
        assert!(seen.is_news(alias("A", "U"), Outcome::AlreadyMerged));
        assert!(!seen.is_news(alias("B", "U"), Outcome::AlreadyMerged));
        let merge = Claim::Merge {
            first: id("X"),
            second: id("Y"),
        };
        assert!(!seen.is_news(merge, Outcome::AlreadyMerged));
        assert!(seen.is_news(merge, Outcome::Merged));
    }

    #[test]
    fn what_is_not_accepted_is_news_once() {
        let rejected = Outcome::Rejected(Rejection::SameIds { id: id("U") });
        let mut seen = SeenClaims::default();
        assert!(seen.is_news(identify("U", "A"), rejected));
        assert!(!seen.is_news(identify("U", "A"), rejected));
        assert!(seen.is_news(identify("UA", "A"), rejected));
        assert!(seen.is_news(identify("U", "AA"), Outcome::Ignored));
        // A rejected claim has set no mark.
        assert!(seen.is_news(identify("U", "A"), Outcome::AlreadyMerged));

        let mut other = SeenClaims::default();
        other.replace(seen.sorted());
        assert!(!other.is_news(identify("U", "A"), rejected));
        assert_eq!(other.sorted(), seen.sorted());
        other.clear();
        assert!(other.is_news(identify("U", "A"), rejected));
    }
}
