//! The state at an entry of the log: a snapshot, and the claims after it.

use std::io::{Read, Write};
use std::{io, ops};

use idmerge_core::{IdentityResolver, Outcome, SnapshotError};
use redb::ReadTransaction;

use crate::entry::{Entry, What};
use crate::error::StoreError;
use crate::known::Known;
use crate::options::Opened;
use crate::tables::{self, PieceReader, Snapshot};

/// An engine, and which claims are no news to it.
#[derive(Debug)]
pub(crate) struct State<R> {
    pub(crate) engine: R,
    pub(crate) known: Known,
}

impl<R: IdentityResolver> State<R> {
    pub(crate) fn new(engine: R) -> Self {
        Self {
            engine,
            known: Known::default(),
        }
    }

    pub(crate) fn write_snapshot(&self, sink: &mut dyn Write) -> io::Result<()> {
        let prints = self.known.sorted();
        sink.write_all(&(prints.len() as u64).to_le_bytes())?;
        for print in prints {
            sink.write_all(&print.to_le_bytes())?;
        }
        self.engine.write_snapshot(sink)
    }

    fn read_snapshot(
        &mut self,
        read: &ReadTransaction,
        snapshot: Snapshot,
    ) -> Result<(), SnapshotError> {
        let pieces = PieceReader::new(read, snapshot).map_err(io::Error::other)?;
        let mut source = io::BufReader::new(pieces);
        let mut number = [0; 8];
        source.read_exact(&mut number)?;
        // Grows with what is read, so that a wrong number takes no memory.
        let mut prints = Vec::new();
        for _ in 0..u64::from_le_bytes(number) {
            let mut print = [0; 16];
            source.read_exact(&mut print)?;
            prints.push(u128::from_le_bytes(print));
        }
        self.engine.read_snapshot(&mut source)?;
        self.known.replace(prints);
        Ok(())
    }

    /// Takes the latest snapshot in this range that can be read.
    fn read_latest(
        &mut self,
        read: &ReadTransaction,
        range: ops::RangeInclusive<u64>,
    ) -> Result<Opened, StoreError> {
        let mut opened = Opened::default();
        for snapshot in tables::snapshots(read)?.into_iter().rev() {
            if !range.contains(&snapshot.sequence) {
                continue;
            }
            match self.read_snapshot(read, snapshot) {
                Ok(()) => {
                    opened.snapshot = snapshot.sequence;
                    break;
                }
                Err(error) => opened.damaged.push((snapshot.sequence, error)),
            }
        }
        Ok(opened)
    }

    /// Brings the state from entry `after`, 0 for none, to the last entry up to `until`. Answers
    /// with the number of that entry.
    pub(crate) fn go_on(
        &mut self,
        read: &ReadTransaction,
        after: u64,
        until: u64,
    ) -> Result<u64, StoreError> {
        let mut at = after;
        tables::each_entry(read, after + 1, &mut |entry| {
            if entry.sequence > until {
                return Ok(false);
            }
            self.weigh(read, &entry)?;
            at = entry.sequence;
            Ok(true)
        })?;
        Ok(at)
    }

    /// Weighs an entry of the log again.
    pub(crate) fn weigh(
        &mut self,
        read: &ReadTransaction,
        entry: &Entry<'_>,
    ) -> Result<(), StoreError> {
        let sequence = entry.sequence;
        match entry.what {
            What::Claim { claim, outcome } => {
                let now = self.engine.apply(claim)?;
                if verdict(now) != verdict(outcome) {
                    return Err(StoreError::Diverged {
                        sequence,
                        logged: format!("{outcome:?}"),
                        now: format!("{now:?}"),
                    });
                }
                self.known.is_news(claim, now);
            }
            What::Replaced => {
                let mut snapshots = tables::snapshots(read)?.into_iter();
                let base = snapshots.find(|snapshot| snapshot.sequence == sequence);
                let base = base.ok_or(StoreError::DamagedLog {
                    sequence,
                    what: "the state that was put in is not there",
                })?;
                self.read_snapshot(read, base)
                    .map_err(|source| StoreError::DamagedBase { sequence, source })?;
            }
        }
        Ok(())
    }

    /// The state after the last entry up to `until`, and the number of that entry. `self` has no
    /// claims yet.
    pub(crate) fn open(
        &mut self,
        read: &ReadTransaction,
        until: u64,
    ) -> Result<(u64, Opened), StoreError> {
        let mut opened = self.read_latest(read, 0..=until)?;
        let at = self.go_on(read, opened.snapshot, until)?;
        opened.weighed = at - opened.snapshot;
        Ok((at, opened))
    }
}

/// What of an outcome has to be the same for ever; how a rejection is worded is not part of it.
fn verdict(outcome: Outcome<'_>) -> Option<&'static str> {
    match outcome {
        Outcome::Merged => Some("merged"),
        Outcome::AlreadyMerged => Some("already merged"),
        Outcome::Ignored => Some("ignored"),
        Outcome::Rejected(rejection) => Some(rejection.code()),
        _ => None,
    }
}
