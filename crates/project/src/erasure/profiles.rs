//! Writes the profiles anew.

use std::collections::BTreeMap;

use idmerge_core::{DistinctId, Resolve};
use idmerge_engines::Engine;
use idmerge_store::redb::{ReadOnlyTable, TableHandle};
use idmerge_store::{ErasedRows, Erasing};

use crate::error::ProjectError;
use crate::profiles::{GROUPS, HIDDEN, PROFILES, ProfileKey, SOURCES, TEXTS, TextNumber, existing};
#[cfg(test)]
use crate::simulation::hooks::{Mistake, makes};

/// A commit has about this many bytes of profiles, or one profile more.
const COMMIT_BYTES: usize = 8 << 20;

pub(super) fn erase(
    erasing: &Erasing<'_, Engine>,
    rows: &mut ErasedRows,
) -> Result<(), ProjectError> {
    let mut copy = Copy {
        erasing,
        texts: existing(erasing.read.open_table(TEXTS))?,
        batch: Batch::default(),
    };
    for table in [PROFILES, HIDDEN] {
        let Some(from) = existing(erasing.read.open_table(table))? else {
            continue;
        };
        for row in from.range::<&str>(..)? {
            let (id, row) = row?;
            let id = id.value();
            if is_erased(erasing, id) {
                rows.profiles_erased += 1;
                continue;
            }
            let is_shown = table.name() == PROFILES.name() || is_shown_again(erasing, id);
            let key = match is_shown {
                true => ProfileKey::Canonical(id.to_owned()),
                false => ProfileKey::Hidden(id.to_owned()),
            };
            copy.add(key, row.value())?;
        }
        // A project that has profiles keeps the tables.
        copy.commit()?;
    }
    // The profiles of groups stay: the users of a group are not in them.
    if let Some(groups) = existing(erasing.read.open_table(GROUPS))? {
        for row in groups.range::<(&str, &str)>(..)? {
            let (key, row) = row?;
            let (key, id) = key.value();
            let key = ProfileKey::Group(key.to_owned(), id.to_owned());
            copy.add(key, row.value())?;
        }
        copy.commit()?;
    }
    copy_sources(erasing)
}

/// Writes the profiles that stay, with their long texts.
struct Copy<'c> {
    erasing: &'c Erasing<'c, Engine>,
    texts: Option<ReadOnlyTable<u64, &'static [u8]>>,
    /// What is not committed.
    batch: Batch,
}

/// Profiles and long texts.
#[derive(Default)]
struct Batch {
    rows: Vec<(ProfileKey, String)>,
    texts: BTreeMap<u64, Vec<u8>>,
    bytes: usize,
}

impl Copy<'_> {
    fn add(&mut self, key: ProfileKey, row: &str) -> Result<(), ProjectError> {
        let batch = &mut self.batch;
        // A key is short beside a profile.
        batch.bytes += row.len();
        batch.rows.push((key, row.to_owned()));
        if let (Some(long), Some(texts)) = (TextNumber::read(row), &self.texts)
            && let Some(text) = texts.get(long.number)?
        {
            batch.bytes += text.value().len();
            batch.texts.insert(long.number, text.value().to_owned());
        }
        if batch.bytes >= COMMIT_BYTES {
            self.erasing.progress("profiles", 0, 0)?;
            self.commit()?;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), ProjectError> {
        let Batch { rows, texts, .. } = std::mem::take(&mut self.batch);
        self.erasing.commit(|write| {
            let mut shown = write.open_table(PROFILES)?;
            let mut hidden = write.open_table(HIDDEN)?;
            let mut groups = write.open_table(GROUPS)?;
            for (key, row) in &rows {
                match key {
                    ProfileKey::Canonical(id) => drop(shown.insert(&**id, &**row)?),
                    ProfileKey::Hidden(id) => drop(hidden.insert(&**id, &**row)?),
                    ProfileKey::Group(key, id) => drop(groups.insert((&**key, &**id), &**row)?),
                }
            }
            let mut to = write.open_table(TEXTS)?;
            for (number, text) in &texts {
                to.insert(number, &**text)?;
            }
            Ok(())
        })
    }
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
            let (table, id) = key.value();
            if is_erased(erasing, id) {
                continue;
            }
            let table = match is_shown_again(erasing, id) {
                true => PROFILES.name(),
                false => table,
            };
            let mut from: BTreeMap<String, String> =
                serde_json::from_str(json.value()).unwrap_or_default();
            from.retain(|_, id| !is_erased(erasing, id));
            if !from.is_empty() {
                let json = serde_json::to_string(&from).unwrap_or_default();
                to.insert((table, id), &*json)?;
            }
        }
        Ok(())
    })
}

fn is_erased(erasing: &Erasing<'_, Engine>, id: &str) -> bool {
    #[cfg(test)]
    if makes(Mistake::LeavesProfiles) {
        return false;
    }
    // The keys of profiles were IDs when they were written.
    DistinctId::try_from(id).is_ok_and(|id| erasing.named.has(id))
}

/// Whether nothing hides the profile of this ID any more: in Legacy another alias of an erased ID stands for nothing
/// (LE-1), so its own profile is shown again (LP-2).
fn is_shown_again(erasing: &Erasing<'_, Engine>, id: &str) -> bool {
    let is_canonical = |state: &dyn Resolve, id| state.resolve(id) == id;
    DistinctId::try_from(id)
        .is_ok_and(|id| !is_canonical(erasing.state, id) && is_canonical(erasing.state_after(), id))
}
