//! `idmerge serve` is killed while it erases people: all is erased or nothing, the deletion goes on after a restart, and
//! nothing that others were acknowledged is lost or doubled (E-5, E-6).

use std::collections::BTreeMap;
use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::run::{Folder, signal, wait};
use crate::serve::{address, started, try_ask};

#[path = "../../../store/tests/support/traces.rs"]
mod traces;

/// How often the server is killed; `IDMERGE_KILLS` in the environment sets it.
fn kills() -> u32 {
    let kills = std::env::var("IDMERGE_KILLS");
    kills.map_or(8, |kills| kills.parse().unwrap())
}

/// How many events each person has who is erased.
const EVENTS: u64 = 40;
/// The numbers of the events of others begin here.
const OTHERS: u64 = 1_000_000;
/// How long a test waits for what takes a second at most.
const PATIENCE: Duration = Duration::from_secs(120);

fn config(delay_s: u32) -> String {
    format!(
        "listen = \"127.0.0.1:0\"\nerasure_delay_s = {delay_s}\n[[project]]\ntoken = \"shop\"\n\
         engine = \"simplified\"\nsecret = \"secret-of-shop\"\n"
    )
}

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(folder: &Folder, config: &str) -> Self {
        let args = format!("serve --data data --config {config} --log-format off");
        let (child, said) = started(folder, &args, 1);
        Self {
            address: address(&said).to_owned(),
            child,
        }
    }

    /// Stops it, or kills it.
    fn end(mut self, kills: bool) {
        if kills {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        } else {
            signal("TERM", self.child.id());
            wait(self.child).ok();
        }
    }
}

/// The body of a response with this status. `None` if there is another one, or none.
fn ask(address: &str, head: &str, body: &str, status: u32) -> Option<String> {
    let length = body.len();
    let request = format!(
        "{head} HTTP/1.0\r\nhost: x\r\nauthorization: Bearer secret-of-shop\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let answer = try_ask(address, &request).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let is_right = head.lines().next()?.contains(&format!(" {status} "));
    is_right.then(|| body.to_owned())
}

fn event(user: &str, device: &str, number: u64) -> Value {
    json!({"event": "Log In", "properties": {
        "$user_id": user, "$device_id": device, "distinct_id": user, "time": 1_700_000_000,
        "$insert_id": format!("i{number}"), "number": number, "padding": "x".repeat(100),
    }})
}

fn import(address: &str, events: &[Value]) -> bool {
    let body = Value::from(events.to_vec()).to_string();
    ask(address, "POST /import?strict=1", &body, 200).is_some()
}

fn user(person: u32) -> String {
    format!("person-number-{person}@example.com")
}

fn device(person: u32) -> String {
    format!("{person:08x}-0000-4000-8000-0000deadbeef")
}

/// The numbers of the stored events, with how often each is stored.
fn stored(address: &str) -> BTreeMap<u64, usize> {
    let mut stored = BTreeMap::new();
    let head = "GET /api/2.0/export?from_date=2023-11-01&to_date=2024-12-31";
    for line in ask(address, head, "", 200).unwrap().lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let number = event["properties"]["number"].as_u64().unwrap();
        *stored.entry(number).or_default() += 1;
    }
    stored
}

fn status(address: &str, task: &str) -> Option<String> {
    let head = format!("GET /api/app/data-deletions/v3.0/{task}?token=shop");
    let answer: Value = serde_json::from_str(&ask(address, &head, "", 200)?).unwrap();
    Some(answer["results"]["status"].as_str().unwrap().to_owned())
}

fn delete(address: &str, person: u32) -> String {
    let body = json!({"distinct_ids": [user(person)]}).to_string();
    let head = "POST /api/app/data-deletions/v3.0/?token=shop";
    let answer: Value = serde_json::from_str(&ask(address, head, &body, 201).unwrap()).unwrap();
    answer["results"]["task_id"].as_str().unwrap().to_owned()
}

fn wait_for_success(address: &str, task: &str) {
    let started = Instant::now();
    while status(address, task).as_deref() != Some("SUCCESS") {
        assert!(started.elapsed() < PATIENCE, "the deletion ends");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Sends events of others until it is told to stop. Returns those that were acknowledged, and the last one, which may be
/// stored without.
fn send(address: &str, next: &AtomicU64, is_over: &AtomicBool) -> Vec<u64> {
    let mut acknowledged = Vec::new();
    while !is_over.load(Ordering::SeqCst) {
        let number = next.load(Ordering::SeqCst);
        let other = format!("other-{}", number % 7);
        if import(address, &[event(&other, &format!("{other}'s"), number)]) {
            acknowledged.push(number);
            next.store(number + 1, Ordering::SeqCst);
        }
    }
    acknowledged
}

/// Ends the senders, also if the test fails.
struct Ends<'e>(&'e AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn e_6_a_server_that_is_killed_has_erased_all_or_nothing_and_goes_on() {
    let folder = Folder::with(&[("now.toml", &config(0)), ("later.toml", &config(86_400))]);
    let server = Server::start(&folder, "now.toml");
    let people = kills() + 1;
    for person in 0..people {
        let numbers = u64::from(person) * EVENTS..u64::from(person + 1) * EVENTS;
        let events: Vec<_> = numbers
            .map(|number| event(&user(person), &device(person), number))
            .collect();
        assert!(import(&server.address, &events));
    }
    let many: Vec<_> = (0..2_000)
        .map(|number| event(&format!("other-{}", number % 7), "d", OTHERS + number))
        .collect();
    assert!(import(&server.address, &many));
    // How long it takes.
    let begun = Instant::now();
    let task = delete(&server.address, kills());
    wait_for_success(&server.address, &task);
    let takes = begun.elapsed();
    server.end(false);

    let next = AtomicU64::new(OTHERS + 2_000);
    let mut wanted: Vec<u64> = (OTHERS..OTHERS + 2_000).collect();
    let (mut all, mut nothing) = (0, 0);
    for kill in 0..kills() {
        let server = Server::start(&folder, "now.toml");
        let is_over = AtomicBool::new(false);
        let address = server.address.clone();
        let task = thread::scope(|scope| {
            let sender = scope.spawn(|| send(&address, &next, &is_over));
            let ends = Ends(&is_over);
            let task = delete(&address, kill);
            // The last ones come after the erasure.
            thread::sleep(takes * kill / kills() * 5 / 4);
            server.end(true);
            drop(ends);
            wanted.extend(sender.join().unwrap());
            task
        });
        // What is on the disk, before the deletion goes on.
        let server = Server::start(&folder, "later.toml");
        let found = stored(&server.address);
        let of_person = u64::from(kill) * EVENTS..u64::from(kill + 1) * EVENTS;
        let left = found.range(of_person).count() as u64;
        let status_after = status(&server.address, &task).unwrap();
        let is_erased = status_after == "SUCCESS";
        let is_whole = (left, &*status_after) == (EVENTS, "PENDING");
        assert!(
            is_whole || (is_erased && left == 0),
            "{kill}: {left} {status_after}"
        );
        *if is_erased { &mut all } else { &mut nothing } += 1;
        server.end(false);

        let server = Server::start(&folder, "now.toml");
        wait_for_success(&server.address, &task);
        let found = stored(&server.address);
        assert!(found.values().all(|times| *times == 1), "{kill}: {found:?}");
        // The event that was sent when the server was killed is there or not. It is sent again.
        let unsure = next.load(Ordering::SeqCst);
        let others: Vec<_> = found.into_keys().filter(|it| *it >= OTHERS).collect();
        let sure: Vec<_> = others.iter().copied().filter(|it| *it != unsure).collect();
        assert_eq!(sure, wanted, "{kill}");
        server.end(false);
        let (user, device) = (user(kill), device(kill));
        let found = traces::traces(&folder.path("data/shop"), &[&user, &device]);
        assert_eq!(found, [""; 0], "{kill}");
    }
    eprintln!("{} kills: {all} had erased all, {nothing} nothing", kills());
    assert!(nothing > 0);
}
