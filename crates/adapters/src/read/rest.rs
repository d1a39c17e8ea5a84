//! [`Rest`]: the members of an object that are not read by name.

use std::mem;

use idmerge_events::Pair;

use crate::read::member::Member;
use crate::read::plan::{Only, Planned};

/// How many other fields most records have at most. These take less than a kilobyte, which allocators have at hand.
const USUAL_REST: usize = 18;

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

    /// Whether no name of these is one of the others. `None` if that would have to be looked up for each of them.
    pub(crate) fn are_apart_from(&self, others: &Self) -> Option<bool> {
        let Self::Planned(these) = self else {
            return None;
        };
        Some(match others {
            Self::Planned(others) => these.are_apart_from(others),
            Self::Listed(others) => !others.iter().any(|other| these.has_name(other.name_json())),
        })
    }

    /// Adds members to a list.
    pub(crate) fn extend(&mut self, added: Option<Member<'r>>) {
        if let Self::Listed(members) = self {
            members.extend(added);
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
