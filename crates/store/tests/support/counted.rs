//! [`Counted`]: counts the work that a store gives its engines.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use idmerge_core::{
    Claim, Cluster, DistinctId, EngineError, Event, IdentityResolver, InvalidEvent, Outcome,
    Reading, Resolve, RuleBook, SnapshotError,
};

/// An engine that counts the claims that it and its siblings were given, and the members that they listed.
#[derive(Debug)]
pub(crate) struct Counted<R> {
    engine: R,
    applied: Arc<AtomicU64>,
    listed: Arc<AtomicU64>,
}

impl<R> Counted<R> {
    /// `applied` counts for this engine and its siblings.
    pub(crate) fn new(engine: R, applied: &Arc<AtomicU64>) -> Self {
        Self {
            engine,
            applied: applied.clone(),
            listed: Arc::default(),
        }
    }

    /// `listed` counts the members for this engine and its siblings.
    #[allow(dead_code, reason = "each test target uses a part of it")]
    pub(crate) fn counting_members(self, listed: &Arc<AtomicU64>) -> Self {
        let listed = listed.clone();
        Self { listed, ..self }
    }
}

impl<R: Resolve> Resolve for Counted<R> {
    fn rule_book(&self) -> RuleBook {
        self.engine.rule_book()
    }

    fn resolve<'a>(&'a self, id: DistinctId<'a>) -> DistinctId<'a> {
        self.engine.resolve(id)
    }

    fn cluster<'a>(&'a self, id: DistinctId<'a>) -> Option<Cluster<'a>> {
        let cluster = self.engine.cluster(id);
        let members = cluster.as_ref().map_or(0, |cluster| cluster.members.len());
        self.listed.fetch_add(members as u64, Ordering::Relaxed);
        cluster
    }

    fn is_clustered(&self, id: DistinctId<'_>) -> bool {
        self.engine.is_clustered(id)
    }

    fn clusters(&self) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
        self.engine.clusters()
    }
}

impl<R: IdentityResolver> IdentityResolver for Counted<R> {
    fn read<'e>(&self, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
        self.engine.read(event)
    }

    fn apply<'a>(&'a mut self, claim: Claim<'a>) -> Result<Outcome<'a>, EngineError> {
        self.applied.fetch_add(1, Ordering::Relaxed);
        self.engine.apply(claim)
    }

    fn write_snapshot(&self, sink: &mut dyn io::Write) -> io::Result<()> {
        self.engine.write_snapshot(sink)
    }

    fn read_snapshot(&mut self, source: &mut dyn io::Read) -> Result<(), SnapshotError> {
        self.engine.read_snapshot(source)
    }
}
