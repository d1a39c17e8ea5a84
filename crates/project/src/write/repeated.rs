//! [`Repeated`]: finds the events of a batch that are new, and the duplicates (AR-2).
//!
//! An event is stored once, and the first one counts, with one exception: what came with a credential
//! replaces what came without, if the two differ. So an index has who sent each event, and another one
//! has the number of each event that can be replaced.

mod exported;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use foldhash::{HashMap, HashMapExt};
use idmerge_core::Claim;
use idmerge_disk::{Dedup, LazyRuns, OpenRuns, Suspects};
#[cfg(test)]
use idmerge_disk::{DedupTables, Runs};
use idmerge_engines::Settings;
use idmerge_events::JsonEvent;
use idmerge_store::redb::{ReadTransaction, WriteTransaction};

use crate::archive::appender::Appender;
use crate::archive::block::NOT_AN_EVENT;
use crate::archive::fingerprint::{Fingerprint, RANKS_MAX, Rank};
use crate::archive::numbers::Numbers;
use crate::archive::reader::ArchiveReader;
use crate::archive::replaced;
use crate::archive::tables::{NUMBERS, SEEN};
use crate::error::ProjectError;
use crate::open::state::State;
#[cfg(test)]
use crate::simulation::hooks::{Mistake, makes};
use crate::write::batch::RecordAnswer;
use crate::write::prepare::{PreparedBatch, PreparedEvent};
use crate::write::repeated::exported::is_export_of;

/// For a mistake that the simulator must find.
#[cfg(test)]
const OTHER_SEEN: DedupTables = DedupTables::new(
    Runs::new("other_runs", "other_pages"),
    "other_recent",
    "other_filters",
);

/// An event of a batch that is stored.
pub(crate) struct NewEvent<'b> {
    pub(crate) event: &'b PreparedEvent,
    /// The event that it replaces.
    pub(crate) replaced: Option<Replaced>,
}

/// An event that is replaced.
pub(crate) struct Replaced {
    pub(crate) number: u64,
    /// Whether its claim was weighed and the new event makes the same claim, which then counts once
    /// (AR-2).
    pub(crate) has_same_claim: bool,
    /// Why its claim was rejected: the code and the description.
    pub(crate) failure: Option<[String; 2]>,
}

impl NewEvent<'_> {
    /// The claim to weigh, if there is one.
    pub(crate) fn claim<'b>(&self, batch: &'b PreparedBatch) -> Option<Claim<'b>> {
        match &self.replaced {
            Some(replaced) if replaced.has_same_claim => None,
            _ => batch.claim(self.event),
        }
    }
}

/// The indexes of the events that can have duplicates.
pub(crate) struct Repeated {
    dedup: Dedup,
    numbers: Numbers,
    /// The events that are replaced by events that are not committed: the number of each, and of
    /// the event in its place.
    replaced: BTreeMap<u64, u64>,
}

impl Repeated {
    pub(crate) fn open(read: &ReadTransaction) -> Result<Self, ProjectError> {
        #[cfg(test)]
        let seen = if makes(Mistake::ForgetsDuplicates) {
            // Of two indexes, the one that does not have the latest events.
            match Dedup::open(SEEN, read)?.last() > Dedup::open(OTHER_SEEN, read)?.last() {
                true => OTHER_SEEN,
                false => SEEN,
            }
        } else {
            SEEN
        };
        #[cfg(not(test))]
        let seen = SEEN;
        Ok(Self {
            dedup: Dedup::open(seen, read)?,
            numbers: Numbers::open(read)?,
            replaced: BTreeMap::new(),
        })
    }

    /// The events to store of some events of a batch. They get the numbers from that of the appender on. The
    /// others are answered here.
    pub(crate) fn new_events<'b>(
        &mut self,
        batch: &'b PreparedBatch,
        events: &'b [PreparedEvent],
        answers: &mut [RecordAnswer],
        stored: &mut StoredEvents<'_>,
    ) -> Result<Vec<NewEvent<'b>>, ProjectError> {
        let mut runs = LazyRuns::new(stored.read);
        let mut new: Vec<NewEvent<'b>> = Vec::with_capacity(events.len());
        let first = stored.appender.next();
        let suspects = self.suspects(events);
        for (at, event) in events.iter().enumerate() {
            let number = first + new.len() as u64;
            let before = match event.facts.fingerprint {
                Some(fingerprint) => {
                    let suspects = suspects.of(at);
                    self.before(
                        fingerprint,
                        event.fingerprint_ms,
                        suspects,
                        &mut runs,
                        stored,
                    )?
                }
                None => Before::Nothing,
            };
            let replaced = match before {
                Before::Nothing => None,
                Before::Same => {
                    answers[event.index] = RecordAnswer::Repeated;
                    continue;
                }
                Before::Lesser(earlier) => {
                    let in_batch = earlier.number.checked_sub(first).map(|index| {
                        let other = usize::try_from(index).ok().and_then(|at| new.get(at));
                        other.and_then(|other| earlier.in_batch(batch, other.event, event))
                    });
                    let replaced = match in_batch {
                        Some(replaced) => replaced,
                        None => earlier.in_archive(batch, event, stored)?,
                    };
                    if replaced.is_none() {
                        answers[event.index] = RecordAnswer::Repeated;
                        continue;
                    }
                    replaced
                }
            };
            if let Some(fingerprint) = event.facts.fingerprint
                && fingerprint.rank < Rank::Credential
            {
                self.numbers.add(fingerprint.fields, number);
            }
            if let Some(replaced) = &replaced {
                self.replaced.insert(replaced.number, number);
            }
            new.push(NewEvent { event, replaced });
        }
        Ok(new)
    }

    /// What the filters say about some events of a batch.
    fn suspects(&self, events: &[PreparedEvent]) -> Suspects {
        self.dedup.suspects(events.iter().map(|event| {
            let fingerprint = event.facts.fingerprint?;
            Some((fingerprint.fields, event.fingerprint_ms))
        }))
    }

    /// Finds the same event among those before it. Adds this one, unless it is the same.
    fn before(
        &mut self,
        fingerprint: Fingerprint,
        time_ms: i64,
        suspects: &[usize],
        runs: &mut LazyRuns<'_>,
        stored: &mut StoredEvents<'_>,
    ) -> Result<Before, ProjectError> {
        let ranks = fingerprint.ranks();
        let mut variants = [0; RANKS_MAX];
        let variants = &mut variants[..ranks.len()];
        for (variant, rank) in variants.iter_mut().zip(ranks) {
            *variant = fingerprint.with(*rank);
        }
        let best = self.dedup.first_of(variants, suspects, runs)?;
        let best = best.map(|place| ranks[place]);
        if best.is_some_and(|rank| rank >= fingerprint.rank) {
            return Ok(Before::Same);
        }
        let key = fingerprint.with(fingerprint.rank);
        self.dedup.add(key, time_ms);
        let Some(rank) = best else {
            return Ok(Before::Nothing);
        };
        let number = self.numbers.find(fingerprint.fields, stored.numbers()?)?;
        // A version without the index of numbers stored it, so it cannot be replaced.
        Ok(number.map_or(Before::Same, |number| {
            Before::Lesser(Earlier {
                number,
                is_weighed: fingerprint.is_weighed(rank),
            })
        }))
    }

    /// Whether there is anything to commit. There can be without a new event: the same event came
    /// with a higher rank.
    pub(crate) fn has_changes(&self) -> bool {
        self.dedup.unwritten() > 0
    }

    /// How many events of the index are in no run.
    pub(crate) fn recent(&self) -> u64 {
        self.dedup.recent() as u64
    }

    /// Writes what is not committed. `last` is the number of the last event. Returns how many events
    /// are replaced now, if there are new ones.
    pub(crate) fn write(
        &mut self,
        write: &WriteTransaction,
        last: u64,
        is_run_due: bool,
    ) -> Result<Option<u64>, ProjectError> {
        if is_run_due {
            self.dedup.write_run(write, last)?;
            self.numbers.write_run(write, last)?;
        } else {
            self.dedup.write(write, last)?;
            self.numbers.write(write, last)?;
        }
        let new = std::mem::take(&mut self.replaced);
        if new.is_empty() {
            return Ok(None);
        }
        replaced::write(write, &new).map(Some)
    }
}

/// Whether an event was stored before.
enum Before {
    Nothing,
    /// It was, and stays.
    Same,
    /// It was, with a lower rank than the new one.
    Lesser(Earlier),
}

/// An event that the new one replaces if the two differ.
struct Earlier {
    number: u64,
    /// Whether its claim may count, if it makes one.
    is_weighed: bool,
}

impl Earlier {
    /// The earlier event as one that is replaced; `None` if the two are equal.
    fn replaced(
        &self,
        texts: [&str; 2],
        claims: [Option<Claim<'_>>; 2],
        failure: Option<[&str; 2]>,
    ) -> Option<Replaced> {
        let [claim, new_claim] = claims;
        let has_same_claim = claim.filter(|_| self.is_weighed) == new_claim;
        let [text, new_text] = texts;
        // A claim that may count replaces one that may not, also in a model that makes no claim of it: its
        // export is read by others.
        let is_equal =
            self.is_weighed && has_same_claim && (text == new_text || is_export_of(new_text, text));
        (!is_equal).then(|| Replaced {
            number: self.number,
            has_same_claim,
            failure: failure.map(|failure| failure.map(str::to_owned)),
        })
    }

    /// The earlier event is one of the same batch.
    fn in_batch(
        &self,
        batch: &PreparedBatch,
        earlier: &PreparedEvent,
        new: &PreparedEvent,
    ) -> Option<Replaced> {
        let claims = [batch.claim(earlier), batch.claim(new)];
        self.replaced([batch.json(earlier), batch.json(new)], claims, None)
    }

    /// The earlier event is one of an earlier batch.
    fn in_archive(
        &self,
        batch: &PreparedBatch,
        new: &PreparedEvent,
        stored: &mut StoredEvents<'_>,
    ) -> Result<Option<Replaced>, ProjectError> {
        let settings = stored.settings;
        stored.find(self.number, &mut |text, failure| {
            let json_event = JsonEvent::parse_text(text)
                .map_err(|_| ProjectError::damaged(self.number, NOT_AN_EVENT))?;
            let reading = settings.read(&json_event.event()).unwrap_or_default();
            let claims = [reading.claim, batch.claim(new)];
            Ok(self.replaced([text, batch.json(new)], claims, failure))
        })
    }
}

/// The events that are stored, committed or not.
pub(crate) struct StoredEvents<'s> {
    pub(crate) settings: &'s Settings,
    state: &'s State,
    pub(crate) read: &'s ReadTransaction,
    pub(crate) appender: &'s Appender,
    numbers: Option<OpenRuns>,
    archive: Option<ArchiveReader>,
    /// Blocks that were read, by the number of the first event: a batch often has many events of one
    /// block.
    blocks: HashMap<u64, Vec<KeptEvent>>,
    /// The length of all texts in them.
    kept_bytes: usize,
}

/// The most bytes of text of the blocks that are kept.
const KEPT_BYTES_MAX: usize = 16 << 20;

/// An event of a block that is kept: its text, and why its claim was rejected.
struct KeptEvent {
    text: Box<str>,
    failure: Option<[String; 2]>,
}

/// Called with the text of an event, and why its claim was rejected.
type UseEvent<'u, T> = dyn FnMut(&str, Option<[&str; 2]>) -> Result<T, ProjectError> + 'u;

impl<'s> StoredEvents<'s> {
    pub(crate) fn new(
        settings: &'s Settings,
        state: &'s State,
        read: &'s ReadTransaction,
        appender: &'s Appender,
    ) -> Self {
        Self {
            settings,
            state,
            read,
            appender,
            numbers: None,
            archive: None,
            blocks: HashMap::new(),
            kept_bytes: 0,
        }
    }

    fn numbers(&mut self) -> Result<&OpenRuns, ProjectError> {
        Ok(match &mut self.numbers {
            Some(numbers) => numbers,
            none => none.insert(NUMBERS.open(self.read)?),
        })
    }

    /// Calls `use_it` with an event.
    fn find<T>(&mut self, number: u64, use_it: &mut UseEvent<'_, T>) -> Result<T, ProjectError> {
        let missing = ProjectError::damaged(number, "an event is missing");
        let mut found = None;
        let is_growing = self.appender.each_of_block(number, &mut |event| {
            if event.number == number {
                found = Some(use_it(event.text, event.failure)?);
            }
            Ok(event.number < number)
        })?;
        if is_growing {
            return found.ok_or(missing);
        }
        let head = self.state.directory.read().block_from(number);
        let first = head.map_or(number, |head| head.first);
        let index = usize::try_from(number - first).ok();
        let block = self.block(first)?;
        let event = index.and_then(|index| block.get(index)).ok_or(missing)?;
        let failure = event.failure.as_ref();
        let failure = failure.map(|failure| failure.each_ref().map(String::as_str));
        use_it(&event.text, failure)
    }

    /// The events of the committed block that starts with this event.
    fn block(&mut self, first: u64) -> Result<&[KeptEvent], ProjectError> {
        if !self.blocks.contains_key(&first) {
            let archive = match &mut self.archive {
                Some(archive) => archive,
                none => none.insert(ArchiveReader::new(self.read)?),
            };
            let mut events = Vec::new();
            let mut bytes = 0;
            archive.block(first)?.each(&mut |event| {
                bytes += event.text.len();
                events.push(KeptEvent {
                    text: event.text.into(),
                    failure: event.failure.map(|failure| failure.map(str::to_owned)),
                });
                Ok(true)
            })?;
            if self.kept_bytes + bytes > KEPT_BYTES_MAX {
                self.blocks.clear();
                self.kept_bytes = 0;
            }
            self.kept_bytes += bytes;
            self.blocks.insert(first, events);
        }
        Ok(self.blocks.get(&first).map_or(&[], Vec::as_slice))
    }
}
