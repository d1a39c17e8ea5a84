//! Generated claims, the same every time.

use idmerge_core::{Claim, Id};

use super::Engine;

/// Pseudorandom numbers.
#[derive(Clone, Debug)]
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    /// The same for a position.
    pub(crate) fn place(&mut self, end: usize) -> usize {
        self.below(end as u64).try_into().unwrap()
    }
}

/// A claim that owns its IDs.
#[derive(Clone, Debug)]
pub(crate) struct OwnedClaim {
    kind: u64,
    ids: [String; 2],
}

impl OwnedClaim {
    /// A claim that joins two IDs in the model of this engine.
    pub(crate) fn joining<E: Engine>(user: &str, other: &str) -> Self {
        Self {
            kind: if E::LINKS_PERCENT > 50 { 3 } else { 2 },
            ids: [user, other].map(str::to_owned),
        }
    }

    /// The two IDs of the claim.
    pub(crate) fn ids(&self) -> [&str; 2] {
        [&self.ids[0], &self.ids[1]]
    }

    pub(crate) fn as_claim(&self) -> Claim<'_> {
        let [first, second] = [&self.ids[0], &self.ids[1]].map(|id| Id::new(id).unwrap());
        match self.kind {
            0 => Claim::Identify {
                identified: first,
                anon: second,
            },
            1 => Claim::Alias {
                distinct_id: first,
                alias: second,
            },
            2 => Claim::Merge { first, second },
            _ => Claim::Link {
                device: second,
                user: first,
            },
        }
    }
}

/// Claims over few IDs, so that repeats, rejections and full clusters are common.
pub(crate) fn claims<E: Engine>(seed: u64, claims: usize, ids: u64) -> Vec<OwnedClaim> {
    let mut numbers = Numbers::new(seed);
    (0..claims)
        .map(|_| {
            let is_link = numbers.below(100) < E::LINKS_PERCENT;
            let kind = if is_link { 3 } else { numbers.below(3) };
            let user = format!("user-{}", numbers.below(ids));
            let device = format!("{:08x}-0000-4000-8000-000000000000", numbers.below(ids));
            OwnedClaim {
                kind,
                ids: [user, device],
            }
        })
        .collect()
}
