//! Law 8: on clean streams both models agree.

use std::collections::{BTreeMap, BTreeSet};

use idmerge_core::{Event, IdentityResolver, IdentityResolverExt, RuleBook};
use proptest::prelude::*;

use crate::check::{Check, Differences, Make, clusters_of};
use crate::generate::for_all;
use crate::settings::EngineSettings;

pub(super) fn trials(rule_book: RuleBook) -> Vec<Check> {
    match rule_book {
        RuleBook::Simplified | RuleBook::Original => vec![("8-agreement", Box::new(agreement))],
        _ => Vec::new(),
    }
}

/// Law 8: on clean streams an engine finds exactly the real users.
fn agreement(make: &Make) -> Result<(), String> {
    // The device of each login, and how the SDK spells it. The number of a device fixes its user.
    let logins = prop::collection::vec((0..9_usize, any::<bool>()), 0..30);
    for_all(
        &logins,
        |logins| {
            let mut engine = make(&EngineSettings::default());
            let mut truth: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for &(device, sdk_spelling) in logins {
                log_in(&mut *engine, device, sdk_spelling)?;
                let (user, device) = (user_of(device), device_id(device));
                let ids = truth
                    .entry(user.clone())
                    .or_insert_with(|| BTreeSet::from([user]));
                ids.insert(device);
            }
            let mut differences = Differences::default();
            let bare = |id: &String| id.trim_start_matches("$device:").to_owned();
            let got: BTreeMap<String, BTreeSet<String>> = clusters_of(&*engine)
                .iter()
                .map(|cluster| {
                    let members = cluster.members.iter().map(bare).collect();
                    (cluster.canonical.clone(), members)
                })
                .collect();
            differences.expect("the users", &truth, &got);
            differences.into_result()
        },
        |logins| format!("with logins (device, spelled like an SDK) {logins:?}"),
    )
}

fn user_of(device: usize) -> String {
    format!("user-{}", device % 3)
}

fn device_id(device: usize) -> String {
    format!("0000000{device}-0000-4000-8000-000000000000")
}

/// The events of a login: an anonymous event, `$identify`, and an event with both IDs.
fn log_in(
    engine: &mut dyn IdentityResolver,
    device: usize,
    sdk_spelling: bool,
) -> Result<(), String> {
    let (user, device) = (user_of(device), device_id(device));
    let marked = format!("$device:{device}");
    let anonymous = Event {
        distinct_id: (&*marked).into(),
        device_id: (&*device).into(),
        ..Event::named("A")
    };
    let identify = if sdk_spelling {
        Event {
            distinct_id: (&*user).into(),
            anon_distinct_id: (&*marked).into(),
            user_id: (&*user).into(),
            device_id: (&*device).into(),
            ..Event::named(Event::IDENTIFY)
        }
    } else {
        Event {
            identified_id: (&*user).into(),
            anon_id: (&*device).into(),
            ..Event::named(Event::IDENTIFY)
        }
    };
    let both = Event {
        distinct_id: (&*user).into(),
        user_id: (&*user).into(),
        ..anonymous
    };
    for event in [anonymous, identify, both] {
        engine
            .apply_event(&event)
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}
