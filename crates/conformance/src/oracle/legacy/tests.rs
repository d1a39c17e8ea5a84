use super::*;

fn plain(text: &str) -> DistinctId<'_> {
    DistinctId::plain(id(text))
}

/// An event in short form: `View d1`, `alias U->d1` (the alias, and what it stands for),
/// `$identify U/d1` or `$merge a+b`.
fn event(text: &str) -> Event<'_> {
    let (name, ids) = text.split_once(' ').unwrap();
    let two = |between| ids.split_once(between).unwrap();
    match name {
        "alias" => {
            let (alias, distinct_id) = two("->");
            Event {
                distinct_id: distinct_id.into(),
                alias: alias.into(),
                ..Event::named(Event::CREATE_ALIAS)
            }
        }
        Event::IDENTIFY => {
            let (user, device) = two("/");
            Event {
                distinct_id: user.into(),
                anon_distinct_id: device.into(),
                ..Event::named(Event::IDENTIFY)
            }
        }
        Event::MERGE => {
            let (first, second) = two("+");
            Event {
                distinct_ids: idmerge_core::DistinctIds::Two([first.into(), second.into()]),
                ..Event::named(Event::MERGE)
            }
        }
        name => Event {
            distinct_id: ids.into(),
            ..Event::named(name)
        },
    }
}

/// The answer to each event at its arrival: `U` if the event is under its own distinct_id `U`,
/// `U => d1` if it is under `d1`, with the reason of a rejection or a refusal.
fn arrivals(oracle: &mut LegacyOracle, events: &[&str]) -> Vec<String> {
    let answer = |text: &&str| match oracle.arrive(&event(text)) {
        Ok(arrival) => shown(&arrival),
        Err(refused) => format!("{} {}", refused.property(), refused.rule()),
    };
    events.iter().map(answer).collect()
}

fn shown(arrival: &Arrival) -> String {
    let written = arrival.written();
    let of = |key| {
        let found = written.iter().find(|(written, _)| *written == key);
        found.map(|(_, text)| text.clone())
    };
    let root = of("distinct_id").unwrap();
    let mut shown = match of("$distinct_id_before_identity") {
        Some(own) => format!("{own} => {root}"),
        None => root,
    };
    if let (Some(reason), Some(description)) = (of("$failure_reason"), of("$failure_description")) {
        shown += &format!(" {reason}: {description}");
    }
    shown
}

/// An oracle after these events, and their answers.
fn after(events: &[&str]) -> (LegacyOracle, Vec<String>) {
    let mut oracle = LegacyOracle::default();
    let answers = arrivals(&mut oracle, events);
    (oracle, answers)
}

/// The outcome of the claim of an event in short form.
fn outcome(oracle: &mut LegacyOracle, text: &str) -> String {
    let event = event(text);
    let Some(claim) = oracle.read(&event).unwrap().claim else {
        return "no claim".to_owned();
    };
    match oracle.apply(claim).unwrap() {
        Outcome::Rejected(rejection) => format!("{}: {rejection}", rejection.code()),
        outcome => format!("{outcome:?}"),
    }
}

/// Every cluster: the canonical ID, then the members.
fn clusters(oracle: &LegacyOracle) -> Vec<String> {
    let text = |cluster: Cluster<'_>| {
        let members: Vec<String> = cluster.members.iter().map(ToString::to_string).collect();
        format!("{} = {}", cluster.canonical, members.join(" "))
    };
    oracle.clusters().map(text).collect()
}

fn snapshot_of(oracle: &LegacyOracle) -> Vec<u8> {
    let mut bytes = Vec::new();
    oracle.write_snapshot(&mut bytes).unwrap();
    bytes
}

mod agreement;
mod aliases;
mod arrival;
mod random;
mod snapshots;

#[test]
fn the_oracle_passes_every_trial_of_the_suite() {
    let suite = crate::Suite::new(|settings| Box::new(LegacyOracle::new(settings.clone())));
    let failed: Vec<String> = suite
        .trials()
        .iter()
        .filter_map(|trial| Some(format!("{}: {}", trial.name, trial.run().err()?)))
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
