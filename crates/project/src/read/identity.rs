//! The identity of an ID, the claims behind it, and the changes over time.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use idmerge_core::{DistinctId, DistinctIdBuf, Resolve, quote};
use idmerge_store::{Change, LogEntry, MayGoOn};

use crate::error::ProjectError;
use crate::open::state::State;
use crate::project::Project;

/// The user that an ID belongs to now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The ID that was asked for, normalized by the rules.
    pub distinct_id: String,
    /// The canonical ID of the user.
    pub canonical: String,
    /// IDs of the user, in the order of rule S-10 or O-17. Only the ID itself if it is in no
    /// cluster.
    pub members: Vec<String>,
    /// The claims that name these members, in arrival order, with the answers that count now; if they
    /// were asked for. A claim that names two IDs of the user occurs once on all pages.
    pub claims: Vec<LogEntry>,
    /// The page after this one; `None` on the last page.
    pub next: Option<MemberCursor>,
    /// If the ID is in no cluster: the ID that differs from it only by the prefix `$device:`, and is
    /// in one.
    pub did_you_mean: Option<String>,
}

/// Selects a page of the members of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembersQuery {
    /// [`Identity::next`] of the page before.
    pub after: Option<MemberCursor>,
    /// The most members.
    pub limit: usize,
    /// Whether the claims that name the members are wanted too. A page then ends earlier if it has many
    /// claims, and the page after it can have claims of the same member without listing it again.
    pub with_claims: bool,
}

impl Default for MembersQuery {
    fn default() -> Self {
        Self {
            after: None,
            limit: 1_000,
            with_claims: false,
        }
    }
}

/// The end of a page of members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberCursor {
    /// The last member.
    member: String,
    /// The entry of the log up to which the claims of the member were listed; 0 if all were.
    claims_until: u64,
}

impl fmt::Display for MemberCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.claims_until, self.member)
    }
}

impl FromStr for MemberCursor {
    type Err = ProjectError;

    fn from_str(text: &str) -> Result<Self, ProjectError> {
        let (claims_until, member) = text.split_once('.').unwrap_or_default();
        match claims_until.parse() {
            Ok(claims_until) => Ok(Self {
                member: member.to_owned(),
                claims_until,
            }),
            Err(_) => Err(invalid_cursor(text)),
        }
    }
}

fn invalid_cursor(cursor: &str) -> ProjectError {
    ProjectError::InvalidCursor {
        cursor: quote(cursor),
    }
}

impl MemberCursor {
    /// The end of a page whose last member is this one.
    pub(super) fn after(member: DistinctId<'_>) -> Self {
        Self {
            member: member.to_string(),
            claims_until: 0,
        }
    }
}

/// The members of a page, as the engine had them at one moment.
pub(super) struct Members {
    pub(super) canonical: DistinctIdBuf,
    pub(super) members: Vec<DistinctIdBuf>,
    /// Whether the first member was listed on an earlier page.
    is_first_listed: bool,
    pub(super) has_more: bool,
}

impl Project {
    /// The user that an ID belongs to now, with its first 1,000 IDs.
    ///
    /// # Errors
    ///
    /// [`ProjectError::InvalidId`] if the text is not an ID under the rules of the project.
    pub fn identity(&self, id: &str) -> Result<Identity, ProjectError> {
        self.identity_page(id, &MembersQuery::default())
    }

    /// The user that an ID belongs to now, with a page of its IDs. The work is in proportion to the page.
    ///
    /// # Errors
    ///
    /// [`ProjectError::InvalidId`] if the text is not an ID under the rules of the project,
    /// [`ProjectError::InvalidCursor`] if the cursor is of another user, and any error of the disk.
    pub fn identity_page(&self, id: &str, query: &MembersQuery) -> Result<Identity, ProjectError> {
        self.identity_page_while(id, query, Arc::new(|| true))
    }

    /// As [`identity_page`](Self::identity_page), until `may_go_on` returns `false`. It is called while claims
    /// are read.
    ///
    /// # Errors
    ///
    /// [`ProjectError::Cancelled`] if it returned `false`, and those of
    /// [`identity_page`](Self::identity_page).
    pub fn identity_page_while(
        &self,
        id: &str,
        query: &MembersQuery,
        may_go_on: MayGoOn,
    ) -> Result<Identity, ProjectError> {
        let id = self.inner.settings.read_id(id)?;
        let state = self.inner.state()?;
        let mut page = self.members(&state, id, query)?;
        let mut next = page.members.last().map(|last| (last.to_string(), 0));
        let mut claims = Vec::new();
        if query.with_claims {
            let after = query.after.as_ref().map_or(0, |after| after.claims_until);
            // One lookup at a time, so that claims do not wait for the rest.
            let is_of_user =
                |id: DistinctId<'_>| state.store.read().resolve(id) == page.canonical.as_id();
            let history = state.store.read().history()?.only_while(may_go_on);
            let part = history.story_part(&page.members, after, &is_of_user)?;
            claims = part.claims;
            if let Some(partly) = page.members.get(part.complete) {
                // Its claims continue on the next page.
                next = Some((partly.to_string(), part.read_until));
                page.members.truncate(part.complete + 1);
                page.has_more = true;
            }
        }
        if page.is_first_listed {
            page.members.remove(0);
        }
        let next = next.filter(|_| page.has_more);
        Ok(Identity {
            distinct_id: id.to_string(),
            canonical: page.canonical.to_string(),
            members: page.members.iter().map(ToString::to_string).collect(),
            claims,
            next: next.map(|(member, claims_until)| MemberCursor {
                member,
                claims_until,
            }),
            did_you_mean: self.did_you_mean_of(&state, id),
        })
    }

    pub(super) fn members(
        &self,
        state: &State,
        id: DistinctId<'_>,
        query: &MembersQuery,
    ) -> Result<Members, ProjectError> {
        let store = state.store.read();
        let canonical = store.resolve(id);
        let mut members = Vec::new();
        let mut after = None;
        let mut is_first_listed = false;
        if let Some(cursor) = &query.after {
            let invalid = || invalid_cursor(&cursor.to_string());
            let member = self
                .inner
                .settings
                .read_id(&cursor.member)
                .map_err(|_| invalid())?;
            if store.resolve(member) != canonical {
                return Err(invalid());
            }
            is_first_listed = query.with_claims && cursor.claims_until > 0;
            if is_first_listed {
                members.push(member.to_buf());
            }
            after = Some(member);
        }
        // One more shows whether there is another page.
        let limit = query.limit.max(1);
        let found = match (store.members_after(id, after, limit + 1), after) {
            (Some(found), _) => found,
            (None, None) => vec![id],
            (None, Some(_)) => Vec::new(),
        };
        members.extend(found.iter().take(limit).map(DistinctId::to_buf));
        Ok(Members {
            canonical: canonical.to_buf(),
            members,
            is_first_listed,
            has_more: found.len() > limit,
        })
    }

    /// If an ID is in no cluster: the ID that differs from it only by the prefix `$device:`, and is in
    /// one.
    ///
    /// # Errors
    ///
    /// [`ProjectError::InvalidId`] if the text is not an ID under the rules of the project.
    pub fn did_you_mean(&self, id: &str) -> Result<Option<String>, ProjectError> {
        let id = self.inner.settings.read_id(id)?;
        let state = self.inner.state()?;
        Ok(self.did_you_mean_of(&state, id))
    }

    fn did_you_mean_of(&self, state: &State, id: DistinctId<'_>) -> Option<String> {
        let store = state.store.read();
        let other = self.inner.settings.did_you_mean(&*store, id);
        other.map(|other| other.to_string())
    }

    /// The changes after an entry of the log, in order: at least `limit` if there are as many, since the
    /// changes of one entry are never split.
    ///
    /// # Errors
    ///
    /// Those of [`changes_page`](Self::changes_page).
    pub fn changes(&self, since: u64, limit: usize) -> Result<Vec<Change>, ProjectError> {
        Ok(self.changes_page(since, limit)?.0)
    }

    /// The [`changes`](Self::changes) after an entry of the log. Also returns the entry after which the next changes are: the
    /// end of the log if there are no more. The work is in proportion to the entries between the two.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchEntry`](idmerge_store::StoreError::NoSuchEntry) if the log is shorter, and
    /// any error of the disk.
    pub fn changes_page(
        &self,
        since: u64,
        limit: usize,
    ) -> Result<(Vec<Change>, u64), ProjectError> {
        self.changes_page_while(since, limit, Arc::new(|| true))
    }

    /// As [`changes_page`](Self::changes_page), until `may_go_on` returns `false`. It is called while entries
    /// are read.
    ///
    /// # Errors
    ///
    /// [`ProjectError::Cancelled`] if it returned `false`, and those of
    /// [`changes_page`](Self::changes_page).
    pub fn changes_page_while(
        &self,
        since: u64,
        limit: usize,
        may_go_on: MayGoOn,
    ) -> Result<(Vec<Change>, u64), ProjectError> {
        let history = self.history()?.only_while(may_go_on);
        let mut next = history.last();
        let mut changes: Vec<Change> = Vec::new();
        history.changes_since(since, &mut |change| {
            if let Some(last) = changes.last()
                && last.sequence != change.sequence
                && changes.len() >= limit
            {
                next = last.sequence;
                return Ok(false);
            }
            changes.push(change);
            Ok(true)
        })?;
        Ok((changes, next))
    }

    /// The number of the last entry of the log; 0 if there is none. Does not wait for a commit.
    ///
    /// # Errors
    ///
    /// Any error of the disk.
    pub fn sequence(&self) -> Result<u64, ProjectError> {
        Ok(self.inner.state()?.store.read().committed())
    }
}
