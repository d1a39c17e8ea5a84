//! The inputs and events that `ingest` takes, and those that it has taken before (AR-2, AR-3).

use idmerge_engines::Engine;
use idmerge_store::{Durable, Intake, LazyRuns, StoreError, TakenInput, What};

use crate::claims::LoggedClaim;
use crate::content::Content;
use crate::known::{Known, KnownInputs};

/// The inputs and events that a run takes, in addition to those of earlier runs.
#[derive(Debug)]
pub struct Taken {
    intake: Intake,
    /// The number of the first input of the run.
    first_number: u64,
    again: Again,
    input: InputTaken,
    /// How many events were not weighed because they were taken before.
    pub repeated: u64,
}

/// A run that takes inputs and events anew.
#[derive(Clone, Copy, Debug, Default)]
struct Again {
    /// The number of the run; 0 if nothing is taken anew.
    run: u64,
    /// The last entry of the log when the run began.
    after: u64,
    /// Whether it is the rest of a run that did not finish.
    is_continued: bool,
}

/// The input that is being read.
#[derive(Debug, Default)]
struct InputTaken {
    index: Option<usize>,
    /// The beginning of it that was taken before.
    passed: Option<TakenInput>,
    /// How many events were taken now, and whether one has a distinct_id.
    events: u64,
    is_usable: bool,
}

/// A part of an input that was taken.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// The number of the input among those of the run, from 0.
    pub input: usize,
    /// The number of the known input that it begins with and that was passed over.
    pub passed: Option<u64>,
    /// The input from its start to the end of this part, if it can be known again.
    pub content: Option<Content>,
    /// How many lines or records that is.
    pub records: u64,
    /// How many events this part has.
    pub events: u64,
    /// How many of them have a distinct_id.
    pub with_id: u64,
}

impl Taken {
    /// Reads which inputs and events the store has taken before. If `is_again`, they are taken anew.
    ///
    /// # Errors
    ///
    /// The list of them is damaged, or the disk fails.
    pub fn open(store: &Durable<Engine>, is_again: bool) -> Result<Self, StoreError> {
        let intake = Intake::open(&store.begin_read()?)?;
        let first_number = intake.next_number();
        let again = match is_again {
            true => Again::open(&intake, store)?,
            false => Again::default(),
        };
        Ok(Self {
            intake,
            first_number,
            again,
            input: InputTaken::default(),
            repeated: 0,
        })
    }

    /// Whether the run continues an earlier one that took inputs anew and did not finish.
    pub fn continues_again(&self) -> bool {
        self.again.is_continued
    }

    /// The inputs that are not taken again. With `--again` these are only the inputs that the same run
    /// took before it was interrupted.
    pub fn known_inputs(&self) -> KnownInputs {
        let inputs = self.intake.inputs().iter();
        let known = inputs.filter(|input| self.again.run == 0 || input.again == self.again.run);
        let known = known.map(|input| Known {
            number: input.number,
            content: Content {
                bytes: input.bytes,
                hash: input.hash,
                head: input.head,
            },
            records: input.records,
        });
        KnownInputs::new(known, self.first_number)
    }

    /// How many events these inputs have.
    pub fn events_in(&self, inputs: &[Known]) -> u64 {
        let events = inputs.iter().filter_map(|known| self.find(known.number));
        events.map(|input| input.events).sum()
    }

    fn find(&self, number: u64) -> Option<TakenInput> {
        // The one that was read last is looked up most.
        let mut inputs = self.intake.inputs().iter().rev();
        inputs.find(|input| input.number == number).copied()
    }

    /// Leaves out the claims of events that were taken before, and takes the others.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    pub fn take_new(
        &mut self,
        logged: &mut Vec<LoggedClaim<'_>>,
        store: &Durable<Engine>,
    ) -> Result<(), StoreError> {
        if !logged.iter().any(|logged| logged.repeatable.is_some()) {
            return Ok(());
        }
        let read = store.begin_read()?;
        let mut runs = LazyRuns::new(&read);
        let mut repeated = None;
        let mut failed = None;
        logged.retain(|logged| {
            if let Some(event) = logged.repeatable {
                let is_repeated = self.is_repeated(event.fingerprint, event.time_ms, &mut runs);
                match is_repeated {
                    Ok(true) => {
                        self.repeated += 1;
                        repeated = Some(logged.number);
                    }
                    Ok(false) => {}
                    Err(error) => failed = Some(error),
                }
            }
            repeated != Some(logged.number)
        });
        failed.map_or(Ok(()), Err)
    }

    fn is_repeated(
        &mut self,
        fingerprint: u128,
        time_ms: i64,
        runs: &mut LazyRuns<'_>,
    ) -> Result<bool, StoreError> {
        let intake = &mut self.intake;
        let was_taken = intake.is_repeated(fingerprint, time_ms, runs)?;
        if self.again.run == 0 {
            return Ok(was_taken);
        }
        // With `--again`, an event counts as taken only if this run has taken it.
        let of_run = fingerprint ^ u128::from(self.again.run).wrapping_mul(RUN_FACTOR);
        intake.is_repeated(of_run, time_ms, runs)
    }

    /// Notes how far an input was taken.
    pub fn add(&mut self, taken: &Part) {
        if self.input.index != Some(taken.input) {
            let passed = taken.passed.and_then(|number| self.find(number));
            self.input = InputTaken {
                index: Some(taken.input),
                is_usable: passed.is_some(),
                passed,
                events: 0,
            };
        }
        let input = &mut self.input;
        input.events += taken.events;
        input.is_usable |= taken.with_id > 0;
        let before = input.passed.unwrap_or(NOTHING);
        // An input that cannot be used is read again, so that the error comes again.
        if let Some(content) = taken.content
            && input.is_usable
            && content.bytes > before.bytes
        {
            self.intake.set_input(TakenInput {
                number: self.first_number + taken.input as u64,
                bytes: content.bytes,
                hash: content.hash,
                head: content.head,
                records: taken.records,
                events: before.events + input.events,
                again: self.again.run,
                again_after: self.again.after,
            });
        }
    }

    /// Whether a commit is due.
    pub fn is_commit_due(&self) -> bool {
        self.intake.is_commit_due()
    }

    /// Commits the claims that were applied, together with what was taken.
    ///
    /// # Errors
    ///
    /// The disk fails.
    pub fn commit(&mut self, store: &Durable<Engine>) -> Result<(), StoreError> {
        if self.intake.has_changes() {
            let intake = &mut self.intake;
            store.commit_with::<StoreError>(|write| intake.write(write))?;
            store.merge_runs(Intake::runs())?;
        } else {
            store.commit()?;
        }
        store.index()?;
        if store.since_snapshot()? > SNAPSHOT_ENTRIES {
            store.snapshot()?;
        }
        Ok(())
    }

    /// Commits that the run has taken everything.
    ///
    /// # Errors
    ///
    /// The disk fails.
    pub fn finish(&mut self, store: &Durable<Engine>) -> Result<(), StoreError> {
        if self.again.run != 0 {
            self.intake.finish_again();
        }
        self.commit(store)
    }
}

impl Again {
    /// Continues the run that did not finish, if there is one, and no claim was withdrawn since it began:
    /// a withdrawn claim is to be taken anew.
    fn open(intake: &Intake, store: &Durable<Engine>) -> Result<Self, StoreError> {
        let unfinished = intake.inputs().iter().filter(|input| input.again != 0);
        if let Some(input) = unfinished.max_by_key(|input| input.again) {
            let mut is_withdrawn = false;
            store
                .history()?
                .entries(input.again_after + 1, &mut |entry| {
                    is_withdrawn = matches!(entry.what, What::Retracted { .. });
                    Ok(!is_withdrawn)
                })?;
            if !is_withdrawn {
                return Ok(Self {
                    run: input.again,
                    after: input.again_after,
                    is_continued: true,
                });
            }
        }
        Ok(Self {
            run: intake.next_number(),
            after: store.committed(),
            is_continued: false,
        })
    }
}

/// A commit is due after this many claims: it costs little of the time that they take, and a crash loses little work.
pub const COMMIT_CLAIMS: u64 = 50_000;

/// Take a snapshot after this many new entries: opening a store replays at most these.
const SNAPSHOT_ENTRIES: u64 = 5_000_000;

/// Takes a snapshot, with its image, unless the latest one is recent enough.
///
/// # Errors
///
/// The disk fails.
pub fn snapshot_if_old(store: &Durable<Engine>) -> Result<(), StoreError> {
    match store.since_snapshot()? > store.committed() / 10 {
        true => {
            store.snapshot()?;
            store.image().map(drop)
        }
        false => Ok(()),
    }
}

/// Spreads the number of a run over a fingerprint.
const RUN_FACTOR: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

/// The state of a new input: nothing of it was taken yet.
const NOTHING: TakenInput = TakenInput {
    number: 0,
    bytes: 0,
    hash: [0; 32],
    head: 0,
    records: 0,
    events: 0,
    again: 0,
    again_after: 0,
};
