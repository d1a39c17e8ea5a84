//! Lookups of the IDs that the claims of a batch name.

use idmerge_core::Id;

use super::Partition;
use crate::id_table::{BATCH_IDS, Probe};
use crate::index::Found;

/// The lookups of a batch of claims that each name two IDs of a [`Partition`]. The IDs of all claims
/// are looked up together; [`now`](Self::now) then gives those of one claim, as they are when it is
/// weighed.
#[derive(Debug)]
pub struct Pairs<'p> {
    probes: [Probe<'p>; BATCH_IDS],
    found: [Option<Found>; BATCH_IDS],
    /// Whether an earlier claim may have merged two clusters, so that labels have changed.
    has_joined: bool,
}

impl<'p> Pairs<'p> {
    /// The most claims of a batch.
    pub const MAX: usize = BATCH_IDS / 2;

    /// Looks up the IDs of at most [`MAX`](Self::MAX) claims. `None` is a claim that names no IDs of
    /// the partition.
    #[inline]
    pub fn find<D>(ids: &Partition<D>, claims: impl Iterator<Item = Option<[Id<'p>; 2]>>) -> Self {
        let named = claims.flat_map(|named| match named {
            Some(named) => named.map(Some),
            None => [None; 2],
        });
        let (probes, found) = ids.find_all_named(named);
        Self {
            probes,
            found,
            has_joined: false,
        }
    }

    /// The two IDs of the claim with this place in the batch. Ask in the order of the claims: what an
    /// earlier one has entered or merged is taken into account.
    #[inline]
    pub fn now<D>(
        &mut self,
        claim: usize,
        ids: &Partition<D>,
    ) -> (&[Probe<'p>; 2], [Option<Found>; 2]) {
        let probes = &self.probes.as_chunks::<2>().0[claim];
        let before = self.found.as_chunks::<2>().0[claim];
        let now = |at: usize| match before[at] {
            Some(before) if !self.has_joined => Some(before),
            _ => ids.find(&probes[at]),
        };
        let found = [now(0), now(1)];
        self.has_joined |= matches!(found, [Some(a), Some(b)] if a.owner != b.owner);
        (probes, found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_sees_what_earlier_claims_entered_and_merged() {
        let id = |text| Id::new(text).unwrap();
        let mut ids = Partition::<()>::default();
        for text in ["a", "b"] {
            ids.enter(&ids.probe(id(text)), None);
        }
        let claims = [
            Some(["c", "a"]),
            None,
            Some(["c", "b"]),
            Some(["b", "a"]),
            Some(["d", "a"]),
        ];
        let claims = claims.map(|claim| claim.map(|pair| pair.map(id)));
        let mut pairs = Pairs::find(&ids, claims.into_iter());

        let (probes, found) = pairs.now(0, &ids);
        let a = found[1].unwrap();
        assert_eq!(found, [None, Some(a)]);
        let c = ids.enter(&probes[0], Some(a));
        assert_eq!(pairs.now(1, &ids).1, [None; 2]);

        let b = ids.found(1);
        assert_eq!(pairs.now(2, &ids).1, [Some(c), Some(b)]);
        let owner = ids.join(c, b, c.number);
        let merged = |found| Some(Found { owner, ..found });
        assert_eq!(pairs.now(3, &ids).1, [merged(b), merged(a)]);
        assert_eq!(pairs.now(4, &ids).1, [None, merged(a)]);
    }
}
