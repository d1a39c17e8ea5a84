//! What is known about each ID.

use std::fmt;

use idmerge_core::Id;
use idmerge_state::IdTable;

use crate::report::{At, Evidence};
use crate::said::IdKind;
use crate::words::Look;

/// Facts about an ID that are not about its kind, in bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bits(u8);

impl Bits {
    /// An accepted claim named it.
    pub(crate) const JOINED: Self = Self(1);
    /// A finding is about it, so that no other finding with the same cause names it.
    pub(crate) const REPORTED: Self = Self(2);

    pub(crate) fn has(self, bits: Self) -> bool {
        self.0 & bits.0 != 0
    }

    pub(crate) fn insert(&mut self, bits: Self) {
        self.0 |= bits.0;
    }
}

/// What is known about an ID.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) kind: IdKind,
    pub(crate) bits: Bits,
    pub(crate) look: Look,
    /// As a user: how many devices events show it with.
    pub(crate) devices: u32,
    /// How many events have it as their own distinct_id, and where the first one is.
    pub(crate) events: u64,
    /// Those of them that name it without the prefix `$device:`.
    pub(crate) plain_events: u64,
    pub(crate) first: At,
    /// The time of that event; `i64::MIN` if it has none.
    pub(crate) time_ms: i64,
    /// When it came into its cluster; `i64::MIN` if its event has no time.
    pub(crate) joined_ms: i64,
}

impl Row {
    /// The first event that has the ID as its own distinct_id.
    pub(crate) fn first_event(&self) -> Option<Evidence> {
        let first = Evidence {
            at: self.first,
            time_ms: (self.time_ms != i64::MIN).then_some(self.time_ms),
        };
        (self.events > 0).then_some(first)
    }
}

/// The IDs that events name, without the prefix `$device:`.
#[derive(Default)]
pub(crate) struct Ids(IdTable<Row>);

impl Ids {
    /// No ID has this number.
    pub(crate) const NONE: u32 = u32::MAX;

    /// The number of an ID. A table that is full gives all further IDs the number of the first one.
    pub(crate) fn number(&mut self, id: Id<'_>) -> u32 {
        let probe = self.0.probe(id);
        if let Some(found) = self.0.find(&probe) {
            return found.number;
        }
        if self.0.room() == 0 {
            return 0;
        }
        let look = Look::of(&id.text());
        self.0.insert(
            &probe,
            0,
            Row {
                kind: IdKind::default(),
                bits: Bits::default(),
                look,
                devices: 0,
                events: 0,
                plain_events: 0,
                first: At::default(),
                time_ms: i64::MIN,
                joined_ms: i64::MIN,
            },
        )
    }

    /// The number of an ID that is known.
    pub(crate) fn find(&self, id: Id<'_>) -> Option<u32> {
        let found = self.0.find(&self.0.probe(id))?;
        Some(found.number)
    }

    pub(crate) fn len(&self) -> u32 {
        self.0.len()
    }

    pub(crate) fn row(&self, number: u32) -> &Row {
        self.0.row(number)
    }

    pub(crate) fn row_mut(&mut self, number: u32) -> &mut Row {
        self.0.row_mut(number)
    }

    pub(crate) fn id(&self, number: u32) -> Id<'_> {
        self.0.id(number)
    }

    pub(crate) fn text(&self, number: u32) -> String {
        self.id(number).text().into_owned()
    }
}

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ids")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
