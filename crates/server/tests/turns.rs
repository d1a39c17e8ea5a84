//! Anybody can ask for much work with few bytes, without a secret. Others are answered meanwhile.
//!
//! A program of its own, because it measures how long a client waits.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and these measure how long a client waits"
)]

mod support;

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use idmerge_engines::Model;
use support::{Running, SECRET, gzip};

const JSON: &str = "application/json";

/// So long may a client wait at most, in a build without optimisation on a busy machine. It waited for
/// minutes when each update took work for the whole profile.
const PATIENCE: Duration = Duration::from_secs(25);

fn engage(server: &Running, updates: &str) -> (u16, String) {
    let headers = [("content-type", JSON), ("content-encoding", "gzip")];
    let answer = server.send("POST", "/engage?verbose=1", &headers, &gzip(updates));
    (answer.status, answer.body)
}

/// Gives a user a profile of 3.8 MB with 16 lists of numbers.
fn create_large(server: &Running, id: &str) {
    for part in 0..4 {
        let mut updates = String::from("[");
        for list in 0..4 {
            let values: Vec<String> = (0..34_000)
                .map(|value| (100_000 + value).to_string())
                .collect();
            let comma = if list == 0 { "" } else { "," };
            let values = values.join(",");
            write!(
                updates,
                r#"{comma}{{"$token":"TOK","$distinct_id":"{id}","$set":{{"l{}":[{values}]}}}}"#,
                4 * part + list,
            )
            .unwrap();
        }
        updates.push(']');
        assert_eq!(engage(server, &updates).1, r#"{"error":null,"status":1}"#);
    }
}

/// 2,000 updates.
fn attack(ids: &[&str], operation: impl Fn(usize) -> String) -> String {
    let updates: Vec<String> = (0..2_000)
        .map(|at| {
            let id = ids[at % ids.len()];
            format!(
                r#"{{"$token":"TOK","$distinct_id":"{id}",{}}}"#,
                operation(at)
            )
        })
        .collect();
    format!("[{}]", updates.join(","))
}

/// The longest time that a client of `/track` and one of `/engage` wait for an answer while the attack
/// runs.
fn longest_wait(server: &Running, attack: impl FnOnce() + Send) -> Duration {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            attack();
            is_over.store(true, Ordering::Release);
        });
        let mut longest = Duration::ZERO;
        while !is_over.load(Ordering::Acquire) {
            let event = r#"{"event":"A","properties":{"token":"TOK","distinct_id":"V"}}"#;
            let update = r#"{"$token":"TOK","$distinct_id":"V","$add":{"n":1}}"#;
            for (path, body) in [("/track", event), ("/engage", update)] {
                let started = Instant::now();
                assert_eq!(server.post(path, JSON, body).body, "1");
                longest = longest.max(started.elapsed());
            }
        }
        longest
    })
}

#[test]
fn others_do_not_wait_for_thousands_of_updates_of_a_large_profile() {
    let server = Running::of(Model::Original);
    create_large(&server, "U");
    let attacks = [
        attack(&["U"], |_| r#""$add":{"n":1}"#.to_owned()),
        attack(&["U"], |at| {
            format!(r#""$union":{{"l{}":[100000,133999]}}"#, at % 2)
        }),
        attack(&["U"], |at| format!(r#""$remove":{{"l{}":1}}"#, at % 2)),
        attack(&["U"], |at| {
            format!(r#""$unset":["p{at}"],"$append":{{"l1":{at}}}"#)
        }),
    ];
    assert!(gzip(&attacks[0]).len() < 500);
    for attack in &attacks {
        let longest = longest_wait(&server, || {
            std::thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| assert_eq!(engage(&server, attack).0, 200));
                }
            });
        });
        assert!(longest < PATIENCE, "{longest:?} for {}", &attack[..80]);
    }
    let secret = format!("Bearer {SECRET} of TOK");
    let user = server.get("/v1/users/U/profile", &[("authorization", &secret)]);
    assert!(user.body.contains(r#""n":6000"#), "{}", &user.body[..100]);
}

#[test]
fn others_do_not_wait_for_many_large_profiles_or_for_their_merges() {
    let server = Running::of(Model::Original);
    let ids = ["U0", "U1", "U2"];
    for id in ids {
        create_large(&server, id);
    }
    let updates = attack(&ids, |_| r#""$add":{"n":1}"#.to_owned());
    let longest = longest_wait(&server, || assert_eq!(engage(&server, &updates).0, 200));
    assert!(longest < PATIENCE, "{longest:?}");

    // Each claim moves or hides a profile.
    let mut events = Vec::new();
    for round in 0..50 {
        for (at, id) in ids.iter().enumerate() {
            let anon = format!("5c7f0e7c-6a52-4b26-9fb8-{round:06}{at:06}");
            events.push(format!(
                r#"{{"event":"$create_alias","properties":{{"token":"TOK","distinct_id":"{id}","alias":"{anon}"}}}}"#
            ));
            events.push(format!(
                r#"{{"event":"$identify","properties":{{"token":"TOK","distinct_id":"N{at}-{round}","$anon_distinct_id":"{anon}"}}}}"#
            ));
        }
    }
    let events = format!("[{}]", events.join(","));
    let longest = longest_wait(&server, || {
        assert_eq!(server.post("/track", JSON, &events).body, "1");
    });
    assert!(longest < PATIENCE, "{longest:?}");
}
