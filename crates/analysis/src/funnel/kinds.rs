//! What distinguishes the events of a user, and a number for each kind of event.

use std::mem::size_of;

use foldhash::HashMap;

use crate::users::{ALLOCATION_BYTES, table_bytes};

/// An event that is a step of a funnel, or excluded from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundStep {
    pub(super) time_ms: Option<i64>,
    pub(super) kind: Kind,
}

/// What distinguishes the events of a user, besides their times.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    /// The bits of the steps that the event can be.
    pub(super) steps: u128,
    /// The bits of the exclusions that the event can be.
    pub(super) exclusions: u32,
    /// The values of the held properties, as JSON.
    pub(super) held: Option<Held>,
    /// The value of the property of the breakdown, as JSON.
    pub(super) by: Option<Box<str>>,
}

type Held = Box<[Option<Box<str>>]>;

/// Each kind of event once.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    numbers: HashMap<Kind, u32>,
    all: Vec<Kind>,
    held: HashMap<Held, u32>,
    /// For each kind the number of its held values, or `None` if one is missing.
    held_numbers: Vec<Option<u32>>,
    /// The memory of the values of all kinds, once.
    value_bytes: usize,
}

/// An event of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UserStep {
    pub(super) time_ms: i64,
    /// The number of its kind.
    pub(super) kind: u32,
}

impl Kind {
    /// Whether the event can be the first step.
    pub(super) fn is_first_step(&self) -> bool {
        self.steps & 1 == 1
    }

    /// The memory that its values take.
    fn value_bytes(&self) -> usize {
        let held = self.held.iter().flatten();
        held.chain([&self.by])
            .flatten()
            .map(|value| size_of::<Box<str>>() + value.len() + ALLOCATION_BYTES)
            .sum()
    }
}

impl Kinds {
    pub(super) fn number(&mut self, kind: Kind) -> u32 {
        if let Some(number) = self.numbers.get(&kind) {
            return *number;
        }
        // Each kind is that of an event in memory, so there are fewer.
        let number = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let held = match &kind.held {
            None => Some(0),
            Some(values) if values.iter().any(Option::is_none) => None,
            Some(values) => {
                let next = number(self.held.len());
                Some(*self.held.entry(values.clone()).or_insert(next))
            }
        };
        self.held_numbers.push(held);
        self.value_bytes += kind.value_bytes();
        self.all.push(kind.clone());
        let next = number(self.numbers.len());
        self.numbers.insert(kind, next);
        next
    }

    /// About how much memory the kinds take. Each has its values in `numbers` and in `all`, and can have its held
    /// values in `held`.
    pub(super) fn bytes_held(&self) -> usize {
        let all = self.all.capacity() * (size_of::<Kind>() + size_of::<Option<u32>>());
        table_bytes(&self.numbers) + table_bytes(&self.held) + all + 3 * self.value_bytes
    }

    pub(super) fn of(&self, step: UserStep) -> &Kind {
        &self.all[step.kind as usize]
    }

    /// The number of the held values of an event; `None` if it lacks one. Events with equal values have the
    /// same number.
    pub(super) fn held(&self, step: UserStep) -> Option<u32> {
        self.held_numbers[step.kind as usize]
    }
}
