//! [`Intake`]: how far a store has taken each input, and which events it has taken.

use idmerge_disk::{Dedup, DedupError, DedupTables, LazyRuns, Runs, row, varint};
use redb::{ReadTransaction, TableDefinition, TableError, WriteTransaction};

use crate::error::StoreError;

/// Inputs by their number.
const INPUTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("taken inputs");
const RUNS: Runs = Runs::new("taken runs", "taken pages");
/// The events that were taken and that can have duplicates.
const EVENTS: DedupTables = DedupTables::new(RUNS, "taken recent", "taken filters");
/// All tables of this module.
pub(crate) const NAMES: [&str; 5] = [
    "taken inputs",
    "taken runs",
    "taken pages",
    "taken recent",
    "taken filters",
];

/// The tables are called this in the report of a repair.
pub(crate) const NAME: &str = "taken inputs and events";

/// How many events one run of the index has: as many as a filter is made for.
const RUN_EVENTS: usize = 1 << 17;

/// How many events may come between two commits, so that a run does not get too many.
const COMMIT_EVENTS: usize = RUN_EVENTS / 2;

const HASH_BYTES: usize = 32;

/// How far an input was taken.
///
/// An input has no name here: it is known by its content, the bytes from its start to the end of the
/// last record that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakenInput {
    /// The number of the row, which no other input has.
    pub number: u64,
    /// How many bytes were taken.
    pub bytes: u64,
    /// The hash of these bytes.
    pub hash: [u8; HASH_BYTES],
    /// A hash of the first of these bytes, to find the input by.
    pub head: u64,
    /// How many lines or records that is.
    pub records: u64,
    /// How many of them are events.
    pub events: u64,
    /// If the input is being taken anew on purpose and that is not finished: the number of that run;
    /// otherwise 0.
    pub again: u64,
    /// The last entry of the log when that run began; 0 if there is no such run.
    pub again_after: u64,
}

impl TakenInput {
    fn row(&self) -> Vec<u8> {
        let mut row = row::start();
        row.extend(self.hash);
        row.extend(self.head.to_le_bytes());
        for number in [
            self.bytes,
            self.records,
            self.events,
            self.again,
            self.again_after,
        ] {
            varint::put(&mut row, number);
        }
        row::seal(self.number, row)
    }

    fn read(number: u64, row: &[u8]) -> Option<Self> {
        let (hash, rest) = row::open(number, row)?.split_first_chunk()?;
        let (head, mut rest) = rest.split_first_chunk()?;
        let mut next = || varint::take(&mut rest).ok();
        Some(Self {
            number,
            hash: *hash,
            head: u64::from_le_bytes(*head),
            bytes: next()?,
            records: next()?,
            events: next()?,
            again: next()?,
            // Rows of earlier versions end before it.
            again_after: next().unwrap_or(0),
        })
    }
}

/// The inputs and events that a store has taken, so that nothing is taken twice.
///
/// It is written in the same commit as the claims that came of the inputs, with
/// [`Durable::commit_with`](crate::Durable::commit_with). Backups and repairs copy it. A repair that
/// loses entries of the log forgets it, so that the lost claims can be taken again.
#[derive(Debug)]
pub struct Intake {
    inputs: Vec<TakenInput>,
    /// The inputs that are not written yet, by their place in `inputs`.
    unwritten: Vec<usize>,
    events: Dedup,
}

impl Intake {
    /// Reads what was taken before.
    ///
    /// # Errors
    ///
    /// [`StoreError::DamagedIntake`], and if the disk fails.
    pub fn open(read: &ReadTransaction) -> Result<Self, StoreError> {
        let mut inputs = Vec::new();
        match read.open_table(INPUTS) {
            Err(TableError::TableDoesNotExist(_)) => {}
            table => {
                for row in table?.range(0..)? {
                    let (number, row) = row?;
                    let input = TakenInput::read(number.value(), row.value());
                    inputs.push(input.ok_or(StoreError::DamagedIntake)?);
                }
            }
        }
        Ok(Self {
            inputs,
            unwritten: Vec::new(),
            events: Dedup::open(EVENTS, read)?,
        })
    }

    /// The inputs that were taken, in no particular order.
    pub fn inputs(&self) -> &[TakenInput] {
        &self.inputs
    }

    /// The least number that is greater than that of each input.
    pub fn next_number(&self) -> u64 {
        let numbers = self.inputs.iter().map(|input| input.number);
        numbers.max().map_or(1, |last| last + 1)
    }

    /// Sets how far an input was taken. It is written with the next commit.
    pub fn set_input(&mut self, input: TakenInput) {
        // The input that is being read is the last one.
        let at = (self.inputs.iter()).rposition(|other| other.number == input.number);
        let at = at.unwrap_or(self.inputs.len());
        match self.inputs.get_mut(at) {
            Some(before) => *before = input,
            None => self.inputs.push(input),
        }
        if self.unwritten.last() != Some(&at) {
            self.unwritten.push(at);
        }
    }

    /// Records that no run that takes inputs anew is unfinished.
    pub fn finish_again(&mut self) {
        for at in 0..self.inputs.len() {
            if self.inputs[at].again != 0 {
                self.set_input(TakenInput {
                    again: 0,
                    again_after: 0,
                    ..self.inputs[at]
                });
            }
        }
    }

    /// Whether an event with this fingerprint was taken before. If not, it is now.
    ///
    /// # Errors
    ///
    /// [`StoreError::DamagedIntake`], and if the disk fails.
    pub fn is_repeated(
        &mut self,
        fingerprint: u128,
        time_ms: i64,
        runs: &mut LazyRuns<'_>,
    ) -> Result<bool, StoreError> {
        Ok(self.events.is_repeated(fingerprint, time_ms, runs)?)
    }

    /// Whether there is something to write.
    pub fn has_changes(&self) -> bool {
        !self.unwritten.is_empty() || self.events.unwritten() > 0
    }

    /// Whether a commit is due, because of the number of events that are not written.
    pub fn is_commit_due(&self) -> bool {
        self.events.unwritten() >= COMMIT_EVENTS
    }

    /// Writes what is new.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn write(&mut self, write: &WriteTransaction) -> Result<(), StoreError> {
        {
            let mut table = write.open_table(INPUTS)?;
            for at in self.unwritten.drain(..) {
                let input = &self.inputs[at];
                table.insert(input.number, &*input.row())?;
            }
        }
        let last = self.events.last() + self.events.unwritten() as u64;
        if self.events.recent() >= COMMIT_EVENTS {
            self.events.write_run(write, last)?;
        } else {
            self.events.write(write, last)?;
        }
        Ok(())
    }

    /// The index of events, for [`Durable::merge_runs`](crate::Durable::merge_runs).
    pub const fn runs() -> &'static Runs {
        &RUNS
    }
}

/// Checks everything that [`Intake`] reads.
pub(crate) fn check(read: &ReadTransaction) -> Result<(), StoreError> {
    Intake::open(read)?;
    Ok(RUNS.open(read)?.check()?)
}

/// Removes what was taken, so that it is taken again.
pub(crate) fn forget(write: &WriteTransaction) -> Result<(), StoreError> {
    let tables: Vec<_> = write.list_tables()?.collect();
    for table in tables {
        if NAMES.contains(&redb::TableHandle::name(&table)) {
            write.delete_table(table)?;
        }
    }
    Ok(())
}

impl From<DedupError> for StoreError {
    fn from(error: DedupError) -> Self {
        match error {
            DedupError::Damaged { .. } | DedupError::Runs(idmerge_disk::RunsError::Damaged) => {
                Self::DamagedIntake
            }
            DedupError::Runs(error) => error.into(),
        }
    }
}
