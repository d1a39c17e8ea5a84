//! `idmerge serve` is killed under load. Clients send again what was not acknowledged, and sometimes
//! what was. Others track events with the keys of events that are imported later (AR-2).

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use idmerge_core::IdentityResolver;
use idmerge_engines::{Engine, Model, Settings};
use idmerge_events::JsonEvent;
use idmerge_store::Digest;
use serde_json::{Value, json};

use crate::run::{Folder, signal, wait};
use crate::serve::{SERVE, address, ask, started, try_ask};

/// How often the server is killed; `IDMERGE_KILLS` in the environment sets it.
fn kills() -> u64 {
    let kills = std::env::var("IDMERGE_KILLS");
    kills.map_or(8, |kills| kills.parse().unwrap())
}

const SENDERS: u64 = 3;
const BATCH_EVENTS: u64 = 12;
/// The price in an event that is not the true one.
const FORGED: i64 = -1;

/// An event of the stream. Devices have several users, so the state depends on the order, and a claim
/// that is lost or weighed twice shows.
fn event(model: Model, number: u64) -> Value {
    let device = format!("00000000-0000-4000-8000-{:012}", number % 199);
    let [user, other] = [7, 11].map(|factor| format!("u{}", number * factor % 61));
    let (name, ids) = match (model, number % 5) {
        (Model::Simplified, 0) => (
            "Login",
            json!({"distinct_id": user, "$device_id": device, "$user_id": user}),
        ),
        (Model::Simplified, _) => (
            "A",
            json!({"distinct_id": format!("$device:{device}"), "$device_id": device}),
        ),
        // Chains of aliases, and aliases that are taken.
        (Model::Legacy, 0) => (
            "$create_alias",
            json!({"distinct_id": user, "alias": device}),
        ),
        (Model::Legacy, 1) if number.is_multiple_of(3) => (
            "$create_alias",
            json!({"distinct_id": other, "alias": user}),
        ),
        (Model::Legacy, _) => ("A", json!({"distinct_id": device})),
        (_, 0) => (
            "$identify",
            json!({"distinct_id": user, "$identified_id": user, "$anon_id": device}),
        ),
        (_, 1) if number.is_multiple_of(7) => (
            "$create_alias",
            json!({"distinct_id": user, "alias": other}),
        ),
        (_, 2) if number.is_multiple_of(9) => (
            "$merge",
            json!({"distinct_id": user, "$distinct_ids": [user, other]}),
        ),
        _ => ("A", json!({"distinct_id": device})),
    };
    let mut properties = ids;
    properties["time"] = json!(1_700_000_000 + number);
    properties["$insert_id"] = json!(format!("i{number}"));
    properties["price"] = json!(number);
    json!({"event": name, "properties": properties})
}

/// An event with the key of the true one, and without a claim. `None` if there is no such event.
fn forged(model: Model, number: u64) -> Option<Value> {
    let mut event = event(model, number);
    let name = event["event"].as_str().unwrap();
    if !number.is_multiple_of(4) || name.starts_with('$') {
        return None;
    }
    let properties = event["properties"].as_object_mut().unwrap();
    for id in ["$user_id", "$device_id"] {
        properties.remove(id);
    }
    properties.insert("token".to_owned(), json!("TOK"));
    properties.insert("price".to_owned(), json!(FORGED));
    Some(event)
}

fn numbers(batch: u64) -> impl Iterator<Item = u64> {
    batch * BATCH_EVENTS..(batch + 1) * BATCH_EVENTS
}

fn post(address: &str, head: &str, events: Vec<Value>) -> io::Result<()> {
    let body = Value::Array(events).to_string();
    let answer = try_ask(
        address,
        &format!(
            "POST {head} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
             authorization: Bearer a-long-secret\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ),
    )?;
    if answer.starts_with("HTTP/1.1 200 ") {
        Ok(())
    } else {
        Err(io::Error::other(answer))
    }
}

/// Tracks the forged events of a batch, and imports the true ones.
fn send(address: &str, model: Model, batch: impl Iterator<Item = u64>) -> io::Result<()> {
    let batch: Vec<u64> = batch.collect();
    let forged: Vec<_> = batch
        .iter()
        .filter_map(|number| forged(model, *number))
        .collect();
    if !forged.is_empty() {
        post(address, "/track", forged)?;
    }
    let events = batch.iter().map(|number| event(model, *number)).collect();
    post(address, "/import?strict=1", events)
}

/// Sends the next batch of a sender until it is acknowledged, and then sometimes an earlier one again.
fn step(address: &str, model: Model, next: &AtomicU64) -> io::Result<()> {
    let batch = next.load(Ordering::SeqCst);
    send(address, model, numbers(batch))?;
    next.store(batch + SENDERS, Ordering::SeqCst);
    if batch.is_multiple_of(2) && batch >= 2 * SENDERS {
        send(address, model, numbers(batch - 2 * SENDERS))?;
    }
    Ok(())
}

/// The numbers of the stored events, in their order, with their prices.
fn stored(address: &str) -> Vec<(u64, i64)> {
    let question = "GET /api/2.0/export?from_date=2023-11-01&to_date=2024-12-31 HTTP/1.0\r\nhost: x\r\nauthorization: Bearer a-long-secret\r\n\r\n";
    let answer = ask(address, question);
    let (_, lines) = answer.split_once("\r\n\r\n").unwrap();
    let stored = lines.lines().map(|line| {
        let event: Value = serde_json::from_str(line).unwrap();
        let properties = &event["properties"];
        let insert_id = properties["$insert_id"].as_str().unwrap();
        let price = properties["price"].as_i64().unwrap();
        (insert_id[1..].parse().unwrap(), price)
    });
    stored.collect()
}

/// Checks that each acknowledged event is there once, and nothing but those and what is on its way.
fn check(stored: &[(u64, i64)], next: &[AtomicU64]) {
    let by_number: BTreeMap<u64, i64> = stored.iter().copied().collect();
    assert_eq!(by_number.len(), stored.len(), "an event is stored twice");
    let mut acknowledged = 0;
    for (next, sender) in next.iter().zip(0..) {
        let batches = (sender..next.load(Ordering::SeqCst)).step_by(3);
        for number in batches.flat_map(numbers) {
            assert_eq!(by_number.get(&number), Some(&(number as i64)), "{number}");
            acknowledged += 1;
        }
    }
    let under_way = next
        .iter()
        .flat_map(|next| numbers(next.load(Ordering::SeqCst)));
    let under_way = under_way
        .filter(|number| match by_number.get(number) {
            Some(price) => {
                assert!([*number as i64, FORGED].contains(price), "{number}");
                true
            }
            None => false,
        })
        .count();
    assert_eq!(acknowledged + under_way, stored.len());
}

/// The digest of a plain engine that was given these events in this order.
fn plain_digest(model: Model, events: &[u64]) -> String {
    let mut engine: Engine = Settings::of(model).engine();
    for number in events {
        let json = event(model, *number).to_string();
        let event = JsonEvent::parse_text(&json).unwrap();
        let claim = engine.read(&event.event()).unwrap().claim;
        if let Some(claim) = claim {
            engine.apply(claim).unwrap();
        }
    }
    Digest::of(&engine).unwrap().to_string()
}

/// The state of the store of a project.
fn digest(folder: &Folder, store: &str) -> String {
    let line: Value =
        serde_json::from_str(&folder.run(&format!("store digest {store}")).ok()).unwrap();
    line["digest"].as_str().unwrap().to_owned()
}

#[expect(clippy::print_stderr, reason = "a long run says how much it has tried")]
fn a_killed_server_is_as_one_that_was_not(model: Model) {
    let folder = Folder::new();
    let args = |data: &str| {
        let serve = SERVE.replace("--data data", &format!("--data {data}"));
        format!(
            "{serve} --engine {} --token TOK --secret a-long-secret",
            model.name()
        )
    };
    // For each sender, the next batch that is not acknowledged.
    let next: Vec<AtomicU64> = (0..SENDERS).map(AtomicU64::new).collect();
    for kill in 0..kills() {
        let (mut child, said) = started(&folder, &args("data"), 1);
        let address = address(&said);
        check(&stored(address), &next);
        thread::scope(|threads| {
            let (acknowledge, acknowledged) = mpsc::channel();
            for next in &next {
                let acknowledge = acknowledge.clone();
                threads.spawn(move || {
                    while step(address, model, next).is_ok() && acknowledge.send(()).is_ok() {}
                });
            }
            drop(acknowledge);
            // At a moment after 0 to 3 answers; with 0, the first batch may not be answered yet.
            let batches = usize::try_from(kill % 4).unwrap();
            acknowledged.iter().take(batches).for_each(drop);
            thread::sleep(Duration::from_millis(kill * 53 % 100));
            child.kill().unwrap();
        });
        child.wait().unwrap();
    }
    let (child, said) = started(&folder, &args("data"), 1);
    check(&stored(address(&said)), &next);
    // Repeat the batches that the last kill left unanswered.
    for next in &next {
        step(address(&said), model, next).unwrap();
    }
    let events = stored(address(&said));
    check(&events, &next);
    let events: Vec<u64> = events.iter().map(|(number, _)| *number).collect();
    assert!(events.len() > 100, "{}", events.len());
    signal("TERM", child.id());
    wait(child).ok();
    assert_eq!(digest(&folder, "data/TOK"), plain_digest(model, &events));

    // A server that was never killed, with the same events in the same order.
    let (child, said) = started(&folder, &args("whole"), 1);
    for events in events.chunks(50) {
        for _ in 0..2 {
            send(address(&said), model, events.iter().copied()).unwrap();
        }
    }
    signal("TERM", child.id());
    wait(child).ok();
    folder.run("store compare data/TOK whole/TOK").ok();
    assert_eq!(digest(&folder, "data/TOK"), digest(&folder, "whole/TOK"));
    eprintln!(
        "{}: {} kills, {} events",
        model.name(),
        kills(),
        events.len()
    );
}

#[test]
fn a_killed_simplified_server_is_as_one_that_was_not() {
    a_killed_server_is_as_one_that_was_not(Model::Simplified);
}

#[test]
fn a_killed_original_server_is_as_one_that_was_not() {
    a_killed_server_is_as_one_that_was_not(Model::Original);
}

#[test]
fn a_killed_legacy_server_is_as_one_that_was_not() {
    a_killed_server_is_as_one_that_was_not(Model::Legacy);
}
