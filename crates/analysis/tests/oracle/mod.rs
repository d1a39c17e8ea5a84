//! A slow model of funnels that was written from the rules F-1 to F-7 alone, to compare the real one with.
//! [`breakdown`], [`uniques`] and [`retention`] are models of F-8, F-10 and F-11.
//!
//! [`reached`] and [`times_ms`] take events in order of arrival and a [`Question`]. The caller converts
//! `time` to milliseconds (F-2), parses steps (F-7) and resolves users (F-1). Steps have only `==` here.
//!
//! # Decided
//! The rules leave these cases open. The answers are those that a user of Mixpanel expects.
//!
//! - D-1 The range includes `from_ms` and `to_ms`. Only the opening must be in it: a later step may be
//!   after `to_ms`, and by grace before `from_ms`.
//! - D-2 The window is compared with the opening, and its last millisecond is inside. Grace does not
//!   extend it.
//! - D-3 Grace is compared with the time at which the step before was reached, never with an event that
//!   was moved back. So in a funnel of several steps grace does not add up: all late events of a chain
//!   `C B A` must be at most the grace before A.
//! - D-4 Each step takes the earliest event that fits (name, filter, held values), and the choice is
//!   final, even if a later event would leave a better one for the next step. Events that do not fit
//!   are passed over and end nothing.
//! - D-5 An event serves one step. The steps `A`, `A` need two events. In totals an event also serves
//!   only one entry, so grace does not count a B twice.
//! - D-6 Equal times: with a grace either order counts. Without one a step must have arrived after the
//!   step before. The opening is the earliest by time, then by arrival.
//! - D-7 Totals: step-1 events inside an open entry are ignored. An entry that is not done ends after its
//!   window, so a step-1 event exactly at the end of the window opens nothing. The event that ends an
//!   entry (as last step or exclusion) does not open the next one, even if it is a step-1 event.
//! - D-8 Exclusions: an event of that name competes with the next step. It needs the same grace
//!   after the step before, and the earlier of the two wins. So an exclusion at most the grace before
//!   step k-1 does exclude ("the same grace as other steps"), and one just after step k does not.
//!   If one event is both, it is the step. The entry keeps the steps that it has.
//! - D-9 `between: (i, j)` counts steps from 1. It applies after step i is reached and until step j is.
//!   `None` is from the first step to the last. An event that serves a step of an entry does not
//!   exclude that entry, and in totals with first entry an earlier entry's events do not either.
//! - D-10 Exclusions go by name alone. Held values do not matter to them.
//! - D-11 An opening without a held property enters, and reaches no second step. In uniques with first
//!   entry it still is the only entry.
//! - D-12 Optimized, uniques: the entry that counts is the furthest, then the one that was earliest at
//!   its last step, then the one with the latest opening. `A A B` has the time of the second A, and
//!   `A B A B` that of the first.
//! - D-13 Optimized, totals: the best entry by D-12 counts and keeps its events, then the best of the
//!   rest, until no step-1 event is left. `A A B` is two entries and one conversion. With the steps `A`,
//!   `A` the events `A A A` are two entries, because the second step of one opens no other. An event
//!   that another entry has as a step still excludes.
//! - D-14 Without merge only `own` matters, with merge only `user`. `None` is nobody.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test program that includes the model needs another part of it"
)]

pub mod breakdown;
pub mod retention;
pub mod uniques;
pub mod values;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// One event. The list of events is in order of arrival.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The canonical ID (F-1). `None` is an unattributed event.
    pub user: Option<String>,
    /// The distinct_id that the event has without ID merge.
    pub own: Option<String>,
    /// Milliseconds (F-2). `None` is an event without a usable time, which is passed over (F-3).
    pub time_ms: Option<i64>,
    /// The event's name.
    pub name: String,
    /// Properties, compared as text. [`values::canonical`] makes the text of a JSON value.
    pub properties: BTreeMap<String, String>,
}

/// A step: a name, and optionally a property and the value that it must have (F-7).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// The event's name.
    pub name: String,
    /// A property and its value. An event without the property does not fit.
    pub equals: Option<(String, String)>,
}

/// Events that end an entry (F-6, D-8, D-9).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exclusion {
    /// The event's name.
    pub name: String,
    /// Two steps, counted from 1. `None` is between all steps.
    pub between: Option<(usize, usize)>,
}

/// Which step-1 events open an entry (F-3, F-4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reentry {
    /// A step-1 event inside an entry is ignored.
    #[default]
    First,
    /// Each step-1 event opens an entry.
    Optimized,
}

/// What is counted (F-3, F-4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Count {
    /// One entry for each user.
    #[default]
    Uniques,
    /// All entries.
    Totals,
}

/// A funnel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// The longest time from the opening to each step (F-3).
    pub window_ms: i64,
    /// How far two steps in the wrong order may be apart (F-5).
    pub grace_ms: i64,
    /// Which step-1 events open an entry.
    pub reentry: Reentry,
    /// What is counted.
    pub count: Count,
    /// Properties that keep the value of the opening event (F-6).
    pub hold: Vec<String>,
    /// Events that end an entry (F-6).
    pub exclude: Vec<Exclusion>,
    /// The first time at which an entry may open (D-1).
    pub from_ms: Option<i64>,
    /// The last time at which an entry may open (D-1).
    pub to_ms: Option<i64>,
    /// A property and the value, or the lack of one, that an event needs to open an entry. A breakdown
    /// by each event of step 1 asks for it.
    pub opens_with: Option<(String, Option<String>)>,
}

/// How many users (uniques) or entries (totals) reached each step. `by_user = false` counts own
/// distinct_ids instead.
pub fn reached(events: &[Event], question: &Question, by_user: bool) -> Vec<u64> {
    let entries = entries(events, question, by_user);
    (0..question.steps.len())
        .map(|step| entries.iter().filter(|e| e.at_ms.len() > step).count() as u64)
        .collect()
}

/// For each step from the second, the sorted times from the step before.
pub fn times_ms(events: &[Event], question: &Question, by_user: bool) -> Vec<Vec<i64>> {
    let entries = entries(events, question, by_user);
    let times_of = |step: usize| {
        let arrived = entries.iter().filter(|e| e.at_ms.len() > step);
        let mut times: Vec<i64> = arrived.map(|e| e.at_ms[step] - e.at_ms[step - 1]).collect();
        times.sort_unstable();
        times
    };
    (1..question.steps.len()).map(times_of).collect()
}

/// The events of one user with their times, in order of time and then of arrival (F-2). An index into
/// it is a place in this order.
type History<'a> = Vec<(i64, &'a Event)>;

/// One way through the funnel.
struct Entry {
    /// The event that serves each step that was reached.
    events: Vec<usize>,
    /// The time at which each step was reached. It never decreases (F-3).
    at_ms: Vec<i64>,
    /// The exclusion that ended the entry.
    excluded_by: Option<usize>,
    /// The last place in the history that is inside the entry.
    end: usize,
}

/// The entries that count, of all users.
fn entries(events: &[Event], question: &Question, by_user: bool) -> Vec<Entry> {
    let of_user = |history: &History<'_>| entries_of(history, question);
    histories(events, by_user)
        .iter()
        .flat_map(of_user)
        .collect()
}

/// The entries of one user that count.
fn entries_of(history: &History<'_>, question: &Question) -> Vec<Entry> {
    match question.reentry {
        Reentry::First => one_after_another(history, question),
        Reentry::Optimized => best_first(history, question),
    }
}

/// The history of each user.
fn histories(events: &[Event], by_user: bool) -> Vec<History<'_>> {
    let mut histories: BTreeMap<&str, History<'_>> = BTreeMap::new();
    for event in events {
        let id = if by_user { &event.user } else { &event.own };
        if let (Some(id), Some(time_ms)) = (id, event.time_ms) {
            histories.entry(id).or_default().push((time_ms, event));
        }
    }
    for history in histories.values_mut() {
        // The sort is stable: ties stay as they came.
        history.sort_by_key(|(time_ms, _)| *time_ms);
    }
    histories.into_values().collect()
}

/// The places of the step-1 events in the range.
fn openings(history: &History<'_>, question: &Question) -> Vec<usize> {
    let Some(first) = question.steps.first() else {
        return Vec::new();
    };
    let has_value = |event: &Event, (property, value): &(String, Option<String>)| {
        event.properties.get(property) == value.as_ref()
    };
    let opens = |place: &usize| {
        let (time_ms, event) = history[*place];
        fits(event, first)
            && question
                .opens_with
                .as_ref()
                .is_none_or(|needed| has_value(event, needed))
            && question.from_ms.is_none_or(|from| from <= time_ms)
            && question.to_ms.is_none_or(|to| time_ms <= to)
    };
    (0..history.len()).filter(opens).collect()
}

/// F-3: the first step-1 event opens the only entry. F-4, totals: the next one after its end opens
/// another.
fn one_after_another(history: &History<'_>, question: &Question) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut used = BTreeSet::new();
    for opening in openings(history, question) {
        let inside = entries.last().is_some_and(|last| opening <= last.end);
        if inside || (question.count == Count::Uniques && !entries.is_empty()) {
            continue;
        }
        let entry = follow(history, question, opening, &used, &used);
        used.extend(entry.events.iter().copied());
        used.extend(entry.excluded_by);
        entries.push(entry);
    }
    entries
}

/// F-4, optimized: an entry for each step-1 event, the best first (D-12). Uniques count the best only.
fn best_first(history: &History<'_>, question: &Question) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut used = BTreeSet::new();
    loop {
        let best = openings(history, question)
            .into_iter()
            .filter(|opening| !used.contains(opening))
            .map(|opening| follow(history, question, opening, &used, &BTreeSet::new()))
            .max_by_key(|e| {
                (
                    e.at_ms.len(),
                    e.at_ms.last().copied().map(Reverse),
                    e.events[0],
                )
            });
        let Some(best) = best else { return entries };
        used.extend(best.events.iter().copied());
        entries.push(best);
        if question.count == Count::Uniques {
            return entries;
        }
    }
}

/// The entry that the event at `opening` begins. Events in `taken` serve no step, and events in `spent`
/// do not exclude.
fn follow(
    history: &History<'_>,
    question: &Question,
    opening: usize,
    taken: &BTreeSet<usize>,
    spent: &BTreeSet<usize>,
) -> Entry {
    let (opened_ms, opened_by) = history[opening];
    let last_ms = opened_ms.saturating_add(question.window_ms);
    let mut events = vec![opening];
    let mut at_ms = vec![opened_ms];
    while let Some(step) = question.steps.get(events.len()) {
        let before = (events[events.len() - 1], at_ms[at_ms.len() - 1]);
        let mut next = None;
        for (place, (time_ms, event)) in history.iter().enumerate() {
            let possible = may_follow(place, *time_ms, before, question.grace_ms);
            if !possible || *time_ms > last_ms || events.contains(&place) {
                continue;
            }
            if fits(event, step) && holds(event, opened_by, question) && !taken.contains(&place) {
                next = Some(place);
                break;
            }
            if excludes(event, question, events.len()) && !spent.contains(&place) {
                let end = events.iter().copied().fold(place, usize::max);
                return Entry {
                    events,
                    at_ms,
                    excluded_by: Some(place),
                    end,
                };
            }
        }
        let Some(place) = next else {
            // Timed out: all that is inside the window is inside the entry.
            let end = history
                .iter()
                .filter(|(time_ms, _)| *time_ms <= last_ms)
                .count()
                - 1;
            return Entry {
                events,
                at_ms,
                excluded_by: None,
                end,
            };
        };
        events.push(place);
        at_ms.push(history[place].0.max(before.1));
    }
    let end = events.iter().copied().fold(opening, usize::max);
    Entry {
        events,
        at_ms,
        excluded_by: None,
        end,
    }
}

/// F-3, F-5: whether an event is late enough after the step before, which has a place and a time.
fn may_follow(place: usize, time_ms: i64, before: (usize, i64), grace_ms: i64) -> bool {
    if grace_ms == 0 {
        return place > before.0;
    }
    time_ms >= before.1.saturating_sub(grace_ms)
}

/// F-7: the name, and the value if the step asks for one.
fn fits(event: &Event, step: &Step) -> bool {
    let equal =
        |(property, value): &(String, String)| event.properties.get(property) == Some(value);
    event.name == step.name && step.equals.as_ref().is_none_or(equal)
}

/// F-6: each held property has the value of the opening event. A missing property has none.
fn holds(event: &Event, opened_by: &Event, question: &Question) -> bool {
    question.hold.iter().all(|property| {
        let value = opened_by.properties.get(property);
        value.is_some() && event.properties.get(property) == value
    })
}

/// F-6: whether the event ends an entry that has reached `reached` steps and no more.
fn excludes(event: &Event, question: &Question, reached: usize) -> bool {
    question.exclude.iter().any(|exclusion| {
        let (from, to) = exclusion.between.unwrap_or((1, question.steps.len()));
        exclusion.name == event.name && from <= reached && reached < to
    })
}

#[cfg(test)]
mod cases;
#[cfg(test)]
mod laws;
