//! Erasure from a project, rules E-1 to E-5 and LE-1: after it the project answers as one that was given all other
//! events.
//!
//! Who is who before comes from a plain engine. The project to compare with gets the other events, without the erased
//! IDs in them.

mod project;

use crate::traces;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use idmerge_core::{Attribution, DistinctId, DistinctIdBuf, Resolve};
use idmerge_engines::Model;
use idmerge_events::JsonEvent;
use idmerge_project::{
    ExportQuery, ProfileMerge, Project, ProjectError, RecordAnswer, RetractionTarget,
};
use idmerge_store::redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use idmerge_store::{ErasedEvents, StoreError};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use serde_json::{Value, json};

use project::{
    DEVICES, GROUPS, Sent, Truth, USERS, all_ids, answers, erase_ids, event, open, open_with,
    submit, update, update_of_group, without,
};

/// The blocks of events without compression, in a file of their own.
fn unpack(folder: &Path) {
    const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");
    let database = Database::open(folder.join("store.redb")).unwrap();
    let mut unpacked = Vec::new();
    if let Ok(events) = database.begin_read().unwrap().open_table(EVENTS) {
        for row in events.iter().unwrap() {
            let (_, row) = row.unwrap();
            unpacked.extend(zstd::stream::decode_all(&row.value()[12..]).unwrap());
        }
    }
    drop(database);
    fs::write(folder.join("unpacked"), unpacked).unwrap();
}

/// Withdraws every claim that names an ID.
fn detach(project: &Project, id: &str) {
    let target = RetractionTarget::Named(id.to_owned());
    match project.retract(target, "ada", "a test") {
        // What is left of one project can name fewer IDs than what the other one was given: an ID as both IDs of a
        // claim, which joins nothing.
        Err(ProjectError::Store(StoreError::NotNamed { .. })) => {}
        retracted => drop(retracted.unwrap()),
    }
}

fn erasure_holds(
    (model, profile_merge): (Model, ProfileMerge),
    sent: &[Sent],
    later: &[Sent],
    named: usize,
    is_user: bool,
) -> TestCaseResult {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [folder, other_folder] = folders.each_ref().map(tempfile::TempDir::path);
    let project = open_with(folder, model, profile_merge);
    let mut truth = Truth::of(model);
    let mut events = Vec::new();
    let mut targets = Vec::new();
    for (number, sent) in sent.iter().enumerate() {
        match sent {
            Sent::Event(kind, ids) => {
                let event = event(model, *kind, *ids, number);
                prop_assert!(submit(&project, number, &event, true).records[0].is_stored());
                let at_arrival = truth.weigh(&event.to_string());
                events.push((number, event, at_arrival));
            }
            Sent::Profile(at, ignores_alias) => {
                let id = &all_ids()[*at];
                submit(&project, number, &update(id, *ignores_alias, number), false);
                targets.push(truth.target(id, *ignores_alias));
            }
            Sent::Group(id) => {
                submit(&project, number, &update_of_group(*id, number), false);
            }
        }
    }
    project.close().unwrap();
    let named = if is_user {
        USERS[named].to_owned()
    } else {
        format!("$device:{}", DEVICES[named])
    };
    let named = truth.settings.read_id(&named).unwrap().to_buf();
    let erased: BTreeSet<DistinctIdBuf> = truth
        .engine
        .erased_with(named.as_id())
        .map(DistinctIdBuf::from)
        .collect();
    let is_gone = |id: DistinctId<'_>| erased.contains(&id.to_buf());
    drop(project);
    let receipt = erase_ids(
        folder,
        model,
        &[&named.as_id().to_string()],
        ErasedEvents::Erased,
    );
    prop_assert_eq!(receipt.ids_erased, erased.len() as u64);

    // The other project gets the other events.
    let is_erased = |key: &str, text: &str| {
        let id = DistinctId::try_from(text).unwrap();
        let [plain, device] = [DistinctId::plain(id.id()), DistinctId::device(id.id())];
        match (model, key) {
            (Model::Simplified, "$user_id") => is_gone(id),
            (Model::Simplified, "$device_id") => is_gone(device),
            (Model::Simplified, _) => is_gone(plain) || is_gone(device),
            _ => is_gone(plain),
        }
    };
    let others = open_with(other_folder, model, profile_merge);
    let mut gone = 0;
    let (mut events, mut targets) = (events.iter(), targets.iter());
    for (number, sent) in sent.iter().enumerate() {
        match sent {
            Sent::Profile(at, ignores_alias) => {
                if !is_gone(targets.next().unwrap().as_id()) {
                    let update = update(&all_ids()[*at], *ignores_alias, number);
                    submit(&others, number, &update, false);
                }
            }
            Sent::Group(id) => {
                submit(&others, number, &update_of_group(*id, number), false);
            }
            Sent::Event(..) => {
                let (_, event, at_arrival) = events.next().unwrap();
                let text = event.to_string();
                let parsed = JsonEvent::parse_text(&text).unwrap();
                let own = truth
                    .settings
                    .read(&parsed.event())
                    .unwrap()
                    .distinct_id
                    .unwrap();
                let under = match truth.settings.attribution() {
                    Attribution::AtArrival => at_arrival.clone().unwrap(),
                    Attribution::Retroactive => truth.engine.resolve(own).to_buf(),
                };
                if is_gone(under.as_id()) {
                    gone += 1;
                    continue;
                }
                let event = without(event, &own.to_string(), &is_erased);
                prop_assert!(submit(&others, number, &event, true).records[0].is_stored());
            }
        }
    }
    prop_assert_eq!(receipt.rows.events_erased, gone);
    let ids: Vec<String> = all_ids()
        .into_iter()
        .filter(|id| !is_gone(truth.settings.read_id(id).unwrap()))
        .collect();
    let mut project = open_with(folder, model, profile_merge);
    for is_reopened in [false, true] {
        prop_assert_eq!(
            answers(&project, &ids),
            answers(&others, &ids),
            "reopened: {}",
            is_reopened
        );
        if !is_reopened {
            drop(project);
            project = open_with(folder, model, profile_merge);
        }
    }
    for (at, sent) in later.iter().enumerate() {
        let number = 1_000 + at;
        let Sent::Event(kind, places) = sent else {
            continue;
        };
        let event = event(model, *kind, *places, number);
        let text = event.to_string();
        let parsed = JsonEvent::parse_text(&text).unwrap();
        let reading = truth.settings.read(&parsed.event()).unwrap();
        let is_ignored = |id: DistinctId<'_>| is_gone(DistinctId::device(id.id()));
        let names = reading.distinct_id.is_some_and(is_gone)
            || reading.claim.is_some_and(|claim| {
                claim
                    .ids()
                    .into_iter()
                    .any(|id| is_gone(id) || is_ignored(id) && id.is_device())
            });
        match &submit(&project, number, &event, true).records[0] {
            RecordAnswer::Refused(error) => {
                prop_assert!(names, "{event}");
                prop_assert_eq!(error.rule(), "erased");
            }
            _ => {
                prop_assert!(!names, "{event}");
                submit(&others, number, &event, true);
            }
        }
    }
    prop_assert_eq!(answers(&project, &ids), answers(&others, &ids));
    // Until each ID is alone, and every profile that a merge has hidden is shown again.
    for id in &ids {
        detach(&project, id);
        detach(&others, id);
    }
    prop_assert_eq!(answers(&project, &ids), answers(&others, &ids), "detached");
    let refused = update(&named.as_id().to_string(), false, 7);
    prop_assert!(!submit(&project, 5_000, &refused, false).records[0].is_stored());
    Ok(())
}

/// Nothing of the erased is left in the file, compressed or not.
fn nothing_is_left(folder: &Path, ids: &[&str]) {
    unpack(folder);
    assert_eq!(traces::traces(folder, ids), Vec::<String>::new());
}

fn any_sent() -> impl Strategy<Value = Sent> {
    prop_oneof![
        8 => (any::<u8>(), [0..4_usize, 0..4_usize]).prop_map(|(kind, ids)| Sent::Event(kind, ids)),
        2 => (0..12_usize, prop::bool::weighted(0.2)).prop_map(|(at, ignores_alias)| Sent::Profile(at, ignores_alias)),
        1 => (0..GROUPS).prop_map(Sent::Group),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn e_5_a_project_answers_as_one_that_was_given_all_other_events(
        model in prop::sample::select(&[Model::Simplified, Model::Original, Model::Legacy][..]),
        profile_merge in prop::sample::select(&ProfileMerge::ALL[..]),
        sent in prop::collection::vec(any_sent(), 1..60),
        later in prop::collection::vec(any_sent(), 0..10),
        named in 0..4_usize,
        is_user in any::<bool>(),
    ) {
        erasure_holds((model, profile_merge), &sent, &later, named, is_user)?;
    }
}

/// Two people, one of whom used the device of the other.
fn two_people(folder: &Path, model: Model) {
    let project = open(folder, model);
    let mut number = 0;
    let mut send = |event: Value| {
        number += 1;
        let mut event = event;
        event["properties"]["$insert_id"] = format!("insert-{number}").into();
        let answer = submit(&project, number, &event, true);
        assert!(answer.records[0].is_stored(), "{answer:?}");
    };
    let (ursula, viktor) = (USERS[0], USERS[1]);
    let [d1, d2] = [DEVICES[0], DEVICES[1]];
    for at in 0..200 {
        send(
            json!({"event": "View", "properties": {"$device_id": d1, "distinct_id": format!("$device:{d1}"), "at": at, "email": ursula.to_uppercase(), "list": [{"who": ursula}], "city": "Utrecht"}}),
        );
        send(
            json!({"event": "View", "properties": {"$device_id": d2, "distinct_id": format!("$device:{d2}"), "at": at, "city": "Valencia"}}),
        );
    }
    match model {
        Model::Simplified => {
            for (user, device) in [(ursula, d1), (viktor, d2), (viktor, d1)] {
                send(
                    json!({"event": "Log In", "properties": {"$device_id": device, "$user_id": user, "distinct_id": user}}),
                );
            }
        }
        _ => {
            for (user, device) in [(ursula, d1), (viktor, d2), (viktor, d1)] {
                send(
                    json!({"event": "$identify", "properties": {"distinct_id": user, "$identified_id": user, "$anon_distinct_id": device, "$device_id": device}}),
                );
            }
        }
    }
    for (user, number) in [(ursula, 0), (viktor, 2)] {
        submit(&project, number, &update(user, false, number), false);
    }
    project.close().unwrap();
}

#[test]
fn e_1_e_3_nothing_of_a_person_is_left_and_the_other_one_has_all_events() {
    for model in [Model::Simplified, Model::Original] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        two_people(folder, model);
        let before = open(folder, model);
        let events = before
            .user_events(USERS[1], None, 1_000)
            .unwrap()
            .events
            .len();
        drop(before);
        let receipt = erase_ids(folder, model, &[USERS[0]], ErasedEvents::Erased);
        assert_eq!(receipt.ids_erased, 2);
        assert_eq!(receipt.rows.events_erased, 201);
        assert_eq!(receipt.rows.events_of_others_changed, 1);
        assert_eq!(receipt.rows.profiles_erased, 1);
        assert_eq!((receipt.devices_refused, receipt.entries_rewritten), (1, 2));
        nothing_is_left(folder, &[USERS[0], DEVICES[0]]);
        let after = open(folder, model);
        let page = after.user_events(USERS[1], None, 1_000).unwrap();
        assert_eq!(page.events.len(), events);
        assert!(after.profile(USERS[1]).unwrap().is_some());
        assert!(after.profile(USERS[0]).unwrap().is_none());
        assert_eq!(after.figures().events_total, 202);
        // A second one finds nothing.
        after.close().unwrap();
        drop(after);
        let again = erase_ids(folder, model, &[USERS[0], DEVICES[0]], ErasedEvents::Erased);
        assert_eq!((again.rows.events_erased, again.entries_rewritten), (0, 0));
        assert_eq!(again.digest_before, receipt.digest_after);
    }
}

#[test]
fn e_4_anonymous_events_stay_under_no_id() {
    for model in [Model::Simplified, Model::Original] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        two_people(folder, model);
        let receipt = erase_ids(
            folder,
            model,
            &[DEVICES[0], &format!("$device:{}", DEVICES[0])],
            ErasedEvents::Anonymous,
        );
        let identity_events = u64::from(model == Model::Original);
        assert_eq!(receipt.rows.events_made_anonymous, 201 - identity_events);
        assert_eq!(receipt.rows.events_erased, identity_events);
        nothing_is_left(folder, &[USERS[0], DEVICES[0], "insert-1\""]);
        let project = open(folder, model);
        let mut views = 0;
        project
            .export(&ExportQuery::default(), &mut |event| {
                let event: Value = serde_json::from_slice(event.json).unwrap();
                let properties = event["properties"].as_object().unwrap();
                if properties.get("city").is_some_and(|city| city == "Utrecht") {
                    let mut keys: Vec<&str> = properties.keys().map(String::as_str).collect();
                    keys.sort_unstable();
                    assert_eq!(keys, ["at", "city", "distinct_id"]);
                    assert_eq!(properties["distinct_id"], "");
                    views += 1;
                }
                Ok(true)
            })
            .unwrap();
        assert_eq!(views, 200);
    }
}

/// In Simplified a device and a user can have one text, and only one of them is erased.
#[test]
fn e_5_a_user_with_the_text_of_an_erased_device_keeps_the_events() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let id = DEVICES[0];
    let project = open(folder, Model::Simplified);
    for (number, properties) in [
        json!({"$device_id": id, "distinct_id": format!("$device:{id}")}),
        json!({"distinct_id": id}),
        json!({"$user_id": id, "distinct_id": id}),
        // Of another user, who has nothing to do with it: no rule reads it there.
        json!({"$user_id": USERS[1], "distinct_id": id}),
    ]
    .into_iter()
    .enumerate()
    {
        let event = json!({"event": "View", "properties": properties});
        assert!(submit(&project, number, &event, true).records[0].is_stored());
    }
    project.close().unwrap();
    drop(project);
    let device = format!("$device:{id}");
    let receipt = erase_ids(folder, Model::Simplified, &[&device], ErasedEvents::Erased);
    assert_eq!((receipt.ids_erased, receipt.rows.events_erased), (1, 1));
    assert_eq!(receipt.rows.events_of_others_changed, 1);
    let project = open(folder, Model::Simplified);
    let numbers = |id: &str| -> Vec<_> {
        let page = project.user_events(id, None, 10).unwrap();
        page.events.iter().map(|event| event.number).collect()
    };
    assert_eq!(numbers(id), [3, 2]);
    assert_eq!(numbers(USERS[1]), [4]);
    assert_eq!(numbers(&device), [0; 0]);
}

/// The profile of an ID that was an alias of an erased one is shown again (LP-2, LE-1): no alias hides it.
#[test]
fn le_1_another_alias_has_its_own_profile_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let model = Model::Legacy;
    let (root, [first, second]) = (DEVICES[0], [USERS[0], USERS[1]]);
    let project = open(folder, model);
    for (number, id) in [(1, second), (2, root)] {
        submit(&project, number, &update(id, false, number), false);
    }
    for (number, alias) in [(3, first), (4, second)] {
        let properties = json!({"distinct_id": root, "alias": alias});
        let event = json!({"event": "$create_alias", "properties": properties});
        submit(&project, number, &event, true);
    }
    let number_of = |project: &Project| {
        let profile = project.profile(second).unwrap()?.json;
        let profile: Value = serde_json::from_str(&profile).unwrap();
        profile["number"].as_u64()
    };
    assert_eq!(number_of(&project), Some(2));
    project.close().unwrap();
    drop(project);
    let receipt = erase_ids(folder, model, &[first], ErasedEvents::Erased);
    assert_eq!((receipt.ids_erased, receipt.rows.profiles_erased), (2, 1));
    assert_eq!(number_of(&open(folder, model)), Some(1));
}
