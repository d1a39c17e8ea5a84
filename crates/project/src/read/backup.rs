//! A backup of the whole project.

use std::fs;

use crate::error::ProjectError;
use crate::project::Project;

impl Project {
    /// Writes a copy of the whole project at one moment into an empty file that is open for reading and
    /// writing: the claims, events, profiles and indexes. [`idmerge_store::restore`] makes a project from
    /// the file. Returns the number of the last entry of the log in it.
    ///
    /// Batches are taken and committed meanwhile. The file is not synced.
    ///
    /// # Errors
    ///
    /// Any error of the disk, and if a part of the store is damaged. The file may have half a copy then.
    #[allow(
        clippy::disallowed_types,
        reason = "the caller decides which file it is"
    )]
    pub fn backup(&self, file: fs::File) -> Result<u64, ProjectError> {
        // The history is of one moment, so nothing is held up while it is copied.
        let history = self.inner.state()?.store.read().history()?;
        Ok(history.backup_into(file)?)
    }
}
