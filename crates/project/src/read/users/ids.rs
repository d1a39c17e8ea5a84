//! The IDs of a user, each with the figures of its own events.

use std::collections::BTreeSet;

use idmerge_core::DistinctIdBuf;
use idmerge_store::MayGoOn;

use super::device::Device;
use super::view::View;
use crate::error::ProjectError;
use crate::project::Project;
use crate::read::identity::{MemberCursor, MembersQuery};

/// A page of the IDs of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserIds {
    /// The canonical ID.
    pub canonical: String,
    /// The IDs, in the order of rule S-10, O-17 or L-12.
    pub ids: Vec<UserId>,
    /// The page after this one; `None` on the last page.
    pub next: Option<MemberCursor>,
}

/// An ID of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserId {
    /// The ID.
    pub distinct_id: String,
    /// How many events were sent under it; in Legacy, how many were attributed to it.
    pub events: u64,
    /// The time of the one that arrived first, in milliseconds since 1970.
    pub first_seen_ms: Option<i64>,
    /// The time of the one that arrived last.
    pub last_seen_ms: Option<i64>,
    /// The device, if the ID is that of one.
    pub device: Option<Device>,
}

impl Project {
    /// A page of the IDs of a user. The claims of the query are not read. An ID of which nothing is stored is a user
    /// with this ID alone.
    ///
    /// # Errors
    ///
    /// Those of [`identity_page`](Self::identity_page), and [`ProjectError::Cancelled`] once `may_go_on` has
    /// returned `false`.
    pub fn user_ids_while(
        &self,
        id: &str,
        query: &MembersQuery,
        may_go_on: MayGoOn,
    ) -> Result<UserIds, ProjectError> {
        let query = MembersQuery {
            with_claims: false,
            ..query.clone()
        };
        let page = self.identity_page_while(id, &query, may_go_on.clone())?;
        let view = View::new(self, None, may_go_on)?;
        let settings = &self.inner.settings;
        let ids = page.members.iter();
        let ids = ids.map(|id| Ok::<DistinctIdBuf, ProjectError>(settings.read_id(id)?.to_buf()));
        let counted = view.figures(ids.collect::<Result<_, _>>()?)?;
        let numbers = counted.iter();
        let numbers = numbers.flat_map(|counted| [counted.figures.first, counted.figures.last]);
        let facts = view.facts(&numbers.collect::<BTreeSet<u64>>())?;
        let all: Vec<_> = facts.values().collect();
        let ids = counted.iter().map(|counted| {
            let time_of = |number| facts.get(&number).map(|facts| facts.time_ms);
            UserId {
                distinct_id: counted.id.to_string(),
                events: counted.figures.events,
                first_seen_ms: time_of(counted.figures.first),
                last_seen_ms: time_of(counted.figures.last),
                device: view.device(counted, &facts, &all),
            }
        });
        Ok(UserIds {
            ids: ids.collect(),
            canonical: page.canonical,
            next: page.next,
        })
    }
}
