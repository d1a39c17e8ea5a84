//! Claims in columns.

use arrow_array::StringArray;
use arrow_array::builder::StringBuilder;
use idmerge_core::{Claim, ClaimKind, Id, IdBuffer};

/// Claims in arrival order.
#[derive(Clone, Debug)]
pub struct Claims {
    /// The rows that make them, each in its batch.
    pub rows: Vec<usize>,
    /// What each says.
    pub kinds: Vec<ClaimKind>,
    /// The two IDs of each, without the prefix of a device.
    pub ids: [StringArray; 2],
    /// By which duplicates of an identity event are known (AR-2).
    pub fingerprints: Vec<Option<u128>>,
}

impl Claims {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// A claim. `None` if one of its IDs is empty, which no claim that was read has.
    pub fn get(&self, index: usize) -> Option<Claim<'_>> {
        let [first, second] = &self.ids;
        let ids = [
            Id::new(first.value(index)).ok()?,
            Id::new(second.value(index)).ok()?,
        ];
        Some(Claim::new(self.kinds[index], ids))
    }
}

#[derive(Default)]
pub(crate) struct ClaimsBuilder {
    rows: Vec<usize>,
    kinds: Vec<ClaimKind>,
    ids: [StringBuilder; 2],
    fingerprints: Vec<Option<u128>>,
}

impl ClaimsBuilder {
    pub(crate) fn add(&mut self, row: usize, claim: Claim<'_>, fingerprint: Option<u128>) {
        self.rows.push(row);
        self.kinds.push(claim.kind());
        self.fingerprints.push(fingerprint);
        for (texts, id) in self.ids.iter_mut().zip(claim.ids()) {
            texts.append_value(id.id().text_in(&mut IdBuffer::new()));
        }
    }

    pub(crate) fn finish(mut self) -> Claims {
        Claims {
            rows: self.rows,
            kinds: self.kinds,
            ids: self.ids.each_mut().map(StringBuilder::finish),
            fingerprints: self.fingerprints,
        }
    }
}
