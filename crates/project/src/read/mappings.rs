//! All mappings: which canonical ID each other ID resolves to.

use std::io;
use std::sync::Arc;

use idmerge_core::Resolve;
use idmerge_events::{MappingFormat, MappingWriter};
use idmerge_store::MayGoOn;

use crate::error::ProjectError;
use crate::project::Project;

/// How many members of a user are listed at a time: a list of all devices of one user could take as much memory
/// as the engine.
const MEMBERS_IN_MEMORY: usize = 1_000;

impl Project {
    /// Writes a row for each ID that is not its own canonical ID, in the order of the clusters. All rows
    /// are of the moment of the call: no claim waits for them, and none that is taken meanwhile is in them.
    ///
    /// This folds the log into an engine of its own, from the latest snapshot on. So it needs as much memory
    /// as the identities of the project take, until it returns.
    ///
    /// It ends once `may_go_on` has returned `false`, which is called for every 1,024 entries of the log that are read,
    /// and for each cluster or 1,000 members of a large one.
    ///
    /// # Errors
    ///
    /// [`ProjectError::Cancelled`] if `may_go_on` returned `false`, [`ProjectError::Sink`] if `to` fails, and if the log
    /// cannot be read.
    pub fn write_mappings_while(
        &self,
        format: MappingFormat,
        to: &mut dyn io::Write,
        may_go_on: MayGoOn,
    ) -> Result<(), ProjectError> {
        let history = self.history()?.only_while(Arc::clone(&may_go_on));
        let engine = history.as_of(history.last())?;
        // Its transaction would keep the database from using old pages again.
        drop(history);
        let mut rows = MappingWriter::new(format, to).map_err(ProjectError::Sink)?;
        for part in engine.cluster_parts(MEMBERS_IN_MEMORY) {
            if !may_go_on() {
                return Err(ProjectError::Cancelled);
            }
            rows.write_cluster(&part).map_err(ProjectError::Sink)?;
        }
        rows.finish().map_err(ProjectError::Sink)?;
        Ok(())
    }
}
