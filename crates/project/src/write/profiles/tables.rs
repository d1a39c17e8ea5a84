//! [`ProfileTables`]: the tables of profiles in a transaction that writes them.

use std::collections::BTreeMap;

use idmerge_profiles::Profile;
use idmerge_store::redb::{Key, ReadableTable, Table, WriteTransaction};
use idmerge_store::set_long_rows;

use crate::error::ProjectError;
use crate::profiles::{
    GROUPS, HIDDEN, LONG_BYTES, PROFILES, ProfileKey, ProfileRow, SOURCES, TEXTS, TextNumber,
    profile_of, with_json,
};

type ById<'t> = Table<'t, &'static str, &'static str>;
type ByPair<'t> = Table<'t, (&'static str, &'static str), &'static str>;

/// The tables of profiles.
pub(crate) struct ProfileTables<'t> {
    pub(crate) shown: ById<'t>,
    pub(crate) hidden: ById<'t>,
    pub(crate) sources: ByPair<'t>,
    groups: ByPair<'t>,
    texts: Table<'t, u64, &'static [u8]>,
    /// For each text of which a row was written or replaced: how many rows it has more than the one
    /// that a committed text has.
    rows: BTreeMap<u64, i32>,
    write: &'t WriteTransaction,
    has_new_texts: bool,
}

/// A profile that is written.
#[derive(Debug)]
pub(crate) enum Written {
    /// As it is stored already, perhaps under another key.
    Row(ProfileRow),
    Profile(Profile),
}

impl<'t> ProfileTables<'t> {
    pub(crate) fn open(write: &'t WriteTransaction) -> Result<Self, ProjectError> {
        Ok(Self {
            shown: write.open_table(PROFILES)?,
            hidden: write.open_table(HIDDEN)?,
            sources: write.open_table(SOURCES)?,
            groups: write.open_table(GROUPS)?,
            texts: write.open_table(TEXTS)?,
            rows: BTreeMap::new(),
            write,
            has_new_texts: false,
        })
    }

    /// The row of a user's profile.
    pub(crate) fn row(&self, key: &ProfileKey) -> Result<Option<ProfileRow>, ProjectError> {
        let text = match key {
            ProfileKey::Canonical(id) => self.shown.get(&**id)?,
            ProfileKey::Hidden(id) => self.hidden.get(&**id)?,
            ProfileKey::Group(..) => None,
        };
        let (Some(text), Some(key)) = (text, key.in_sources()) else {
            return Ok(None);
        };
        let sources = self.sources.get(key)?;
        Ok(Some(ProfileRow {
            text: text.value().to_owned(),
            sources: sources.map(|json| json.value().to_owned()),
        }))
    }

    /// A user's profile.
    pub(crate) fn profile(&self, key: &ProfileKey) -> Result<Option<Profile>, ProjectError> {
        let Some(row) = self.row(key)? else {
            return Ok(None);
        };
        let sources = row.sources.as_deref();
        let profile = |json: Result<&str, _>| profile_of(json.ok()?, sources);
        Ok(with_json(&row.text, Some(&self.texts), profile)?)
    }

    /// Writes or removes a profile.
    pub(crate) fn put(
        &mut self,
        key: &ProfileKey,
        profile: Option<Written>,
    ) -> Result<(), ProjectError> {
        let row = match profile {
            Some(Written::Profile(profile)) => Some(self.row_of(&profile)?),
            Some(Written::Row(row)) => Some(row),
            None => None,
        };
        let text = row.as_ref().map(|row| row.text.as_str());
        if let Some(written) = text.and_then(number) {
            *self.rows.entry(written).or_default() += 1;
        }
        let replaced = match key {
            ProfileKey::Canonical(id) => replace(&mut self.shown, &**id, text)?,
            ProfileKey::Hidden(id) => replace(&mut self.hidden, &**id, text)?,
            ProfileKey::Group(key, id) => replace(&mut self.groups, (&**key, &**id), text)?,
        };
        if let Some(replaced) = replaced {
            *self.rows.entry(replaced).or_default() -= 1;
        }
        if let Some(key) = key.in_sources() {
            let sources = row.as_ref().and_then(|row| row.sources.as_deref());
            replace(&mut self.sources, key, sources)?;
        }
        Ok(())
    }

    /// Writes the text of a profile, if it is long.
    fn row_of(&mut self, profile: &Profile) -> Result<ProfileRow, ProjectError> {
        let sources = profile.sources_json();
        let json = profile.to_json();
        if json.len() < LONG_BYTES {
            let text = json;
            return Ok(ProfileRow { text, sources });
        }
        let last = self.texts.last()?.map_or(0, |(number, _)| number.value());
        let long = TextNumber::of(last + 1, &json);
        self.has_new_texts = true;
        self.texts.insert(long.number, json.as_bytes())?;
        // It has no row yet.
        self.rows.insert(long.number, -1);
        Ok(ProfileRow {
            text: long.row(),
            sources,
        })
    }

    /// Removes the texts that have no row any more. Call this once, at the end.
    pub(crate) fn finish(mut self) -> Result<(), ProjectError> {
        if self.has_new_texts {
            set_long_rows(self.write)?;
        }
        for (number, rows) in self.rows {
            if rows < 0 {
                self.texts.remove(number)?;
            }
        }
        Ok(())
    }
}

/// Writes or removes a row. Returns the number of the text that the earlier row had.
fn replace<'k, K: Key + 'static>(
    table: &mut Table<'_, K, &'static str>,
    key: K::SelfType<'k>,
    text: Option<&str>,
) -> Result<Option<u64>, ProjectError> {
    let before = match text {
        Some(text) => table.insert(key, text)?,
        None => table.remove(key)?,
    };
    Ok(before.and_then(|row| number(row.value())))
}

fn number(row: &str) -> Option<u64> {
    TextNumber::read(row).map(|long| long.number)
}

#[cfg(test)]
mod tests;
