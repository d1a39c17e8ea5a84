//! Answers that were worked out by hand from the rules F-1 to F-7 and the decisions of the model.

use super::*;

/// `s` and `d` are seconds and days, no unit is milliseconds.
fn ms(text: &str) -> i64 {
    let unit = if text.ends_with('d') {
        86_400_000
    } else {
        1000
    };
    let number = text.trim_end_matches(['s', 'd']);
    number.parse::<i64>().unwrap() * if number == text { 1 } else { unit }
}

/// `Name` or `Name/property=value`.
fn step(text: &str) -> Step {
    let (name, filter) = text.split_once('/').unwrap_or((text, ""));
    let equals = filter
        .split_once('=')
        .map(|(p, v)| (p.to_owned(), v.to_owned()));
    Step {
        name: name.to_owned(),
        equals,
    }
}

/// Steps, and options. Unless an option changes it, the window is 10 s and the grace 2 s.
pub(super) fn ask(steps: &str, options: &str) -> Question {
    let steps = steps.split_whitespace().map(step).collect();
    let mut q = Question {
        steps,
        window_ms: 10_000,
        grace_ms: 2000,
        ..Question::default()
    };
    for option in options.split_whitespace() {
        match option.split_once('=').unwrap_or((option, "")) {
            ("window", time) => q.window_ms = ms(time),
            ("grace", time) => q.grace_ms = ms(time),
            ("from", time) => q.from_ms = Some(ms(time)),
            ("to", time) => q.to_ms = Some(ms(time)),
            ("totals", _) => q.count = Count::Totals,
            ("optimized", _) => q.reentry = Reentry::Optimized,
            ("hold", property) => q.hold.push(property.to_owned()),
            ("exclude", text) => {
                let (name, between) = text.split_once(':').unwrap_or((text, ""));
                let between = between.split_once('-');
                let between = between.map(|(i, j)| (i.parse().unwrap(), j.parse().unwrap()));
                q.exclude.push(Exclusion {
                    name: name.to_owned(),
                    between,
                });
            }
            other => panic!("no option {other:?}"),
        }
    }
    q
}

/// Events `STEP:TIME:OWN:USER`. The time may be `-`; own and user are `u` unless given, and `-` is none.
pub(super) fn events(text: &str) -> Vec<Event> {
    let one = |text: &str| {
        let parts: Vec<&str> = text.split(':').collect();
        let Step { name, equals } = step(parts[0]);
        let id = |part: usize| Some(*parts.get(part).unwrap_or(&"u")).filter(|id| *id != "-");
        Event {
            user: id(3).map(str::to_owned),
            own: id(2).map(str::to_owned),
            time_ms: Some(parts[1]).filter(|time| *time != "-").map(ms),
            name,
            properties: equals.into_iter().collect(),
        }
    };
    text.split_whitespace().map(one).collect()
}

/// The rows of a table, each with its columns, which `|` separates. `#` begins a comment.
pub(super) fn rows(table: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    let rows = table.lines().map(str::trim);
    let rows = rows.filter(|row| !row.is_empty() && !row.starts_with('#'));
    rows.map(|row| (row, row.split('|').map(str::trim).collect()))
}

/// Rows `STEPS | OPTIONS | EVENTS | ANSWER`. The answer is the users or entries at each step. After `ms` it
/// is the times of each step from the second, with commas between steps.
fn check(table: &str) {
    for (row, columns) in rows(table) {
        let (question, events) = (ask(columns[0], columns[1]), events(columns[2]));
        let answer = match columns[3].strip_prefix("ms") {
            None => format!("{:?}", reached(&events, &question, true)),
            Some(_) => format!("{:?}", times_ms(&events, &question, true)),
        };
        let numbers = |text: &str| text.split_whitespace().map(ms).collect::<Vec<_>>();
        let wanted = match columns[3].strip_prefix("ms") {
            None => format!("{:?}", numbers(columns[3])),
            Some(_) if question.steps.len() < 2 => "[]".to_owned(),
            Some(times) => format!("{:?}", times.split(',').map(numbers).collect::<Vec<_>>()),
        };
        assert_eq!(answer, wanted, "{row}");
    }
}

/// A test for each list of rows.
macro_rules! tests {
    ($($name:ident: $rows:literal)*) => {
        $(
            #[test]
            fn $name() {
                check($rows);
            }
        )*
    };
}

tests! {
    // The two probes of the spec's table.

    a_later_opening_does_not_renew_the_window: "
        A B | window=7d | A:0 A:10d B:12d | 1 0
        A B | window=7d optimized | A:0 A:10d B:12d | 1 1
    "

    a_step_one_second_early_counts: "
        GA GB | | GB:0 GA:1s | 1 1
        GA GB | grace=0 | GB:0 GA:1s | 1 0
    "

    // F-1 (more below)

    unattributed_events_are_nobodys: "
        A B | | A:0:-:- B:1s:-:- | 0 0
        A B | | A:0:u:u B:1s:u:- | 1 0
    "

    users_do_not_share_events: "
        A B | | A:0:x:x B:1s:y:y A:2s:z:z B:3s:z:z | 2 1
    "

    // F-2

    time_orders_events_and_arrival_does_not: "
        A B | grace=0 | B:5s A:0 | 1 1
        A B C | grace=0 | C:9s B:5s A:1s | ms 4000, 4000
    "

    without_grace_equal_times_count_as_they_came: "
        A B | grace=0 | A:0 B:0 | 1 1
        A B | grace=0 | B:0 A:0 | 1 0
        A B C | grace=0 | A:0 C:1s B:1s | 1 1 0
        A B | grace=1 | B:0 A:0 | 1 1
    "

    without_grace_the_first_of_two_openings_at_one_time_opens: "
        # Only the first A has the value that B has.
        A B | grace=0 hold=x | A/x=1:0 A/x=2:0 B/x=1:1s | 1 1
        A B | grace=0 hold=x | A/x=2:0 A/x=1:0 B/x=1:1s | 1 0
    "

    // F-3

    steps_must_be_in_order: "
        A B C | | A:0 C:3s B:6s | 1 1 0
        A B C | | A:0 C:3s B:6s C:9s | 1 1 1
        A B C | | B:0 C:3s | 0 0 0
        A B C D | | A:0 B:1s D:5s | 1 1 0 0
    "

    other_events_between_steps_do_not_matter: "
        A B | | A:0 X:1s A:3s X:4s B:5s | 1 1
        A B | | A:0 X:1s A:3s X:4s B:5s B:6s | ms 5000
    "

    the_window_includes_its_last_millisecond: "
        A B | | A:0 B:10000 | 1 1
        A B | | A:0 B:10001 | 1 0
    "

    the_window_is_that_of_the_opening_for_all_steps: "
        # The vendor's example: A 13:00, A 13:30, B 13:45, C 14:15, window one hour.
        A B C | window=3600s | A:0 A:1800s B:2700s C:4500s | 1 1 0
        A B C | window=4500s | A:0 A:1800s B:2700s C:4500s | 1 1 1
    "

    grace_does_not_extend_the_window: "
        A B | | A:0 B:11s | 1 0
    "

    an_entry_opens_in_the_range_and_may_end_after_it: "
        A B | from=5s to=8s | A:5s B:9s | 1 1
        A B | from=5s to=8s | A:8s B:18s | 1 1
        A B | from=5s to=8s | A:4999 B:6s | 0 0
        A B | from=5s to=8s | A:8001 B:9s | 0 0
        # An A before the range is no opening, and a B before it counts by grace.
        A B | from=5s | A:4s A:6s B:9s | ms 3000
        A B | from=5s | B:4s A:5s | 1 1
    "

    an_event_without_time_is_passed_over: "
        A B | | A:- A:1s B:- B:5s | 1 1
        A B | | A:0 B:- | 1 0
        A B | | A:- B:1s | 0 0
    "

    two_equal_steps_need_two_events: "
        A A | | A:0 | 1 0
        A A | | A:0 A:1s | 1 1
        A A A | | A:0 A:0 | 1 1 0
        A A A | | A:0 A:1s A:5s | ms 1000, 4000
    "

    a_step_takes_the_earliest_event_and_keeps_it: "
        # B/x=1 is the earliest B. Nothing is left for the last step, although the other B could be the second.
        A B B/x=1 | | A:0 B/x=1:1s B:2s | 1 1 0
        A B B/x=1 | | A:0 B:1s B/x=1:2s | 1 1 1
    "

    one_step_and_no_event: "
        A | | A:0 A:1s | 1
        A | | A:0 A:1s | ms
        A B | | | 0 0
        A B | | | ms
    "

    times_of_users_are_sorted_and_those_without_the_step_have_none: "
        A B C | | A:0:x:x B:9s:x:x A:0:y:y B:4s:y:y C:6s:y:y A:0:z:z | 3 2 1
        A B C | | A:0:x:x B:9s:x:x A:0:y:y B:4s:y:y C:6s:y:y A:0:z:z | ms 4000 9000, 2000
    "

    // F-5

    the_grace_includes_its_last_millisecond: "
        A B | | B:0 A:2000 | 1 1
        A B | | B:0 A:2001 | 1 0
    "

    a_step_moved_by_grace_has_the_time_of_the_step_before: "
        A B | | B:0 A:1s | ms 0
        # C is compared with B's moved time, 2 s, and its time is from there.
        A B C | | B:0 A:2s C:5s | ms 0, 3000
    "

    grace_does_not_add_up: "
        A B C | | C:0 B:1s A:2s | 1 1 1
        # C is 2 s before B, but 4 s before A, when step 2 was reached.
        A B C | | C:0 B:2s A:4s | 1 1 0
        # B is after A, so C is compared with B.
        A B C | | A:0 C:1s B:3s | 1 1 1
        A B C | | A:0 C:1s B:3001 | 1 1 0
    "

    the_earlier_of_two_events_in_the_grace_counts: "
        A B | | B:0 A:1s B:5s | ms 0
        A B | grace=0 | B:0 A:1s B:5s | ms 4000
    "

    // F-4

    optimized_counts_the_furthest_entry: "
        A B C | optimized | A:0 B:5s A:8s B:12s C:17s | 1 1 1
        A B C | | A:0 B:5s A:8s B:12s C:17s | 1 1 0
        # The first entry is further than the second.
        A B C | optimized | A:0 B:3s A:6s C:9s | 1 1 1
    "

    optimized_takes_the_times_of_the_last_opening_of_the_first_conversion: "
        A B | optimized | A:0 A:1s A:3s B:9s | ms 6000
        A B | | A:0 A:1s A:3s B:9s | ms 9000
        A B | optimized | A:0 B:5s A:20s B:21s | ms 5000
    "

    totals_open_the_next_entry_after_a_conversion: "
        A B | totals | A:0 B:1s A:4s B:6s A:9s | 3 2
        A B | totals | A:0 B:1s A:4s B:6s A:9s | ms 1000 2000
        # The second A is inside the first entry.
        A B | totals | A:0 A:3s B:6s | 1 1
    "

    totals_open_the_next_entry_after_a_timeout: "
        A B | totals | A:0 A:5s A:11s B:12s | 2 1
        # D-7: the end of the window is inside.
        A B | totals | A:0 A:10000 B:12s | 1 0
        A B | totals | A:0 A:10001 B:12s | 2 1
    "

    totals_use_an_event_in_one_entry: "
        # The B is within the grace before the second A, but it is the first entry's.
        A B | totals | A:0 B:1s A:2s | 2 1
        A B | totals | A:0 B:1s B:1s A:2s | 2 2
        # The second A ends the first entry and does not open one.
        A A | totals | A:0 A:3s A:6s | 2 1
        A A | totals | A:0 A:3s A:6s A:9s | 2 2
    "

    totals_open_by_the_range_too: "
        A B | totals from=4s to=8s | A:0 B:1s A:4s B:5s A:8s B:12s A:13s B:14s | 2 2
    "

    totals_count_the_entries_of_all_users: "
        A B | totals | A:0:x:x A:0:y:y B:1s:x:x A:4s:x:x | 3 1
    "

    optimized_totals_share_out_events: "
        A B | totals optimized | A:0 A:1s A:3s B:9s | 3 1
        A B | totals optimized | A:0 A:1s A:3s B:9s | ms 6000
        A A | totals optimized grace=0 | A:0 A:3s A:6s | 2 1
        A B | totals optimized | A:0 B:1s A:5s B:6s | 2 2
        # The vendor's second scenario: 1 of 2.
        A B | totals optimized | A:0 A:8s B:12s | 2 1
    "

    // F-6

    hold_takes_the_value_of_the_opening: "
        A B | hold=x | A/x=1:0 B/x=2:3s B/x=1:6s | 1 1
        A B | hold=x | A/x=1:0 B/x=2:3s B/x=1:6s | ms 6000
        A B | hold=x | A/x=1:0 A/x=2:3s B/x=2:6s | 1 0
        A B | hold=x optimized | A/x=1:0 A/x=2:3s B/x=2:6s | 1 1
        A B C | hold=x | A/x=1:0 B/x=1:3s C/x=2:6s | 1 1 0
    "

    hold_fails_without_the_property: "
        A B | hold=x | A/x=1:0 B:3s | 1 0
        A B | hold=x | A:0 B:3s | 1 0
        A B | hold=x | A:0 A/x=1:3s B/x=1:6s | 1 0
    "

    totals_hold_the_value_of_each_opening: "
        A B | totals hold=x | A/x=1:0 B/x=1:3s A/x=2:6s B/x=2:9s | 2 2
        A B | totals hold=x | A/x=1:0 B/x=1:3s A/x=2:6s B/x=1:9s | 2 1
    "

    an_exclusion_ends_the_entry_at_the_step_reached: "
        A B C | exclude=X | A:0 X:3s B:6s C:9s | 1 0 0
        A B C | exclude=X | A:0 B:3s X:6s C:9s | 1 1 0
        A B C | exclude=X | A:0 B:3s C:6s X:9s | 1 1 1
        A B C | exclude=X exclude=Y | A:0 B:3s Y:6s C:9s | 1 1 0
        A B | exclude=X | X:0 A:5s B:7s | 1 1
        # Other events do not exclude.
        A B | exclude=X | A:0 Y:3s A:4s B:6s | 1 1
    "

    an_exclusion_between_two_steps_counts_only_there: "
        A B C | exclude=X:2-3 | A:0 X:3s B:6s C:9s | 1 1 1
        A B C | exclude=X:2-3 | A:0 B:3s X:6s C:9s | 1 1 0
        A B C | exclude=X:1-2 | A:0 X:3s B:6s C:9s | 1 0 0
        A B C | exclude=X:1-2 | A:0 B:3s X:6s C:9s | 1 1 1
        A B C | exclude=X:1-3 | A:0 B:3s X:6s C:9s | 1 1 0
    "

    exclusions_have_the_grace_of_steps: "
        A B | exclude=X | X:0 A:2000 B:6s | 1 0
        A B | exclude=X | X:0 A:2001 B:6s | 1 1
        A B | exclude=X grace=0 | X:0 A:1s B:6s | 1 1
        # The earlier of exclusion and next step wins, on both sides of A.
        A B | exclude=X | B:0 X:1s A:2s | 1 1
        A B | exclude=X | X:0 B:1s A:2s | 1 0
        A B | exclude=X | A:0 B:5s X:6s | 1 1
        # X is less than 2 s before B, and may be after it.
        A B C | exclude=X:2-3 | A:0 X:5s B:6s C:9s | 1 1 0
    "

    exclusions_at_the_time_of_a_step_count_as_they_came: "
        A B | exclude=X grace=0 | X:0 A:0 B:5s | 1 1
        A B | exclude=X grace=0 | A:0 X:0 B:5s | 1 0
        A B | exclude=X grace=0 | A:0 X:5s B:5s | 1 0
        A B | exclude=X grace=0 | A:0 B:5s X:5s | 1 1
    "

    an_excluded_step_one_event_ends_the_entry_of_another: "
        # The vendor's example: A A A B with A excluded is two entries and one conversion in totals.
        A B | exclude=A totals | A:0 A:3s A:6s B:9s | 2 1
        A B | exclude=A totals | A:0 A:1s A:2s B:3s | 2 1
        A B | exclude=A | A:0 A:3s A:6s B:9s | 1 0
        A B | exclude=A optimized | A:0 A:3s A:6s B:9s | 1 1
        A B | exclude=A totals optimized | A:0 A:3s A:6s B:9s | 3 1
        # D-13: the second A is the better entry, and still excludes the first from the second C.
        A B C | exclude=A totals optimized | A:0 B:3s A:6s B:9s C:10s C:10s | 2 2 1
    "

    an_event_that_is_step_and_exclusion_is_the_step: "
        A B | exclude=B | A:0 B:3s | 1 1
        A B C | exclude=B:2-3 | A:0 B:3s C:6s | 1 1 1
        A B C | exclude=B:2-3 | A:0 B:3s B:6s C:9s | 1 1 0
        A B/x=1 | exclude=B | A:0 B:3s B/x=1:6s | 1 0
    "

    hold_does_not_concern_exclusions: "
        A B | hold=x exclude=X | A/x=1:0 X/x=2:3s B/x=1:6s | 1 0
    "

    an_event_of_an_earlier_entry_does_not_exclude: "
        # The first entry's B is less than 2 s before the second A, and B is excluded before step 3.
        A B C | exclude=B:2-3 totals grace=0 | A:0 B:1s C:2s A:3s B:4s C:5s | 2 2 2
        A B C | exclude=B:2-3 totals | A:0 B:1s C:1s A:1s B:2s C:6s | 2 2 2
    "

    // F-7

    a_filter_passes_over_other_events: "
        A/p=1 B | | A/p=2:0 A/p=1:5s B:12s | 1 1
        A/p=1 B | | A/p=2:0 A:3s B:5s | 0 0
        A B/p=1 | | A:0 B:1s B/p=2:2s | 1 0
        A B/p=1 | | A:0 B:1s B/p=1:5s | ms 5000
    "
}

// F-1 with both counts, and several held properties.

#[test]
fn events_of_two_ids_of_one_user_convert_only_with_the_merge() {
    let view_and_sign_up = events("View:0:D1:U1 SignUp:1s:U1:U1 View:2s:D2:U2");
    let question = ask("View SignUp", "");
    assert_eq!(reached(&view_and_sign_up, &question, true), [2, 1]);
    assert_eq!(reached(&view_and_sign_up, &question, false), [2, 0]);
    assert_eq!(times_ms(&view_and_sign_up, &question, true), [[1000]]);
    assert_eq!(times_ms(&view_and_sign_up, &question, false), [[0i64; 0]]);
}

#[test]
fn two_ids_of_one_user_are_two_without_merge() {
    let both = events("A:0:D1:U A:1s:D2:U B:2s:D2:U");
    assert_eq!(reached(&both, &ask("A B", ""), true), [1, 1]);
    assert_eq!(reached(&both, &ask("A B", ""), false), [2, 1]);
}

#[test]
fn each_count_reads_its_own_id() {
    let half = events("A:0:D:- B:1s:D:U A:2s:-:U A:3s:E:U");
    assert_eq!(reached(&half, &ask("A B", ""), true), [1, 1]);
    assert_eq!(reached(&half, &ask("A B", ""), false), [2, 1]);
}

#[test]
fn all_held_properties_must_be_equal() {
    let mut both = events("A:0 B:3s B:6s");
    for (event, (x, y)) in both.iter_mut().zip([("1", "1"), ("1", "2"), ("1", "1")]) {
        event.properties = [("x", x), ("y", y)]
            .map(|(k, v)| (k.into(), v.into()))
            .into();
    }
    assert_eq!(
        times_ms(&both, &ask("A B", "hold=x hold=y"), true),
        [[6000]]
    );
    assert_eq!(times_ms(&both, &ask("A B", "hold=x"), true), [[3000]]);
}
