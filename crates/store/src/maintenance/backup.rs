//! A store in a second file, and back.

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
use crate::options::Options;

impl<R: IdentityResolver> History<R> {
    /// Writes all of it to a new file, a store in itself, while others go on committing and
    /// resolving. Answers with the number of the last entry in it. [`restore`] makes a store of it.
    ///
    /// What a service keeps in tables of its own is not in it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] where there is a file of that name, [`StoreError::DamagedLog`] where
    /// the log is damaged, and where a disk fails. Then there is no such file.
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
            copy_store(self.log().read, copy, self.last())
        })
        // There is no use for the half of a copy, and if it is not there that is well too.
        .inspect_err(|_| drop(fs::remove_file(unfinished)))?;
        fs::rename(unfinished, to)?;
        let folder = to.parent().filter(|folder| *folder != Path::new(""));
        sync_names(folder.unwrap_or(Path::new(".")))?;
        Ok(self.last())
    }
}

/// Makes a store in a folder of a file that [`History::backup`] wrote. The file stays.
///
/// # Errors
///
/// [`StoreError::Exists`] where the folder has a store already, [`StoreError::NotAStore`] and
/// others where the file is no whole store, and where a disk fails.
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
        // The copy is synced by this, and not only read.
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
