//! The identity of an ID, the claims behind it, and the changes over time.

use idmerge_core::{DEVICE_PREFIX, Resolve};

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
}

/// An entry of the log of claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// The number of the entry.
    pub sequence: u64,
    /// `link`, `identify`, `alias` or `merge` for a claim; else `replaced` or `retracted`.
    pub kind: &'static str,
    /// The IDs of the claim, in the order of the rule. A device is `$device:` and its ID.
    pub ids: Vec<String>,
    /// The outcome of the claim when it was applied: `merged`, `already merged`, `ignored`, or the
    /// vendor's code of a rejection.
    pub outcome: &'static str,
    /// `$insert_id` of the event that made the claim.
    pub insert_id: Option<String>,
    /// When that event happened, in milliseconds since 1970.
    pub time_ms: Option<i64>,
    /// The endpoint that received it.
    pub source: Option<String>,
}

/// An entry with its current outcome, which a retraction of another entry can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The entry as it was logged.
    pub entry: LogEntry,
    /// The current outcome: `merged`, `already merged`, or the code of a rejection.
    pub answer: &'static str,
    /// The description of a rejection; else empty.
    pub description: String,
    /// Whether the entry is retracted.
    pub is_withdrawn: bool,
}

/// A change of the canonical ID of an ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The number of the entry that made the change.
    pub sequence: u64,
    /// The ID.
    pub id: String,
    /// Its canonical ID before.
    pub from: String,
    /// Its canonical ID since.
    pub to: String,
    /// `$insert_id` of the event that made the entry.
    pub insert_id: Option<String>,
    /// When that event happened, in milliseconds since 1970.
    pub time_ms: Option<i64>,
    /// The endpoint that received it.
    pub source: Option<String>,
}

impl Project {
    /// The user that an ID belongs to now.
    ///
    /// # Errors
    ///
    /// [`ProjectError::InvalidId`] if the text is not an ID under the rules of the project.
    pub fn identity(&self, id: &str) -> Result<Identity, ProjectError> {
        let id = self.inner.settings.read_id(id)?;
        let store = self.inner.store.read();
        let members = match store.cluster(id) {
            Some(cluster) => cluster.members.iter().map(ToString::to_string).collect(),
            None => vec![id.to_string()],
        };
        Ok(Identity {
            distinct_id: id.to_string(),
            canonical: store.resolve(id).to_string(),
            members,
        })
    }

    /// The claims that name an ID of this user, in the order of the log: those that built the
    /// cluster, and those that were rejected.
    ///
    /// # Errors
    ///
    /// [`ProjectError::InvalidId`], and any error of the disk.
    pub fn explain(&self, id: &str) -> Result<Vec<Explained>, ProjectError> {
        let id = self.inner.settings.read_id(id)?;
        let store = self.inner.store.read();
        let history = store.history()?;
        let story = history.story(&*store, id)?;
        drop(store);
        Ok(story.into_iter().map(Explained::from).collect())
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
        let history = self.inner.store.read().history()?;
        let mut changes: Vec<Change> = Vec::new();
        history.changes_since(since, &mut |change| {
            let is_next = changes
                .last()
                .is_none_or(|last| last.sequence != change.sequence);
            if is_next && changes.len() >= limit {
                return Ok(false);
            }
            changes.push(Change {
                sequence: change.sequence,
                id: change.id.to_string(),
                from: change.from.to_string(),
                to: change.to.to_string(),
                insert_id: change.insert_id,
                time_ms: change.time_ms,
                source: change.source,
            });
            Ok(true)
        })?;
        Ok(changes)
    }
}

impl From<idmerge_store::LogEntry> for Explained {
    fn from(entry: idmerge_store::LogEntry) -> Self {
        let device = entry
            .device
            .map(|device| format!("{DEVICE_PREFIX}{device}"));
        let ids = [
            device,
            entry.user,
            entry.identified,
            entry.anon,
            entry.distinct_id,
            entry.alias,
            entry.first,
            entry.second,
        ];
        let answer = entry.answer.unwrap_or_default();
        Self {
            entry: LogEntry {
                sequence: entry.sequence,
                kind: entry.claim.unwrap_or_default(),
                ids: ids.into_iter().flatten().collect(),
                outcome: entry.first_answer.unwrap_or(answer),
                insert_id: entry.insert_id,
                time_ms: entry.time_ms,
                source: entry.source,
            },
            answer,
            description: entry.description.unwrap_or_default(),
            is_withdrawn: entry.withdrawn,
        }
    }
}
