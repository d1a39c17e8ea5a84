//! Every ID of the source: its cluster, what the events say about it, and the user that it gets.

use idmerge_core::Id;
use idmerge_state::{IdTable, Rows};

/// The number of an ID, in the order in which the events name them.
pub(crate) type Number = u32;

/// No ID has this number.
pub(crate) const NONE: Number = u32::MAX;

/// A fact about an ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Mark {
    /// An accepted claim identified it (M-7 a).
    Identified = 1,
    /// It is the `$user_id` of a line (M-7 b).
    UserId = 1 << 1,
    /// It is the `$device_id` or the anonymous ID of a line, or follows `$device:`.
    Device = 1 << 2,
    /// It is a user (M-7).
    User = 1 << 3,
    /// An event that was written links it to its user (M-12).
    Carried = 1 << 4,
    /// An earlier migration linked it; `first_user` is the user.
    LinkedEarlier = 1 << 5,
    /// An earlier migration wrote it as a user.
    UserEarlier = 1 << 6,
    /// An earlier migration wrote it as a device.
    DeviceEarlier = 1 << 7,
    /// A profile of its own is written.
    HasProfile = 1 << 8,
    /// A claim names it and its user.
    Claimed = 1 << 9,
    /// The mapping file names it and its user.
    Mapped = 1 << 10,
    /// A line has it and its user, or a conflict gave it to its user (M-9).
    Direct = 1 << 11,
    /// It would have another user or another role now than an earlier migration gave it (M-22).
    Changed = 1 << 12,
    /// An earlier migration to Original wrote it as the head of a cluster.
    HeadEarlier = 1 << 13,
    /// The links of an earlier migration have a line that links it. They stay.
    HasLink = 1 << 14,
}

/// What is stored about an ID.
#[derive(Debug)]
pub(crate) struct Row {
    /// The next member of the cluster: the members form a ring.
    next: Number,
    /// How many events are attributed to it.
    pub(crate) events: u32,
    /// Its place in the order in which claims first named IDs (O-14); `NONE` if no claim named it.
    pub(crate) age: u32,
    /// The user that it belongs to; `NONE` if it has none. For a user: the one that gets its events
    /// (M-11).
    pub(crate) person: Number,
    /// While lines are read: the user on the first line that has this device and a user. Most lines repeat
    /// the pair, and are not noted again. Afterwards, if it has [`Mark::LinkedEarlier`]: the user to whom an
    /// earlier migration linked it.
    pub(crate) first_user: Number,
    marks: u16,
}

/// What is stored about a cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClusterRow {
    pub(crate) ids: u32,
    /// How many of them are users, once that is known.
    pub(crate) users: u32,
    /// One of the users.
    pub(crate) user: Number,
    /// The member with the smallest number. The cluster is visited, and named in cases, by it.
    pub(crate) first: Number,
}

/// The table is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are more IDs than a migration can hold: 4,294,967,294")]
pub struct TooManyIds;

/// All IDs.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    table: IdTable<Row>,
    /// Only IDs that are joined to others have a cluster.
    clusters: Rows<ClusterRow>,
    free: Vec<u32>,
    ages: u32,
}

impl Ids {
    pub(crate) fn len(&self) -> u32 {
        self.table.len()
    }

    /// The number of an ID; a new one if it is new.
    pub(crate) fn enter(&mut self, id: Id<'_>) -> Result<Number, TooManyIds> {
        let probe = self.table.probe(id);
        if let Some(found) = self.table.find(&probe) {
            return Ok(found.number);
        }
        if self.table.room() == 0 {
            return Err(TooManyIds);
        }
        let row = Row {
            next: self.table.len(),
            events: 0,
            age: NONE,
            person: NONE,
            first_user: NONE,
            marks: 0,
        };
        Ok(self.table.insert(&probe, NONE, row))
    }

    pub(crate) fn number(&self, id: Id<'_>) -> Option<Number> {
        let found = self.table.find(&self.table.probe(id))?;
        Some(found.number)
    }

    pub(crate) fn id(&self, number: Number) -> Id<'_> {
        self.table.id(number)
    }

    pub(crate) fn row(&self, number: Number) -> &Row {
        self.table.row(number)
    }

    pub(crate) fn row_mut(&mut self, number: Number) -> &mut Row {
        self.table.row_mut(number)
    }

    /// Sets a mark, and returns whether it is new.
    pub(crate) fn mark(&mut self, number: Number, mark: Mark) -> bool {
        let marks = &mut self.table.row_mut(number).marks;
        let is_new = *marks & mark as u16 == 0;
        *marks |= mark as u16;
        is_new
    }

    pub(crate) fn has(&self, number: Number, mark: Mark) -> bool {
        self.table.row(number).marks & mark as u16 != 0
    }

    pub(crate) fn is_user(&self, number: Number) -> bool {
        self.has(number, Mark::User)
    }

    /// O-14: gives an ID its age, if it has none.
    pub(crate) fn enter_clusters(&mut self, number: Number) {
        if self.row(number).age == NONE {
            self.row_mut(number).age = self.ages;
            self.ages += 1;
        }
    }

    /// The cluster of an ID; `None` if it is in none.
    pub(crate) fn cluster(&self, number: Number) -> Option<&ClusterRow> {
        match self.label(number) {
            NONE => None,
            label => Some(self.clusters.at(label)),
        }
    }

    /// The cluster of an ID that is in one, to change it.
    pub(crate) fn cluster_mut(&mut self, number: Number) -> Option<&mut ClusterRow> {
        match self.label(number) {
            NONE => None,
            label => Some(self.clusters.at_mut(label)),
        }
    }

    /// How many users the cluster of an ID has. An ID in no cluster is alone.
    pub(crate) fn cluster_users(&self, number: Number) -> u32 {
        match self.cluster(number) {
            Some(cluster) => cluster.users,
            None => u32::from(self.is_user(number)),
        }
    }

    pub(crate) fn is_conflict(&self, number: Number) -> bool {
        self.cluster_users(number) > 1
    }

    /// The first member of the cluster of an ID; the ID itself if it is in none.
    pub(crate) fn first_of_cluster(&self, number: Number) -> Number {
        self.cluster(number).map_or(number, |cluster| cluster.first)
    }

    /// Whether an ID is the first member of a cluster. A loop over clusters visits these.
    pub(crate) fn is_first(&self, number: Number) -> bool {
        self.cluster(number)
            .is_some_and(|cluster| cluster.first == number)
    }

    pub(crate) fn same_cluster(&self, a: Number, b: Number) -> bool {
        a == b || self.label(a) != NONE && self.label(a) == self.label(b)
    }

    /// The members of the cluster of an ID, this one first.
    pub(crate) fn ring(&self, number: Number) -> impl Iterator<Item = Number> {
        std::iter::successors(Some(number), move |&member| {
            Some(self.row(member).next).filter(|&next| next != number)
        })
    }

    /// The person of an ID: its user, or the ID itself.
    pub(crate) fn person(&self, number: Number) -> Number {
        match self.row(number).person {
            NONE => number,
            person => person,
        }
    }

    /// Makes two clusters one.
    pub(crate) fn join(&mut self, a: Number, b: Number) {
        if a == b {
            return;
        }
        let (a_label, b_label) = (self.label_or_new(a), self.label_or_new(b));
        if a_label == b_label {
            return;
        }
        let (a_row, b_row) = (*self.clusters.at(a_label), *self.clusters.at(b_label));
        let (keep, give, member) = match a_row.ids < b_row.ids {
            true => (b_label, a_label, a),
            false => (a_label, b_label, b),
        };
        let members: Vec<Number> = self.ring(member).collect();
        for member in members {
            self.table.set_owner(member, keep);
        }
        let next = self.row(a).next;
        let before = std::mem::replace(&mut self.row_mut(b).next, next);
        self.row_mut(a).next = before;
        *self.clusters.at_mut(keep) = ClusterRow {
            ids: a_row.ids + b_row.ids,
            users: a_row.users + b_row.users,
            user: a_row.user.min(b_row.user),
            first: a_row.first.min(b_row.first),
        };
        self.free.push(give);
    }

    fn label(&self, number: Number) -> u32 {
        self.table.found(number).owner
    }

    fn label_or_new(&mut self, number: Number) -> u32 {
        let label = self.label(number);
        if label != NONE {
            return label;
        }
        let is_user = self.is_user(number);
        let row = ClusterRow {
            ids: 1,
            users: u32::from(is_user),
            user: if is_user { number } else { NONE },
            first: number,
        };
        let label = match self.free.pop() {
            Some(label) => {
                *self.clusters.at_mut(label) = row;
                label
            }
            None => {
                self.clusters.push(row);
                self.clusters.len() - 1
            }
        };
        self.table.set_owner(number, label);
        label
    }
}
