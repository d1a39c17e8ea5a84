//! Random streams of events, and what gives them to an analysis.
//!
//! In these streams the properties of an event, and the value of a condition, are JSON as an SDK sends it. The
//! models have canonical texts in their place ([`canonical`]).

pub(crate) mod breakdown;
pub(crate) mod retention;
pub(crate) mod uniques;

use std::collections::BTreeMap;

use idmerge_analysis::{Analysis, ResolvedEvent, Step};
use idmerge_core::DistinctId;
use idmerge_events::JsonEvent;
use proptest::prelude::*;
use proptest::sample::select;

use crate::oracle;
use crate::oracle::values;

/// Adds all events that have both IDs to an analysis.
pub(crate) fn fold<A: Analysis>(analysis: &A, events: &[oracle::Event]) -> A::Fold {
    let mut fold = analysis.fold();
    for event in events {
        let (Some(user), Some(own)) = (&event.user, &event.own) else {
            continue;
        };
        let pairs = event.properties.iter();
        let pairs: Vec<_> = pairs
            .map(|(name, json)| format!("{name:?}:{json}"))
            .collect();
        let line = format!(r#"{{"event":"","properties":{{{}}}}}"#, pairs.join(","));
        let json = JsonEvent::parse_text(&line).unwrap();
        let resolved = ResolvedEvent {
            name: &event.name,
            time_ms: event.time_ms,
            properties: json.properties(),
        };
        if let Some(found) = analysis.read(&resolved) {
            let [user, own] = [user, own].map(|id| DistinctId::try_from(&**id).unwrap());
            analysis.add(&mut fold, user, own, found);
        }
    }
    fold
}

/// The step of the real analyses.
pub(crate) fn real_step(step: &oracle::Step) -> Step {
    let conditions = step.equals.as_ref();
    let conditions = conditions.map(|(name, json)| format!("[{name} == {json}]"));
    Step::parse(&(step.name.clone() + &conditions.unwrap_or_default()))
}

/// The events that have IDs, as the models read them. [`fold`] leaves out the others too (F-1).
pub(crate) fn canonical(events: &[oracle::Event]) -> Vec<oracle::Event> {
    let is_of_somebody = |event: &&oracle::Event| event.user.is_some() && event.own.is_some();
    let event = |event: &oracle::Event| {
        let pairs = event.properties.iter();
        let properties = pairs
            .filter_map(|(name, json)| Some((name.clone(), values::canonical(json)?)))
            .collect();
        oracle::Event {
            properties,
            ..event.clone()
        }
    };
    events.iter().filter(is_of_somebody).map(event).collect()
}

/// The step as the models read it.
pub(crate) fn canonical_step(step: &oracle::Step) -> oracle::Step {
    let equals = step.equals.as_ref();
    let equals = equals.map(|(name, json)| (name.clone(), values::canonical(json).unwrap()));
    oracle::Step {
        equals,
        ..step.clone()
    }
}

/// Values of properties. Half of them are of two texts, so that many are equal.
fn value() -> impl Strategy<Value = &'static str> {
    const ODD: &[&str] = &[
        "1",
        "1.0",
        "10e-1",
        "1000",
        "1e3",
        "0",
        "-0",
        "-1",
        "9007199254740992",
        "9007199254740993",
        "9007199254740993.0",
        "100000000000000000000",
        "1e20",
        "0.1",
        "0.1000000000000000055",
        "1e400",
        "true",
        "false",
        r#""true""#,
        "null",
        r#""""#,
        "[]",
        "[1, 2]",
        "[1.0,2]",
        "[2,1]",
        r#"[{"a":[1e0,null]}]"#,
        r#"[ { "a" : [1, null] } ]"#,
        r#"{"a":1,"b":2}"#,
        r#"{"b":2,"a":1}"#,
        r#""😀""#,
        r#""\ud83d\ude00""#,
        r#""\u0031""#,
    ];
    prop_oneof![select(vec![r#""1""#, r#""2""#]), select(ODD)]
}

fn properties() -> impl Strategy<Value = BTreeMap<String, String>> {
    let value = || prop::option::weighted(0.8, value());
    (value(), value()).prop_map(|(p, q)| {
        let pairs = [("p", p), ("q", q)].into_iter();
        pairs
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
            .collect()
    })
}

/// Events of at most three users with five distinct_ids. Two distinct_ids have the names of users. Each distinct_id
/// belongs to one user.
pub(crate) fn events(times_ms: BoxedStrategy<i64>) -> impl Strategy<Value = Vec<oracle::Event>> {
    const OWN: [&str; 5] = ["u0", "u1", "$device:d0", "$device:d1", "$device:d2"];
    let own = prop::option::weighted(0.95, 0..OWN.len());
    let time = prop::option::weighted(0.95, times_ms);
    let name = select(vec!["A", "A", "B", "B", "C", "X", "Y"]);
    let event = (own, time, name, properties());
    let users = prop::collection::vec(0..3_usize, OWN.len());
    (prop::collection::vec(event, 0..90), users).prop_map(|(events, users)| {
        let event = |(own, time_ms, name, properties): (Option<usize>, _, &str, _)| oracle::Event {
            user: own.map(|own| format!("u{}", users[own])),
            own: own.map(|own| OWN[own].to_owned()),
            time_ms,
            name: name.to_owned(),
            properties,
        };
        events.into_iter().map(event).collect()
    })
}

/// A name, and in some a condition.
pub(crate) fn step() -> impl Strategy<Value = oracle::Step> {
    let value = select(vec![
        r#""1""#,
        r#""2""#,
        "1",
        "1.0",
        "1e3",
        "0",
        "true",
        r#""😀""#,
    ]);
    let equals = (select(vec!["p", "q"]), value);
    let equals = equals.prop_map(|(name, value)| (name.to_owned(), value.to_owned()));
    (
        select(vec!["A", "B", "C"]),
        prop::option::weighted(0.2, equals),
    )
        .prop_map(|(name, equals)| oracle::Step {
            name: name.to_owned(),
            equals,
        })
}

/// The first and the last time of a range. An analysis refuses one that ends before it begins.
pub(crate) fn range(
    times_ms: BoxedStrategy<i64>,
) -> impl Strategy<Value = (Option<i64>, Option<i64>)> {
    let bound = || prop::option::weighted(0.25, times_ms.clone());
    (bound(), bound()).prop_map(|range| match range {
        (Some(from), Some(to)) if from > to => (Some(to), Some(from)),
        range => range,
    })
}

/// A stream and a range, with times around midnights: of the days around 1970, or around a new year.
pub(crate) fn days() -> impl Strategy<Value = (Vec<oracle::Event>, (Option<i64>, Option<i64>))> {
    let days_ms = |begin: i64| {
        let in_day = select(vec![0, 0, 1, 40_000_000, 86_399_999]);
        (0..18_i64, in_day)
            .prop_map(move |(day, in_day)| (begin + day) * 86_400_000 + in_day)
            .boxed()
    };
    // 2020-12-28 and 2024-01-01 are Mondays.
    select(vec![-9, 18_620, 19_718])
        .prop_flat_map(move |begin| (events(days_ms(begin)), range(days_ms(begin))))
}
