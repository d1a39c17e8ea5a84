//! The size of a parsed update, against the allocator: a queue of updates has no other bound.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use idmerge_profiles::{Limits, Update};

fn update(operations: &str) -> String {
    format!(r#"{{"$token":"TOK","$distinct_id":"U",{operations}}}"#)
}

fn joined(count: usize, each: impl Fn(usize) -> String) -> String {
    (0..count).map(each).collect::<Vec<_>>().join(",")
}

fn shapes() -> Vec<String> {
    let numbers = joined(5_000, |at| at.to_string());
    let names = |count| joined(count, |at| format!(r#""{at:x}":2"#));
    let mut shapes = vec![
        update(r#""$add":{"n":1}"#),
        update(r#""$delete":"""#),
        update(&format!(r#""$set":{{"list":[{numbers}]}}"#)),
        update(&format!(
            r#""$union":{{"list":["{}"]}}"#,
            "x".repeat(20_000)
        )),
        update(&format!(
            r#""$unset":[{}]"#,
            joined(3_000, |at| format!(r#""{at:x}""#))
        )),
        update(&format!(
            r#""$append":{{"a":[{}]}}"#,
            joined(999, |_| "[1]".to_owned())
        )),
        update(&format!(
            r#""$append":{{"a":[{}]}}"#,
            joined(999, |_| r#"{"a":1}"#.to_owned())
        )),
        update(&format!(
            r#""$unset":[{}],"$set":{{{}}},"$set_once":{{{}}}"#,
            joined(300, |at| format!(r#""{at:x}""#)),
            names(300),
            names(300)
        )),
    ];
    for count in [1, 3, 4, 7, 8, 13, 14, 15, 28, 29, 57, 1_000] {
        shapes.push(update(&format!(r#""$set":{{{}}}"#, names(count))));
        shapes.push(update(&format!(r#""$set":{{"a":{{{}}}}}"#, names(count))));
    }
    shapes
}

#[test]
fn the_memory_of_an_update_is_what_the_allocator_gave() {
    for json in shapes() {
        let mut updates = Vec::new();
        let measured = allocation_counter::measure(|| {
            for at in 0..9 {
                let update = Update::parse(&json, &Limits::DOCUMENTED).unwrap();
                updates.push((at, update));
            }
        });
        let taken = usize::try_from(measured.bytes_current).unwrap();
        let blocks = usize::try_from(measured.count_current).unwrap();
        let counted: usize = updates
            .iter()
            .map(|(_, update)| update.memory_bytes())
            .sum();
        let start = &json[..json.len().min(70)];
        assert!(counted >= taken, "{counted} of {taken} bytes for {start}");
        let most = 5 * (taken + 16 * blocks) / 2;
        assert!(counted <= most, "{counted} of {taken} bytes for {start}");
    }
}

#[test]
fn every_name_and_value_counts_as_a_member() {
    for (operations, members) in [
        (r#""$delete":"""#, 1),
        (r#""$set":{"a":1,"b":"x"}"#, 3),
        (r#""$unset":["a","b"],"$add":{"c":1}"#, 5),
        (r#""$append":{"a":[1,[2,3],{"b":4}]}"#, 8),
    ] {
        let update = Update::parse(&update(operations), &Limits::DOCUMENTED).unwrap();
        assert_eq!(update.members(), members, "{operations}");
    }
}
