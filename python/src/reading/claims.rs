//! Claims in columns.

mod table;

use arrow_array::StringArray;
use arrow_array::builder::StringBuilder;
use idmerge_core::{Claim, ClaimKind, Id, IdBuffer};

pub(crate) use table::{COLUMNS, read_table};

/// Claims in arrival order.
pub(crate) struct Claims {
    /// The rows that make them, each in its batch.
    pub(crate) rows: Vec<usize>,
    pub(crate) kinds: Vec<ClaimKind>,
    /// The two IDs of each, without the prefix of a device.
    pub(crate) ids: [StringArray; 2],
    /// By which duplicates of an identity event are known (AR-2).
    pub(crate) fingerprints: Vec<Option<u128>>,
}

impl Claims {
    pub(crate) fn len(&self) -> usize {
        self.kinds.len()
    }

    /// A claim. `None` if one of its IDs is empty, which no claim that was read has.
    pub(crate) fn get(&self, index: usize) -> Option<Claim<'_>> {
        let [first, second] = &self.ids;
        let ids = [
            Id::new(first.value(index)).ok()?,
            Id::new(second.value(index)).ok()?,
        ];
        Some(Claim::new(self.kinds[index], ids))
    }
}

#[derive(Default)]
pub(super) struct ClaimsBuilder {
    rows: Vec<usize>,
    kinds: Vec<ClaimKind>,
    ids: [StringBuilder; 2],
    fingerprints: Vec<Option<u128>>,
}

impl ClaimsBuilder {
    pub(super) fn add(&mut self, row: usize, claim: Claim<'_>, fingerprint: Option<u128>) {
        self.rows.push(row);
        self.kinds.push(claim.kind());
        self.fingerprints.push(fingerprint);
        for (texts, id) in self.ids.iter_mut().zip(claim.ids()) {
            texts.append_value(id.id().text_in(&mut IdBuffer::new()));
        }
    }

    pub(super) fn finish(mut self) -> Claims {
        Claims {
            rows: self.rows,
            kinds: self.kinds,
            ids: self.ids.each_mut().map(StringBuilder::finish),
            fingerprints: self.fingerprints,
        }
    }
}
