//! Whose an ID is, why, and what changed.

use idmerge_core::{Claim, Id, IdentityResolver, IdentityResolverExt, Outcome};
use idmerge_store::{Entry, Step, What};

use crate::{Project, ProjectError};

/// Whose an ID is, now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The ID that was asked about, as the rules read it.
    pub distinct_id: String,
    /// The ID that its events are counted under.
    pub canonical: String,
    /// All IDs of the user, in the order of rule S-10 or O-17; the ID alone where it is in no
    /// cluster.
    pub members: Vec<String>,
}

/// An entry of the log of claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its number.
    pub sequence: u64,
    /// What it is: `link`, `identify`, `alias`, `merge`, `replaced` or `retracted`.
    pub kind: &'static str,
    /// The IDs of its claim, in the order of the rule; a device as its distinct_id.
    pub ids: Vec<String>,
    /// What the claim was answered with when it came: `merged`, `already merged`, `ignored`, or the
    /// vendor's code of a rejection.
    pub outcome: &'static str,
    /// `$insert_id` of the event that made the claim.
    pub insert_id: Option<String>,
    /// When that event happened, in milliseconds since 1970.
    pub time_ms: Option<i64>,
    /// Where it came in.
    pub source: Option<String>,
}

/// An entry as it counts now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The entry as it came.
    pub entry: LogEntry,
    /// What it is answered with now: `merged`, `already merged`, or the code of a rejection.
    pub answer: &'static str,
    /// What a rejection says besides; else empty.
    pub description: String,
    /// Whether it was withdrawn.
    pub is_withdrawn: bool,
}

/// An ID that resolves to another one since an entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The number of the entry.
    pub sequence: u64,
    /// The ID.
    pub id: String,
    /// What it resolved to before.
    pub from: String,
    /// What it has resolved to since.
    pub to: String,
    /// `$insert_id` of the event that made the entry.
    pub insert_id: Option<String>,
    /// When that event happened, in milliseconds since 1970.
    pub time_ms: Option<i64>,
    /// Where it came in.
    pub source: Option<String>,
}

impl Project {
    /// Whose an ID is, now.
    ///
    /// # Errors
    ///
    /// [`ProjectError::NotAnId`] where the text is none by the rules of the project.
    pub fn identity(&self, id: &str) -> Result<Identity, ProjectError> {
        let store = self.shared.store.read();
        let id = store.read_id(id)?;
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

    /// The claims that name an ID of the user who has this one, in the order in which they came:
    /// those that made the cluster what it is, and those that were rejected.
    ///
    /// # Errors
    ///
    /// [`ProjectError::NotAnId`], and where the disk fails.
    pub fn explain(&self, id: &str) -> Result<Vec<Explained>, ProjectError> {
        let store = self.shared.store.read();
        let id = store.read_id(id)?;
        let history = store.history()?;
        let story = history.story(&*store, id)?;
        drop(store);
        let mut explained = Vec::with_capacity(story.len());
        for step in story {
            let Step {
                sequence,
                answer,
                description,
                is_withdrawn,
                ..
            } = step;
            let mut entry = None;
            history.entries(sequence, &mut |found| {
                entry = Some(log_entry(&found));
                Ok(false)
            })?;
            explained.extend(entry.map(|entry| Explained {
                entry,
                answer,
                description,
                is_withdrawn,
            }));
        }
        Ok(explained)
    }

    /// The changes that came after this entry of the log, in order: at least `limit` of them where
    /// there are so many, and always all of one entry. Ask next time with the number of the last.
    ///
    /// # Errors
    ///
    /// `NoSuchEntry` of the store where the log is not as long as that, and where the disk fails.
    pub fn changes(&self, since: u64, limit: usize) -> Result<Vec<Change>, ProjectError> {
        let history = self.shared.store.read().history()?;
        let mut changes: Vec<Change> = Vec::new();
        history.changes_since(since, &mut |change| {
            let is_next = changes
                .last()
                .is_none_or(|last| last.sequence != change.sequence);
            if is_next && changes.len() >= limit {
                return Ok(false);
            }
            let owned = |text: Option<&str>| text.map(str::to_owned);
            changes.push(Change {
                sequence: change.sequence,
                id: change.id.to_string(),
                from: change.from.to_string(),
                to: change.to.to_string(),
                insert_id: owned(change.cause.insert_id),
                time_ms: change.cause.time_ms,
                source: owned(change.cause.source),
            });
            Ok(true)
        })?;
        Ok(changes)
    }
}

fn log_entry(entry: &Entry<'_>) -> LogEntry {
    let text = |id: Id<'_>| id.to_string();
    let (kind, ids, outcome) = match entry.what {
        What::Claim { claim, outcome } => {
            let (kind, ids) = match claim {
                Claim::Link { device, user } => {
                    let device = idmerge_core::DistinctId::device(device).to_string();
                    ("link", vec![device, text(user)])
                }
                Claim::Identify { identified, anon } => {
                    ("identify", vec![text(identified), text(anon)])
                }
                Claim::Alias { distinct_id, alias } => {
                    ("alias", vec![text(distinct_id), text(alias)])
                }
                Claim::Merge { first, second } => ("merge", vec![text(first), text(second)]),
                _ => ("unknown", Vec::new()),
            };
            let outcome = match outcome {
                Outcome::Merged => "merged",
                Outcome::AlreadyMerged => "already merged",
                Outcome::Rejected(rejection) => rejection.code(),
                _ => "ignored",
            };
            (kind, ids, outcome)
        }
        What::Retracted { .. } => ("retracted", Vec::new(), ""),
        _ => ("replaced", Vec::new(), ""),
    };
    LogEntry {
        sequence: entry.sequence,
        kind,
        ids,
        outcome,
        insert_id: entry.cause.insert_id.map(str::to_owned),
        time_ms: entry.cause.time_ms,
        source: entry.cause.source.map(str::to_owned),
    }
}
