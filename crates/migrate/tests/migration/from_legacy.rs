//! A migration from a project without ID Merge. The independent models of Legacy and of the targets say
//! what is right.

use std::collections::BTreeSet;

use idmerge_conformance::EngineSettings;
use idmerge_conformance::oracle::{LegacyOracle, OriginalOracle, SimplifiedOracle};
use idmerge_core::{IdentityResolver, IdentityResolverExt, Resolve};
use idmerge_engines::{Model, Overrides, Settings};
use idmerge_events::JsonEvent;
use idmerge_migrate::Options;
use proptest::prelude::*;

use crate::model;
use crate::run::{Migrated, NOW_MS, migrate};
use crate::streams::lines;

const D1: &str = "d1d1d1d1-0000-4000-8000-000000000001";
const D2: &str = "d2d2d2d2-0000-4000-8000-000000000002";
const U2: &str = "00000002-0000-4000-8000-00000000000a";

fn options(target: Model) -> Options {
    Options::new(Settings::of(Model::Legacy), Settings::of(target), NOW_MS)
}

/// Events with times and insert IDs; `D1`, `D2` and `U2` are UUIDs.
fn stream(events: &[(&str, &str)]) -> Vec<String> {
    let line = |(at, (name, properties)): (u32, &(&str, &str))| {
        let text = format!(
            r#"{{"event":"{name}","properties":{{{properties},"time":{},"$insert_id":"i{at}"}}}}"#,
            1_700_000_000 + at
        );
        text.replace("D1", D1).replace("D2", D2).replace("U2", U2)
    };
    (0..).zip(events).map(line).collect()
}

fn to_simplified(lines: &[String]) -> Vec<Option<String>> {
    let migrated = migrate(options(Model::Simplified), lines);
    migrated.users(&mut *Settings::of(Model::Simplified).engine())
}

const VIEW_D1: (&str, &str) = ("View", r#""distinct_id":"D1""#);
const VIEW_D2: (&str, &str) = ("View", r#""distinct_id":"D2""#);
const VIEW_ADA: (&str, &str) = ("View", r#""distinct_id":"ada""#);
const ALIAS: (&str, &str) = ("$create_alias", r#""distinct_id":"D1","alias":"ada""#);
const IDENTIFY_D2: (&str, &str) = (
    "$identify",
    r#""$identified_id":"ada","$anon_id":"D2","distinct_id":"ada""#,
);

fn ada() -> Option<String> {
    Some("ada".to_owned())
}

#[test]
fn m_19_the_past_moves_and_the_report_says_how_much() {
    // The event of ada before her alias was under her own ID, and the events under D1 stay under D1.
    let lines = stream(&[VIEW_ADA, VIEW_D1, ALIAS, VIEW_ADA, VIEW_ADA]);
    let migrated = migrate(options(Model::Simplified), &lines);
    let engine = &mut *Settings::of(Model::Simplified).engine();
    assert_eq!(migrated.users(engine), vec![ada(); 4]);
    assert_eq!(migrated.report["users"]["before"], 2);
    assert_eq!(migrated.report["users"]["after"], 1);
    assert_eq!(migrated.report["events"]["moved"], 1);
    assert_eq!(migrated.report["from"], "legacy");
    assert_eq!(migrated.kinds(), [""; 0]);
}

#[test]
fn m_19_a_project_with_id_merge_moves_nothing() {
    let lines = stream(&[VIEW_ADA, VIEW_D1]);
    let migrated = migrate(crate::run::options(), &lines);
    assert_eq!(migrated.report["events"].get("moved"), None);
}

#[test]
fn m_5_the_second_device_stays_apart_unless_its_login_counts() {
    let lines = stream(&[VIEW_D1, ALIAS, VIEW_D2, IDENTIFY_D2, VIEW_ADA]);
    let device = Some(format!("$device:{D2}"));
    assert_eq!(to_simplified(&lines), [ada(), device, ada()]);
    let beyond = migrate(options(Model::Simplified).beyond_limits(), &lines);
    let engine = &mut *Settings::of(Model::Simplified).engine();
    assert_eq!(beyond.users(engine), [ada(), ada(), ada()]);
    // What was before does not depend on what counts now.
    assert_eq!(beyond.report["users"]["before"], 2);
    assert_eq!(beyond.report["events"]["moved"], 0);
}

#[test]
fn m_7_an_alias_and_an_identified_id_are_users_whatever_their_form() {
    let lines = stream(&[
        VIEW_D1,
        ("$create_alias", r#""distinct_id":"D1","alias":"U2""#),
        ("View", r#""distinct_id":"U2""#),
    ]);
    let user = Some(U2.to_owned());
    assert_eq!(to_simplified(&lines), [user.clone(), user.clone()]);
    let lines = stream(&[
        ("$identify", r#""$identified_id":"U2","$anon_id":"D1""#),
        ("View", r#""distinct_id":"U2""#),
    ]);
    assert_eq!(to_simplified(&lines), [user]);
}

#[test]
fn m_9_a_chain_of_aliases_is_a_conflict() {
    let lines = stream(&[
        ALIAS,
        ("$create_alias", r#""distinct_id":"ada","alias":"countess""#),
        ("View", r#""distinct_id":"countess""#),
        ("$create_alias", r#""distinct_id":"D2","alias":"ada""#),
    ]);
    let migrated = migrate(options(Model::Simplified), &lines);
    assert_eq!(migrated.kinds(), ["two_users", "refused_alias"]);
    migrated.check_cases();
}

#[test]
fn m_19_an_event_of_an_undecided_case_does_not_move() {
    // Two people signed up on one device: the second one's first event stays his.
    let bob = ("$create_alias", r#""distinct_id":"D1","alias":"bob""#);
    let lines = stream(&[ALIAS, ("View", r#""distinct_id":"bob""#), bob, VIEW_ADA]);
    let migrated = migrate(options(Model::Simplified), &lines);
    assert_eq!(migrated.kinds(), ["two_users"]);
    assert_eq!(migrated.report["events"]["moved"], 0);
    // Original joins all three IDs.
    let migrated = migrate(options(Model::Original), &lines);
    assert_eq!(migrated.report["events"]["moved"], 1);
}

#[test]
fn m_5_an_alias_over_the_limit_of_original_is_reported() {
    let overrides = Overrides {
        max_cluster_ids: Some(2),
        ..Overrides::default()
    };
    let target = Settings::new(Model::Original, &overrides).unwrap();
    let options = Options::new(Settings::of(Model::Legacy), target, NOW_MS);
    let second = r#""distinct_id":"D1","alias":"countess""#;
    let lines = stream(&[ALIAS, ("$create_alias", second), VIEW_D1]);
    let migrated = migrate(options, &lines);
    assert_eq!(migrated.kinds(), ["over_cap"]);
    let first = &migrated.conflicts[0];
    assert_eq!(first["evidence"][0]["line"], 2);
    assert_eq!(migrated.report["claims"]["rejected"], 1);
}

#[test]
fn m_23_the_head_of_a_cluster_is_one_of_its_members() {
    // Legacy takes the last alias, so that D1 stands for ada there. Original turns it down (O-9).
    let lines = stream(&[
        ("$create_alias", r#""distinct_id":"D1","alias":"session""#),
        ("$create_alias", r#""distinct_id":"session","alias":"D1""#),
        ("$create_alias", r#""distinct_id":"ada","alias":"D1""#),
        VIEW_D1,
    ]);
    let migrated = migrate(options(Model::Original), &lines);
    assert_eq!(migrated.links.len(), 1);
    assert!(!migrated.links[0].contains("ada"), "{}", migrated.links[0]);
    assert_eq!(migrated.kinds(), ["refused_alias"]);
}

/// The answers of the independent model of Legacy: where each event was put, and where it would be now.
fn before(lines: &[String]) -> Vec<[Option<String>; 2]> {
    let mut oracle = LegacyOracle::new(EngineSettings::default());
    let mut put = Vec::new();
    for line in lines {
        let event = JsonEvent::parse_text(line).unwrap();
        let own = oracle.apply_event(&event.event()).unwrap().0.distinct_id;
        let root = own.map(|own| oracle.resolve(own).to_string());
        if !event.event().is_identity_event() {
            put.push((own.map(|own| own.to_string()), root));
        }
    }
    let now = |own: &String| oracle.resolve(oracle.read_id(own).unwrap()).to_string();
    put.into_iter()
        .map(|(own, root)| [root, own.as_ref().map(now)])
        .collect()
}

/// The person of an ID in a project of this model that has taken the output.
fn person(migrated: &Migrated, engine: &dyn IdentityResolver, target: Model, id: &str) -> String {
    let own = |text: &str| engine.resolve(engine.read_id(text).unwrap()).to_string();
    if target == Model::Original {
        return own(id);
    }
    let device = format!("$device:{id}");
    let user = format!(r#""$user_id":{id:?}"#);
    let is_user = || {
        let mut lines = migrated.links.iter().chain(&migrated.events);
        lines.any(|line| line.contains(&user))
    };
    match own(&device) {
        person if person == device && is_user() => id.to_owned(),
        person => person,
    }
}

fn check_before(migrated: &Migrated, lines: &[String], target: Model) {
    let before = before(lines);
    let mut engine = Settings::of(target).engine();
    let _users = migrated.users(&mut *engine);
    let joins = |ids: &[Option<String>; 2]| {
        let persons = ids.each_ref().map(|id| {
            let id = id.as_ref()?;
            Some(person(migrated, &*engine, target, id))
        });
        persons[0] == persons[1]
    };
    let users: BTreeSet<_> = before.iter().filter_map(|[root, _]| root.clone()).collect();
    let moved = before
        .iter()
        .filter(|ids| ids[0] != ids[1] && joins(ids))
        .count();
    assert_eq!(migrated.report["users"]["before"], users.len());
    assert_eq!(migrated.report["events"]["moved"], moved);
}

/// Lines that Legacy takes: it refuses fewer than Original.
fn taken(lines: &[String]) -> Vec<String> {
    let source = Settings::of(Model::Legacy);
    let is_taken = |line: &&String| {
        let event = JsonEvent::parse_text(line).unwrap();
        source.read(&event.event()).is_ok()
    };
    lines.iter().filter(is_taken).cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn m_20_simplified_finds_the_persons_of_the_model(lines in lines()) {
        let lines = taken(&lines);
        let migrated = migrate(options(Model::Simplified), &lines);
        let mut legacy = LegacyOracle::new(EngineSettings::default());
        let wanted = model::persons_of(&mut legacy, &lines);
        let mut oracle = SimplifiedOracle::new(EngineSettings::default());
        prop_assert_eq!(migrated.users(&mut oracle), wanted);
        check_before(&migrated, &lines, Model::Simplified);
        migrated.check_cases();
        prop_assert_eq!(&migrate(options(Model::Simplified), &lines), &migrated);
        let beyond = migrate(options(Model::Simplified).beyond_limits(), &lines);
        check_before(&beyond, &lines, Model::Simplified);
        beyond.check_cases();
    }

    #[test]
    fn m_23_original_finds_the_clusters_of_all_claims(lines in lines()) {
        let mut lines = taken(&lines);
        // M-6 joins the IDs of such a line, which are no claim.
        lines.retain(|line| !(line.contains("$user_id") && line.contains("\"$device_id")));
        let migrated = migrate(options(Model::Original), &lines);
        check_before(&migrated, &lines, Model::Original);
        migrated.check_cases();
        // The whole stream, folded by the rules of Original.
        let mut oracle = OriginalOracle::new(EngineSettings::default());
        let mut own = Vec::new();
        for line in &lines {
            let event = JsonEvent::parse_text(line).unwrap();
            let event = event.event();
            let _refused = oracle.apply_event(&event);
            if !event.is_identity_event() {
                own.push(oracle.read(&event).unwrap().distinct_id.map(|own| own.to_string()));
            }
        }
        let users = migrated.users(&mut *Settings::of(Model::Original).engine());
        let wanted: Vec<_> = own
            .iter()
            .map(|own| own.as_ref().map(|own| oracle.resolve(oracle.read_id(own).unwrap()).to_string()))
            .collect();
        // The names of clusters may differ, their members may not.
        prop_assert_eq!(partition(&users), partition(&wanted));
        let wanted: BTreeSet<_> = wanted.into_iter().flatten().collect();
        prop_assert_eq!(migrated.report["users"]["after"].as_u64(), Some(wanted.len() as u64));
    }
}

/// The place of the first event of the same user.
fn partition(users: &[Option<String>]) -> Vec<Option<usize>> {
    let first = |user: &String| users.iter().position(|it| it.as_ref() == Some(user));
    users
        .iter()
        .map(|user| user.as_ref().and_then(first))
        .collect()
}
