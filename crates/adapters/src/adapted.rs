//! [`Adapted`]: what became of some records.

use std::mem;

use idmerge_events::{EventParts, Shapes, Values};

use crate::conflict::UserConflict;
use crate::counts::Counts;
use crate::read::plan::Plans;
use crate::read::value::Value;
use crate::refusal::Refusal;

/// How many lines take memory that is kept: a few hundred kilobytes.
const LINES_KEPT: usize = 2_000;

/// What became of some records: a text with a line for each event, in order.
///
/// A record that is refused has a blank line, so that the lines are in the order of the records.
#[derive(Clone, Debug, Default)]
pub struct Adapted {
    pub(crate) text: Vec<u8>,
    lines: Vec<Line>,
    conflicts: Vec<UserConflict>,
    pub(crate) profiles: Vec<u8>,
    pub(crate) groups: Vec<u8>,
    pub(crate) counts: Counts,
    pub(crate) scratch: Vec<u8>,
    /// The shapes of the records before. Taken out while a record is read by them.
    pub(crate) shapes: Option<Box<Shapes<Plans>>>,
    record: u64,
    receipts: Receipts,
}

/// A line of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The number that the caller gave the record.
    pub record: u64,
    /// Where the line ends in the text, with its line feed.
    pub end: usize,
    /// What the line is.
    pub kind: LineKind,
    /// Of an event: where its parts are in the line, so that it need not be scanned. `None` if only a scan tells.
    pub parts: Option<EventParts>,
}

/// What a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// An event, with the fingerprint by which its duplicates are found (AR-2). An event without an
    /// `$insert_id` has none.
    Event(Option<u128>),
    /// The blank line of a record, or of a part of one, that cannot be used.
    Refused(Refusal),
}

/// When some records were received, in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipts {
    /// The time of the first record that has one, and the time of the last one.
    pub first_and_last_ms: Option<(i64, i64)>,
    /// How many records have a time of receipt.
    pub count: u64,
    /// How many of them were received before the one in front of them.
    pub backwards: u64,
}

impl Receipts {
    /// Adds records that follow.
    pub fn add(&mut self, next: Self) {
        let Some((next_first, next_last)) = next.first_and_last_ms else {
            return;
        };
        let first = match self.first_and_last_ms {
            Some((first, last)) => {
                self.backwards += u64::from(next_first < last);
                first
            }
            None => next_first,
        };
        self.first_and_last_ms = Some((first, next_last));
        self.count += next.count;
        self.backwards += next.backwards;
    }
}

impl Adapted {
    /// Forgets everything but the shapes of records, and keeps the memory, but for that of very many lines.
    pub fn clear(&mut self) {
        for bytes in [&mut self.text, &mut self.profiles, &mut self.groups] {
            bytes.clear();
        }
        self.lines.clear();
        self.lines.shrink_to(LINES_KEPT);
        self.conflicts.clear();
        self.counts = Counts::default();
        self.receipts = Receipts::default();
    }

    /// The text: a line for each event, and a blank line for each refusal.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Takes the text. `buffer` is memory to use for the next one.
    pub fn take_text(&mut self, buffer: Vec<u8>) -> Vec<u8> {
        mem::replace(&mut self.text, buffer)
    }

    /// The lines of the text.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Takes the lines of the text.
    pub fn take_lines(&mut self) -> Vec<Line> {
        mem::take(&mut self.lines)
    }

    /// Takes the users that records say are one person, and that no event joins (S-9).
    pub fn take_conflicts(&mut self) -> Vec<UserConflict> {
        mem::take(&mut self.conflicts)
    }

    /// Updates of user profiles, one a line, in the form of `/engage`. There are some only if the
    /// options ask for them.
    pub fn profiles(&self) -> &[u8] {
        &self.profiles
    }

    /// Updates of group profiles, one a line, in the form of `/groups`.
    pub fn groups(&self) -> &[u8] {
        &self.groups
    }

    /// What was done with the records besides their events.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// When the records were received.
    pub fn receipts(&self) -> Receipts {
        self.receipts
    }

    /// Refuses the record with this number.
    pub fn refuse(&mut self, number: u64, refusal: Refusal) {
        self.start_record(number);
        self.refuse_part(refusal);
    }

    pub(crate) fn start_record(&mut self, number: u64) {
        self.record = number;
        self.counts.records += 1;
    }

    pub(crate) fn received(&mut self, ms: Option<i64>) {
        if let Some(ms) = ms {
            self.receipts.add(Receipts {
                first_and_last_ms: Some((ms, ms)),
                count: 1,
                backwards: 0,
            });
        }
    }

    fn refuse_part(&mut self, refusal: Refusal) {
        self.end_line(LineKind::Refused(refusal), None);
    }

    /// Lets `adapt` write lines. If it refuses, they are taken back, and the refusal has a line in their
    /// place.
    pub(crate) fn attempt(&mut self, adapt: impl FnOnce(&mut Self) -> Result<(), Refusal>) {
        let (lines, conflicts) = (self.lines.len(), self.conflicts.len());
        if let Err(mut refusal) = adapt(self) {
            self.lines.truncate(lines);
            self.conflicts.truncate(conflicts);
            if let Some(conflict) = refusal.take_conflict() {
                self.add_conflict(conflict);
            }
            let end = self.lines.last().map_or(0, |line| line.end);
            self.text.truncate(end);
            self.refuse_part(refusal);
        }
    }

    /// Takes note of two users whom the next line says are one person.
    pub(crate) fn add_conflict(&mut self, conflict: UserConflict) {
        let line = self.lines.len();
        self.conflicts.push(UserConflict { line, ..conflict });
    }

    /// Attempts each element of the list in this field, with its number. The refusal of one names its place,
    /// and leaves the others as they are.
    pub(crate) fn attempt_each<'r>(
        &mut self,
        field: &str,
        mut elements: Values<'r>,
        mut adapt: impl FnMut(&mut Self, Value<'r>, u64) -> Result<(), Refusal>,
    ) {
        let mut index = 0;
        while let Ok(Some(element)) = elements.next_value() {
            self.attempt_element(field, index, |to| adapt(to, Value::Json(element), index));
            index += 1;
        }
    }

    /// Attempts the element at this place of the list in this field.
    pub(crate) fn attempt_element(
        &mut self,
        field: &str,
        index: u64,
        adapt: impl FnOnce(&mut Self) -> Result<(), Refusal>,
    ) {
        self.attempt(|to| {
            adapt(to).map_err(|refusal| refusal.within(format_args!("\"{field}\"[{index}]")))
        });
    }

    pub(crate) fn end_line(&mut self, kind: LineKind, parts: Option<EventParts>) {
        self.text.push(b'\n');
        self.lines.push(Line {
            record: self.record,
            end: self.text.len(),
            kind,
            parts,
        });
    }
}
