//! All users, newest seen first: each is listed at its last event.
//!
//! The events are read from the newest one backwards. Whether an event is the last one of its user is told by the
//! index, so nothing is kept between two pages. All pages see the events that the first one saw: a user who sends
//! an event meanwhile is still on one page.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use foldhash::HashSet;
use idmerge_core::{DistinctIdBuf, Resolve};
use idmerge_events::JsonEvent;
use idmerge_store::MayGoOn;

use super::describe::Counted;
use super::user::User;
use super::view::View;
use crate::archive::block::{NOT_AN_EVENT, StoredEvent};
use crate::archive::directory::BlockHead;
use crate::error::ProjectError;
use crate::project::Project;
use crate::read::read_cursor;

/// The most blocks of events that are read for a page.
const MAX_BLOCKS: usize = 200;

/// The most IDs whose events are counted for a page, before the last user on it.
const MAX_COUNTED: usize = 20_000;

/// Selects a page of the users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsersQuery {
    /// [`UsersPage::next`] of the page before.
    pub after: Option<UsersCursor>,
    /// The most users.
    pub limit: usize,
}

/// A page of the users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsersPage {
    /// The users, newest seen first. There can be fewer than the limit, and none, before the last page: a page
    /// is also at its end after some work.
    pub users: Vec<User>,
    /// The page after this one; `None` on the last page.
    pub next: Option<UsersCursor>,
}

/// The end of a page of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsersCursor {
    /// The next page has the users whose last event is before this one.
    before: u64,
    /// The last event that the pages see.
    last: u64,
}

impl fmt::Display for UsersCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.before, self.last)
    }
}

impl FromStr for UsersCursor {
    type Err = ProjectError;

    fn from_str(text: &str) -> Result<Self, ProjectError> {
        let (before, last) = read_cursor(text)?;
        Ok(Self { before, last })
    }
}

impl Project {
    /// A page of the users, newest seen first: by the arrival of the last event. A user with more IDs than are
    /// counted (10,000) can be on several pages. In Legacy, an ID that has become the alias of another one is no
    /// user, as for [`user_events`](Self::user_events).
    ///
    /// # Errors
    ///
    /// [`ProjectError::Cancelled`] once `may_go_on` has returned `false`, and any error of the disk.
    pub fn users_while(
        &self,
        query: &UsersQuery,
        may_go_on: MayGoOn,
    ) -> Result<UsersPage, ProjectError> {
        let view = View::new(self, query.after.map(|after| after.last), may_go_on)?;
        let mut walk = Walk {
            view: &view,
            limit: query.limit.max(1),
            before: query.after.map_or(u64::MAX, |after| after.before),
            counted: 0,
            seen: HashSet::default(),
            found: Vec::new(),
        };
        walk.run()?;
        let next = UsersCursor {
            before: walk.before,
            last: view.last,
        };
        let has_more = walk.before > 1;
        let users = view.describe(walk.found)?;
        Ok(UsersPage {
            users,
            next: has_more.then_some(next),
        })
    }
}

/// The last event of an ID in a block.
struct Candidate {
    number: u64,
    /// The ID under which the event is stored.
    own: DistinctIdBuf,
}

struct Walk<'v> {
    view: &'v View<'v>,
    limit: usize,
    /// The events from this one on are done with.
    before: u64,
    /// The IDs whose events were counted.
    counted: usize,
    /// The users that were looked at.
    seen: HashSet<DistinctIdBuf>,
    found: Vec<Counted>,
}

impl Walk<'_> {
    fn run(&mut self) -> Result<(), ProjectError> {
        for _ in 0..MAX_BLOCKS {
            self.view.check()?;
            let newest = self.before.saturating_sub(1).min(self.view.last);
            let head = match newest {
                0 => None,
                newest => self.view.block_from(newest),
            };
            let Some(head) = head else {
                self.before = 0;
                return Ok(());
            };
            let candidates = self.candidates(&head)?;
            if !self.take(candidates)? {
                return Ok(());
            }
            self.before = head.first;
        }
        Ok(())
    }

    /// The last event of each user in a block, the newest first.
    fn candidates(
        &self,
        head: &BlockHead,
    ) -> Result<Vec<(DistinctIdBuf, Candidate)>, ProjectError> {
        let view = self.view;
        let mut last_of: BTreeMap<DistinctIdBuf, u64> = BTreeMap::new();
        let block = view.archive()?.shown_block(head, view.last)?;
        block.each(&mut |stored| {
            if stored.number >= self.before || stored.number > view.last {
                return Ok(false);
            }
            if let Some(own) = stored_id(view.project, &stored)? {
                last_of.insert(own, stored.number);
            }
            Ok(true)
        })?;
        drop(block);
        let mut of_user: BTreeMap<DistinctIdBuf, Candidate> = BTreeMap::new();
        let store = view.state.store.read();
        for (own, number) in last_of {
            let canonical = store.resolve(own.as_id());
            // In Legacy, what is stored under an alias is no user's.
            if view.is_legacy() && canonical != own.as_id() {
                continue;
            }
            let canonical = canonical.to_buf();
            if self.seen.contains(&canonical) {
                continue;
            }
            let is_earlier = |other: &Candidate| other.number < number;
            if of_user.get(&canonical).is_none_or(is_earlier) {
                of_user.insert(canonical, Candidate { number, own });
            }
        }
        drop(store);
        let mut candidates: Vec<_> = of_user.into_iter().collect();
        candidates.sort_unstable_by_key(|(_, candidate)| Reverse(candidate.number));
        Ok(candidates)
    }

    /// Lists the users whose last event it is. Returns whether the page has room for more.
    fn take(&mut self, candidates: Vec<(DistinctIdBuf, Candidate)>) -> Result<bool, ProjectError> {
        // Most users who are not to be listed have a later event under the same ID.
        let own = candidates
            .iter()
            .map(|(_, candidate)| candidate.own.clone());
        let own = self.view.figures(own.collect())?;
        self.counted += own.len();
        for ((canonical, candidate), own) in candidates.into_iter().zip(own) {
            if own.figures.last <= candidate.number {
                let figures = self.view.user_figures(canonical.as_id())?;
                self.counted += figures.counted;
                if figures.all.last <= candidate.number {
                    let canonical = canonical.clone();
                    self.found.push(Counted { canonical, figures });
                }
            }
            self.seen.insert(canonical);
            self.before = candidate.number;
            if self.found.len() >= self.limit || self.counted >= MAX_COUNTED {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The ID under which an event is stored: its own, or in Legacy the one that it was attributed to.
pub(super) fn stored_id(
    project: &Project,
    stored: &StoredEvent<'_>,
) -> Result<Option<DistinctIdBuf>, ProjectError> {
    let settings = &project.inner.settings;
    let event = JsonEvent::parse_text(stored.text)
        .map_err(|_| ProjectError::damaged(stored.number, NOT_AN_EVENT))?;
    let reading = settings.read(&event.event());
    let own = reading.ok().and_then(|reading| reading.distinct_id);
    Ok(own.map(|own| match stored.at_arrival(settings, own) {
        Some(attributed) => attributed.to_buf(),
        None => own.to_buf(),
    }))
}
