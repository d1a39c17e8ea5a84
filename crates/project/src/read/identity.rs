//! The identity of an ID, the claims behind it, and the changes over time.

use std::io;

use idmerge_core::Resolve;
use idmerge_events::{MappingFormat, MappingWriter};
use idmerge_store::{Change, LogEntry};

use crate::error::ProjectError;
use crate::project::Project;

/// The user that an ID belongs to now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The ID that was asked for, normalized by the rules.
    pub distinct_id: String,
    /// The canonical ID of the user.
    pub canonical: String,
    /// All IDs of the user, in the order of rule S-10 or O-17. Only the ID itself if it is in no
    /// cluster.
    pub members: Vec<String>,
    /// If the ID is in no cluster: the ID that differs from it only by the prefix `$device:`, and is
    /// in one.
    pub did_you_mean: Option<String>,
}

impl Project {
    /// The user that an ID belongs to now.
    ///
    /// # Errors
    ///
    /// [`ProjectError::InvalidId`] if the text is not an ID under the rules of the project.
    pub fn identity(&self, id: &str) -> Result<Identity, ProjectError> {
        let id = self.inner.settings.read_id(id)?;
        let state = self.inner.state()?;
        let store = state.store.read();
        let members = match store.cluster(id) {
            Some(cluster) => cluster.members.iter().map(ToString::to_string).collect(),
            None => vec![id.to_string()],
        };
        Ok(Identity {
            distinct_id: id.to_string(),
            canonical: store.resolve(id).to_string(),
            members,
            did_you_mean: self
                .inner
                .settings
                .did_you_mean(&*store, id)
                .map(|other| other.to_string()),
        })
    }

    /// Writes a row for each ID that is not its own canonical ID, in the order of the clusters. All rows
    /// are of one moment: claims wait until the last one is written. So `to` must not wait for a client.
    ///
    /// # Errors
    ///
    /// [`ProjectError::Sink`] if `to` fails.
    pub fn write_mappings(
        &self,
        format: MappingFormat,
        to: &mut dyn io::Write,
    ) -> Result<(), ProjectError> {
        let state = self.inner.state()?;
        let write = || {
            let mut rows = MappingWriter::new(format, to)?;
            let store = state.store.read();
            for cluster in store.clusters() {
                rows.write_cluster(&cluster)?;
            }
            drop(store);
            rows.finish().map(|_to| ())
        };
        write().map_err(ProjectError::Sink)
    }

    /// The claims that name an ID of this user, in the order of the log: those that built the
    /// cluster, and those that were rejected.
    ///
    /// # Errors
    ///
    /// [`ProjectError::InvalidId`], and any error of the disk.
    pub fn explain(&self, id: &str) -> Result<Vec<LogEntry>, ProjectError> {
        let id = self.inner.settings.read_id(id)?;
        let state = self.inner.state()?;
        let store = state.store.read();
        Ok(store.history()?.story(&*store, id)?)
    }

    /// The changes after an entry of the log, in order. At least `limit` if there are as many, since
    /// the changes of one entry are never split. Pass the `sequence` of the last change to get those
    /// after it.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchEntry`](idmerge_store::StoreError::NoSuchEntry) if the log is shorter, and
    /// any error of the disk.
    pub fn changes(&self, since: u64, limit: usize) -> Result<Vec<Change>, ProjectError> {
        let history = self.inner.state()?.store.read().history()?;
        let mut changes: Vec<Change> = Vec::new();
        history.changes_since(since, &mut |change| {
            let is_next = changes
                .last()
                .is_none_or(|last| last.sequence != change.sequence);
            if is_next && changes.len() >= limit {
                return Ok(false);
            }
            changes.push(change);
            Ok(true)
        })?;
        Ok(changes)
    }
}
