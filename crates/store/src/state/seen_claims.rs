//! Which claims need no entry of their own, since they say nothing that the log does not have.

use std::collections::HashSet;

use idmerge_core::{Claim, Id, Outcome};

use crate::log::codec;

/// What was rejected, ignored or marked before, by fingerprints of 128 bits.
///
/// Of a claim that merges nothing is kept: it merges once, and when it comes again the engine
/// says so. That leaves claims that were rejected, those of the other rule book, and the marks of
/// rule O-13, which an engine does not speak of.
#[derive(Debug, Default)]
pub(crate) struct SeenClaims {
    fingerprints: HashSet<u128>,
    /// To put together what is hashed.
    scratch: Vec<u8>,
}

/// What a fingerprint is of. Kinds of claims have numbers of their own, below these.
const IDENTIFIED: u8 = 32;
const USED_AS_ALIAS: u8 = 33;
/// Added to the kind of a claim that was accepted by nobody.
const NOT_ACCEPTED: u8 = 64;

impl SeenClaims {
    /// Takes note of a weighed claim, and answers whether the log has to have it.
    pub(crate) fn is_news(&mut self, claim: Claim<'_>, outcome: Outcome<'_>) -> bool {
        match outcome {
            Outcome::Merged => {
                self.marks(claim);
                true
            }
            // The mark of O-13 is made all the same, if it is not there.
            Outcome::AlreadyMerged => self.marks(claim),
            _ => match codec::parts(claim) {
                Some((kind, ids)) => self.insert(NOT_ACCEPTED | kind, &ids),
                None => true,
            },
        }
    }

    /// Whether an accepted claim makes a mark that was not there.
    fn marks(&mut self, claim: Claim<'_>) -> bool {
        match claim {
            Claim::Identify { identified, .. } => self.insert(IDENTIFIED, &[identified]),
            Claim::Alias { alias, .. } => self.insert(USED_AS_ALIAS, &[alias]),
            _ => false,
        }
    }

    /// Forgets the marks of an id, which are made again where they still are.
    pub(crate) fn forget_marks(&mut self, id: Id<'_>) {
        for mark in [IDENTIFIED, USED_AS_ALIAS] {
            let fingerprint = self.fingerprint(mark, &[id]);
            self.fingerprints.remove(&fingerprint);
        }
    }

    /// Forgets that a claim was not accepted.
    pub(crate) fn forget(&mut self, claim: Claim<'_>) {
        if let Some((kind, ids)) = codec::parts(claim) {
            let fingerprint = self.fingerprint(NOT_ACCEPTED | kind, &ids);
            self.fingerprints.remove(&fingerprint);
        }
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

    /// Forgets everything. What is known is only ever a reason to leave something out, so that
    /// the log then has some claims twice.
    pub(crate) fn clear(&mut self) {
        self.fingerprints.clear();
    }

    /// The fingerprints in order, so that equal states are written alike.
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
        // A rejected claim has marked nothing.
        assert!(seen.is_news(identify("U", "A"), Outcome::AlreadyMerged));

        let mut other = SeenClaims::default();
        other.replace(seen.sorted());
        assert!(!other.is_news(identify("U", "A"), rejected));
        assert_eq!(other.sorted(), seen.sorted());
        other.clear();
        assert!(other.is_news(identify("U", "A"), rejected));
    }
}
