//! [`Reader`] as an engine that reads events and applies nothing.

use std::io;

use idmerge_core::{
    Claim, EngineError, Event, IdentityResolver, InvalidEvent, Outcome, Reading, SnapshotError,
};
use redb::ReadableDatabase;

use super::Reader;
use crate::error::StoreError;
use crate::log::Log;

impl<R: IdentityResolver> IdentityResolver for Reader<R> {
    fn read<'e>(&self, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
        self.state.overlay.any().read(event)
    }

    fn apply<'a>(&'a mut self, _: Claim<'a>) -> Result<Outcome<'a>, EngineError> {
        Err(StoreError::ReadOnly.into())
    }

    fn write_snapshot(&self, sink: &mut dyn io::Write) -> io::Result<()> {
        let read = self.database.begin_read().map_err(io::Error::other)?;
        let log = Log::committed(&read, self.last);
        self.state.write_engine(sink, log)
    }

    fn read_snapshot(&mut self, _: &mut dyn io::Read) -> Result<(), SnapshotError> {
        Err(SnapshotError::Io(io::Error::other(StoreError::ReadOnly)))
    }
}
