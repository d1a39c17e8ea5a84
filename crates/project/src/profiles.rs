//! The tables of profiles.

use idmerge_profiles::Profile;
use idmerge_store::redb::{ReadTransaction, TableDefinition, TableError, TableHandle};

use crate::error::ProjectError;

type JsonById = TableDefinition<'static, &'static str, &'static str>;

/// The visible profiles of users, by canonical distinct_id.
pub(crate) const PROFILES: JsonById = TableDefinition::new("profiles");
/// Profiles of users under IDs that are not canonical, such as those that a merge has hidden.
pub(crate) const HIDDEN: JsonById = TableDefinition::new("profiles_hidden");
/// Profiles of groups, by `$group_key` and `$group_id`.
pub(crate) const GROUPS: TableDefinition<'_, (&str, &str), &str> = TableDefinition::new("groups");

/// The properties that a profile took from others, with the IDs of those, by the name of the profile's
/// table and its key.
pub(crate) const SOURCES: TableDefinition<'_, (&str, &str), &str> =
    TableDefinition::new("profile_sources");

/// The table and the key of a profile.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ProfileKey {
    Canonical(String),
    Hidden(String),
    Group(String, String),
}

impl ProfileKey {
    /// The key in [`SOURCES`]. Profiles of groups take nothing from others.
    pub(crate) fn in_sources(&self) -> Option<(&str, &str)> {
        match self {
            Self::Canonical(id) => Some((PROFILES.name(), id)),
            Self::Hidden(id) => Some((HIDDEN.name(), id)),
            Self::Group(..) => None,
        }
    }
}

/// The committed profile.
pub(crate) fn committed(
    read: &ReadTransaction,
    key: &ProfileKey,
) -> Result<Option<Profile>, ProjectError> {
    let json = committed_json(read, key)?;
    let Some(profile) = json.and_then(|json| Profile::from_json(&json)) else {
        return Ok(None);
    };
    let sources = match (key.in_sources(), read.open_table(SOURCES)) {
        (None, _) | (_, Err(TableError::TableDoesNotExist(_))) => None,
        (Some(key), table) => table?.get(key)?.map(|json| json.value().to_owned()),
    };
    Ok(Some(match sources {
        Some(sources) => profile.with_sources(&sources),
        None => profile,
    }))
}

/// The committed profile, as JSON.
pub(crate) fn committed_json(
    read: &ReadTransaction,
    key: &ProfileKey,
) -> Result<Option<String>, ProjectError> {
    match key {
        ProfileKey::Canonical(id) => json_by_id(read, PROFILES, id),
        ProfileKey::Hidden(id) => json_by_id(read, HIDDEN, id),
        ProfileKey::Group(key, id) => match read.open_table(GROUPS) {
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            table => {
                let found = table?.get((&**key, &**id))?;
                Ok(found.map(|json| json.value().to_owned()))
            }
        },
    }
}

fn json_by_id(
    read: &ReadTransaction,
    table: JsonById,
    id: &str,
) -> Result<Option<String>, ProjectError> {
    match read.open_table(table) {
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        table => Ok(table?.get(id)?.map(|json| json.value().to_owned())),
    }
}
