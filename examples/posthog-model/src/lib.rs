//! An engine for a model of ID Merge like that of PostHog.
//!
//! These events merge one ID into another, and with the IDs their clusters:
//!
//! | event | merges | into | unless |
//! |---|---|---|---|
//! | `$identify` | `$anon_distinct_id`, or `$anon_id` | `distinct_id`, or `$identified_id` | the anonymous ID is identified |
//! | `$create_alias` | `alias` | `distinct_id` | the alias is identified |
//! | `$merge_dangerously` | `alias` | `distinct_id` | |
//! | `$merge` | the second of `$distinct_ids` | the first | |
//!
//! - An event belongs to the ID that it merges into. Every other event belongs to its `distinct_id`
//!   and merges nothing. Nor does an event of the table if one of its IDs is missing.
//! - A merge marks both IDs as *identified*, and all IDs of their clusters are. So an ID is
//!   identified if and only if it is in a cluster.
//! - The canonical ID of a new cluster is the ID that was merged into. When a cluster is merged into
//!   another one, that one keeps its canonical ID. When it is merged into an ID without a cluster,
//!   this ID is canonical.
//! - A cluster lists its canonical ID first, and then the others in the order in which they joined.
//!   Clusters are in the order in which their canonical IDs were first merged.
//! - The prefix `$device:` means nothing: an ID with it is plain text.

use std::{io, mem};

use idmerge_core::{
    Claim, ClaimKind, Cluster, DistinctId, DistinctIds, EngineError, Event, Id, IdProperty,
    IdRules, IdentityResolver, InvalidEvent, Outcome, Reading, Rejection, Resolve, RuleBook,
    SnapshotError, Value,
};
use idmerge_state::{IdTable, SnapshotReader, SnapshotWriter};

/// The name of the model.
pub const POSTHOG: RuleBook = RuleBook::Custom("posthog");

/// The engine. It keeps its state in memory.
#[derive(Debug)]
pub struct PostHog {
    id_rules: IdRules,
    /// The identified IDs. The owner of an ID is the number of its canonical ID. The row of a
    /// canonical ID lists the members of the cluster by their numbers; other rows are empty.
    ids: IdTable<Vec<u32>>,
}

impl Resolve for PostHog {
    fn rule_book(&self) -> RuleBook {
        POSTHOG
    }

    fn resolve<'a>(&'a self, id: DistinctId<'a>) -> DistinctId<'a> {
        self.canonical(id).map_or(id, |number| self.id(number))
    }

    fn cluster<'a>(&'a self, id: DistinctId<'a>) -> Option<Cluster<'a>> {
        let canonical = self.canonical(id)?;
        let members = self.ids.row(canonical).iter();
        let members = members.map(|&number| self.id(number)).collect();
        let canonical = self.id(canonical);
        Some(Cluster { canonical, members })
    }

    fn clusters(&self) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
        let ids = (0..self.ids.len()).map(|number| self.id(number));
        let canonical = ids.filter(|&id| self.resolve(id) == id);
        Box::new(canonical.filter_map(|id| self.cluster(id)))
    }
}

impl IdentityResolver for PostHog {
    fn read<'e>(&self, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
        let is_valid = |text: &str| self.id_rules.id(IdProperty::DistinctId, text).is_ok();
        let own = (IdProperty::DistinctId, event.own_distinct_id(is_valid));
        let identified = (IdProperty::IdentifiedId, event.identified_id);
        let sdk_anon = (IdProperty::AnonDistinctId, event.anon_distinct_id);
        let anon = (IdProperty::AnonId, event.anon_id);
        let alias = (IdProperty::Alias, event.alias);
        let [first, second] = match event.distinct_ids {
            DistinctIds::Two(values) => values.map(|value| (IdProperty::DistinctIds, value)),
            _ => [(IdProperty::DistinctIds, Value::Absent); 2],
        };
        let (kind, into, from): (_, &[_], &[_]) = match event.name {
            Event::IDENTIFY => (ClaimKind::Identify, &[own, identified], &[sdk_anon, anon]),
            Event::CREATE_ALIAS => (ClaimKind::Alias, &[own], &[alias]),
            "$merge_dangerously" => (ClaimKind::Merge, &[own], &[alias]),
            Event::MERGE => (ClaimKind::Merge, &[first, own], &[second]),
            _ => (ClaimKind::Merge, &[own], &[]),
        };
        // The first property that is present gives the ID.
        let id = |&(property, value): &(IdProperty, Value<'e>)| {
            let text = self.id_rules.text(property, value).transpose()?;
            Some(text.and_then(|text| self.id_rules.id(property, text)))
        };
        let into = into.iter().find_map(id).transpose()?;
        let from = from.iter().find_map(id).transpose()?;
        let claim = into.zip(from).map(|ids| Claim::new(kind, ids.into()));
        let claim = claim.filter(|_| !event.is_unweighed);
        let distinct_id = into.map(DistinctId::plain);
        Ok(Reading { distinct_id, claim })
    }

    fn apply<'a>(&'a mut self, claim: Claim<'a>) -> Result<Outcome<'a>, EngineError> {
        let [into, from] = claim.ids();
        let canonical = [into, from].map(|id| self.canonical(id));
        let rejection = match (claim, canonical) {
            _ if into == from => Rejection::SameIds { id: from.id() },
            (_, [Some(into), Some(from)]) if into == from => return Ok(Outcome::AlreadyMerged),
            (Claim::Identify { anon, .. }, [_, Some(number)]) => {
                let holder = self.ids.id(number);
                Rejection::AnonDistinctIdAssignedAlready { anon, holder }
            }
            (Claim::Alias { alias, .. }, [_, Some(_)]) => Rejection::AliasAlreadyExists { alias },
            (Claim::Identify { .. } | Claim::Alias { .. } | Claim::Merge { .. }, _) => {
                // Checked first, because an error must leave no trace.
                if self.ids.room() < 2 {
                    let ids = self.ids.len().into();
                    return Err(EngineError::Full { ids });
                }
                let [into, from] = [into, from].map(|id| self.insert(id.id()));
                self.merge(into, from);
                return Ok(Outcome::Merged);
            }
            // A link of a device, or a kind of claim of a later version of idmerge.
            _ => return Ok(Outcome::Ignored),
        };
        Ok(Outcome::Rejected(rejection))
    }

    fn write_snapshot(&self, sink: &mut dyn io::Write) -> io::Result<()> {
        let mut writer = SnapshotWriter::begin(sink, POSTHOG, 1)?;
        writer.number(self.clusters().count() as u64)?;
        for cluster in self.clusters() {
            writer.number(cluster.members.len() as u64)?;
            for member in cluster.members {
                writer.id(member.id())?;
            }
        }
        writer.end()
    }

    fn read_snapshot(&mut self, source: &mut dyn io::Read) -> Result<(), SnapshotError> {
        let mut reader = SnapshotReader::begin(source, POSTHOG, 1)?;
        let damaged = |what| Err(SnapshotError::Damaged { what });
        let mut read = Self::new(self.id_rules.clone());
        for _ in 0..reader.number()? {
            let canonical = read.ids.len();
            for _ in 0..reader.number()? {
                let (id, number) = (reader.id()?, read.ids.len());
                if read.ids.room() == 0 || read.insert(id) != number {
                    return damaged("an ID is in two clusters, or there are too many IDs");
                }
                read.merge(canonical, number);
            }
            if read.ids.len() - canonical < 2 {
                return damaged("a cluster has fewer than two IDs");
            }
        }
        // The checksum is checked before the state changes.
        reader.end()?;
        *self = read;
        Ok(())
    }
}

impl PostHog {
    /// An engine without clusters, for IDs that `id_rules` accept.
    pub fn new(id_rules: IdRules) -> Self {
        let ids = IdTable::new();
        Self { id_rules, ids }
    }

    fn id(&self, number: u32) -> DistinctId<'_> {
        DistinctId::plain(self.ids.id(number))
    }

    /// The number of the canonical ID of `id`, if `id` is in a cluster.
    fn canonical(&self, id: DistinctId<'_>) -> Option<u32> {
        let found = self.ids.find(&self.ids.probe(id.id()))?;
        (!id.is_device()).then_some(found.owner)
    }

    /// The number of the canonical ID of `id`, which becomes a cluster of its own if it is in none.
    fn insert(&mut self, id: Id<'_>) -> u32 {
        let (probe, number) = (self.ids.probe(id), self.ids.len());
        let canonical = self.ids.find(&probe).map(|found| found.owner);
        canonical.unwrap_or_else(|| self.ids.insert(&probe, number, vec![number]))
    }

    /// Merges one cluster into another. Both are given by the numbers of their canonical IDs.
    fn merge(&mut self, into: u32, from: u32) {
        let members = mem::take(self.ids.row_mut(from));
        for &member in &members {
            self.ids.set_owner(member, into);
        }
        self.ids.row_mut(into).extend(members);
    }
}
