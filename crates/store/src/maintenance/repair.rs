//! What of a damaged store is good, in a store of its own.

use std::fs;
use std::path::{Path, PathBuf};

use idmerge_disk::STORE_FILE;
use redb::{ReadTransaction, ReadableDatabase, TableHandle};

use crate::error::StoreError;
use crate::log::block;
use crate::log::file::{UNFINISHED_FILE, builder, fill, sync_names, unpanicked};
use crate::log::index::{self, ENTRIES_BY_ID};
use crate::log::{about, snapshots, tables};
use crate::maintenance::copy::copy_store;
use crate::options::Options;

/// Entries in one run of an index that is made again.
const INDEXED_AT_A_TIME: u64 = 1 << 17;

/// What [`repair`] found and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// The number of the last entry that is kept.
    pub kept: u64,
    /// The number of the first entry that could not be read, and what is wrong with it; `None`
    /// where all could be and nothing was changed.
    pub damage: Option<(u64, String)>,
    /// How many entries after the damage could be read. They are not kept: what they did depends on
    /// those before them.
    pub readable_after: u64,
    /// Snapshots that could not be read, by the number of their last entry. They are not kept, and
    /// nothing is lost with them.
    pub snapshots: Vec<u64>,
    /// Whether the index could not be read and was made again.
    pub index: bool,
    /// Where the file as it was is now.
    pub damaged_file: Option<PathBuf>,
}

/// Makes of a damaged store one that has the longest good prefix of its log, and keeps the damaged
/// file beside it. Does nothing where nothing is damaged.
///
/// # Errors
///
/// [`StoreError::DamagedFile`] where the database cannot open the file at all: restore a backup.
/// [`StoreError::OtherTables`] where the file has more than a store. [`StoreError::InUse`], and
/// where a disk fails; the file is then as it was.
pub fn repair(folder: impl AsRef<Path>) -> Result<Repair, StoreError> {
    let folder = folder.as_ref();
    let file = folder.join(STORE_FILE);
    let unfinished = folder.join(UNFINISHED_FILE);
    let options = Options::default();
    let repaired = || {
        let database = builder(&options).open(&file)?;
        let read = database.begin_read()?;
        about::check(&read)?;
        for table in read.list_tables()? {
            if !tables::NAMES.contains(&table.name()) {
                return Err(StoreError::OtherTables {
                    name: table.name().to_owned(),
                });
            }
        }
        let repair = look(&read)?;
        if repair.damage.is_none() && repair.snapshots.is_empty() && !repair.index {
            return Ok((repair, false));
        }
        fill(&unfinished, &options, |copy| {
            copy_store(&read, copy, repair.kept)?;
            index::update(copy, repair.kept, INDEXED_AT_A_TIME)
        })?;
        Ok((repair, true))
    };
    let (mut repair, is_changed) = unpanicked(repaired)?;
    if is_changed {
        let damaged = free_name(&file)?;
        fs::rename(&file, &damaged)?;
        fs::rename(&unfinished, &file)?;
        sync_names(folder)?;
        repair.damaged_file = Some(damaged);
    }
    Ok(repair)
}

/// What of a store can be read.
fn look(read: &ReadTransaction) -> Result<Repair, StoreError> {
    let mut repair = Repair {
        kept: 0,
        damage: None,
        readable_after: 0,
        snapshots: Vec::new(),
        index: false,
        damaged_file: None,
    };
    let log = read.open_table(tables::LOG)?;
    let mut rows = log.range(0_u64..)?;
    loop {
        let row = unpanicked(|| Ok(rows.next().transpose()?));
        let row = match row {
            Ok(Some(row)) => row,
            Ok(None) => break,
            // The database can go no further.
            Err(error) => {
                repair
                    .damage
                    .get_or_insert((repair.kept + 1, error.to_string()));
                break;
            }
        };
        let (first, row) = (row.0.value(), row.1);
        let mut entries = 0;
        let read = block::each_entry(first, row.value(), &mut |_| {
            entries += 1;
            Ok(true)
        });
        let damage = match read {
            Ok(_) if first == repair.kept + 1 || repair.damage.is_some() => None,
            Ok(_) => Some("entries before it are not there".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        match damage {
            Some(damage) => {
                repair.damage.get_or_insert((repair.kept + 1, damage));
            }
            None if repair.damage.is_none() => repair.kept += entries,
            None => repair.readable_after += entries,
        }
    }
    for snapshot in snapshots::all(read)? {
        if snapshots::is_whole(read, snapshot) {
            continue;
        }
        repair.snapshots.push(snapshot.sequence);
        // The log goes on from this one, and cannot do without it.
        if snapshot.is_base && snapshot.sequence <= repair.kept {
            repair.readable_after += repair.kept - snapshot.sequence;
            repair.kept = snapshot.sequence - 1;
            let what = "the state that was put in cannot be read".to_owned();
            repair.damage = Some((snapshot.sequence, what));
        }
    }
    repair.index = unpanicked(|| Ok(ENTRIES_BY_ID.open(read)?.check()?)).is_err();
    Ok(repair)
}

/// A name beside the file that nothing has.
fn free_name(file: &Path) -> Result<PathBuf, StoreError> {
    let mut name = file.with_extension("redb.damaged");
    let mut number = 1;
    while fs::exists(&name)? {
        number += 1;
        name = file.with_extension(format!("redb.damaged-{number}"));
    }
    Ok(name)
}
