//! A slow model of the breakdowns of F-8, on top of the model of funnels.
//!
//! The properties of events are canonical texts of their values ([`super::values`]), so equal values are
//! equal texts, and a property that is missing or `null` is not there.
//!
//! # Decided
//!
//! - B-1 The lack of a value has a row (`None`) like any value, so the rows of first and last touch add up
//!   to the users of the step.
//! - B-2 First and last touch look at the events that serve the steps of the entry, in the order of the
//!   steps (by grace an earlier step may be later in time). Exclusions, events that an entry passes over,
//!   and events of steps that the entry does not reach give no value. The entry that counts is chosen
//!   without regard to its value.
//! - B-3 By each event of step 1: for each value, only the events of step 1 that have it, or that have
//!   none, open entries. Apart from this, each value is a funnel of its own: an event can serve entries of
//!   several values, also in totals, and an event of step 1 that cannot open for a value can still serve a
//!   later step or exclude. The events are those in the range of dates.
//! - B-4 The users are those with an entry. The converted are those with all steps; in a funnel of one step
//!   both are the same. In totals both are entries.
//! - B-5 There is a row for each value that has a user or converted with ID merge, or without it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Event, Question, entries_of, histories};

/// Which value an entry has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// That of the first step that has one.
    First,
    /// That of the last step that has one.
    Last,
    /// That of its opening, and a user has an entry for each value.
    Each,
}

/// The figures of one value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Users of the first step.
    pub users: u64,
    /// Users of the last step.
    pub converted: u64,
    /// The same without ID merge: users of the first step.
    pub users_without_merge: u64,
    /// The same without ID merge: users of the last step.
    pub converted_without_merge: u64,
}

/// The rows of a breakdown by a property.
pub fn breakdown(
    events: &[Event],
    question: &Question,
    property: &str,
    touch: Touch,
) -> BTreeMap<Option<String>, Row> {
    let mut rows: BTreeMap<Option<String>, Row> = BTreeMap::new();
    for (value, is_converted) in values(events, question, property, touch, true) {
        let row = rows.entry(value).or_default();
        row.users += 1;
        row.converted += u64::from(is_converted);
    }
    for (value, is_converted) in values(events, question, property, touch, false) {
        let row = rows.entry(value).or_default();
        row.users_without_merge += 1;
        row.converted_without_merge += u64::from(is_converted);
    }
    rows
}

/// For each entry its value, and whether it has all steps.
fn values(
    events: &[Event],
    question: &Question,
    property: &str,
    touch: Touch,
    by_user: bool,
) -> Vec<(Option<String>, bool)> {
    if touch == Touch::Each {
        let all = events.iter().map(|event| event.properties.get(property));
        let possible: BTreeSet<Option<&String>> = all.collect();
        return possible
            .into_iter()
            .flat_map(|value| opened_with(events, question, property, value, by_user))
            .collect();
    }
    let mut all = Vec::new();
    for history in histories(events, by_user) {
        for entry in entries_of(&history, question) {
            let steps = entry.events.iter().map(|place| history[*place].1);
            let mut found = steps.filter_map(|event| event.properties.get(property));
            let value = match touch {
                Touch::Last => found.next_back(),
                _ => found.next(),
            };
            let is_converted = entry.events.len() == question.steps.len();
            all.push((value.cloned(), is_converted));
        }
    }
    all
}

/// The entries of a funnel in which only events with this value open (B-3).
fn opened_with(
    events: &[Event],
    question: &Question,
    property: &str,
    value: Option<&String>,
    by_user: bool,
) -> Vec<(Option<String>, bool)> {
    let question = Question {
        opens_with: Some((property.to_owned(), value.cloned())),
        ..question.clone()
    };
    let mut all = Vec::new();
    for history in histories(events, by_user) {
        for entry in entries_of(&history, &question) {
            all.push((value.cloned(), entry.events.len() == question.steps.len()));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::cases::{ask, events, rows};
    use super::*;

    /// Rows `STEPS | OPTIONS | TOUCH | EVENTS | ANSWER`, as in the cases of funnels. The property is `v`.
    /// The answer has `VALUE=USERS,CONVERTED` for each row, and then the same two without ID merge if they
    /// are not equal to them. The value `-` is the lack of one.
    fn check(table: &str) {
        for (text, columns) in rows(table) {
            let touch = match columns[2] {
                "first" => Touch::First,
                "last" => Touch::Last,
                "each" => Touch::Each,
                other => panic!("no touch {other:?}"),
            };
            let question = ask(columns[0], columns[1]);
            let answer = breakdown(&events(columns[3]), &question, "v", touch);
            let wanted = columns[4].split_whitespace().map(|row| {
                let (value, figures) = row.split_once('=').unwrap();
                let figures: Vec<u64> = figures.split(',').map(|n| n.parse().unwrap()).collect();
                let row = Row {
                    users: figures[0],
                    converted: figures[1],
                    users_without_merge: *figures.get(2).unwrap_or(&figures[0]),
                    converted_without_merge: *figures.get(3).unwrap_or(&figures[1]),
                };
                (Some(value.to_owned()).filter(|value| value != "-"), row)
            });
            assert_eq!(answer, wanted.collect(), "{text}");
        }
    }

    #[test]
    fn first_and_last_touch_take_the_value_of_a_step() {
        check(
            "
            A B | | first | A/v=1:0 B/v=2:3s | 1=1,1
            A B | | last | A/v=1:0 B/v=2:3s | 2=1,1
            A B | | first | A/v=1:0 | 1=1,0
            A B | | last | A/v=1:0 | 1=1,0
            A B | | first | A/v=1:0:x:x A/v=1:0:y:y B:3s:y:y A/v=2:0:z:z | 1=2,1 2=1,0
            # A step without the property is passed over.
            A B | | first | A:0 B/v=2:3s | 2=1,1
            A B | | last | A/v=1:0 B:3s | 1=1,1
            A B C | | first | A:0 B/v=2:3s C/v=3:6s | 2=1,1
            A B C | | last | A/v=1:0 B/v=2:3s C:6s | 2=1,1
            # Steps that the entry does not reach give nothing.
            A B C | | last | A/v=1:0 C/v=3:3s | 1=1,0
            A B C | | last | A/v=1:0 B/v=2:3s B/v=3:4s | 2=1,0
            A B | window=5s | last | A/v=1:0 B/v=2:6s | 1=1,0
            ",
        );
    }

    #[test]
    fn the_lack_of_a_value_has_a_row() {
        check(
            "
            A B | | first | A:0 B:3s | -=1,1
            A B | | last | A:0 B:3s | -=1,1
            A B | | each | A:0 B/v=2:3s | -=1,1
            A B | | first | A:0:x:x A/v=1:0:y:y | -=1,0 1=1,0
            # Somebody else's value is none of the entry.
            A B | | first | B/v=9:0:x:x A:0:y:y | -=1,0
            A B | | each | B/v=9:0:x:x A:0:y:y | -=1,0
            A B | | first | B/v=9:0 |
            ",
        );
    }

    #[test]
    fn the_order_of_steps_decides_which_is_first() {
        check(
            "
            # By grace B is before A in time.
            A B | | first | B/v=2:0 A/v=1:1s | 1=1,1
            A B | | last | B/v=2:0 A/v=1:1s | 2=1,1
            A B | grace=0 | first | B/v=2:0 A/v=1:0 | 1=1,0
            A B | | last | A/v=1:5s B/v=2:5s | 2=1,1
            A A | | first | A/v=2:5s A/v=1:5s | 2=1,1
            A A | | last | A/v=2:5s A/v=1:5s | 1=1,1
            ",
        );
    }

    #[test]
    fn the_entry_that_counts_has_the_value() {
        check(
            "
            A B | | first | A/v=1:0 A/v=2:3s B:6s | 1=1,1
            A B | optimized | first | A/v=1:0 A/v=2:3s B:6s | 2=1,1
            A B | optimized | first | A/v=1:0 B:3s A/v=2:4s B:7s | 1=1,1
            A B | from=1s | first | A/v=1:0 A/v=2:3s B:6s | 2=1,1
            # The value of the held opening, and of an exclusion.
            A B | exclude=X | last | A/v=1:0 X/v=3:3s B/v=2:6s | 1=1,0
            A B | hold=v | last | A/v=1:0 B/v=2:3s B/v=1:6s | 1=1,1
            A B | hold=v | first | A:0 B/v=2:3s | -=1,0
            A B | totals | first | A/v=1:0 B:3s A/v=2:6s A/v=1:30s | 1=2,1 2=1,0
            A B | totals | last | A/v=1:0 B/v=3:3s A/v=2:6s | 2=1,0 3=1,1
            ",
        );
    }

    #[test]
    fn each_event_of_step_one_opens_for_its_value() {
        check(
            "
            A B | | each | A/v=1:0 A/v=2:3s B:6s | 1=1,1 2=1,1
            A B | | each | A/v=1:0 A/v=2:8s B:12s | 1=1,0 2=1,1
            A B | | each | A/v=1:0 A/v=2:3s B:6s A/v=1:8s B:9s | 1=1,1 2=1,1
            A B | | each | A/v=1:0 B:3s A/v=2:9s | 1=1,1 2=1,0
            A B | | each | A:0 A/v=2:3s B:6s | -=1,1 2=1,1
            # The entry of a value has its first event, unless re-entry is optimized.
            A B | | each | A/v=1:0 A/v=1:8s B:12s | 1=1,0
            A B | optimized | each | A/v=1:0 A/v=1:8s B:12s | 1=1,1
            A B | from=1s | each | A/v=1:0 A/v=2:3s B:6s | 2=1,1
            A B | to=1s | each | A/v=1:0 A/v=2:3s B:6s | 1=1,1
            # By grace B serves both.
            A B | | each | A/v=1:0 B:1s A/v=2:3s | 1=1,1 2=1,1
            A B | grace=0 | each | A/v=1:0 A/v=2:0 B:0 A/v=3:0 | 1=1,1 2=1,1 3=1,0
            A | | each | A/v=1:0 A/v=1:1s A/v=2:2s | 1=1,1 2=1,1
            ",
        );
    }

    #[test]
    fn events_of_step_one_with_other_values_still_serve_and_exclude() {
        check(
            "
            A A | | each | A/v=1:0 A/v=2:3s | 1=1,1 2=1,0
            A A | | each | A/v=1:0 A/v=2:1s | 1=1,1 2=1,1
            A B | exclude=A | each | A/v=1:0 A/v=2:3s B:6s | 1=1,0 2=1,1
            A B | hold=v | each | A/v=1:0 A/v=2:3s B/v=2:6s | 1=1,0 2=1,1
            ",
        );
    }

    #[test]
    fn totals_by_each_event_count_entries_of_each_value() {
        check(
            "
            A B | totals | each | A/v=1:0 A/v=2:3s B:6s A/v=1:8s | 1=2,1 2=1,1
            A B | totals | each | A/v=1:0 A/v=1:3s A/v=1:30s | 1=2,0
            ",
        );
    }

    #[test]
    fn users_without_merge_have_values_of_their_own() {
        check(
            "
            # The value of a user's device is another row without ID merge.
            A B | | first | A/v=1:0:d:u A/v=2:3s:u:u B:6s:u:u | 1=1,1,1,0 2=0,0,1,1
            A B | | last | A/v=1:0:d:u B/v=2:3s:u:u | 1=0,0,1,0 2=1,1,0,0
            A B | | each | A/v=1:0:d:u A/v=1:3s:u:u B:6s:u:u | 1=1,1,2,1
            # The device of one user is called like another user.
            A B | | first | A/v=1:0:u:w A/v=2:1s:w:u B:4s:u:u | 1=1,0,1,1 2=1,1,1,0
            A B | | first | A/v=1:0:-:- A/v=2:0:d:- A/v=3:0:-:u | 2=0,0,1,0 3=1,0,0,0
            # No usable time, and times before 1970.
            A B | | first | A/v=1:-:u:u A/v=2:-5s:u:u B:-1s:u:u | 2=1,1
            ",
        );
    }
}
