//! The scenarios that a third party measured on a live Original project of the vendor.

use idmerge_migrate::SourceRules;
use serde_json::{Value, json};

use crate::run::{Migrated, migrate, options};

/// The lines of each scenario, with a time and an insert ID.
fn scenarios() -> Vec<Vec<String>> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../conformance/vectors/live.toml"
    );
    let vectors: toml::Value = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases = vectors["case"].as_array().unwrap();
    let of_original = cases
        .iter()
        .filter(|case| case["rule_book"].as_str() == Some("original"));
    let scenarios: Vec<Vec<String>> = of_original
        .map(|case| {
            let steps = case["steps"].as_array().unwrap();
            (0..).zip(steps).map(|(at, step)| line(at, step)).collect()
        })
        .collect();
    assert_eq!(scenarios.len(), 15);
    scenarios
}

fn line(at: u64, step: &toml::Value) -> String {
    let mut event: Value = match step.get("event") {
        Some(event) => serde_json::from_str(event.as_str().unwrap()).unwrap(),
        None => {
            let ids = step["claim"]["identify"].as_array().unwrap();
            let [user, anon] = [&ids[0], &ids[1]].map(|id| id.as_str().unwrap());
            json!({"event": "$identify", "properties": {"$identified_id": user, "$anon_id": anon}})
        }
    };
    let properties = event["properties"].as_object_mut().unwrap();
    properties
        .entry("time")
        .or_insert_with(|| json!(1_700_000_000 + at));
    properties.insert("$insert_id".to_owned(), json!(format!("line-{at}")));
    event.to_string()
}

fn migrated(rules: SourceRules) -> Vec<Migrated> {
    let options = idmerge_migrate::Options {
        source_rules: rules,
        // Some events of the scenarios are nine days later.
        now_ms: 1_800_000_000_000,
        ..options()
    };
    let scenarios = scenarios().into_iter();
    scenarios
        .map(|lines| migrate(options.clone(), &lines))
        .collect()
}

#[test]
fn m_5_the_live_scenarios_beyond_limits() {
    let migrated = migrated(SourceRules::BeyondLimits);
    let users: Vec<usize> = migrated.iter().map(Migrated::count_users).collect();
    assert_eq!(users, [1, 1, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1]);
    for (at, migrated) in migrated.iter().enumerate() {
        let kinds: &[&str] = match at + 1 {
            4 => &["anonymous"],
            6 | 12 => &["two_users"],
            _ => &[],
        };
        assert_eq!(migrated.kinds(), kinds, "scenario {}", at + 1);
        migrated.check_cases();
        assert_eq!(migrated.refused, []);
    }
}

#[test]
fn m_5_the_live_scenarios_as_they_were() {
    let migrated = migrated(SourceRules::AsWas);
    let users: Vec<usize> = migrated.iter().map(Migrated::count_users).collect();
    // 500 members are the user and 499 devices; 11 devices stay apart.
    assert_eq!(users, [1, 1, 1, 2, 1, 2, 12, 2, 1, 1, 1, 2, 1, 1, 1]);
    assert_eq!(migrated[6].kinds(), ["over_cap"]);
    assert_eq!(migrated[7].kinds(), ["non_uuid"]);
    for migrated in &migrated {
        migrated.check_cases();
    }
}
