//! Senders and readers as a product has them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::Result;
use crate::client::Client;
use crate::meter::{Kind, Meter};

/// How many devices and users there are. They are few, and a device has few users, so that the memory for
/// identities and distinct claims stays the same after a while.
const DEVICES: u64 = 6_000;
const USERS: u64 = 2_000;
const USERS_OF_DEVICE: u64 = 2;
/// The time of the first event, in seconds. Events are a second apart.
const FIRST_TIME: u64 = 1_700_000_000;

/// What a sender sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// One event per request, without a credential, as a browser.
    Track,
    /// 200 events per request, with the secret.
    Import,
    /// Updates of profiles, without a credential.
    Engage,
}

/// A thread that numbers its events from 0 and sends each until it is acknowledged.
pub(crate) struct Sender {
    pub(crate) token: &'static str,
    pub(crate) name: &'static str,
    way: Way,
    acknowledged: AtomicU64,
}

impl Sender {
    /// The senders of a project.
    pub(crate) fn of(token: &'static str) -> [Self; 4] {
        let ways = [
            ("t0", Way::Track),
            ("t1", Way::Track),
            ("im", Way::Import),
            ("pr", Way::Engage),
        ];
        ways.map(|(name, way)| Self {
            token,
            name,
            way,
            acknowledged: AtomicU64::new(0),
        })
    }

    /// How many events the server has acknowledged: those with a lower number.
    pub(crate) fn acknowledged(&self) -> u64 {
        match self.way {
            Way::Engage => 0,
            _ => self.acknowledged.load(Ordering::SeqCst),
        }
    }

    /// Sends until it is over.
    pub(crate) fn run(&self, address: &str, is_over: &AtomicBool, meter: &Meter) -> Result<()> {
        let client = Client::new(address, self.token);
        while !is_over.load(Ordering::SeqCst) {
            let next = self.acknowledged.load(Ordering::SeqCst);
            match self.way {
                Way::Track => self.track(&client, next, meter)?,
                Way::Import => self.import(&client, next, meter)?,
                Way::Engage => self.engage(&client, next, meter)?,
            }
        }
        Ok(())
    }

    fn track(&self, client: &Client, next: u64, meter: &Meter) -> Result<()> {
        let body = event(self, next).to_string();
        meter.took(Kind::Track, client.post("/track", false, &body)?);
        self.acknowledged.store(next + 1, Ordering::SeqCst);
        // A client that did not get the answer sends the event again.
        if next.is_multiple_of(10) {
            client.post("/track", false, &event(self, next / 2).to_string())?;
        }
        thread::sleep(Duration::from_millis(20));
        Ok(())
    }

    fn import(&self, client: &Client, next: u64, meter: &Meter) -> Result<()> {
        const EVENTS: u64 = 200;
        // Somebody who knows the token tracks some of these events before the true ones come.
        let numbers = (next..next + EVENTS).step_by(50);
        let numbers = numbers.filter(|number| !is_login(*number));
        let wrong: Vec<_> = numbers.map(|number| forged(self, number)).collect();
        client.post("/track", false, &Value::Array(wrong).to_string())?;
        let batch = |first: u64| {
            let events = (first..first + EVENTS).map(|number| event(self, number));
            Value::Array(events.collect()).to_string()
        };
        meter.took(
            Kind::Import,
            client.post("/import?strict=1", true, &batch(next))?,
        );
        self.acknowledged.store(next + EVENTS, Ordering::SeqCst);
        if (next / EVENTS).is_multiple_of(5) {
            let earlier = next / 2 / EVENTS * EVENTS;
            client.post("/import?strict=1", true, &batch(earlier))?;
        }
        thread::sleep(Duration::from_millis(150));
        Ok(())
    }

    fn engage(&self, client: &Client, next: u64, meter: &Meter) -> Result<()> {
        let update = |number: u64| {
            let id = user(mixed(number) % USERS);
            let operation = match number % 4 {
                0 => json!({"$set": {"plan": "free 🍔", "seen": number}}),
                1 => json!({"$add": {"visits": 1}}),
                2 => json!({"$union": {"tags": [format!("tag {}", number % 7)]}}),
                _ => json!({"$set_once": {"first": number}}),
            };
            let mut update = operation;
            update["$token"] = json!(self.token);
            update["$distinct_id"] = json!(id);
            update
        };
        let updates: Vec<_> = (next..next + 20).map(update).collect();
        let body = Value::Array(updates).to_string();
        meter.took(Kind::Engage, client.post("/engage", false, &body)?);
        self.acknowledged.store(next + 20, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(100));
        Ok(())
    }
}

/// Asks the questions of a page and of a service that follows the changes.
pub(crate) fn read(
    address: &str,
    token: &'static str,
    is_over: &AtomicBool,
    meter: &Meter,
) -> Result<()> {
    let client = Client::new(address, token);
    let mut round = 0;
    // Beyond the end of the log a page of changes is refused, so each page begins at `next` of the one before.
    let mut since = 0;
    while !is_over.load(Ordering::SeqCst) {
        let id = user(mixed(round) % USERS);
        for path in [
            format!("/v1/ids/{id}"),
            format!("/v1/ids/{id}?explain=true"),
            format!("/v1/users/{id}/events?limit=100"),
            format!("/v1/changes?since={since}&limit=100"),
            "/api/query/engage".to_owned(),
        ] {
            match client.get(&path) {
                Ok((200, text, took)) => {
                    meter.took(Kind::Read, took);
                    if path.starts_with("/v1/changes") {
                        let page: Value = serde_json::from_str(&text)?;
                        since = page["next"].as_u64().unwrap_or(since);
                    }
                }
                Ok((429 | 503, _, _)) => meter.busy(),
                Ok((status, text, _)) => return Err(format!("{path}: {status} {text}").into()),
                // The reader may have been one of many; what counts is that it is served again.
                Err(_) => meter.busy(),
            }
        }
        round += 1;
        thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// A number that is spread evenly.
fn mixed(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 17
}

fn user(number: u64) -> String {
    format!("user-{number}@shop.example")
}

fn device(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

fn is_login(number: u64) -> bool {
    number.is_multiple_of(9)
}

/// An event of a sender. It is the same each time.
fn event(sender: &Sender, number: u64) -> Value {
    let device_number = mixed(number) % DEVICES;
    let device = device(device_number);
    let user = user((device_number + mixed(number * 31) % USERS_OF_DEVICE) % USERS);
    let (name, mut properties) = match (sender.token, is_login(number)) {
        ("soak-simplified", true) => (
            "Log In",
            json!({"$device_id": device, "$user_id": user, "distinct_id": user}),
        ),
        ("soak-simplified", false) => (
            "Read Post 🍔",
            json!({"$device_id": device, "distinct_id": format!("$device:{device}")}),
        ),
        ("soak-legacy", true) => (
            "$create_alias",
            json!({"distinct_id": device, "alias": user}),
        ),
        (_, true) => (
            "$identify",
            json!({"distinct_id": user, "$identified_id": user, "$anon_id": device}),
        ),
        (_, false) => ("Read Post 🍔", json!({"distinct_id": device})),
    };
    properties["token"] = json!(sender.token);
    properties["time"] = json!(FIRST_TIME + number);
    properties["$insert_id"] = json!(format!("{}-{number}", sender.name));
    properties["price"] = json!(number);
    properties["title"] = json!("Déjà vu, and other tales of the catalogue");
    json!({"event": name, "properties": properties})
}

/// An event with the key of a true one and another price.
fn forged(sender: &Sender, number: u64) -> Value {
    let mut event = event(sender, number);
    event["properties"]["price"] = json!(-1);
    event
}
