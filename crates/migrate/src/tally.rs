//! Counts what is written, in the order of the events.

use std::io;

use foldhash::HashMap;

use crate::buckets::Buckets;
use crate::comparing::Comparison;
use crate::people::electing::People;
use crate::people::gathering::Bits;
use crate::people::ids::Mark;
use crate::writing::event::Written;

/// More names of events than this are counted as one.
const NAMES_MAX: usize = 65_536;

/// The name under which all names after the first 65,536 are counted.
const OTHER_NAMES: &str = "(other names)";

/// The figures of all events so far.
#[derive(Debug, Default)]
pub struct Tally {
    names: HashMap<String, u32>,
    /// How many events each name has.
    lines: Vec<u64>,
    pairs: [Buckets<9>; 2],
    users: [Bits; 2],
    pub(crate) carried: Bits,
    pub(crate) written: u64,
    pub(crate) with_id: u64,
    pub(crate) of_users: u64,
    pub(crate) contradicted: u64,
    pub(crate) moved: u64,
    pub(crate) reattributed: u64,
    pub(crate) comparison: Comparison,
    /// Events that are not written, because the target does not take them.
    pub refused: u64,
    /// Duplicates (M-2).
    pub doubles: u64,
    /// Identity events.
    pub identity_events: u64,
    earliest_ms: Option<i64>,
    mistake: Option<String>,
}

/// The figures of one name.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NameFigures {
    pub(crate) events: u64,
    pub(crate) users_before: u64,
    pub(crate) users_after: u64,
}

impl Tally {
    /// Adds an event that was written.
    ///
    /// # Errors
    ///
    /// A temporary file cannot be written.
    pub fn add(&mut self, event: &Written) -> io::Result<()> {
        let name = self.name(&event.name);
        self.lines[name as usize] += 1;
        self.written += 1;
        self.contradicted += u64::from(event.is_contradicted);
        self.moved += u64::from(event.is_moved);
        self.reattributed += u64::from(event.is_reattributed);
        if let Some(person) = event.after {
            self.comparison.add(event.theirs.as_deref(), person)?;
        }
        self.with_id += u64::from(event.after.is_some());
        self.of_users += u64::from(event.is_user);
        self.earliest_ms = Some(
            self.earliest_ms
                .map_or(event.time_ms, |ms| ms.min(event.time_ms)),
        );
        if let Some([device, _]) = event.link {
            self.carried.set(u64::from(device));
        }
        if self.mistake.is_none() {
            self.mistake.clone_from(&event.mistake);
        }
        let numbers = [event.before, event.after];
        for (at, number) in numbers.into_iter().enumerate() {
            let Some(number) = number else { continue };
            self.users[at].set(u64::from(number));
            let mut record = [0; 9];
            record[0] = number.wrapping_mul(0x9e37_79b1).to_be_bytes()[0];
            record[1..5].copy_from_slice(&name.to_be_bytes());
            record[5..].copy_from_slice(&number.to_be_bytes());
            self.pairs[at].add(&record)?;
        }
        Ok(())
    }

    fn name(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.names.get(name) {
            return number;
        }
        let name = match self.names.len() < NAMES_MAX {
            true => name,
            false => OTHER_NAMES,
        };
        let next = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let number = *self.names.entry(name.to_owned()).or_insert(next);
        if number == next {
            self.lines.push(0);
        }
        number
    }

    /// The time of the earliest event that was written (M-12).
    pub fn earliest_ms(&self) -> Option<i64> {
        self.earliest_ms
    }

    /// The first event that the target reads differently than meant (M-20).
    pub(crate) fn mistake(&self) -> Option<&str> {
        self.mistake.as_deref()
    }

    /// The number of users before and after.
    pub(crate) fn users(&self) -> [u64; 2] {
        self.users.each_ref().map(Bits::count)
    }

    /// The figures of each name, sorted by name.
    pub(crate) fn by_name(&mut self) -> io::Result<Vec<(String, NameFigures)>> {
        let mut figures = vec![NameFigures::default(); self.lines.len()];
        for (figures, &events) in figures.iter_mut().zip(&self.lines) {
            figures.events = events;
        }
        for (at, pairs) in std::mem::take(&mut self.pairs).into_iter().enumerate() {
            pairs.for_each_sorted(|records| {
                for equal in records.chunk_by(|a, b| a == b) {
                    let [_, a, b, c, d, ..] = equal[0];
                    let figures = &mut figures[u32::from_be_bytes([a, b, c, d]) as usize];
                    match at {
                        0 => figures.users_before += 1,
                        _ => figures.users_after += 1,
                    }
                }
                Ok(())
            })?;
        }
        let names = self.names.iter();
        let mut all: Vec<_> = names
            .map(|(name, &number)| (name.clone(), figures[number as usize]))
            .collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(all)
    }
}

impl People {
    /// Takes note of the links that events carry. Call it after all events, before the links are written.
    pub fn take_carried(&mut self, tally: &Tally) {
        for number in 0..self.ids.len() {
            if tally.carried.has(u64::from(number)) {
                self.ids.mark(number, Mark::Carried);
            }
        }
    }
}
