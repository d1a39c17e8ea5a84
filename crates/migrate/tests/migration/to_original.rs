//! A migration to Original (M-23).

use idmerge_core::{IdentityResolverExt, Resolve};
use idmerge_engines::{Model, Overrides, Settings};
use idmerge_events::JsonEvent;
use idmerge_migrate::Options;

use crate::run::{NOW_MS, migrate};

const D1: &str = "d1d1d1d1-0000-4000-8000-000000000001";
const D2: &str = "d2d2d2d2-0000-4000-8000-000000000002";

fn line(name: &str, properties: &str) -> String {
    let text = format!(
        r#"{{"event":"{name}","properties":{{{properties},"time":1700000000,"$insert_id":"i"}}}}"#
    );
    text.replace("D1", D1).replace("D2", D2)
}

fn options(max_cluster_ids: u32) -> Options {
    let overrides = Overrides {
        max_cluster_ids: Some(max_cluster_ids),
        ..Overrides::default()
    };
    let source = Settings::of(Model::Original);
    let target = Settings::new(Model::Original, &overrides).unwrap();
    Options::new(source, target, NOW_MS)
}

fn lines() -> [String; 5] {
    [
        line("$identify", r#""$identified_id":"ada","$anon_id":"D1""#),
        line("$create_alias", r#""distinct_id":"ada","alias":"old""#),
        line("$merge", r#""$distinct_ids":["D2","ada"]"#),
        line("View", r#""distinct_id":"$device:D1","$device_id":"D1""#),
        line("View", r#""distinct_id":"eve","$device_id":"D2""#),
    ]
}

#[test]
fn m_23_a_claim_for_each_member_but_the_head() {
    let migrated = migrate(options(500), &lines());
    let claims: Vec<&str> = migrated
        .links
        .iter()
        .map(|link| link.split(r#","distinct_id""#).next().unwrap())
        .collect();
    assert_eq!(
        claims,
        [
            format!(
                r#"{{"event":"$identify","properties":{{"$identified_id":"ada","$anon_id":"{D1}""#
            ),
            r#"{"event":"$merge","properties":{"$distinct_ids":["ada","old"]"#.to_owned(),
            format!(
                r#"{{"event":"$identify","properties":{{"$identified_id":"ada","$anon_id":"{D2}""#
            ),
        ]
    );
    // Events keep their own distinct_id, which O-1 reads without the prefix.
    assert!(migrated.events[0].contains(&format!(r#""distinct_id":"{D1}""#)));
    assert!(migrated.events[1].contains(r#""distinct_id":"eve""#));
    let mut engine = Settings::of(Model::Original).engine();
    for line in &migrated.links {
        let event = JsonEvent::parse_text(line).unwrap();
        engine.apply_event(&event.event()).unwrap();
    }
    for id in [D1, D2, "old"] {
        assert_eq!(engine.resolve(engine.read_id(id).unwrap()), "ada");
    }
    assert_eq!(engine.cluster_len(engine.read_id("eve").unwrap()), 0);
    assert_eq!(migrated.kinds(), [""; 0]);
}

#[test]
fn m_23_a_cluster_over_the_limit_is_reported() {
    let migrated = migrate(options(3), &lines());
    assert_eq!(migrated.kinds(), ["over_cap"]);
    migrated.check_cases();
}
