//! Writes the profiles anew.

use std::collections::BTreeMap;

use idmerge_core::DistinctId;
use idmerge_engines::Engine;
use idmerge_store::redb::{ReadOnlyTable, TableError, TableHandle};
use idmerge_store::{ErasedRows, Erasing};

use super::tables::copy_if_there;
use crate::error::ProjectError;
use crate::profiles::{GROUPS, HIDDEN, PROFILES, RowById, SOURCES, TEXTS, TextNumber};

/// A commit has about this many bytes of profiles, or one profile more.
const COMMIT_BYTES: usize = 8 << 20;

type Texts = Option<ReadOnlyTable<u64, &'static [u8]>>;

pub(super) fn erase(
    erasing: &Erasing<'_, Engine>,
    rows: &mut ErasedRows,
) -> Result<(), ProjectError> {
    let texts = existing(erasing.read.open_table(TEXTS))?;
    for table in [PROFILES, HIDDEN] {
        let Some(from) = existing(erasing.read.open_table(table))? else {
            continue;
        };
        let mut some = Rows::default();
        // A project that has the table keeps it.
        some.commit(erasing, table)?;
        for row in from.range::<&str>(..)? {
            let (id, row) = row?;
            if is_erased(erasing, id.value()) {
                rows.profiles_erased += 1;
                continue;
            }
            some.add(id.value(), row.value(), &texts)?;
            if some.bytes >= COMMIT_BYTES {
                erasing.progress("profiles", 0, 0)?;
                some.commit(erasing, table)?;
            }
        }
        some.commit(erasing, table)?;
    }
    copy_groups(erasing, &texts)?;
    copy_sources(erasing)
}

/// Profiles and long texts that are not committed.
#[derive(Default)]
struct Rows {
    rows: Vec<(String, String)>,
    texts: BTreeMap<u64, Vec<u8>>,
    bytes: usize,
}

impl Rows {
    fn add(&mut self, id: &str, row: &str, texts: &Texts) -> Result<(), ProjectError> {
        self.bytes += id.len() + row.len();
        self.rows.push((id.to_owned(), row.to_owned()));
        if let (Some(long), Some(texts)) = (TextNumber::read(row), texts)
            && let Some(text) = texts.get(long.number)?
        {
            self.bytes += text.value().len();
            self.texts.insert(long.number, text.value().to_owned());
        }
        Ok(())
    }

    fn commit(
        &mut self,
        erasing: &Erasing<'_, Engine>,
        table: RowById,
    ) -> Result<(), ProjectError> {
        let some = std::mem::take(self);
        erasing.commit(|write| {
            let mut to = write.open_table(table)?;
            for (id, row) in &some.rows {
                to.insert(&**id, &**row)?;
            }
            let mut texts = write.open_table(TEXTS)?;
            for (number, text) in &some.texts {
                texts.insert(number, &**text)?;
            }
            Ok(())
        })
    }
}

/// The profiles of groups stay: the users of a group are not in them.
fn copy_groups(erasing: &Erasing<'_, Engine>, texts: &Texts) -> Result<(), ProjectError> {
    copy_if_there(erasing, GROUPS.name())?;
    let (Some(groups), Some(texts)) = (existing(erasing.read.open_table(GROUPS))?, texts) else {
        return Ok(());
    };
    for row in groups.range::<(&str, &str)>(..)? {
        let (_, row) = row?;
        if let Some(long) = TextNumber::read(row.value())
            && let Some(text) = texts.get(long.number)?
        {
            erasing.commit(|write| {
                let mut texts = write.open_table(TEXTS)?;
                texts.insert(long.number, text.value())?;
                Ok::<_, ProjectError>(())
            })?;
        }
    }
    Ok(())
}

/// Where the properties of the profiles that stay came from.
fn copy_sources(erasing: &Erasing<'_, Engine>) -> Result<(), ProjectError> {
    let Some(sources) = existing(erasing.read.open_table(SOURCES))? else {
        return Ok(());
    };
    erasing.commit(|write| {
        let mut to = write.open_table(SOURCES)?;
        for row in sources.range::<(&str, &str)>(..)? {
            let (key, json) = row?;
            if is_erased(erasing, key.value().1) {
                continue;
            }
            let mut from: BTreeMap<String, String> =
                serde_json::from_str(json.value()).unwrap_or_default();
            from.retain(|_, id| !is_erased(erasing, id));
            if !from.is_empty() {
                let json = serde_json::to_string(&from).unwrap_or_default();
                to.insert(key.value(), &*json)?;
            }
        }
        Ok(())
    })
}

fn is_erased(erasing: &Erasing<'_, Engine>, id: &str) -> bool {
    // The keys of profiles were IDs when they were written.
    DistinctId::try_from(id).is_ok_and(|id| erasing.named.has(id))
}

fn existing<T>(table: Result<T, TableError>) -> Result<Option<T>, ProjectError> {
    match table {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
