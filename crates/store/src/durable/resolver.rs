//! [`Durable`] as an engine.

use std::io;

use idmerge_core::{
    Claim, EngineError, Event, IdentityResolver, InvalidEvent, Outcome, Reading, SnapshotError,
};
use redb::ReadableDatabase as _;

use super::Durable;
use crate::error::StoreError;
use crate::log::Log;
use crate::log::entry::Cause;
use crate::log::snapshots;
use crate::state::answers::answers_by_overlay;

answers_by_overlay!(Durable);

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
