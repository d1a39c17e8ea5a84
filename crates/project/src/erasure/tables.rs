//! Copies tables from which nothing is erased.

use idmerge_engines::Engine;
use idmerge_store::Erasing;
use idmerge_store::redb::{ReadTransaction, TableHandle};

use crate::error::ProjectError;

/// Copies a table as it is.
pub(super) fn copy_if_there(
    erasing: &Erasing<'_, Engine>,
    table: &str,
) -> Result<(), ProjectError> {
    match has_table(erasing.read, table)? {
        true => Ok(erasing.copy(table)?),
        false => Ok(()),
    }
}

fn has_table(read: &ReadTransaction, table: &str) -> Result<bool, ProjectError> {
    Ok(read.list_tables()?.any(|it| it.name() == table))
}
