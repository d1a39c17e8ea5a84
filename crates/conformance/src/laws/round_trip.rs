//! Law 10: what was resolved can be resolved again.

use idmerge_core::{
    Attribution, DistinctIds, Event, IdentityResolver, IdentityResolverExt, Outcome, Value,
};
use idmerge_events::JsonEvent;
use proptest::prelude::*;

use crate::check::{Check, Differences, Make, snapshot_of, written};
use crate::generate::{CLAIMS_MAX, event, event_with_two_ids, exported, for_all, settings};

pub(super) fn trials() -> Vec<Check> {
    vec![("10-round-trip", Box::new(round_trip))]
}

/// Law 10: resolving what was resolved gives the same state, and the same bytes.
fn round_trip(make: &Make) -> Result<(), String> {
    let events = prop_oneof![1 => event(), 3 => exported(event_with_two_ids())];
    for_all(
        &(settings(), prop::collection::vec(events, 0..=CLAIMS_MAX)),
        |(settings, events)| {
            let (mut first, mut second) = (make(settings), make(settings));
            let lines: Vec<_> = events.iter().map(json_of).collect();
            let once = resolve(&mut *first, &lines)?;
            let twice = resolve(&mut *second, &once)?;
            let mut differences = Differences::default();
            let (want, got) = (snapshot_of(&*first)?, snapshot_of(&*second)?);
            differences.expect("the state of what was resolved", &want, &got);
            let of = "how many events are accepted again";
            differences.expect(of, &once.len(), &twice.len());
            for (line, again) in once.iter().zip(&twice) {
                differences.expect("an event that is resolved again", line, again);
            }
            differences.into_result()
        },
        |(settings, events)| {
            let lines: Vec<_> = events.iter().map(json_of).collect();
            format!("with {settings:?} and the events\n{}", lines.join("\n"))
        },
    )
}

/// Gives all events to an engine, and writes the answers: those of its last state, or, if the model
/// attributes events at their arrival, those of then. A refused event has no answer.
fn resolve(engine: &mut dyn IdentityResolver, lines: &[String]) -> Result<Vec<String>, String> {
    let at_arrival = engine.attribution() == Attribution::AtArrival;
    let (mut accepted, mut answers) = (Vec::new(), Vec::new());
    for line in lines {
        let event =
            JsonEvent::parse(line.as_bytes()).map_err(|error| format!("{line}: {error}"))?;
        let Ok((_, outcome)) = engine.apply_event(&event.event()) else {
            continue;
        };
        let rejection = match outcome {
            Some(Outcome::Rejected(why)) => Some((why.code().to_owned(), why.to_string())),
            _ => None,
        };
        if at_arrival {
            answers.push(written(engine, &event, rejection.as_ref())?);
        } else {
            accepted.push((event, rejection));
        }
    }
    for (event, rejection) in &accepted {
        answers.push(written(engine, event, rejection.as_ref())?);
    }
    Ok(answers)
}

/// The event as JSON. No text of a random event needs an escape.
fn json_of(event: &Event<'_>) -> String {
    let json = |value| match value {
        Value::Absent => "null".to_owned(),
        Value::Text(text) => format!("\"{text}\""),
        Value::NotAnId(json) => json.to_owned(),
    };
    let distinct_ids = match event.distinct_ids {
        DistinctIds::Absent => "null".to_owned(),
        DistinctIds::Two([first, second]) => format!("[{},{}]", json(first), json(second)),
        DistinctIds::NotTwo(json) => json.to_owned(),
    };
    let properties = [
        ("distinct_id", json(event.distinct_id)),
        (
            "$distinct_id_before_identity",
            json(event.distinct_id_before_identity),
        ),
        ("$user_id", json(event.user_id)),
        ("$device_id", json(event.device_id)),
        ("$identified_id", json(event.identified_id)),
        ("$anon_id", json(event.anon_id)),
        ("$anon_distinct_id", json(event.anon_distinct_id)),
        ("alias", json(event.alias)),
        ("$distinct_ids", distinct_ids),
        ("$idmerge_unweighed", event.is_unweighed.to_string()),
    ];
    let properties: Vec<_> = properties
        .iter()
        .filter(|(_, json)| json != "null" && json != "false")
        .map(|(key, json)| format!("\"{key}\":{json}"))
        .collect();
    let (name, properties) = (event.name, properties.join(","));
    format!("{{\"event\":\"{name}\",\"properties\":{{{properties}}}}}")
}
