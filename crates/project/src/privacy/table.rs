//! The table of privacy tasks.
//!
//! It is in the store, so an erasure marks its tasks as done in the same step in which it takes effect (E-6).

use idmerge_engines::{Engine, Settings};
use idmerge_store::Erasing;
use idmerge_store::redb::{ReadTransaction, TableDefinition, TableError, WriteTransaction};

use super::task::PrivacyTask;
use crate::error::ProjectError;

/// Privacy tasks by ID, as JSON.
pub(crate) const TASKS: TableDefinition<'_, &str, &str> = TableDefinition::new("privacy_tasks");

/// All tasks.
pub(crate) fn read(read: &ReadTransaction) -> Result<Vec<PrivacyTask>, ProjectError> {
    let table = match read.open_table(TASKS) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        table => table?,
    };
    let mut tasks = Vec::new();
    for row in table.range::<&str>(..)? {
        let (id, row) = row?;
        tasks.push(PrivacyTask::of_row(id.value(), row.value())?);
    }
    Ok(tasks)
}

/// Writes some tasks, and removes others.
pub(crate) fn write(
    write: &WriteTransaction,
    tasks: &[PrivacyTask],
    removed: &[String],
) -> Result<(), ProjectError> {
    let mut table = write.open_table(TASKS)?;
    for id in removed {
        table.remove(&**id)?;
    }
    for task in tasks {
        table.insert(&*task.id, &*task.to_row())?;
    }
    Ok(())
}

/// Writes the table anew, without the IDs that are erased.
pub(crate) fn erase(
    settings: &Settings,
    erasing: &Erasing<'_, Engine>,
) -> Result<(), ProjectError> {
    let mut tasks = read(erasing.read)?;
    if tasks.is_empty() {
        return Ok(());
    }
    let is_erased = |id: &str| settings.read_id(id).is_ok_and(|id| erasing.named.has(id));
    for task in &mut tasks {
        task.leave_out(&is_erased);
    }
    erasing.commit(|to| write(to, &tasks, &[]))
}
