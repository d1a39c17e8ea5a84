//! The tables of profiles, and how to read them.

use idmerge_disk::row;
use idmerge_profiles::Profile;
use idmerge_store::redb::{
    AccessGuard, ReadOnlyTable, ReadTransaction, ReadableTable, ReadableTableMetadata,
    StorageError, TableDefinition, TableError, TableHandle,
};

use crate::error::ProjectError;

pub(crate) type RowById = TableDefinition<'static, &'static str, &'static str>;

/// The visible profiles of users, by canonical distinct_id.
///
/// A row of this and the next two tables is the JSON of the profile, or the [number](TextNumber) of a
/// long one.
pub(crate) const PROFILES: RowById = TableDefinition::new("profiles");
/// Profiles of users under IDs that are not canonical, such as those that a merge has hidden.
pub(crate) const HIDDEN: RowById = TableDefinition::new("profiles_hidden");
/// Profiles of groups, by `$group_key` and `$group_id`.
pub(crate) const GROUPS: TableDefinition<'_, (&str, &str), &str> = TableDefinition::new("groups");

/// The JSON of long profiles, by number. Each has one row in one of the tables above. So a merge that
/// moves a long profile need not copy it, and its length is known without reading it.
pub(crate) const TEXTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("profile_texts");

/// The properties that a profile took from others, with the IDs of those, by the name of the profile's
/// table and its key.
pub(crate) const SOURCES: TableDefinition<'_, (&str, &str), &str> =
    TableDefinition::new("profile_sources");

/// A profile with at least this many bytes is in [`TEXTS`].
pub(crate) const LONG_BYTES: usize = 16 << 10;

/// The table and the key of a profile.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// A profile as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct ProfileRow {
    /// The JSON, or the number of a long one.
    pub(crate) text: String,
    /// The row in [`SOURCES`], if there is one.
    pub(crate) sources: Option<String>,
}

/// The number of a long profile in [`TEXTS`], its length, and its checksum. Written as
/// `@NUMBER:BYTES:CHECKSUM`, which no JSON begins with. Rows of earlier versions have no checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TextNumber {
    pub(crate) number: u64,
    pub(crate) bytes: usize,
    checksum: Option<u64>,
}

impl TextNumber {
    /// The row of a text that is stored under this number.
    pub(crate) fn of(number: u64, text: &str) -> Self {
        Self {
            number,
            bytes: text.len(),
            checksum: Some(row::checksum(number, text.as_bytes())),
        }
    }

    /// `None` if the row is the JSON itself.
    pub(crate) fn read(row: &str) -> Option<Self> {
        let (number, rest) = row.strip_prefix('@')?.split_once(':')?;
        let (bytes, checksum) = match rest.split_once(':') {
            Some((bytes, checksum)) => (bytes, Some(u64::from_str_radix(checksum, 16).ok()?)),
            None => (rest, None),
        };
        // No profile is longer, and sums of such numbers do not overflow.
        let bytes: u32 = bytes.parse().ok()?;
        Some(Self {
            number: number.parse().ok()?,
            bytes: bytes as usize,
            checksum,
        })
    }

    pub(crate) fn row(self) -> String {
        let Self {
            number,
            bytes,
            checksum,
        } = self;
        match checksum {
            Some(checksum) => format!("@{number}:{bytes}:{checksum:016x}"),
            None => format!("@{number}:{bytes}"),
        }
    }

    /// The JSON of the profile, if this is its text.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    fn check(self, text: Option<&[u8]>) -> Result<&str, &'static str> {
        let text = text.ok_or("its text is missing")?;
        let is_it = self
            .checksum
            .is_none_or(|checksum| checksum == row::checksum(self.number, text));
        if text.len() != self.bytes || !is_it {
            return Err("its text is damaged");
        }
        str::from_utf8(text).map_err(|_| "its text is damaged")
    }
}

/// Calls `use_it` with the JSON of the profile with this row, or with what is wrong with the profile.
pub(crate) fn with_json<T>(
    row: &str,
    texts: Option<&impl ReadableTable<u64, &'static [u8]>>,
    use_it: impl FnOnce(Result<&str, &'static str>) -> T,
) -> Result<T, StorageError> {
    let Some(long) = TextNumber::read(row) else {
        return Ok(use_it(match row.starts_with('@') {
            true => Err("its row is damaged"),
            false => Ok(row),
        }));
    };
    let text = match texts {
        Some(texts) => texts.get(long.number)?,
        None => None,
    };
    Ok(use_it(long.check(text.as_ref().map(AccessGuard::value))))
}

/// The committed texts of long profiles.
pub(crate) struct Texts(Option<ReadOnlyTable<u64, &'static [u8]>>);

impl Texts {
    pub(crate) fn open(read: &ReadTransaction) -> Result<Self, ProjectError> {
        Ok(Self(existing(read.open_table(TEXTS))?))
    }

    /// Whether no profile is long.
    pub(crate) fn is_empty(&self) -> Result<bool, ProjectError> {
        Ok(match &self.0 {
            Some(texts) => texts.is_empty()?,
            None => true,
        })
    }

    /// The JSON of the profile with this row. `None` if its text is missing or damaged: a repair can lose it.
    pub(crate) fn json(&self, row: &str) -> Result<Option<String>, ProjectError> {
        let owned = |json: Result<&str, _>| json.ok().map(str::to_owned);
        Ok(with_json(row, self.0.as_ref(), owned)?)
    }
}

/// The committed row of a profile.
pub(crate) fn committed_row(
    read: &ReadTransaction,
    key: &ProfileKey,
) -> Result<Option<ProfileRow>, ProjectError> {
    let Some(text) = with_row(read, key, str::to_owned)? else {
        return Ok(None);
    };
    let sources = match (key.in_sources(), read.open_table(SOURCES)) {
        (None, _) | (_, Err(TableError::TableDoesNotExist(_))) => None,
        (Some(key), table) => table?.get(key)?.map(|json| json.value().to_owned()),
    };
    Ok(Some(ProfileRow { text, sources }))
}

/// The length of the JSON of a committed profile, without reading it.
pub(crate) fn committed_bytes(
    read: &ReadTransaction,
    key: &ProfileKey,
) -> Result<Option<usize>, ProjectError> {
    with_row(read, key, |row| {
        TextNumber::read(row).map_or(row.len(), |long| long.bytes)
    })
}

/// The committed profile, as JSON.
pub(crate) fn committed_json(
    read: &ReadTransaction,
    key: &ProfileKey,
) -> Result<Option<String>, ProjectError> {
    match committed_row(read, key)? {
        Some(row) => Texts::open(read)?.json(&row.text),
        None => Ok(None),
    }
}

/// The profile with this JSON, and this row of [`SOURCES`]. `None` if the text is not JSON.
pub(crate) fn profile_of(json: &str, sources: Option<&str>) -> Option<Profile> {
    let profile = Profile::from_json(json)?;
    Some(match sources {
        Some(sources) => profile.with_sources(sources),
        None => profile,
    })
}

fn with_row<T>(
    read: &ReadTransaction,
    key: &ProfileKey,
    use_row: impl FnOnce(&str) -> T,
) -> Result<Option<T>, ProjectError> {
    let (table, id) = match key {
        ProfileKey::Canonical(id) => (PROFILES, id),
        ProfileKey::Hidden(id) => (HIDDEN, id),
        ProfileKey::Group(key, id) => {
            let Some(table) = existing(read.open_table(GROUPS))? else {
                return Ok(None);
            };
            let row = table.get((&**key, &**id))?;
            return Ok(row.map(|row| use_row(row.value())));
        }
    };
    let Some(table) = existing(read.open_table(table))? else {
        return Ok(None);
    };
    Ok(table.get(&**id)?.map(|row| use_row(row.value())))
}

/// A table that was opened, or `None` if nothing has made it yet.
pub(crate) fn existing<T>(table: Result<T, TableError>) -> Result<Option<T>, TableError> {
    match table {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
