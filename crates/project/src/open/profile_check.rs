//! [`ProfileCheck`]: finds profiles whose rows cannot be read, for a repair.

use foldhash::{HashSet, HashSetExt};
use idmerge_profiles::Profile;
use idmerge_store::redb::{Key, ReadTransaction, ReadableTable, TableHandle, WriteTransaction};
use idmerge_store::{ServiceCheck, StoreError};

use crate::profiles::{GROUPS, HIDDEN, PROFILES, TEXTS, TextNumber, existing, with_json};

/// The most damaged profiles that are named one by one.
const NAMED_MAX: usize = 100;

/// Finds the profiles of a project that cannot be read, for [`idmerge_store::repair_with`]: a long profile has
/// its text in a table of its own, and the text may be missing or damaged. A repair loses these profiles and
/// keeps all others.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProfileCheck;

impl ServiceCheck for ProfileCheck {
    fn damage(&self, read: &ReadTransaction) -> Result<Vec<(String, String)>, StoreError> {
        let texts = existing(read.open_table(TEXTS))?;
        let texts = texts.as_ref();
        let mut found = Found::default();
        if let Some(table) = existing(read.open_table(PROFILES))? {
            found.look_at(&table, texts, PROFILES.name(), &quoted)?;
        }
        if let Some(table) = existing(read.open_table(HIDDEN))? {
            found.look_at(&table, texts, HIDDEN.name(), &quoted)?;
        }
        if let Some(table) = existing(read.open_table(GROUPS))? {
            found.look_at(&table, texts, GROUPS.name(), &quoted_pair)?;
        }
        Ok(found.damage())
    }

    fn mend(&self, write: &WriteTransaction) -> Result<(), StoreError> {
        let tables = write.list_tables()?;
        let names: HashSet<String> = tables.map(|table| table.name().to_owned()).collect();
        // A store without profiles stays without their tables.
        if !names.contains(PROFILES.name()) {
            return Ok(());
        }
        let mut texts = write.open_table(TEXTS)?;
        let mut used = HashSet::new();
        for table in [PROFILES, HIDDEN] {
            let mut table = write.open_table(table)?;
            table.retain(|_, row| keep(row, &texts, &mut used))?;
        }
        let mut groups = write.open_table(GROUPS)?;
        groups.retain(|_, row| keep(row, &texts, &mut used))?;
        texts.retain(|number, _| used.contains(&number))?;
        Ok(())
    }
}

/// The damaged profiles, by the name of their table.
#[derive(Default)]
struct Found {
    damaged: Vec<(String, String)>,
    more: usize,
}

impl Found {
    fn look_at<K: Key + 'static>(
        &mut self,
        table: &impl ReadableTable<K, &'static str>,
        texts: Option<&impl ReadableTable<u64, &'static [u8]>>,
        name: &str,
        quoted: &dyn Fn(K::SelfType<'_>) -> String,
    ) -> Result<(), StoreError> {
        for row in table.iter()? {
            let (key, row) = row?;
            if let Err(what) = check(row.value(), texts)? {
                if self.damaged.len() == NAMED_MAX {
                    self.more += 1;
                    continue;
                }
                let key = quoted(key.value());
                let what = format!("the profile of {key} cannot be read, because {what}");
                self.damaged.push((name.to_owned(), what));
            }
        }
        Ok(())
    }

    fn damage(self) -> Vec<(String, String)> {
        let mut damaged = self.damaged;
        if self.more > 0 {
            let what = format!("{} more profiles cannot be read", self.more);
            damaged.push((PROFILES.name().to_owned(), what));
        }
        damaged
    }
}

fn quoted(id: &str) -> String {
    idmerge_core::quote(id)
}

fn quoted_pair((key, id): (&str, &str)) -> String {
    format!("the group {} {}", quoted(key), quoted(id))
}

/// Whether the row of a profile can be read; otherwise what is wrong with it.
fn check(
    row: &str,
    texts: Option<&impl ReadableTable<u64, &'static [u8]>>,
) -> Result<Result<(), &'static str>, StoreError> {
    let check = |json: Result<&str, _>| match Profile::from_json(json?) {
        Some(_) => Ok(()),
        None if row.starts_with('@') => Err("its text is damaged"),
        None => Err("its row is damaged"),
    };
    Ok(with_json(row, texts, check)?)
}

/// Whether a row stays. Notes the text that it has.
fn keep(
    row: &str,
    texts: &impl ReadableTable<u64, &'static [u8]>,
    used: &mut HashSet<u64>,
) -> bool {
    // A row that cannot be looked at now stays, and the next repair finds it.
    let is_kept = !matches!(check(row, Some(texts)), Ok(Err(_)));
    if let Some(long) = TextNumber::read(row).filter(|_| is_kept) {
        used.insert(long.number);
    }
    is_kept
}
