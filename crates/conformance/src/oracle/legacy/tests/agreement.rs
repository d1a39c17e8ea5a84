//! Law 8-L: on clean streams Legacy and Original give the same partition of events.

use std::collections::BTreeMap;

use idmerge_core::IdentityResolverExt;
use proptest::prelude::*;

use super::super::super::OriginalOracle;
use super::*;
use crate::generate::for_all;

/// The numbers of the events of each user, for each user with events.
type Partition = Vec<Vec<usize>>;

/// Puts together the numbers of the events that have the same user.
fn by_user(users: impl Iterator<Item = Option<String>>) -> Partition {
    let mut partition: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (number, user) in users.enumerate() {
        if let Some(user) = user {
            partition.entry(user).or_default().push(number);
        }
    }
    let mut partition: Partition = partition.into_values().collect();
    partition.sort();
    partition
}

/// The partition that Legacy gives: each event by its answer at its arrival.
fn legacy(settings: &EngineSettings, stream: &[String]) -> Partition {
    let mut oracle = LegacyOracle::new(settings.clone());
    by_user(stream.iter().map(|text| {
        let arrival = oracle.arrive(&event(text)).ok()?;
        arrival.distinct_id
    }))
}

/// The partition that Original gives: each event by what its own distinct_id resolves to after all
/// of them.
fn original(settings: &EngineSettings, stream: &[String]) -> Partition {
    let mut oracle = OriginalOracle::new(settings.clone());
    let own: Vec<Option<String>> = stream
        .iter()
        .map(|text| {
            let event = event(text);
            let (reading, _) = oracle.apply_event(&event).ok()?;
            Some(reading.distinct_id?.to_string())
        })
        .collect();
    by_user(own.iter().map(|own| {
        let own = own.as_ref()?;
        Some(oracle.resolve(plain(own)).to_string())
    }))
}

/// The device of a user. Those of the first two are UUIDs; O-8 rejects `$identify` of the others.
fn device(user: usize) -> String {
    match user {
        0 | 1 => format!("0000000{user}-0000-4000-8000-000000000000"),
        _ => format!("device-{user}"),
    }
}

/// Something that a user does.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// An event of the device.
    ViewDevice,
    /// An event of the device in the spelling of SDKs.
    ViewMarkedDevice,
    /// The user's ID becomes an alias of the device.
    Alias,
    /// The rest comes only after the alias: an event of the user, …
    ViewUser,
    /// … `$identify` of the user and the device, …
    Identify,
    /// … and an alias of another device, which both models reject.
    AliasElsewhere,
}

fn act() -> impl Strategy<Value = Act> {
    prop::sample::select(&[
        Act::ViewDevice,
        Act::ViewMarkedDevice,
        Act::Alias,
        Act::ViewUser,
        Act::Identify,
        Act::AliasElsewhere,
    ])
}

const USERS: usize = 4;

/// The events of these acts that keep the conditions of the law.
fn clean(acts: &[(usize, Act)]) -> Vec<String> {
    let mut has_alias = [false; USERS];
    let mut stream = Vec::new();
    for &(user, act) in acts {
        let (device, other) = (device(user), device((user + 1) % USERS));
        let text = match (act, has_alias[user]) {
            (Act::ViewDevice, _) => format!("View {device}"),
            (Act::ViewMarkedDevice, _) => format!("View $device:{device}"),
            (Act::Alias, false) => format!("alias user-{user}->{device}"),
            (Act::ViewUser, true) => format!("View user-{user}"),
            (Act::Identify, true) => format!("$identify user-{user}/$device:{device}"),
            (Act::AliasElsewhere, true) => format!("alias user-{user}->{other}"),
            (Act::Alias, true) | (Act::ViewUser | Act::Identify | Act::AliasElsewhere, false) => {
                continue;
            }
        };
        has_alias[user] |= matches!(act, Act::Alias);
        stream.push(text);
    }
    stream
}

#[test]
fn law_8_l_legacy_and_original_agree_on_clean_streams() {
    // A cluster has the device and the user.
    let settings = EngineSettings {
        max_cluster_ids: 2,
        ..EngineSettings::default()
    };
    for_all(
        &prop::collection::vec((0..USERS, act()), 0..60),
        |acts| {
            let stream = clean(acts);
            let (want, got) = (original(&settings, &stream), legacy(&settings, &stream));
            if want == got {
                Ok(())
            } else {
                Err(format!("Original gives {want:?}, Legacy {got:?}"))
            }
        },
        |acts| format!("on {:#?}", clean(acts)),
    )
    .unwrap();
}

const D1: &str = "00000001-0000-4000-8000-000000000000";
const D2: &str = "00000002-0000-4000-8000-000000000000";

/// One condition that a stream breaks, the stream, and the partitions of Legacy and of Original:
/// `01 2` puts the first two events together.
type Broken = (
    &'static str,
    &'static [&'static str],
    &'static str,
    &'static str,
);

const BROKEN: [Broken; 9] = [
    (
        "an invalid ID",
        &["alias U->D1", "$identify U/null"],
        "01",
        "0",
    ),
    (
        "a device of two users",
        &["alias U->D1", "View U", "$identify V/D1", "View V"],
        "01 23",
        "0123",
    ),
    (
        "a device that is a user's ID",
        &["View V", "alias U->V", "alias V->D1"],
        "01 2",
        "012",
    ),
    (
        "another identity event",
        &["View D1", "View D2", "$merge D1+D2"],
        "02 1",
        "012",
    ),
    (
        "a cluster over the limit",
        &["View D1", "alias U->D1", "alias V->D1", "View V"],
        "0123",
        "012 3",
    ),
    (
        "two devices",
        &["alias U->D1", "View U", "View D2", "$identify U/D2"],
        "013 2",
        "0123",
    ),
    (
        "two aliases",
        &["View D1", "alias U->D1", "alias D1->D2"],
        "01 2",
        "012",
    ),
    (
        "the user's ID before the alias",
        &["View U", "alias U->D1"],
        "0 1",
        "01",
    ),
    (
        "an alias for the device, not for the user",
        &["View D1", "alias D1->U", "View U"],
        "0 12",
        "012",
    ),
];

#[test]
fn law_8_l_needs_each_of_its_conditions() {
    let shown = |partition: Partition| {
        let events = |user: &Vec<usize>| user.iter().map(ToString::to_string).collect::<String>();
        let users: Vec<String> = partition.iter().map(events).collect();
        users.join(" ")
    };
    for (what, stream, want_legacy, want_original) in BROKEN {
        let max_cluster_ids = if what.contains("limit") { 2 } else { 500 };
        let settings = EngineSettings {
            max_cluster_ids,
            ..EngineSettings::default()
        };
        let long = |text: &&str| text.replace("D1", D1).replace("D2", D2);
        let stream: Vec<String> = stream.iter().map(long).collect();
        assert_ne!(want_legacy, want_original, "{what}");
        assert_eq!(shown(legacy(&settings, &stream)), want_legacy, "{what}");
        assert_eq!(shown(original(&settings, &stream)), want_original, "{what}");
    }
}
