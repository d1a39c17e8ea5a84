//! [`Rest`]: the members of an object that are not read by name.

use std::mem;

use idmerge_events::Pair;

use crate::read::member::Member;
use crate::read::plan::{Only, Planned};

/// How many other fields most records have at most. These take less than a kilobyte, which allocators have at hand.
const USUAL_REST: usize = 18;

/// How many names are compared one by one.
pub(crate) const FEW_NAMES: usize = 32;

/// Members of an object that are not read by name.
#[derive(Clone, Debug)]
pub(crate) enum Rest<'r> {
    Listed(Vec<Member<'r>>),
    /// Those that a plan has.
    Planned(Planned<'r>),
}

impl Default for Rest<'_> {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

impl<'r> Rest<'r> {
    pub(crate) fn of_plan(planned: Planned<'r>) -> Self {
        Self::Planned(planned)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The members, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Member<'r>> {
        let (listed, planned) = match self {
            Self::Listed(members) => (&members[..], None),
            Self::Planned(planned) => (&[][..], Some(planned.members())),
        };
        listed.iter().copied().chain(planned.into_iter().flatten())
    }

    /// Leaves all others out.
    pub(crate) fn retain(&mut self, is_kept: impl FnMut(&Member<'r>) -> bool) {
        let mut members = match mem::take(self) {
            Self::Listed(members) => members,
            Self::Planned(planned) => planned.members().collect(),
        };
        members.retain(is_kept);
        *self = Self::Listed(members);
    }

    /// Leaves all others out.
    pub(crate) fn keep(&mut self, only: Only) {
        match self {
            Self::Listed(members) => members.retain(|member| only.has(member.value())),
            Self::Planned(planned) => planned.keep(only),
        }
    }

    /// Whether it is known, without a look at each of them, that no name of these is one of the others. `is_other` says
    /// whether a name is one of the others.
    pub(crate) fn are_known_apart_from(
        &self,
        others: &Self,
        is_other: impl Fn(&[u8]) -> bool,
    ) -> bool {
        match (self, others) {
            (Self::Planned(these), Self::Planned(others)) => these.are_apart_from(others, is_other),
            (Self::Planned(these), Self::Listed(others)) if others.len() <= FEW_NAMES => {
                !others.iter().any(|other| these.has_name(other.name_json()))
            }
            _ => false,
        }
    }

    /// Adds a member to a list, if there is one.
    pub(crate) fn extend(&mut self, added: Option<Member<'r>>) {
        match self {
            Self::Listed(members) => members.extend(added),
            Self::Planned(_) => debug_assert!(added.is_none(), "a plan has all members"),
        }
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, pair: Pair<'r>) {
        if let Self::Listed(members) = self {
            if members.is_empty() {
                members.reserve(USUAL_REST);
            }
            members.push(Member::Whole(pair));
        }
    }

    pub(crate) fn clear(&mut self) {
        match self {
            Self::Listed(members) => members.clear(),
            Self::Planned(_) => *self = Self::default(),
        }
    }
}
