//! People whose events are known: what was sent is the truth about lists of users.

use std::collections::{BTreeMap, BTreeSet};

use idmerge_engines::Model;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::{Answer, Running, SECRET};

/// The time of the first event, in seconds since 1970. Each event is a second later.
pub(crate) const START: i64 = 1_700_000_000;

/// An event that was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) json: Value,
    /// The ID under which it is stored.
    pub(crate) own: String,
    pub(crate) person: usize,
}

/// Somebody with one or several devices.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) user: String,
    /// As SDKs send them in `$device_id`.
    pub(crate) devices: Vec<String>,
    /// Whether somebody logs in.
    pub(crate) logs_in: bool,
}

/// What was sent to a project of one model, in order.
pub(crate) struct Traffic {
    pub(crate) model: Model,
    pub(crate) people: Vec<Person>,
    pub(crate) sent: Vec<Sent>,
}

fn uuid(number: usize) -> String {
    format!("{number:08x}-0000-4000-8000-000000000000")
}

/// IDs as nobody expects them.
fn odd(number: usize) -> String {
    match number % 5 {
        0 => format!("user {number}/a b?c#d%2F"),
        1 => format!("😀-{number}"),
        2 => format!("{number}{}", "x".repeat(255 - number.to_string().len())),
        3 => format!("Zoë+{number}@example.com"),
        _ => format!("{number}"),
    }
}

impl Traffic {
    /// Events of this many people, in an order that mixes them.
    pub(crate) fn new(model: Model, people: usize, events: usize) -> Self {
        let people: Vec<_> = (0..people)
            .map(|at| Person {
                user: odd(at),
                devices: (0..if model == Model::Legacy {
                    1
                } else {
                    1 + at % 3
                })
                    .map(|device| match (model, at % 2) {
                        (Model::Simplified, 0) => format!("d{device}/{}", odd(at + 1))
                            .chars()
                            .take(200)
                            .collect(),
                        _ => uuid(at * 10 + device),
                    })
                    .collect(),
                logs_in: at % 4 != 3,
            })
            .collect();
        let mut traffic = Self {
            model,
            people,
            sent: Vec::new(),
        };
        for person in 0..traffic.people.len() {
            for device in 0..traffic.people[person].devices.len() {
                traffic.view(person, device);
                if traffic.people[person].logs_in {
                    traffic.log_in(person, device);
                }
                // A device of nobody is one person.
                if !traffic.people[person].logs_in {
                    break;
                }
            }
        }
        let mut state = 1_u64;
        while traffic.sent.len() < events {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let person = usize::try_from(state >> 33).unwrap() % traffic.people.len();
            // Somebody who has logged out is still known by the device.
            match traffic.people[person].logs_in && !(state >> 20).is_multiple_of(3) {
                true => traffic.known(person, 0),
                false => traffic.view(person, 0),
            }
        }
        traffic
    }

    fn push(&mut self, name: &str, own: String, person: usize, mut properties: Value) {
        let number = self.sent.len();
        properties["time"] = json!(START + i64::try_from(number).unwrap());
        properties["$insert_id"] = json!(format!("i{number}"));
        properties["$browser"] = json!("Chrome");
        properties["$os"] = json!("Mac OS X");
        let json = json!({"event": name, "properties": properties});
        self.sent.push(Sent { json, own, person });
    }

    /// The ID of a device as answers have it.
    pub(crate) fn device_id(&self, person: usize, device: usize) -> String {
        let device = &self.people[person].devices[device];
        match self.model {
            Model::Simplified => format!("$device:{device}"),
            _ => device.clone(),
        }
    }

    /// The ID under which the user's events are counted.
    pub(crate) fn canonical(&self, person: usize) -> String {
        match (self.people[person].logs_in, self.model) {
            // The root is the ID that was there first (L-12).
            (true, Model::Simplified | Model::Original) => self.people[person].user.clone(),
            _ => self.device_id(person, 0),
        }
    }

    /// An event before anybody is known.
    pub(crate) fn view(&mut self, person: usize, device: usize) {
        let id = self.people[person].devices[device].clone();
        let own = self.device_id(person, device);
        let properties = json!({"distinct_id": format!("$device:{id}"), "$device_id": id});
        self.push("Page View", own, person, properties);
    }

    /// An event of a known user.
    pub(crate) fn known(&mut self, person: usize, device: usize) {
        let Person { user, devices, .. } = &self.people[person];
        let properties =
            json!({"distinct_id": user, "$device_id": devices[device], "$user_id": user});
        let own = match self.model {
            // L-3: attributed to the root.
            Model::Legacy => self.device_id(person, 0),
            _ => user.clone(),
        };
        self.push("Purchase", own, person, properties);
    }

    /// The user becomes known on a device.
    pub(crate) fn log_in(&mut self, person: usize, device: usize) {
        let Person { user, devices, .. } = &self.people[person];
        let (user, device_id) = (user.clone(), devices[device].clone());
        match self.model {
            Model::Simplified => self.known(person, device),
            Model::Original => {
                let properties = json!({"distinct_id": user, "$device_id": device_id, "$user_id": user,
                    "$identified_id": user, "$anon_id": device_id});
                self.push("$identify", user, person, properties);
            }
            _ => {
                let own = self.device_id(person, 0);
                let properties = json!({"distinct_id": device_id, "alias": user});
                self.push("$create_alias", own, person, properties);
            }
        }
    }

    /// Sends what was not sent yet.
    pub(crate) fn send(&self, server: &Running, from: usize) {
        let secret = format!("Bearer {SECRET} of TOK");
        let headers = [
            ("authorization", &*secret),
            ("content-type", "application/json"),
        ];
        for events in self.sent[from..].chunks(500) {
            let events: Vec<_> = events.iter().map(|sent| &sent.json).collect();
            let body = serde_json::to_vec(&events).unwrap();
            let answer = server.send("POST", "/import?strict=0", &headers, &body);
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }

    /// The people by their last event among the first `until`, the newest first.
    pub(crate) fn newest_first(&self, until: usize) -> Vec<usize> {
        let mut last = BTreeMap::new();
        for (at, sent) in self.sent[..until].iter().enumerate() {
            last.insert(sent.person, at);
        }
        let mut people: Vec<_> = last.into_iter().map(|(person, at)| (at, person)).collect();
        people.sort_unstable();
        people.into_iter().rev().map(|(_, person)| person).collect()
    }

    /// The places of the events of a person.
    pub(crate) fn events_of(&self, person: usize) -> Vec<usize> {
        let sent = self.sent.iter().enumerate();
        let own = sent.filter(|(_, sent)| sent.person == person);
        own.map(|(at, _)| at).collect()
    }

    /// The IDs of a person.
    pub(crate) fn ids_of(&self, person: usize) -> BTreeSet<String> {
        let Person {
            user,
            devices,
            logs_in,
        } = &self.people[person];
        let mut ids = BTreeSet::from([self.device_id(person, 0)]);
        if *logs_in {
            ids.extend((0..devices.len()).map(|device| self.device_id(person, device)));
            ids.insert(user.clone());
        }
        ids
    }
}

/// The time of the event at a place, in milliseconds.
pub(crate) fn time_ms(at: usize) -> i64 {
    (START + i64::try_from(at).unwrap()) * 1_000
}

pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Asks with the secret.
pub(crate) fn ask(server: &Running, path: &str) -> Answer {
    let secret = format!("Bearer {SECRET} of TOK");
    server.get(path, &[("authorization", &secret)])
}

/// The answer to a query that succeeds.
#[track_caller]
pub(crate) fn read(server: &Running, path: &str) -> Value {
    let answer = ask(server, path);
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

/// The elements `list` of all pages after a cursor. `between` is called after each page.
pub(crate) fn pages(
    server: &Running,
    path: &str,
    list: &str,
    between: &mut dyn FnMut(&Value),
) -> Vec<Value> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let page = read(server, &format!("{path}{after}"));
        all.extend(page[list].as_array().unwrap().iter().cloned());
        between(&page);
        let Some(next) = page["next"].as_str() else {
            return all;
        };
        after = format!("&after={}", encoded(next));
    }
}
