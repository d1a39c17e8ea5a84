//! The tables that a service keeps next to the log, such as the events and profiles of a server.
//!
//! The database copies a table only through its types, so this file lists the types of tables that
//! services use. A table of other types cannot be copied and is an error.

use redb::{
    Database, Key, Range, ReadOnlyTable, ReadTransaction, TableDefinition, TableError, TableHandle,
    Value,
};

use crate::error::StoreError;
use crate::log::file::unpanicked;
use crate::log::tables;

/// How many bytes one transaction of a copy writes, or a little more.
const COMMIT_BYTES: usize = 16 << 20;

/// What to do with a part of a table that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// Fail.
    Fail,
    /// Leave the part out and copy the rows before and after it.
    LeaveOut,
}

/// The names of the tables that are not the store's own.
pub(super) fn names(read: &ReadTransaction) -> Result<Vec<String>, StoreError> {
    if let Some(table) = read.list_multimap_tables()?.next() {
        return Err(StoreError::OtherTables {
            name: redb::MultimapTableHandle::name(&table).to_owned(),
        });
    }
    let tables = read.list_tables()?;
    let names = tables.map(|table| table.name().to_owned());
    Ok(names
        .filter(|name| !tables::NAMES.contains(&&**name))
        .collect())
}

/// Calls a function with a table of any of the types that services use.
macro_rules! with_table {
    ($read:ident, $name:ident, $call:expr; $(($key:ty, $value:ty)),* $(,)?) => {{
        $(if let Some(table) = open::<$key, $value>($read, $name)? {
            return $call(table);
        })*
        Err(StoreError::OtherTables { name: $name.to_owned() })
    }};
    ($read:ident, $name:ident, $call:expr) => {
        with_table!(
            $read, $name, $call;
            (u64, &[u8]),
            ((u64, u32), &[u8]),
            (u64, (u64, i64, i64)),
            (&str, &str),
            ((&str, &str), &str),
            (&str, &[u8]),
            (&str, u64),
        )
    };
}

/// Reads every row of a table. Returns what is wrong if a row cannot be read.
pub(super) fn damage(read: &ReadTransaction, name: &str) -> Result<Option<String>, StoreError> {
    with_table!(read, name, |table| {
        let mut rows = rows(&table)?;
        loop {
            match unpanicked(|| Ok(rows.next().transpose()?)) {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(None),
                Err(error) => return Ok(Some(error.to_string())),
            }
        }
    })
}

/// Copies a table into another database.
pub(super) fn copy(
    read: &ReadTransaction,
    name: &str,
    copy: &Database,
    unreadable: Unreadable,
) -> Result<(), StoreError> {
    with_table!(read, name, |table| copy_table(
        &table, name, copy, unreadable
    ))
}

fn copy_table<K: Key + 'static, V: Value + 'static>(
    table: &ReadOnlyTable<K, V>,
    name: &str,
    copy: &Database,
    unreadable: Unreadable,
) -> Result<(), StoreError> {
    let mut forward = rows(table)?;
    let Some(error) = copy_rows(name, copy, &mut || forward.next())? else {
        return Ok(());
    };
    if unreadable == Unreadable::Fail {
        return Err(error);
    }
    // The rows after the damage: from the end back to it.
    let mut backward = rows(table)?;
    copy_rows(name, copy, &mut || backward.next_back())?;
    Ok(())
}

type Row<K, V> =
    Result<(redb::AccessGuard<'static, K>, redb::AccessGuard<'static, V>), redb::StorageError>;

/// Copies rows until there are no more or one cannot be read, and returns that error.
fn copy_rows<K: Key + 'static, V: Value + 'static>(
    name: &str,
    copy: &Database,
    next: &mut dyn FnMut() -> Option<Row<K, V>>,
) -> Result<Option<StoreError>, StoreError> {
    let definition: TableDefinition<'_, K, V> = TableDefinition::new(name);
    loop {
        let write = copy.begin_write()?;
        let mut bytes = 0;
        let mut end = None;
        {
            let mut table = write.open_table(definition)?;
            while bytes < COMMIT_BYTES && end.is_none() {
                match unpanicked(|| Ok(next().transpose()?)) {
                    Ok(Some((key, value))) => {
                        let (key, value) = (key.value(), value.value());
                        bytes += K::as_bytes(&key).as_ref().len();
                        bytes += V::as_bytes(&value).as_ref().len();
                        table.insert(key, value)?;
                    }
                    Ok(None) => end = Some(None),
                    Err(error) => end = Some(Some(error)),
                }
            }
        }
        write.commit()?;
        if let Some(end) = end {
            return Ok(end);
        }
    }
}

/// The table with these types; `None` if it has others.
fn open<K: Key + 'static, V: Value + 'static>(
    read: &ReadTransaction,
    name: &str,
) -> Result<Option<ReadOnlyTable<K, V>>, StoreError> {
    match read.open_table(TableDefinition::new(name)) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableTypeMismatch { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn rows<K: Key + 'static, V: Value + 'static>(
    table: &ReadOnlyTable<K, V>,
) -> Result<Range<'static, K, V>, StoreError> {
    Ok(table.range::<K::SelfType<'_>>(..)?)
}
