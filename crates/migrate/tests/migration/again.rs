//! A second migration, with more days (M-22).

use crate::run::{Beside, Migrated, migrate, migrate_with, options};

const D1: &str = "d1d1d1d1-0000-4000-8000-000000000001";
const D2: &str = "d2d2d2d2-0000-4000-8000-000000000002";

fn line(at: u64, name: &str, properties: &str) -> String {
    let text = format!(
        r#"{{"event":"{name}","properties":{{{properties},"time":{},"$insert_id":"i-{at}"}}}}"#,
        1_700_000_000 + at
    );
    text.replace("D1", D1).replace("D2", D2)
}

fn monday() -> Vec<String> {
    vec![
        line(1, "View", r#""distinct_id":"D1""#),
        line(2, "View", r#""distinct_id":"D2""#),
        line(3, "$identify", r#""$identified_id":"ada","$anon_id":"D1""#),
        line(4, "View", r#""distinct_id":"ada""#),
    ]
}

fn again(earlier: &Migrated, lines: &[String]) -> Migrated {
    let earlier = Some(earlier);
    let beside = Beside {
        earlier,
        ..Beside::default()
    };
    migrate_with(options(), lines, beside)
}

#[test]
fn m_22_the_same_input_gives_the_same_bytes() {
    let first = migrate(options(), &monday());
    assert_eq!(again(&first, &monday()), first);
}

#[test]
fn m_22_more_days_add_to_what_is_there() {
    let first = migrate(options(), &monday());
    let mut lines = monday();
    lines.push(line(
        5,
        "$identify",
        r#""$identified_id":"bob","$anon_id":"D2""#,
    ));
    lines.push(line(
        6,
        "Buy",
        r#""distinct_id":"ada","$user_id":"ada","$device_id":"D1""#,
    ));
    let second = again(&first, &lines);
    assert_eq!(second.events[..3], first.events);
    assert_eq!(second.links[..1], first.links);
    // The event carries ada's link now, and the earlier one stays.
    assert_eq!(second.links.len(), 2);
    assert!(second.links[1].contains(r#""$user_id":"bob""#));
    assert_eq!(second.kinds(), [""; 0]);
}

#[test]
fn m_22_a_device_keeps_its_first_user() {
    // Of the days before, only these were migrated: D1 is bob's.
    let earlier = [
        line(
            1,
            "View",
            r#""distinct_id":"bob","$user_id":"bob","$device_id":"D1""#,
        ),
        line(2, "View", r#""distinct_id":"D2""#),
    ];
    let first = migrate(options(), &earlier);
    let mut lines = monday();
    lines.extend(earlier);
    lines.push(line(7, "View", r#""distinct_id":"D2","$user_id":"D2""#));
    let second = again(&first, &lines);
    // D1 would be ada's by the claim, and D2 would be a user.
    let rows = format!("distinct_id,resolved_distinct_id\n$device:{D1},bob\n");
    assert_eq!(second.mapping, rows);
    let changed = second
        .conflicts
        .iter()
        .filter(|case| case["kind"] == "changed");
    let ids: Vec<_> = changed
        .map(|case| case["ids"][0].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 2);
    assert!(ids.contains(&D1) && ids.contains(&D2));
    second.check_cases();
    assert!(
        second
            .events
            .last()
            .unwrap()
            .contains(r#""$device_id":"d2d2d2d2"#)
    );
}

#[test]
fn m_12_a_device_whose_event_is_gone_gets_a_link() {
    let both = r#""distinct_id":"ada","$user_id":"ada","$device_id":"D1""#;
    let first = migrate(options(), &[line(1, "Buy", both)]);
    assert_eq!(first.links, [""; 0]);
    // The first day is missing, so no event that is written links the device.
    let second = again(&first, &[line(2, "View", r#""distinct_id":"D1""#)]);
    assert_eq!(second.links.len(), 1);
    let pair = format!(r#""$device_id":"{D1}","$user_id":"ada""#);
    assert!(second.links[0].contains(&pair), "{}", second.links[0]);
    let rows = format!("distinct_id,resolved_distinct_id\n$device:{D1},ada\n");
    assert_eq!(second.mapping, rows);
}
