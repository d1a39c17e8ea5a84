//! To which ID the source attributed each event when it arrived. In Legacy this is not the ID that today's
//! state gives (L-3).

use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};

use idmerge_core::{Attribution, Claim, DistinctId, EngineError, Id, IdentityResolver, Resolve};
use idmerge_engines::Engine;
use tempfile::SpooledTempFile;

use crate::options::Options;
use crate::people::ids::{NONE, Number};

/// More than this goes to a temporary file.
const IN_MEMORY_BYTES: usize = 1024 * 1024;

const NUMBER_BYTES: usize = size_of::<Number>();

/// How many numbers are read at once.
const WINDOW: usize = 4096;

/// The answers of a source that attributes events at their arrival.
#[derive(Debug)]
pub(crate) struct Arrivals {
    /// Folds the claims of the source, if other claims count in the migration (M-5).
    engine: Option<Engine>,
    log: ArrivalLog,
}

impl Arrivals {
    /// `None` if the source attributes events by its state at the end.
    pub(crate) fn of(options: &Options) -> Option<Self> {
        let is_at_arrival = options.source.attribution() == Attribution::AtArrival;
        is_at_arrival.then(|| Self {
            engine: (options.claims.model() != options.source.model())
                .then(|| options.source.engine()),
            log: ArrivalLog::default(),
        })
    }

    /// The ID to which the source attributes an event that arrives now. `claims` is the engine of the claims
    /// that count.
    pub(crate) fn root<'i>(&'i self, own: Id<'i>, claims: &'i Engine) -> Id<'i> {
        let engine = self.engine.as_ref().unwrap_or(claims);
        engine.resolve(DistinctId::plain(own)).id()
    }

    /// Keeps the answer for the next event.
    pub(crate) fn push(&mut self, root: Option<Number>) -> io::Result<()> {
        self.log.push(root.unwrap_or(NONE))
    }

    pub(crate) fn apply(&mut self, claim: Claim<'_>) -> Result<(), EngineError> {
        match &mut self.engine {
            Some(engine) => engine.apply(claim).map(|_outcome| ()),
            None => Ok(()),
        }
    }

    /// The engine of the source after all claims, if it is another than that of the claims that count, and
    /// the answers.
    pub(crate) fn finish(self) -> (Option<Engine>, ArrivalLog) {
        (self.engine, self.log)
    }
}

/// A number for each event, in a temporary file.
#[derive(Debug)]
pub(crate) struct ArrivalLog {
    file: Mutex<BufWriter<SpooledTempFile>>,
}

impl Default for ArrivalLog {
    fn default() -> Self {
        let file = BufWriter::new(SpooledTempFile::new(IN_MEMORY_BYTES));
        Self {
            file: Mutex::new(file),
        }
    }
}

impl ArrivalLog {
    /// Adds the number of the next event.
    pub(crate) fn push(&mut self, number: Number) -> io::Result<()> {
        let file = self.file.get_mut().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&number.to_le_bytes())
    }

    /// The numbers of the events from `first` on, at most [`WINDOW`].
    fn read(&self, first: u64) -> io::Result<Vec<Number>> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.flush()?;
        let file = file.get_mut();
        file.seek(SeekFrom::Start(first * NUMBER_BYTES as u64))?;
        let mut bytes = Vec::with_capacity(WINDOW * NUMBER_BYTES);
        file.take((WINDOW * NUMBER_BYTES) as u64)
            .read_to_end(&mut bytes)?;
        let (numbers, _) = bytes.as_chunks();
        Ok(numbers
            .iter()
            .map(|it| Number::from_le_bytes(*it))
            .collect())
    }
}

/// Reads a log in the order of the events. Each thread has its own.
#[derive(Clone, Debug)]
pub(crate) struct ArrivalReader<'l> {
    log: &'l ArrivalLog,
    first: u64,
    window: Vec<Number>,
}

impl<'l> ArrivalReader<'l> {
    pub(crate) fn new(log: &'l ArrivalLog) -> Self {
        Self {
            log,
            first: 0,
            window: Vec::new(),
        }
    }

    /// The ID to which the source attributed the event with this number, if to any.
    pub(crate) fn get(&mut self, event: u64) -> io::Result<Option<Number>> {
        let number = match self.in_window(event) {
            Some(number) => number,
            None => {
                self.window = self.log.read(event)?;
                self.first = event;
                let read = self.in_window(event);
                read.ok_or(io::ErrorKind::UnexpectedEof)?
            }
        };
        Ok(Some(number).filter(|&number| number != NONE))
    }

    fn in_window(&self, event: u64) -> Option<Number> {
        let at = usize::try_from(event.checked_sub(self.first)?).ok()?;
        self.window.get(at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_in_any_order() {
        let mut log = ArrivalLog::default();
        let events = 300_000;
        for number in 0..events {
            let number = if number % 7 == 0 { NONE } else { number };
            log.push(number).unwrap();
        }
        let mut reader = ArrivalReader::new(&log);
        let mut check = |event: u32| {
            let number = Some(event).filter(|event| event % 7 != 0);
            assert_eq!(reader.get(event.into()).unwrap(), number);
        };
        (0..events).for_each(&mut check);
        (0..events).rev().step_by(10_007).for_each(&mut check);
        assert!(reader.get(events.into()).is_err());
    }
}
