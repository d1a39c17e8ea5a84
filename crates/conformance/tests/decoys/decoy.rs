//! A decoy: a correct engine, mostly an oracle, behind one mistake.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::sync::Mutex;
use std::{any, fmt};

use idmerge_conformance::EngineSettings;
use idmerge_conformance::oracle::{LegacyOracle, OriginalOracle, SimplifiedOracle};
use idmerge_core::{
    Attribution, Claim, Cluster, DistinctId, EngineError, Event, Id, IdentityResolver, ImageSink,
    ImageSource, InvalidEvent, Outcome, Reading, Rejection, Resolve, RuleBook, SnapshotError,
};

/// A correct engine: one of the oracles, or that of a custom model.
pub(crate) trait Oracle: IdentityResolver + Clone + 'static {
    fn new(settings: EngineSettings) -> Self;
}

impl Oracle for LegacyOracle {
    fn new(settings: EngineSettings) -> Self {
        Self::new(settings)
    }
}

impl Oracle for OriginalOracle {
    fn new(settings: EngineSettings) -> Self {
        Self::new(settings)
    }
}

impl Oracle for SimplifiedOracle {
    fn new(settings: EngineSettings) -> Self {
        Self::new(settings)
    }
}

/// A mistake: the methods in which a decoy differs from the oracle. The default of each method asks
/// the oracle. Answers own their IDs, so that a mistake can invent them.
pub(crate) trait Mistake: Default + Send + Sync + 'static {
    type Oracle: Oracle;

    /// Takes the settings first, and returns those for the oracle.
    fn settings(&mut self, settings: EngineSettings) -> EngineSettings {
        settings
    }

    fn attribution(&self, oracle: &Self::Oracle) -> Attribution {
        oracle.attribution()
    }

    fn read<'e>(
        &self,
        oracle: &Self::Oracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        oracle.read(event)
    }

    fn apply(&mut self, oracle: &mut Self::Oracle, claim: Claim<'_>) -> Outcome<'static> {
        weigh(oracle, claim)
    }

    fn apply_batch(
        &mut self,
        oracle: &mut Self::Oracle,
        claims: &[Claim<'_>],
    ) -> Vec<Outcome<'static>> {
        let claims = claims.iter();
        claims.map(|claim| self.apply(oracle, *claim)).collect()
    }

    /// The form in which every method shows a cluster.
    fn shown(&self, cluster: Cluster<'static>) -> Cluster<'static> {
        cluster
    }

    fn cluster(&self, oracle: &Self::Oracle, id: DistinctId<'_>) -> Option<Cluster<'static>> {
        let cluster = oracle.cluster(id)?;
        Some(self.shown(keep_cluster(&cluster)))
    }

    fn cluster_len(&self, oracle: &Self::Oracle, id: DistinctId<'_>) -> usize {
        let cluster = self.cluster(oracle, id);
        cluster.map_or(0, |cluster| cluster.members.len())
    }

    fn is_clustered(&self, oracle: &Self::Oracle, id: DistinctId<'_>) -> bool {
        self.cluster_len(oracle, id) > 0
    }

    fn clustered_ids(&self, oracle: &Self::Oracle) -> usize {
        let clusters = self.clusters(oracle);
        clusters.iter().map(|cluster| cluster.members.len()).sum()
    }

    fn clusters(&self, oracle: &Self::Oracle) -> Vec<Cluster<'static>> {
        let clusters = oracle.clusters();
        clusters
            .map(|cluster| self.shown(keep_cluster(&cluster)))
            .collect()
    }

    fn resolve(&self, oracle: &Self::Oracle, id: DistinctId<'_>) -> DistinctId<'static> {
        match self.cluster(oracle, id) {
            Some(cluster) => cluster.canonical,
            None => keep_distinct_id(oracle.resolve(id)),
        }
    }

    fn resolve_batch<'a>(&self, oracle: &Self::Oracle, ids: &mut [DistinctId<'a>]) {
        for id in ids {
            *id = self.resolve(oracle, *id);
        }
    }

    fn write_snapshot(&self, oracle: &Self::Oracle, sink: &mut dyn Write) -> io::Result<()> {
        oracle.write_snapshot(sink)
    }

    fn read_snapshot(
        &mut self,
        oracle: &mut Self::Oracle,
        source: &mut dyn Read,
    ) -> Result<(), SnapshotError> {
        oracle.read_snapshot(source)
    }

    fn write_image(&self, _snapshot: &mut dyn Read, _sink: &mut dyn ImageSink) -> Option<()> {
        None
    }

    fn read_image(
        &mut self,
        _oracle: &mut Self::Oracle,
        _image: &dyn ImageSource,
    ) -> Result<(), SnapshotError> {
        Err(SnapshotError::NotASnapshot)
    }
}

/// An oracle with a mistake.
pub(crate) struct Decoy<M: Mistake> {
    oracle: M::Oracle,
    mistake: M,
}

impl<M: Mistake> Decoy<M> {
    pub(crate) fn new(settings: &EngineSettings) -> Self {
        let mut mistake = M::default();
        let oracle = Oracle::new(mistake.settings(settings.clone()));
        Self { oracle, mistake }
    }
}

impl<M: Mistake> fmt::Debug for Decoy<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", any::type_name::<M>(), self.oracle)
    }
}

impl<M: Mistake> Resolve for Decoy<M> {
    fn rule_book(&self) -> RuleBook {
        self.oracle.rule_book()
    }

    fn attribution(&self) -> Attribution {
        self.mistake.attribution(&self.oracle)
    }

    fn resolve<'a>(&'a self, id: DistinctId<'a>) -> DistinctId<'a> {
        self.mistake.resolve(&self.oracle, id)
    }

    fn resolve_batch<'a>(&'a self, ids: &mut [DistinctId<'a>]) {
        self.mistake.resolve_batch(&self.oracle, ids);
    }

    fn cluster<'a>(&'a self, id: DistinctId<'a>) -> Option<Cluster<'a>> {
        self.mistake.cluster(&self.oracle, id)
    }

    fn cluster_len(&self, id: DistinctId<'_>) -> usize {
        self.mistake.cluster_len(&self.oracle, id)
    }

    fn is_clustered(&self, id: DistinctId<'_>) -> bool {
        self.mistake.is_clustered(&self.oracle, id)
    }

    fn clustered_ids(&self) -> usize {
        self.mistake.clustered_ids(&self.oracle)
    }

    fn clusters(&self) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
        Box::new(self.mistake.clusters(&self.oracle).into_iter())
    }
}

impl<M: Mistake> IdentityResolver for Decoy<M> {
    fn read<'e>(&self, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
        self.mistake.read(&self.oracle, event)
    }

    fn apply<'a>(&'a mut self, claim: Claim<'a>) -> Result<Outcome<'a>, EngineError> {
        Ok(self.mistake.apply(&mut self.oracle, claim))
    }

    fn apply_batch(
        &mut self,
        claims: &[Claim<'_>],
        outcome: &mut dyn FnMut(Outcome<'_>),
    ) -> Result<(), EngineError> {
        for answer in self.mistake.apply_batch(&mut self.oracle, claims) {
            outcome(answer);
        }
        Ok(())
    }

    fn write_snapshot(&self, sink: &mut dyn Write) -> io::Result<()> {
        self.mistake.write_snapshot(&self.oracle, sink)
    }

    fn read_snapshot(&mut self, source: &mut dyn Read) -> Result<(), SnapshotError> {
        self.mistake.read_snapshot(&mut self.oracle, source)
    }

    fn write_image(
        &self,
        snapshot: &mut dyn Read,
        sink: &mut dyn ImageSink,
    ) -> Result<bool, SnapshotError> {
        Ok(self.mistake.write_image(snapshot, sink).is_some())
    }

    fn read_image(&mut self, image: &dyn ImageSource) -> Result<(), SnapshotError> {
        self.mistake.read_image(&mut self.oracle, image)
    }
}

/// Applies a claim to the oracle.
pub(crate) fn weigh(oracle: &mut impl Oracle, claim: Claim<'_>) -> Outcome<'static> {
    let outcome = oracle.apply(claim).expect("an oracle never fails");
    keep_outcome(outcome)
}

/// The outcome that the oracle would give, without changing its state.
pub(crate) fn judge(oracle: &impl Oracle, claim: Claim<'_>) -> Outcome<'static> {
    weigh(&mut oracle.clone(), claim)
}

/// Whether the oracle would reject the claim with this code (`$failure_reason`).
pub(crate) fn rejects(oracle: &impl Oracle, claim: Claim<'_>, code: &str) -> bool {
    matches!(judge(oracle, claim), Outcome::Rejected(why) if why.code() == code)
}

pub(crate) fn is_accepted(outcome: Outcome<'_>) -> bool {
    matches!(outcome, Outcome::Merged | Outcome::AlreadyMerged)
}

/// The state as bytes.
pub(crate) fn snapshot_of(oracle: &impl Oracle) -> Vec<u8> {
    let mut bytes = Vec::new();
    oracle
        .write_snapshot(&mut bytes)
        .expect("writing to memory does not fail");
    bytes
}

/// A text that lives as long as the program. The suite uses few texts, and each is stored once.
pub(crate) fn keep_text(text: &str) -> &'static str {
    static TEXTS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut texts = TEXTS.lock().expect("no panic while the lock is held");
    if let Some(kept) = texts.get(text) {
        return kept;
    }
    let kept = text.to_owned().leak();
    texts.insert(kept);
    kept
}

/// The ID with this text.
pub(crate) fn id(text: &str) -> Id<'static> {
    Id::new(keep_text(text)).expect("decoys invent no empty IDs")
}

pub(crate) fn keep(kept: Id<'_>) -> Id<'static> {
    id(&kept.text())
}

pub(crate) fn keep_distinct_id(distinct_id: DistinctId<'_>) -> DistinctId<'static> {
    let kept = keep(distinct_id.id());
    if distinct_id.is_device() {
        DistinctId::device(kept)
    } else {
        DistinctId::plain(kept)
    }
}

pub(crate) fn keep_cluster(cluster: &Cluster<'_>) -> Cluster<'static> {
    let members = cluster.members.iter().copied();
    Cluster {
        canonical: keep_distinct_id(cluster.canonical),
        members: members.map(keep_distinct_id).collect(),
    }
}

fn keep_outcome(outcome: Outcome<'_>) -> Outcome<'static> {
    use Rejection::{
        AliasAlreadyExists, AnonDistinctIdAssignedAlready, AnonDistinctIdNonGuidForm, ManyIds,
        SameIds,
    };
    Outcome::Rejected(match outcome {
        Outcome::Merged => return Outcome::Merged,
        Outcome::AlreadyMerged => return Outcome::AlreadyMerged,
        Outcome::Ignored => return Outcome::Ignored,
        Outcome::Rejected(SameIds { id }) => SameIds { id: keep(id) },
        Outcome::Rejected(AnonDistinctIdNonGuidForm { anon }) => {
            AnonDistinctIdNonGuidForm { anon: keep(anon) }
        }
        Outcome::Rejected(AnonDistinctIdAssignedAlready { anon, holder }) => {
            AnonDistinctIdAssignedAlready {
                anon: keep(anon),
                holder: keep(holder),
            }
        }
        Outcome::Rejected(AliasAlreadyExists { alias }) => {
            AliasAlreadyExists { alias: keep(alias) }
        }
        Outcome::Rejected(ManyIds {
            cluster_ids,
            max_cluster_ids,
        }) => ManyIds {
            cluster_ids,
            max_cluster_ids,
        },
        other => unreachable!("handle the new outcome {other:?} here"),
    })
}
