//! [`Counts`]: what was done with the records besides their events.

use std::collections::{BTreeMap, BTreeSet};

/// How many records were passed over, and how many IDs were left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// How many records there were; a batch counts as one.
    pub records: u64,
    /// How many records had a user ID that is a blocked value.
    pub blocked_user_ids: u64,
    /// How many records had a device ID that is a blocked value.
    pub blocked_device_ids: u64,
    /// How many records give no event, by their kind.
    pub passed_over: BTreeMap<&'static str, u64>,
    /// How many things there are to look at, by their kind.
    pub notices: BTreeMap<&'static str, u64>,
    /// Which of the fields that the options name were in a record: a bit for each.
    pub(crate) found: u8,
    /// The types of identity of the batches that do not have the one that the options name.
    pub(crate) other_identities: BTreeSet<String>,
}

/// How many types of identity are kept. A sender chooses how many there are.
const OTHER_IDENTITIES_MAX: usize = 20;

impl Counts {
    /// Adds the counts of other records.
    pub fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.blocked_user_ids += other.blocked_user_ids;
        self.blocked_device_ids += other.blocked_device_ids;
        self.found |= other.found;
        for kind in &other.other_identities {
            self.other_identity(kind);
        }
        for (kind, count) in &other.passed_over {
            *self.passed_over.entry(kind).or_default() += count;
        }
        for (kind, count) in &other.notices {
            *self.notices.entry(kind).or_default() += count;
        }
    }

    /// A batch has an identity of this type, and not the one that the options name.
    pub(crate) fn other_identity(&mut self, kind: &str) {
        if self.other_identities.len() < OTHER_IDENTITIES_MAX
            && !self.other_identities.contains(kind)
        {
            self.other_identities.insert(kind.to_owned());
        }
    }

    pub(crate) fn notice(&mut self, kind: &'static str) {
        *self.notices.entry(kind).or_default() += 1;
    }

    pub(crate) fn pass_over(&mut self, kind: &'static str) {
        *self.passed_over.entry(kind).or_default() += 1;
    }
}
