//! Rule M-19: the persons of the target beside those of the source's own count.

use std::cmp::Reverse;
use std::io;

use idmerge_core::{DEVICE_PREFIX, Id};
use idmerge_engines::Model;
use idmerge_state::IdTable;
use serde::Serialize;

use crate::buckets::Buckets;
use crate::people::electing::People;
use crate::people::ids::{NONE, Number};

/// How many differences are shown.
const DIFFERENCES_MAX: usize = 100;

/// Their person and our person of each event.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    theirs: IdTable<()>,
    /// By their person.
    pairs: Buckets<9>,
    without: u64,
}

/// A person of theirs that has events in common with one of ours.
#[derive(Clone, Copy, Debug)]
struct Pair {
    theirs: Number,
    ours: Number,
    events: u64,
}

/// Where the target differs from the source's own count.
#[derive(Debug, Serialize)]
pub(crate) struct Compared {
    field: String,
    /// The events of a person that have the field, and those that lack it.
    events: u64,
    without_field: u64,
    /// Persons of the events that have the field.
    persons: Persons,
    /// Their persons who are several in the target.
    split: u64,
    /// Persons of the target who are several of theirs.
    joined: u64,
    /// Events of another person than the one who is paired with theirs. Persons are paired one to one, those with
    /// the most events in common first.
    events_elsewhere: u64,
    /// Where the most of these events are.
    differences: Vec<Difference>,
}

#[derive(Debug, Serialize)]
struct Persons {
    theirs: u64,
    ours: u64,
}

#[derive(Debug, Serialize)]
struct Difference {
    theirs: String,
    ours: String,
    events: u64,
}

impl Compared {
    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    pub(crate) fn events_elsewhere(&self) -> u64 {
        self.events_elsewhere
    }
}

impl Comparison {
    /// Takes an event of this person of ours. Without their person it only counts.
    pub(crate) fn add(&mut self, theirs: Option<&str>, ours: Number) -> io::Result<()> {
        let Some(theirs) = theirs.and_then(|theirs| Id::new(theirs).ok()) else {
            self.without += 1;
            return Ok(());
        };
        let probe = self.theirs.probe(theirs);
        let theirs = match self.theirs.find(&probe) {
            Some(found) => found.number,
            None if self.theirs.room() == 0 => {
                let error = "there are more persons than can be compared: 4,294,967,294";
                return Err(io::Error::other(error));
            }
            None => self.theirs.insert(&probe, NONE, ()),
        };
        let mut record = [0; 9];
        record[0] = theirs.wrapping_mul(0x9e37_79b1).to_be_bytes()[0];
        record[1..5].copy_from_slice(&theirs.to_be_bytes());
        record[5..].copy_from_slice(&ours.to_be_bytes());
        self.pairs.add(&record)
    }

    /// Puts the figures together. The memory is in proportion to the persons.
    pub(crate) fn finish(self, field: &str, people: &People) -> io::Result<Compared> {
        let mut pairs = Vec::new();
        self.pairs.for_each_sorted(|records| {
            for equal in records.chunk_by(|a, b| a == b) {
                let [_, a, b, c, d, e, f, g, h] = equal[0];
                pairs.push(Pair {
                    theirs: u32::from_be_bytes([a, b, c, d]),
                    ours: u32::from_be_bytes([e, f, g, h]),
                    events: equal.len() as u64,
                });
            }
            Ok(())
        })?;
        let all_events = pairs.iter().map(|pair| pair.events).sum();
        pairs.sort_unstable_by_key(|pair| (Reverse(pair.events), pair.theirs, pair.ours));
        // With how many others each person has events in common, and whether it is paired.
        let mut theirs = vec![(0_u32, false); self.theirs.len() as usize];
        let mut ours = vec![(0_u32, false); people.ids.len() as usize];
        pairs.retain(|pair| {
            let [theirs, ours] = [
                &mut theirs[pair.theirs as usize],
                &mut ours[pair.ours as usize],
            ];
            theirs.0 += 1;
            ours.0 += 1;
            let is_paired = !theirs.1 && !ours.1;
            theirs.1 |= is_paired;
            ours.1 |= is_paired;
            !is_paired
        });
        let count = |persons: &[(u32, bool)], min: u32| {
            let several = persons.iter().filter(|(others, _)| *others >= min);
            several.count() as u64
        };
        let shown = pairs.iter().take(DIFFERENCES_MAX);
        Ok(Compared {
            field: field.to_owned(),
            events: all_events,
            without_field: self.without,
            persons: Persons {
                theirs: count(&theirs, 1),
                ours: count(&ours, 1),
            },
            split: count(&theirs, 2),
            joined: count(&ours, 2),
            events_elsewhere: pairs.iter().map(|pair| pair.events).sum(),
            differences: shown
                .map(|pair| Difference {
                    theirs: self.theirs.id(pair.theirs).text().into_owned(),
                    ours: people.name_of_person(pair.ours),
                    events: pair.events,
                })
                .collect(),
        })
    }
}

impl People {
    /// The name that the target has for a person.
    fn name_of_person(&self, person: Number) -> String {
        let ids = &self.ids;
        match self.options.target.model() {
            Model::Original => ids.id(self.head(person)).text().into_owned(),
            _ if ids.is_user(person) => ids.id(person).text().into_owned(),
            _ => format!("{DEVICE_PREFIX}{}", ids.id(person).text()),
        }
    }
}
