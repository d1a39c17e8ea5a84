//! Original ID Merge by brute force: rules O-1 to O-18.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use idmerge_core::{
    Claim, Cluster, DistinctId, EngineError, Event, Id, IdentityResolver, InvalidEvent, Outcome,
    Reading, Rejection, Resolve, RuleBook, SnapshotError,
};

use super::{reading, snapshot};
use crate::settings::EngineSettings;

#[cfg(test)]
mod tests;

/// An entry of the log.
#[derive(Clone, Debug)]
enum Entry {
    /// An accepted `$identify`.
    Identify { identified: String, anon: String },
    /// An accepted `$create_alias`.
    Alias { distinct_id: String, alias: String },
    /// An accepted `$merge`.
    Merge { first: String, second: String },
    /// One ID of a snapshot, with its facts. A snapshot lists IDs oldest first.
    Loaded {
        id: String,
        /// The oldest member of its cluster, possibly the ID itself.
        oldest: String,
        /// Whether the ID is marked as identified, and as an alias.
        identified: bool,
        alias: bool,
    },
}

/// The oracle of Original ID Merge. Its state is the accepted claims in arrival order.
#[derive(Clone, Debug, Default)]
pub struct OriginalOracle {
    settings: EngineSettings,
    log: Vec<Entry>,
}

/// The state as the rules describe it, computed from a log.
#[derive(Default)]
struct State<'a> {
    /// The partition: every ID that entered the state is in exactly one of these sets.
    clusters: Vec<BTreeSet<&'a str>>,
    /// O-14: how many IDs entered the state before this one.
    age: BTreeMap<&'a str, usize>,
    /// O-13: the IDs that are marked as identified.
    identified: BTreeSet<&'a str>,
    /// O-13: the IDs that are marked as an alias.
    aliases: BTreeSet<&'a str>,
}

impl<'a> State<'a> {
    /// Computes the state from the whole log. Every entry was accepted, so nothing is checked.
    fn replay(log: &'a [Entry]) -> Self {
        let mut state = Self::default();
        for entry in log {
            match entry {
                Entry::Identify { identified, anon } => {
                    state.enter(identified); // O-14: identified, then anonymous
                    state.enter(anon);
                    state.join(identified, anon);
                    state.identified.insert(identified); // O-13
                }
                Entry::Alias { distinct_id, alias } => {
                    state.enter(distinct_id); // O-14: distinct_id, then alias
                    state.enter(alias);
                    state.join(distinct_id, alias);
                    state.aliases.insert(alias); // O-13
                }
                Entry::Merge { first, second } => {
                    state.enter(first); // O-14: as listed
                    state.enter(second);
                    state.join(first, second);
                }
                Entry::Loaded {
                    id,
                    oldest,
                    identified,
                    alias,
                } => {
                    state.enter(id);
                    state.join(oldest, id);
                    if *identified {
                        state.identified.insert(id);
                    }
                    if *alias {
                        state.aliases.insert(id);
                    }
                }
            }
        }
        state
    }

    /// O-14: an ID enters the state when it is first part of an accepted identity event.
    fn enter(&mut self, id: &'a str) {
        if !self.age.contains_key(id) {
            self.age.insert(id, self.age.len());
            self.clusters.push(BTreeSet::from([id]));
        }
    }

    /// Merges the clusters of two IDs that have entered.
    fn join(&mut self, a: &str, b: &str) {
        let of_a = self.clusters.iter().position(|ids| ids.contains(a));
        let of_b = self.clusters.iter().position(|ids| ids.contains(b));
        if let (Some(of_a), Some(of_b)) = (of_a, of_b)
            && of_a != of_b
        {
            let ids = std::mem::take(&mut self.clusters[of_b]);
            self.clusters[of_a].extend(ids);
            self.clusters.remove(of_b);
        }
    }

    /// The cluster of an ID, if it is in one.
    fn cluster_of(&self, id: &str) -> Option<&BTreeSet<&'a str>> {
        self.clusters.iter().find(|ids| ids.contains(id))
    }

    /// The number of members of the cluster of an ID; 1 if it is in no cluster.
    fn size_of(&self, id: &str) -> usize {
        self.cluster_of(id).map_or(1, BTreeSet::len)
    }

    /// O-17: the members, oldest first.
    fn oldest_first(&self, ids: &BTreeSet<&'a str>) -> Vec<&'a str> {
        let mut members: Vec<&str> = ids.iter().copied().collect();
        members.sort_by_key(|id| self.age[id]);
        members
    }

    /// The oldest of these IDs, if there are any.
    fn oldest(&self, ids: impl Iterator<Item = &'a str>) -> Option<&'a str> {
        ids.min_by_key(|id| self.age[id])
    }

    /// The oldest of a cluster's identified members, if any is identified.
    fn oldest_identified(&self, ids: &BTreeSet<&'a str>) -> Option<&'a str> {
        let ids = ids.iter().copied();
        self.oldest(ids.filter(|id| self.identified.contains(id)))
    }

    /// The cluster in the form of the interface.
    fn shown(&self, ids: &BTreeSet<&'a str>) -> Cluster<'a> {
        let members = self.oldest_first(ids);
        // O-15: the oldest identified member; if none is identified, the oldest member.
        let canonical = self.oldest_identified(ids).unwrap_or(members[0]);
        Cluster {
            canonical: DistinctId::plain(id(canonical)),
            members: members
                .into_iter()
                .map(|member| DistinctId::plain(id(member)))
                .collect(),
        }
    }
}

/// The ID with a text of the log.
fn id(text: &str) -> Id<'_> {
    Id::new(text).expect("every text of the log is an ID")
}

/// The log entry of an accepted claim; `None` for a claim of the other rule book.
fn entry_for(claim: Claim<'_>) -> Option<Entry> {
    let owned = |id: Id<'_>| id.text().into_owned();
    match claim {
        Claim::Identify { identified, anon } => Some(Entry::Identify {
            identified: owned(identified),
            anon: owned(anon),
        }),
        Claim::Alias { distinct_id, alias } => Some(Entry::Alias {
            distinct_id: owned(distinct_id),
            alias: owned(alias),
        }),
        Claim::Merge { first, second } => Some(Entry::Merge {
            first: owned(first),
            second: owned(second),
        }),
        _ => None,
    }
}

/// The lines of a snapshot: each ID, oldest first, with the position of the oldest member of its
/// cluster, and its marks.
fn lines(log: &[Entry]) -> Vec<String> {
    let state = State::replay(log);
    let all: BTreeSet<&str> = state.age.keys().copied().collect();
    let mut lines = Vec::new();
    for id in state.oldest_first(&all) {
        let ids = state.cluster_of(id).into_iter().flatten().copied();
        let place = state.oldest(ids).map_or(0, |oldest| state.age[oldest]);
        let text = snapshot::id_text(id);
        let i = if state.identified.contains(id) {
            'i'
        } else {
            '-'
        };
        let a = if state.aliases.contains(id) { 'a' } else { '-' };
        lines.push(format!("id {text} {place} {i}{a}"));
    }
    lines
}

impl OriginalOracle {
    /// An oracle with no state.
    pub fn new(settings: EngineSettings) -> Self {
        let log = Vec::new();
        Self { settings, log }
    }

    /// The checks O-7 to O-12, in this order; the first that applies decides.
    fn judge<'a>(&'a self, claim: Claim<'a>) -> Outcome<'a> {
        let state = State::replay(&self.log);
        let (one, other) = match claim {
            Claim::Identify { identified, anon } => (identified, anon),
            Claim::Alias { distinct_id, alias } => (distinct_id, alias),
            Claim::Merge { first, second } => (first, second),
            _ => return Outcome::Ignored,
        };
        let (one_text, other_text) = (one.text(), other.text());
        let cluster_of_one = state.cluster_of(&one_text);
        let cluster_of_other = state.cluster_of(&other_text);
        let in_one_cluster = cluster_of_one.is_some() && cluster_of_one == cluster_of_other;

        // O-7, all three: both IDs are the same.
        if one_text == other_text {
            return Outcome::Rejected(Rejection::SameIds { id: one });
        }

        // O-8, `$identify`: the anonymous ID does not have the form of the setting.
        if let Claim::Identify { anon, .. } = claim
            && !self.settings.anon_id_format.allows(&other_text)
        {
            return Outcome::Rejected(Rejection::AnonDistinctIdNonGuidForm { anon });
        }

        // O-9, `$create_alias`: the alias was already used as an alias, and is not in the
        // cluster of `distinct_id`.
        if let Claim::Alias { alias, .. } = claim
            && state.aliases.contains(&*other_text)
            && !in_one_cluster
        {
            return Outcome::Rejected(Rejection::AliasAlreadyExists { alias });
        }

        // O-10, all three: both IDs are in one cluster already.
        if in_one_cluster {
            return Outcome::AlreadyMerged;
        }

        // O-11, `$identify`: the anonymous ID's cluster holds an ID that is marked as identified.
        if let Claim::Identify { anon, .. } = claim
            && let Some(ids) = cluster_of_other
            && let Some(holder) = state.oldest_identified(ids)
        {
            let holder = id(holder);
            return Outcome::Rejected(Rejection::AnonDistinctIdAssignedAlready { anon, holder });
        }

        // O-12 and O-18, all three: the two clusters together would have too many members.
        let together = state.size_of(&one_text) + state.size_of(&other_text);
        if together > self.settings.max_cluster_ids as usize {
            return Outcome::Rejected(Rejection::ManyIds {
                cluster_ids: together as u64,
                max_cluster_ids: self.settings.max_cluster_ids.into(),
            });
        }

        Outcome::Merged
    }
}

impl Resolve for OriginalOracle {
    fn rule_book(&self) -> RuleBook {
        RuleBook::Original
    }

    fn resolve<'a>(&'a self, distinct_id: DistinctId<'a>) -> DistinctId<'a> {
        // O-1: the prefix has no meaning here. O-16: an ID in no cluster resolves to itself.
        let own = DistinctId::plain(distinct_id.id());
        self.cluster(own).map_or(own, |cluster| cluster.canonical)
    }

    fn cluster<'a>(&'a self, distinct_id: DistinctId<'a>) -> Option<Cluster<'a>> {
        let state = State::replay(&self.log);
        let ids = state.cluster_of(&distinct_id.id().text())?;
        Some(state.shown(ids))
    }

    fn clusters(&self) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
        let state = State::replay(&self.log);
        let mut clusters: Vec<&BTreeSet<&str>> = state.clusters.iter().collect();
        // By oldest member.
        clusters.sort_by_key(|ids| state.oldest(ids.iter().copied()).map(|id| state.age[id]));
        let shown: Vec<Cluster<'_>> = clusters.into_iter().map(|ids| state.shown(ids)).collect();
        Box::new(shown.into_iter())
    }
}

impl IdentityResolver for OriginalOracle {
    fn read<'e>(&self, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
        reading::original(&self.settings, event)
    }

    fn apply<'a>(&'a mut self, claim: Claim<'a>) -> Result<Outcome<'a>, EngineError> {
        let accepted = match self.judge(claim) {
            Outcome::Merged => Outcome::Merged,
            Outcome::AlreadyMerged => Outcome::AlreadyMerged,
            // O-13: a rejected event marks nothing and leaves no trace.
            _ => return Ok(self.judge(claim)),
        };
        // O-13: an accepted claim leaves its marks, also if the IDs were merged already.
        self.log.extend(entry_for(claim));
        Ok(accepted)
    }

    fn write_snapshot(&self, sink: &mut dyn io::Write) -> io::Result<()> {
        snapshot::write(sink, self.rule_book(), &lines(&self.log))
    }

    fn read_snapshot(&mut self, source: &mut dyn io::Read) -> Result<(), SnapshotError> {
        let mut words = snapshot::Words::open(source, self.rule_book())?;
        let mut log: Vec<Entry> = Vec::new();
        let mut ids: Vec<String> = Vec::new();
        loop {
            match &*words.word(b' ')? {
                "id" => {
                    let id = words.id(b' ')?;
                    ids.push(id.clone());
                    let place: Option<usize> = words.word(b' ')?.parse().ok();
                    let Some(oldest) = place.and_then(|place| ids.get(place)) else {
                        return snapshot::damaged("a cluster has no oldest member");
                    };
                    let (identified, alias) = match &*words.word(b'\n')? {
                        "--" => (false, false),
                        "i-" => (true, false),
                        "-a" => (false, true),
                        "ia" => (true, true),
                        _ => return snapshot::damaged("an id has unknown marks"),
                    };
                    log.push(Entry::Loaded {
                        id,
                        oldest: oldest.clone(),
                        identified,
                        alias,
                    });
                }
                "end" => break,
                _ => return snapshot::damaged("a line is neither an id nor the end"),
            }
        }
        words.word(b'\n')?;
        // Refuses a wrong checksum, an ID that is listed twice, a cluster that is not named by its
        // oldest member, and numbers in another spelling.
        if words.read() != snapshot::bytes_of(self.rule_book(), &lines(&log)) {
            return snapshot::damaged("its facts would be written differently");
        }
        for ids in &State::replay(&log).clusters {
            // A cluster comes from a merge of two different IDs (O-7).
            if ids.len() < 2 {
                return snapshot::damaged("a cluster has one member");
            }
            if ids.len() > self.settings.max_cluster_ids as usize {
                return Err(SnapshotError::OverLimit {
                    cluster_ids: ids.len() as u64,
                    max_cluster_ids: self.settings.max_cluster_ids.into(),
                });
            }
        }
        self.log = log;
        Ok(())
    }
}
