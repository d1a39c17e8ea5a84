//! Sessions of the vendor's profile query: where its pages begin.
//!
//! A client of that query asks for pages by number, often for several at the same time. A page that was
//! sent shows where the next one begins, so no page is found by reading all pages before it. In a session the
//! pages do not move, also if profiles are added meanwhile.

use std::collections::VecDeque;
use std::sync::Arc;

use idmerge_project::{Project, ProjectError};
use parking_lot::Mutex;

/// The profiles of a page.
pub(crate) const PAGE_PROFILES: usize = 1_000;

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

    /// Takes note of the last profile of a full page.
    pub(crate) fn sent(&self, page: usize, last: String) {
        let mut starts = self.starts.lock();
        if starts.len() == page {
            starts.push(last);
        }
    }
}
