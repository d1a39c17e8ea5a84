//! Sessions of the vendor's profile query: where its pages begin.
//!
//! A client of that query asks for pages by number, often for several at the same time. A page that was
//! sent shows where the next one begins, so no page is found by reading all pages before it. In a session the
//! pages do not move, also if profiles are added meanwhile.

use std::collections::VecDeque;
use std::sync::Arc;

use idmerge_project::{Project, ProjectError};
use parking_lot::Mutex;

use super::selection::Selection;

/// The profiles of a page.
pub(crate) const PAGE_PROFILES: usize = 1_000;

/// How many profiles are read between two questions whether to go on.
const PROFILES_BETWEEN_CHECKS: u64 = 1_024;

/// The most sessions that are remembered. A client of a forgotten one gets the pages of now.
const MAX_SESSIONS: usize = 64;

/// The most bytes of an ID that a client gives a session.
const MAX_ID_BYTES: usize = 64;

/// The sessions of a project, the one used last at the end.
#[derive(Default)]
pub(crate) struct ProfileSessions(Mutex<Sessions>);

#[derive(Default)]
struct Sessions {
    known: VecDeque<Session>,
    started: u64,
}

/// The pages of one session.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) id: String,
    /// For each page after the first one whose beginning is known: the last ID before it.
    starts: Arc<Mutex<Vec<String>>>,
    /// The pages of the selection that was used last.
    selected: Arc<Mutex<Option<Arc<SelectedPages>>>>,
}

/// The pages of selected profiles.
struct SelectedPages {
    selection: Selection,
    /// For each page after the first one: the last ID before it.
    starts: Vec<String>,
    total: u64,
}

impl ProfileSessions {
    /// The session with this ID, or a new one.
    pub(crate) fn session(&self, id: Option<&str>) -> Session {
        let mut sessions = self.0.lock();
        let id = match id {
            Some(id) => id[..id.floor_char_boundary(MAX_ID_BYTES)].to_owned(),
            None => {
                sessions.started += 1;
                sessions.started.to_string()
            }
        };
        let place = sessions.known.iter().position(|session| session.id == id);
        let known = place.and_then(|place| sessions.known.remove(place));
        let session = known.unwrap_or_else(|| Session {
            id,
            starts: Arc::default(),
            selected: Arc::default(),
        });
        if sessions.known.len() == MAX_SESSIONS {
            sessions.known.pop_front();
        }
        sessions.known.push_back(session.clone());
        session
    }
}

/// The place of a page: after an ID, and up to an ID if the page after it has begun.
pub(crate) struct PagePlace {
    pub(crate) after: Option<String>,
    pub(crate) until: Option<String>,
}

impl Session {
    /// Finds a page; `None` if there are fewer pages. If no page before it was asked for in this session,
    /// their profiles are counted, once for all pages.
    pub(crate) fn place(
        &self,
        project: &Project,
        page: usize,
    ) -> Result<Option<PagePlace>, ProjectError> {
        let mut starts = self.starts.lock();
        while starts.len() < page {
            let before = starts.last().map(String::as_str);
            let Some(last) = project.profile_after(before, PAGE_PROFILES)? else {
                return Ok(None);
            };
            starts.push(last);
        }
        Ok(Some(PagePlace {
            after: page.checked_sub(1).map(|before| starts[before].clone()),
            until: starts.get(page).cloned(),
        }))
    }

    /// Finds a page of selected profiles, and how many are selected. All profiles are read for that, once for all pages of the session. Fails soon after `may_go_on` has returned `false`.
    pub(crate) fn selected_place(
        &self,
        project: &Project,
        selection: &Selection,
        page: usize,
        may_go_on: &dyn Fn() -> bool,
    ) -> Result<(Option<PagePlace>, u64), ProjectError> {
        let mut selected = self.selected.lock();
        let known = selected
            .as_ref()
            .filter(|known| known.selection == *selection);
        let pages = match known {
            Some(known) => Arc::clone(known),
            None => Arc::new(SelectedPages::count(project, selection, may_go_on)?),
        };
        *selected = Some(Arc::clone(&pages));
        let starts = &pages.starts;
        let place = (page <= starts.len()).then(|| PagePlace {
            after: page.checked_sub(1).map(|before| starts[before].clone()),
            until: starts.get(page).cloned(),
        });
        Ok((place, pages.total))
    }

    /// Takes note of the last profile of a full page.
    pub(crate) fn sent(&self, page: usize, last: String) {
        let mut starts = self.starts.lock();
        if starts.len() == page {
            starts.push(last);
        }
    }
}

impl SelectedPages {
    fn count(
        project: &Project,
        selection: &Selection,
        may_go_on: &dyn Fn() -> bool,
    ) -> Result<Self, ProjectError> {
        let (mut starts, mut total) = (Vec::new(), 0_u64);
        let mut read = 0_u64;
        let mut is_wanted = true;
        selection.each_of_kind(project, None, &mut |id, json| {
            read += 1;
            if selection.selects(json) {
                total += 1;
                if total.is_multiple_of(PAGE_PROFILES as u64) {
                    starts.push(id.to_owned());
                }
            }
            is_wanted = !read.is_multiple_of(PROFILES_BETWEEN_CHECKS) || may_go_on();
            Ok(is_wanted)
        })?;
        if !is_wanted {
            return Err(ProjectError::Cancelled);
        }
        Ok(Self {
            selection: selection.clone(),
            starts,
            total,
        })
    }
}
