//! Reads profiles.

use std::io;
use std::ops::Bound::{Excluded, Included, Unbounded};

use idmerge_core::Resolve;
use idmerge_store::redb::{ReadTransaction, ReadableTableMetadata};

use crate::error::ProjectError;
use crate::large::LargeShare;
use crate::profiles::{
    GROUPS, PROFILES, ProfileKey, TextNumber, Texts, committed_bytes, committed_json, existing,
};
use crate::project::Project;
use crate::read::identity::{MemberCursor, MembersQuery};

/// A page of hidden profiles ends after so many bytes.
const HIDDEN_PAGE_BYTES: usize = 2 << 20;

/// A profile of a user.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredProfile {
    /// The canonical distinct_id of the user.
    pub distinct_id: String,
    /// The properties as a JSON object.
    pub json: String,
}

/// A page of profiles, in the order of their IDs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProfilePage {
    /// The profiles.
    pub profiles: Vec<StoredProfile>,
    /// The number of profiles on all pages.
    pub total: u64,
    /// The argument `after` for the next page; `None` on the last page.
    pub next: Option<String>,
}

/// The profiles of a user that are not shown, with the IDs that they are stored under.
#[derive(Clone, Debug, PartialEq)]
pub struct HiddenProfiles {
    /// The canonical distinct_id of the user.
    pub canonical: String,
    /// The hidden profiles, in the order of the user's IDs.
    pub profiles: Vec<StoredProfile>,
    /// The page after this one; `None` on the last page.
    pub next: Option<MemberCursor>,
}

impl Project {
    /// The profiles that merges have hidden behind that of a user (P-3, LP-2), and those that were set with
    /// `$ignore_alias`. A page looks at as many IDs of the user as `query` says, and ends after 2 MiB of profiles, so it
    /// can have none although there are more.
    ///
    /// # Errors
    ///
    /// [`ProjectError::InvalidId`], [`ProjectError::InvalidCursor`], and any error of the disk.
    pub fn hidden_profiles(
        &self,
        distinct_id: &str,
        query: &MembersQuery,
    ) -> Result<HiddenProfiles, ProjectError> {
        let id = self.inner.settings.read_id(distinct_id)?;
        let state = self.inner.state()?;
        let page = self.members(&state, id, query)?;
        let read = state.store.read().begin_read()?;
        let mut hidden = HiddenProfiles {
            canonical: page.canonical.to_string(),
            profiles: Vec::new(),
            next: None,
        };
        let mut bytes = 0;
        for (at, member) in page.members.iter().enumerate() {
            let key = ProfileKey::Hidden(member.to_string());
            if let Some(json) = committed_json(&read, &key)? {
                bytes += json.len();
                hidden.profiles.push(StoredProfile {
                    distinct_id: member.to_string(),
                    json,
                });
            }
            let is_last = at + 1 == page.members.len();
            if bytes >= HIDDEN_PAGE_BYTES || is_last {
                let has_more = page.has_more || !is_last;
                hidden.next = has_more.then(|| MemberCursor::after(member.as_id()));
                break;
            }
        }
        Ok(hidden)
    }

    /// The profile of the user with this ID. Profiles that a merge has hidden are not returned.
    ///
    /// # Errors
    ///
    /// [`ProjectError::InvalidId`], and any error of the disk.
    pub fn profile(&self, distinct_id: &str) -> Result<Option<StoredProfile>, ProjectError> {
        let (read, canonical) = self.canonical(distinct_id)?;
        let key = ProfileKey::Canonical(canonical.clone());
        let json = committed_json(&read, &key)?;
        Ok(json.map(|json| StoredProfile {
            distinct_id: canonical,
            json,
        }))
    }

    /// Calls `visit` with the canonical ID and the JSON of the [profile](Self::profile) of a user, if it has
    /// one. If the profile is large, this waits until few others are read.
    ///
    /// # Errors
    ///
    /// [`ProjectError::InvalidId`], [`ProjectError::Busy`], and any error of the disk.
    pub fn visit_profile(
        &self,
        distinct_id: &str,
        visit: &mut dyn FnMut(&str, &str),
    ) -> Result<(), ProjectError> {
        let (read, canonical) = self.canonical(distinct_id)?;
        let key = ProfileKey::Canonical(canonical.clone());
        let _large = LargeShare::of(committed_bytes(&read, &key)?.unwrap_or(0))?;
        if let Some(json) = committed_json(&read, &key)? {
            visit(&canonical, &json);
        }
        Ok(())
    }

    /// The canonical ID of an ID, and what is committed.
    fn canonical(&self, distinct_id: &str) -> Result<(ReadTransaction, String), ProjectError> {
        let id = self.inner.settings.read_id(distinct_id)?;
        let state = self.inner.state()?;
        let store = state.store.read();
        let canonical = store.resolve(id).to_string();
        Ok((store.begin_read()?, canonical))
    }

    /// The profile of a group as a JSON object, by its `$group_key` and `$group_id`.
    ///
    /// # Errors
    ///
    /// Any error of the disk.
    pub fn group(&self, key: &str, id: &str) -> Result<Option<String>, ProjectError> {
        let read = self.inner.state()?.store.read().begin_read()?;
        let key = ProfileKey::Group(key.to_owned(), id.to_owned());
        committed_json(&read, &key)
    }

    /// The number of profiles that are not hidden.
    ///
    /// # Errors
    ///
    /// Any error of the disk.
    pub fn count_profiles(&self) -> Result<u64, ProjectError> {
        let read = self.inner.state()?.store.read().begin_read()?;
        Ok(match existing(read.open_table(PROFILES))? {
            Some(table) => table.len()?,
            None => 0,
        })
    }

    /// The ID of the profile that is `count` profiles after an ID, in the order of the IDs; `None` if there
    /// are fewer. No profile is read for it.
    ///
    /// # Errors
    ///
    /// Any error of the disk.
    pub fn profile_after(
        &self,
        after: Option<&str>,
        count: usize,
    ) -> Result<Option<String>, ProjectError> {
        let read = self.inner.state()?.store.read().begin_read()?;
        let Some(table) = existing(read.open_table(PROFILES))? else {
            return Ok(None);
        };
        let from = after.map_or(Unbounded, Excluded);
        let mut rows = table.range::<&str>((from, Unbounded))?;
        match rows.nth(count.saturating_sub(1)) {
            Some(row) => Ok(Some(row?.0.value().to_owned())),
            None => Ok(None),
        }
    }

    /// Calls `visit` with the canonical ID and the JSON of each profile that is not hidden, in the order of
    /// the IDs and starting after an ID, until it returns `false`. One profile is in memory at a time, and a
    /// large one waits until few others are read.
    ///
    /// # Errors
    ///
    /// [`ProjectError::Sink`] if `visit` fails, [`ProjectError::Busy`], and any error of the disk.
    pub fn each_profile(
        &self,
        after: Option<&str>,
        visit: &mut dyn FnMut(&str, &str) -> io::Result<bool>,
    ) -> Result<(), ProjectError> {
        let read = self.inner.state()?.store.read().begin_read()?;
        let Some(table) = existing(read.open_table(PROFILES))? else {
            return Ok(());
        };
        let texts = Texts::open(&read)?;
        let from = after.map_or(Unbounded, Excluded);
        for row in table.range::<&str>((from, Unbounded))? {
            let (id, row) = row?;
            if !visit_row(&texts, id.value(), row.value(), visit)? {
                break;
            }
        }
        Ok(())
    }

    /// Calls `visit` with the `$group_id` and the JSON of each profile of a group with this `$group_key`, as
    /// [`each_profile`](Self::each_profile) does for users.
    ///
    /// # Errors
    ///
    /// Those of [`each_profile`](Self::each_profile).
    pub fn each_group(
        &self,
        group_key: &str,
        after: Option<&str>,
        visit: &mut dyn FnMut(&str, &str) -> io::Result<bool>,
    ) -> Result<(), ProjectError> {
        let read = self.inner.state()?.store.read().begin_read()?;
        let Some(table) = existing(read.open_table(GROUPS))? else {
            return Ok(());
        };
        let texts = Texts::open(&read)?;
        let from = match after {
            None => Included((group_key, "")),
            Some(after) => Excluded((group_key, after)),
        };
        for row in table.range::<(&str, &str)>((from, Unbounded))? {
            let (key, row) = row?;
            let (row_key, id) = key.value();
            if row_key != group_key || !visit_row(&texts, id, row.value(), visit)? {
                break;
            }
        }
        Ok(())
    }

    /// A page of all profiles that are not hidden: at most `limit`, starting after an ID. Pass the
    /// [`next`](ProfilePage::next) of a page to get the page after it. The whole page is in memory.
    ///
    /// # Errors
    ///
    /// Those of [`each_profile`](Self::each_profile).
    pub fn profiles(&self, after: Option<&str>, limit: usize) -> Result<ProfilePage, ProjectError> {
        let mut page = ProfilePage {
            total: self.count_profiles()?,
            ..ProfilePage::default()
        };
        self.each_profile(after, &mut |id, json| {
            if page.profiles.len() == limit {
                page.next = page.profiles.last().map(|last| last.distinct_id.clone());
                return Ok(false);
            }
            page.profiles.push(StoredProfile {
                distinct_id: id.to_owned(),
                json: json.to_owned(),
            });
            Ok(true)
        })?;
        Ok(page)
    }
}

/// Calls `visit` with the ID and the JSON of a row, if its text is there. A large one waits until few others are
/// read.
fn visit_row(
    texts: &Texts,
    id: &str,
    row: &str,
    visit: &mut dyn FnMut(&str, &str) -> io::Result<bool>,
) -> Result<bool, ProjectError> {
    let _large = LargeShare::of(TextNumber::read(row).map_or(row.len(), |long| long.bytes))?;
    match texts.json(row)? {
        Some(json) => visit(id, &json).map_err(ProjectError::Sink),
        None => Ok(true),
    }
}
