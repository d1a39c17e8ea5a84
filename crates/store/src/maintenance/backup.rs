//! Backing a store up to a file, and restoring it.

use std::fs;
use std::path::Path;

use idmerge_core::IdentityResolver;
use idmerge_disk::STORE_FILE;
use redb::ReadableDatabase;

use crate::error::StoreError;
use crate::history::History;
use crate::log::about;
use crate::log::file::{UNFINISHED_FILE, builder, fill, sync_names, unpanicked};
use crate::maintenance::copy::copy_store;
use crate::maintenance::service_tables::Unreadable;
use crate::options::Options;

impl<R: IdentityResolver> History<R> {
    /// Writes a copy of the store to a new file, while other threads go on committing and resolving.
    /// Returns the number of the last entry in it. [`restore`] makes a store from the file.
    ///
    /// The copy also has the tables that a service keeps in the file, such as the events and profiles
    /// of a server, as they were when this history was opened.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] if there is a file of that name, [`StoreError::DamagedLog`] if the log is
    /// damaged, [`StoreError::OtherTables`] if the file has a table that cannot be copied, and if a
    /// disk fails. No file is left then.
    pub fn backup(&self, to: impl AsRef<Path>) -> Result<u64, StoreError> {
        let to = to.as_ref();
        if fs::exists(to)? {
            return Err(StoreError::Exists {
                path: to.to_owned(),
            });
        }
        let mut unfinished = to.as_os_str().to_owned();
        unfinished.push(".unfinished");
        let unfinished = Path::new(&unfinished);
        fill(unfinished, &Options::default(), |copy| {
            copy_store(self.log().read, copy, self.last(), Unreadable::Fail)
        })
        // Half a copy is useless. It may not exist at all, so ignore an error.
        .inspect_err(|_| drop(fs::remove_file(unfinished)))?;
        fs::rename(unfinished, to)?;
        let folder = to.parent().filter(|folder| *folder != Path::new(""));
        sync_names(folder.unwrap_or(Path::new(".")))?;
        Ok(self.last())
    }
}

/// Makes a store in a folder from a file that [`History::backup`] wrote. The file stays.
///
/// # Errors
///
/// [`StoreError::Exists`] if the folder has a store already, [`StoreError::NotAStore`] and others if
/// the file is not a whole store, and if a disk fails.
pub fn restore(from: impl AsRef<Path>, folder: impl AsRef<Path>) -> Result<(), StoreError> {
    let (from, folder) = (from.as_ref(), folder.as_ref());
    let file = folder.join(STORE_FILE);
    if fs::exists(&file)? {
        return Err(StoreError::Exists { path: file });
    }
    fs::create_dir_all(folder)?;
    let unfinished = folder.join(UNFINISHED_FILE);
    fs::copy(from, &unfinished)?;
    let verifying = Options {
        verify: true,
        ..Options::default()
    };
    let check = || -> Result<(), StoreError> {
        let database = builder(&verifying).open(&unfinished)?;
        about::check(&database.begin_read()?)?;
        // A commit syncs the copy.
        database.begin_write()?.commit()?;
        Ok(database.close()?)
    };
    if let Err(error) = unpanicked(check) {
        fs::remove_file(&unfinished)?;
        return Err(error);
    }
    fs::rename(&unfinished, &file)?;
    Ok(sync_names(folder)?)
}
