//! Inputs of many blocks, read by several threads: the output is in order.

use std::fmt::Write;

use crate::run::{Folder, event, text_of};

/// Enough lines for several blocks.
const LINES: usize = 20_000;

#[test]
fn w_4_each_rejection_is_noted_on_its_own_event() {
    // A third of the lines joins an ID to itself, and a third is refused.
    let mut lines = String::new();
    for n in 0..LINES {
        let line = match n % 3 {
            0 => format!(
                r#"{{"event":"$merge","properties":{{"$distinct_ids":["same-{n}","same-{n}"]}}}}"#
            ),
            1 => format!(r#"{{"event":"{n}","properties":7}}"#),
            _ => format!(r#"{{"event":"{n}","properties":{{"$user_id":"user-{n}"}}}}"#),
        };
        writeln!(lines, "{line}").unwrap();
    }
    let folder = Folder::with(&[("in", &lines)]);
    let args = "resolve in -q --engine original --refused refused";
    let resolved = folder.run(args).ok();

    let expected = (0..LINES).filter(|n| n % 3 != 1);
    assert_eq!(resolved.lines().count(), expected.clone().count());
    for (n, line) in expected.zip(resolved.lines()) {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        let description = &event["properties"]["$failure_description"];
        if n % 3 == 0 {
            assert_eq!(*description, format!("both IDs are \"same-{n}\""));
        } else {
            assert_eq!(event["event"], format!("{n}"));
            assert!(description.is_null());
        }
    }
    let refused = folder.read("refused");
    let expected = (0..LINES).filter(|n| n % 3 == 1);
    assert_eq!(refused.lines().count(), expected.clone().count());
    for (n, record) in expected.zip(refused.lines()) {
        let start = format!("{{\"line\":{},\"file\":\"in\",", n + 1);
        assert!(record.starts_with(&start), "{record}");
    }
}

#[test]
fn s_5_claims_are_applied_in_the_order_of_lines() {
    // Two users claim each device, in neighbouring lines or far apart; the first user gets it.
    let login = |device: usize, user: &str| {
        format!(
            "{{\"event\":\"L\",\"properties\":{{\"$device_id\":\"d{device}\",\"$user_id\":\"{user}{device}\"}}}}\n"
        )
    };
    let firsts = (0..LINES).map(|device| login(device, "first"));
    let seconds = (0..LINES).map(|device| login(device, "second"));
    let near = firsts.clone().zip(seconds.clone());
    let near: String = near.map(|(first, second)| first + &second).collect();
    let far: String = firsts.chain(seconds).collect();
    for lines in [near, far] {
        let folder = Folder::with(&[("in", &lines)]);
        let clusters = folder.run("clusters in -q --engine simplified").ok();
        assert_eq!(clusters.lines().count(), LINES);
        for (device, cluster) in (0..LINES).zip(clusters.lines()) {
            assert_eq!(text_of(cluster, "canonical"), format!("first{device}"));
        }
    }
}

#[test]
fn lines_longer_than_a_block_stay_in_order() {
    let long = |name: &str| {
        event(name).replace(
            "\"\"}",
            &format!("\"\",\"a\":\"{}\"}}", "x".repeat(700_000)),
        )
    };
    let lines = [
        event("1"),
        long("2"),
        event("3"),
        long("4"),
        long("5"),
        event("6"),
    ]
    .concat();
    let folder = Folder::with(&[("in", &lines)]);
    for engine in ["simplified", "original"] {
        let out = folder.run(&format!("resolve in -q --engine {engine}")).ok();
        assert!(out == lines);
    }
    // With a lower limit the long lines are refused, in order.
    let args = "resolve in -q --engine original --max-line-bytes 600000 --refused refused";
    assert!(folder.run(args).ok() == [event("1"), event("3"), event("6")].concat());
    let refused = folder.read("refused");
    let numbers: Vec<_> = refused.lines().map(|line| &line[..9]).collect();
    assert_eq!(numbers, ["{\"line\":2", "{\"line\":4", "{\"line\":5"]);
}

#[test]
fn the_first_of_several_errors_is_reported() {
    let folder = Folder::new();
    let good = crate::run::gzip(event("a").repeat(LINES));
    folder.write("cut", &good[..good.len() - 1]);
    folder.write("good", &good);
    for _ in 0..5 {
        let done = folder.run("resolve good cut cut -q --engine simplified -o out");
        let says = format!("idmerge: cannot read cut after line {LINES}: its gzip data");
        done.code(1).says(&says);
    }
    assert_eq!(folder.names(), ["cut", "good"]);
}
