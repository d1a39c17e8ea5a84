//! Reads profiles.

use std::ops::Bound::{Excluded, Unbounded};

use idmerge_core::Resolve;
use idmerge_store::redb::{ReadableTableMetadata, TableError};

use crate::error::ProjectError;
use crate::profiles::{PROFILES, ProfileKey, Texts, committed_json};
use crate::project::Project;

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

impl Project {
    /// The profile of the user with this ID. Profiles that a merge has hidden are not returned.
    ///
    /// # Errors
    ///
    /// [`ProjectError::InvalidId`], and any error of the disk.
    pub fn profile(&self, distinct_id: &str) -> Result<Option<StoredProfile>, ProjectError> {
        let id = self.inner.settings.read_id(distinct_id)?;
        let state = self.inner.state()?;
        let store = state.store.read();
        let canonical = store.resolve(id).to_string();
        let read = store.begin_read()?;
        drop(store);
        let key = ProfileKey::Canonical(canonical.clone());
        let json = committed_json(&read, &key)?;
        Ok(json.map(|json| StoredProfile {
            distinct_id: canonical,
            json,
        }))
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

    /// A page of all profiles that are not hidden: at most `limit`, starting after an ID. Pass the
    /// [`next`](ProfilePage::next) of a page to get the page after it.
    ///
    /// # Errors
    ///
    /// Any error of the disk.
    pub fn profiles(&self, after: Option<&str>, limit: usize) -> Result<ProfilePage, ProjectError> {
        let read = self.inner.state()?.store.read().begin_read()?;
        let table = match read.open_table(PROFILES) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(ProfilePage::default()),
            table => table?,
        };
        let mut page = ProfilePage {
            total: table.len()?,
            ..ProfilePage::default()
        };
        let texts = Texts::open(&read)?;
        let from = after.map_or(Unbounded, Excluded);
        for row in table.range::<&str>((from, Unbounded))? {
            if page.profiles.len() == limit {
                page.next = page.profiles.last().map(|last| last.distinct_id.clone());
                break;
            }
            let (id, row) = row?;
            let Some(json) = texts.json(row.value())? else {
                continue;
            };
            page.profiles.push(StoredProfile {
                distinct_id: id.value().to_owned(),
                json,
            });
        }
        Ok(page)
    }
}
