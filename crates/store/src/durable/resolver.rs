//! [`Durable`] as an engine.

use std::io;
use std::sync::Arc;

use idmerge_core::{
    Attribution, Claim, Cluster, ConcurrentReader, DistinctId, EngineError, Event,
    IdentityResolver, InvalidEvent, Outcome, Reading, Resolve, RuleBook, SnapshotError,
};
use redb::ReadableDatabase as _;

use super::Durable;
use crate::error::StoreError;
use crate::log::Log;
use crate::log::entry::Cause;
use crate::log::snapshots;

#[deny(
    clippy::missing_trait_methods,
    reason = "a method not forwarded is a method lost"
)]
impl<R: IdentityResolver> Resolve for Durable<R> {
    fn rule_book(&self) -> RuleBook {
        self.state.overlay.any().rule_book()
    }

    fn attribution(&self) -> Attribution {
        self.state.overlay.any().attribution()
    }

    #[inline]
    fn resolve<'a>(&'a self, id: DistinctId<'a>) -> DistinctId<'a> {
        self.state.overlay.resolve(id)
    }

    #[inline]
    fn resolve_batch<'a>(&'a self, ids: &mut [DistinctId<'a>]) {
        self.state.overlay.resolve_batch(ids);
    }

    fn cluster<'a>(&'a self, id: DistinctId<'a>) -> Option<Cluster<'a>> {
        self.state.overlay.cluster(id)
    }

    fn cluster_len(&self, id: DistinctId<'_>) -> usize {
        self.state.overlay.cluster_len(id)
    }

    fn is_clustered(&self, id: DistinctId<'_>) -> bool {
        self.state.overlay.is_clustered(id)
    }

    fn erased_with<'a>(
        &'a self,
        id: DistinctId<'a>,
    ) -> Box<dyn Iterator<Item = DistinctId<'a>> + 'a> {
        self.state.overlay.erased_with(id)
    }

    fn clustered_ids(&self) -> usize {
        self.state.overlay.clustered_ids()
    }

    fn members_after<'a>(
        &'a self,
        id: DistinctId<'a>,
        after: Option<DistinctId<'_>>,
        limit: usize,
    ) -> Option<Vec<DistinctId<'a>>> {
        self.state.overlay.members_after(id, after, limit)
    }

    fn clusters(&self) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
        self.state.overlay.clusters()
    }

    fn cluster_parts(&self, members_max: usize) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
        self.state.overlay.cluster_parts(members_max)
    }

    /// That of the engine; `None` while some IDs are resolved by another one, after a
    /// [retraction](Durable::retract).
    fn concurrent_reader(&self) -> Option<&Arc<dyn ConcurrentReader>> {
        self.state.overlay.whole()?.concurrent_reader()
    }
}

impl<R: IdentityResolver> IdentityResolver for Durable<R> {
    fn read<'e>(&self, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
        self.state.overlay.any().read(event)
    }

    fn apply<'a>(&'a mut self, claim: Claim<'a>) -> Result<Outcome<'a>, EngineError> {
        self.apply_caused(claim, Cause::default())
    }

    fn apply_batch(
        &mut self,
        claims: &[Claim<'_>],
        outcome: &mut dyn FnMut(Outcome<'_>),
    ) -> Result<(), EngineError> {
        self.apply_all(claims, &mut std::iter::empty(), outcome)
    }

    fn write_snapshot(&self, sink: &mut dyn io::Write) -> io::Result<()> {
        // No commit comes between.
        let tail = self.commits.tail();
        let read = self.database.begin_read().map_err(io::Error::other)?;
        self.state.write_engine(sink, Log::with_tail(&read, &tail))
    }

    fn read_snapshot(&mut self, source: &mut dyn io::Read) -> Result<(), SnapshotError> {
        self.replace(source).map_err(|error| match error {
            StoreError::DamagedBase { source, .. } => source,
            StoreError::Io(error) => SnapshotError::Io(error),
            error => SnapshotError::Io(io::Error::other(error)),
        })
    }
}

impl<R: IdentityResolver> Durable<R> {
    fn replace(&mut self, source: &mut dyn io::Read) -> Result<(), StoreError> {
        let sequence = self.commit()? + 1;
        self.state
            .overlay
            .replace(source)
            .map_err(|source| StoreError::DamagedBase { sequence, source })?;
        // The state and the log differ until both are written.
        self.failed = true;
        self.seen_claims.start_over(self.state.overlay.any());
        let mut tail = self.commits.tail();
        tail.replaced(Cause::default());
        let read = self.database.begin_read()?;
        let kept = self.options.snapshots_kept;
        self.commits.commit_to_database(&mut tail, |write, tail| {
            snapshots::write(write, sequence, true, kept, &|| true, |sink| {
                let log = Log::with_tail(&read, tail);
                self.state.write_snapshot(sink, log, &self.seen_claims)
            })
        })?;
        drop(tail);
        self.failed = false;
        Ok(())
    }
}
