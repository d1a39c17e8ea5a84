//! The tables of profiles.

use idmerge_store::redb::{ReadTransaction, TableDefinition, TableError};

use crate::error::ProjectError;

type JsonById = TableDefinition<'static, &'static str, &'static str>;

/// The visible profiles of users, by canonical distinct_id.
pub(crate) const PROFILES: JsonById = TableDefinition::new("profiles");
/// Profiles of users under IDs that are not canonical, such as those that a merge has hidden.
pub(crate) const HIDDEN: JsonById = TableDefinition::new("profiles_hidden");
/// Profiles of groups, by `$group_key` and `$group_id`.
pub(crate) const GROUPS: TableDefinition<'_, (&str, &str), &str> = TableDefinition::new("groups");

/// The table and the key of a profile.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ProfileKey {
    Canonical(String),
    Hidden(String),
    Group(String, String),
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
