//! A backup of the whole project.

use std::fs;
use std::sync::Arc;

use idmerge_store::MayGoOn;

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
        self.backup_while(file, Arc::new(|| true))
    }

    /// As [`backup`](Self::backup). Ends soon after `may_go_on` has returned `false`.
    ///
    /// # Errors
    ///
    /// [`ProjectError::Cancelled`], and those of [`backup`](Self::backup).
    #[allow(
        clippy::disallowed_types,
        reason = "the caller decides which file it is"
    )]
    pub fn backup_while(&self, file: fs::File, may_go_on: MayGoOn) -> Result<u64, ProjectError> {
        // The history is of one moment, so nothing is held up while it is copied.
        let history = self.inner.state()?.store.read().history()?;
        Ok(history.only_while(may_go_on).backup_into(file)?)
    }
}
