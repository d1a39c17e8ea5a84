//! All small histories, against a search that tries each choice of events, and laws that always hold.

use super::cases::{ask, events};
use super::*;

/// The furthest step by any choice of events after the first A, in order and inside the window.
fn longest(events: &[(i64, &str)], steps: &[&str], last_ms: i64) -> usize {
    let Some((step, rest)) = steps.split_first() else {
        return 0;
    };
    let fitting = (0..events.len()).filter(|i| events[*i].1 == *step && events[*i].0 <= last_ms);
    fitting
        .map(|i| 1 + longest(&events[i + 1..], rest, last_ms))
        .max()
        .unwrap_or(0)
}

/// All lists of `length` events with names of `names` and times from 0 to 2 s.
fn small_histories(names: &[&'static str], length: u32) -> Vec<Vec<(i64, &'static str)>> {
    let kinds = names.len() * 3;
    let event = |code: usize| ((code % 3) as i64 * 1000, names[code / 3]);
    let history = |code: usize| {
        (0..length)
            .map(|i| event(code / kinds.pow(i) % kinds))
            .collect()
    };
    (0..kinds.pow(length)).map(history).collect()
}

fn of_one_user(history: &[(i64, &str)]) -> Vec<Event> {
    let text: Vec<String> = history
        .iter()
        .map(|(time, name)| format!("{name}:{time}"))
        .collect();
    events(&text.join(" "))
}

#[test]
fn without_grace_no_other_choice_of_events_gets_further() {
    for history in small_histories(&["A", "B", "C"], 4) {
        let mut sorted = history.clone();
        sorted.sort_by_key(|(time, _)| *time);
        for (text, steps) in [
            ("A B C", vec!["A", "B", "C"]),
            ("A B A", vec!["A", "B", "A"]),
        ] {
            let first = sorted.iter().position(|(_, name)| *name == "A");
            let best = |at: usize| 1 + longest(&sorted[at + 1..], &steps[1..], sorted[at].0 + 1000);
            let answer = reached(
                &of_one_user(&history),
                &ask(text, "grace=0 window=1s"),
                true,
            );
            assert_eq!(
                answer.iter().sum::<u64>(),
                first.map_or(0, best) as u64,
                "{history:?}"
            );
            let optimized = ask(text, "grace=0 window=1s optimized");
            let answer = reached(&of_one_user(&history), &optimized, true);
            let openings = (0..sorted.len()).filter(|at| sorted[*at].1 == "A");
            let furthest = openings.map(best).max().unwrap_or(0);
            assert_eq!(answer.iter().sum::<u64>(), furthest as u64, "{history:?}");
        }
    }
}

#[test]
fn small_histories_keep_what_is_always_true() {
    for history in small_histories(&["A", "B", "X"], 4) {
        let events = of_one_user(&history);
        for common in [
            "grace=0 window=1s",
            "grace=1s window=1s",
            "grace=1s exclude=X window=2s",
        ] {
            let of = |options: &str| {
                let question = ask("A B A", &format!("{common} {options}"));
                let steps = reached(&events, &question, true);
                let times = times_ms(&events, &question, true);
                assert!(
                    steps.is_sorted_by(|a, b| a >= b),
                    "{history:?} {common} {options}"
                );
                assert!(times.iter().flatten().all(|time| (0..=2000).contains(time)));
                let counted: Vec<u64> = times.iter().map(|times| times.len() as u64).collect();
                assert_eq!(counted, steps[1..], "{history:?} {common} {options}");
                steps
            };
            let (first, optimized) = (of(""), of("optimized"));
            let totals = [of("totals"), of("totals optimized")];
            let opens = u64::from(history.iter().any(|(_, name)| *name == "A"));
            assert_eq!([first[0], optimized[0]], [opens; 2]);
            for step in 0..3 {
                assert!(first[step] <= optimized[step], "{history:?} {common}");
                assert!(first[step] <= totals[0][step], "{history:?} {common}");
                assert!(optimized[step] <= totals[1][step], "{history:?} {common}");
            }
        }
    }
}
