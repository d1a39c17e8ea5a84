//! The visitors of a small shop, for somebody who watches: they have names, devices and places, and never end.

mod cast;
mod visit;

use std::collections::VecDeque;

use serde_json::{Value, json};

use self::cast::{Hardware, PLACES, SHARED_TABLET, full_name};
use self::visit::{Step, Visit};
use crate::rng::Rng;

/// The most people that the shop has. After that they only come back.
const MAX_PEOPLE: usize = 400;

/// How many visitors are in the shop at a time.
const VISITORS: usize = 4;

/// How many visits there were before the demonstration begins, and in how many milliseconds.
const PAST_VISITS: i64 = 160;
const PAST_MS: i64 = 7 * 24 * 3_600_000;

/// How the events of a project say who somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DemoModel {
    /// Simplified ID Merge: an event has the device and the user.
    Simplified,
    /// Original ID Merge: `$identify`.
    Original,
    /// Legacy: `$create_alias` at the first login of a user.
    Legacy,
}

/// What a program of a visitor sends to a server.
#[derive(Clone, Debug, PartialEq)]
pub struct DemoMessage {
    /// `/track` or `/engage`.
    pub path: &'static str,
    /// An event, or an update of a profile.
    pub json: Value,
}

/// Endless traffic: people on several devices who log in, and a tablet that they share.
///
/// It has no clock: the caller says what time it is. The same seed and times give the same messages.
///
/// ```
/// use idmerge_workloads::{Demo, DemoModel};
///
/// let mut demo = Demo::new(DemoModel::Simplified, "TOKEN", 42);
/// let past = demo.past(1_700_000_000_000);
/// assert!(past.iter().all(|message| message.path == "/track" || message.path == "/engage"));
/// let messages = demo.next(1_700_000_000_333);
/// assert_eq!(messages[0].json["event"], "Page View");
/// ```
#[derive(Debug)]
pub struct Demo {
    model: DemoModel,
    token: String,
    rng: Rng,
    people: Vec<Person>,
    devices: Vec<Device>,
    visits: Vec<Visit>,
    /// Visits that are planned, before those that are made up.
    planned: VecDeque<Visit>,
    sent: u64,
    is_past: bool,
}

#[derive(Debug)]
struct Person {
    devices: Vec<usize>,
    has_signed_up: bool,
    place: usize,
}

#[derive(Debug)]
struct Device {
    id: String,
    hardware: &'static Hardware,
    /// Who is logged in on it.
    user: Option<usize>,
}

impl Demo {
    /// The traffic of a project with this token.
    pub fn new(model: DemoModel, token: impl Into<String>, seed: u64) -> Self {
        let mut demo = Self {
            model,
            token: token.into(),
            rng: Rng::new(seed),
            people: Vec::new(),
            devices: Vec::new(),
            visits: Vec::new(),
            planned: VecDeque::new(),
            sent: 0,
            is_past: false,
        };
        let tablet = demo.device(&SHARED_TABLET);
        debug_assert_eq!(tablet, SHARED);
        // The first person is on two devices, one after the other.
        let mara = demo.person();
        let laptop = demo.people[mara].devices[0];
        let phone = demo.device(&cast::PHONE);
        demo.devices[laptop].hardware = &cast::LAPTOP;
        demo.people[mara].devices.push(phone);
        let [first, second] = visit::of_the_first_person(mara, laptop, phone);
        demo.planned = VecDeque::from([first, second]);
        demo
    }

    /// What was sent in the week before the demonstration begins, in the order of time.
    pub fn past(&mut self, now_ms: i64) -> Vec<DemoMessage> {
        self.is_past = true;
        let mut messages = Vec::new();
        for number in 0..PAST_VISITS {
            let mut time_ms = now_ms - PAST_MS + number * (PAST_MS / PAST_VISITS);
            let mut visit = self.visit();
            while let Some(step) = visit.steps.pop_front() {
                messages.extend(self.take(&visit, step, time_ms));
                time_ms += 4_000 + i64::try_from(self.rng.below(40_000)).unwrap_or_default();
            }
            self.leave(&visit);
        }
        self.is_past = false;
        messages
    }

    /// What is sent next: an event, and around a login several messages.
    pub fn next(&mut self, now_ms: i64) -> Vec<DemoMessage> {
        while self.visits.len() < VISITORS {
            let planned = match self.visits.iter().any(|visit| visit.is_planned) {
                true => None,
                false => self.planned.pop_front(),
            };
            let visit = planned.unwrap_or_else(|| self.visit());
            self.visits.push(visit);
        }
        // A planned visit gets every second turn, so that it is over soon.
        let planned = self.visits.iter().position(|visit| visit.is_planned);
        let at = match planned {
            Some(at) if self.sent.is_multiple_of(2) => at,
            _ => self.rng.index(self.visits.len()),
        };
        let mut visit = self.visits.swap_remove(at);
        let messages = match visit.steps.pop_front() {
            Some(step) => self.take(&visit, step, now_ms),
            None => Vec::new(),
        };
        match visit.steps.is_empty() {
            true => self.leave(&visit),
            false => self.visits.push(visit),
        }
        messages
    }

    fn device(&mut self, hardware: &'static Hardware) -> usize {
        let [high, low] = [self.rng.bits(), self.rng.bits()];
        let id = format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            (low >> 48) & 0x3fff | 0x8000,
            low & 0xffff_ffff_ffff
        );
        self.devices.push(Device {
            id,
            hardware,
            user: None,
        });
        self.devices.len() - 1
    }

    fn person(&mut self) -> usize {
        let hardware = &cast::HARDWARE[self.rng.index(cast::HARDWARE.len())];
        let device = self.device(hardware);
        self.people.push(Person {
            devices: vec![device],
            has_signed_up: false,
            place: self.people.len() % PLACES.len(),
        });
        self.people.len() - 1
    }

    /// Somebody comes: for the first time, again, or to the tablet in the shop.
    fn visit(&mut self) -> Visit {
        let is_new =
            self.people.len() < 4 || (self.people.len() < MAX_PEOPLE && self.rng.percent(45));
        // The first person has a story of her own before she comes back as the others.
        let first = usize::from(!self.planned.is_empty());
        let person = match is_new {
            true => self.person(),
            false => first + self.rng.index(self.people.len() - first),
        };
        let is_shared = !is_new && self.rng.percent(8);
        let devices = self.people[person].devices.len();
        let device = if is_shared {
            SHARED
        } else if !is_new && devices < 4 && self.rng.percent(30) {
            let hardware = &cast::HARDWARE[self.rng.index(cast::HARDWARE.len())];
            let device = self.device(hardware);
            self.people[person].devices.push(device);
            device
        } else {
            self.people[person].devices[self.rng.index(devices)]
        };
        let is_known = self.devices[device].user.is_some();
        let logs_in = is_shared || self.rng.percent(if is_new { 40 } else { 75 });
        Visit::new(&mut self.rng, person, device, is_known, logs_in)
    }

    fn leave(&mut self, visit: &Visit) {
        // Who has used the shared tablet logs out, but nobody calls `reset()`: it keeps its device ID.
        if visit.device == SHARED {
            self.devices[SHARED].user = None;
        }
    }

    /// The messages of a step.
    fn take(&mut self, visit: &Visit, step: Step, time_ms: i64) -> Vec<DemoMessage> {
        match step {
            Step::LogIn => self.log_in(visit, time_ms),
            Step::Page(page) => {
                vec![self.event(visit, "Page View", json!({"page": page}), time_ms)]
            }
            Step::Item(item) => vec![self.item_event(visit, "View Item", item, time_ms)],
            Step::Cart(item) => vec![self.item_event(visit, "Add to Cart", item, time_ms)],
            Step::Purchase(item) => vec![self.item_event(visit, "Purchase", item, time_ms)],
        }
    }

    fn item_event(&mut self, visit: &Visit, name: &str, item: usize, time_ms: i64) -> DemoMessage {
        let (item, amount) = cast::ITEMS[item];
        self.event(
            visit,
            name,
            json!({"item": item, "amount": amount}),
            time_ms,
        )
    }

    fn log_in(&mut self, visit: &Visit, time_ms: i64) -> Vec<DemoMessage> {
        let user = email(visit.person);
        let device_id = self.devices[visit.device].id.clone();
        let is_first = !self.people[visit.person].has_signed_up;
        self.people[visit.person].has_signed_up = true;
        let mut messages = Vec::new();
        if self.model == DemoModel::Legacy && is_first {
            let alias = json!({"distinct_id": device_id, "alias": user});
            messages.push(self.event(visit, "$create_alias", alias, time_ms));
        }
        self.devices[visit.device].user = Some(visit.person);
        // Simplified reads an imported `$identify` as an error, and needs none.
        let has_identify = match self.model {
            DemoModel::Simplified => !self.is_past,
            DemoModel::Original => true,
            DemoModel::Legacy => false,
        };
        if has_identify {
            let ids = json!({"$identified_id": user, "$anon_id": device_id});
            messages.push(self.event(visit, "$identify", ids, time_ms));
        }
        let name = if is_first { "Sign Up" } else { "Log In" };
        messages.push(self.event(visit, name, json!({}), time_ms));
        if is_first {
            let (city, country) = PLACES[self.people[visit.person].place];
            let json = json!({"$token": self.token, "$distinct_id": user, "$set": {
                "$name": full_name(visit.person), "$email": user, "$city": city, "$country_code": country}});
            let path = "/engage";
            messages.push(DemoMessage { path, json });
        }
        messages
    }

    fn event(&mut self, visit: &Visit, name: &str, own: Value, time_ms: i64) -> DemoMessage {
        self.sent += 1;
        let insert_id = format!("{:016x}", self.rng.bits() ^ self.sent);
        let device = &self.devices[visit.device];
        let (city, country) = PLACES[self.people[visit.person].place];
        let mut properties = json!({"token": self.token, "time": time_ms, "$insert_id": insert_id,
            "$device_id": device.id, "$city": city, "mp_country_code": country});
        match device.user {
            Some(user) => {
                properties["distinct_id"] = json!(email(user));
                properties["$user_id"] = json!(email(user));
            }
            None => properties["distinct_id"] = json!(format!("$device:{}", device.id)),
        }
        for (key, value) in device.hardware.properties {
            properties[*key] = json!(value);
        }
        if let Value::Object(own) = own {
            for (key, value) in own {
                properties[key] = value;
            }
        }
        DemoMessage {
            path: "/track",
            json: json!({"event": name, "properties": properties}),
        }
    }
}

/// The tablet in the shop.
const SHARED: usize = 0;

/// The ID of a user.
fn email(person: usize) -> String {
    let name = full_name(person).to_lowercase();
    format!("{}@example.com", name.replace(' ', "."))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn text<'v>(message: &'v DemoMessage, key: &str) -> Option<&'v str> {
        message.json["properties"][key].as_str()
    }

    #[test]
    fn the_first_person_is_on_two_devices_within_half_a_minute() {
        for model in [
            DemoModel::Simplified,
            DemoModel::Original,
            DemoModel::Legacy,
        ] {
            let mut demo = Demo::new(model, "T", 7);
            demo.past(1_700_000_000_000);
            let mut devices = BTreeSet::new();
            for at in 0..90 {
                for message in demo.next(1_700_000_000_000 + at * 333) {
                    if text(&message, "$user_id") == Some("mara.quill@example.com") {
                        devices.insert(text(&message, "$device_id").unwrap().to_owned());
                    }
                }
            }
            assert_eq!(devices.len(), 2, "{model:?}");
        }
    }

    #[test]
    fn there_are_people_on_several_devices_and_devices_of_several_people() {
        let mut demo = Demo::new(DemoModel::Simplified, "T", 1);
        let mut messages = demo.past(1_700_000_000_000);
        for at in 0..20_000 {
            messages.extend(demo.next(1_700_000_000_000 + at * 333));
        }
        let (mut of_user, mut of_device) = (BTreeMap::new(), BTreeMap::new());
        let mut insert_ids = BTreeSet::new();
        for message in messages.iter().filter(|message| message.path == "/track") {
            assert!(
                insert_ids.insert(text(message, "$insert_id").unwrap()),
                "{message:?}"
            );
            let device = text(message, "$device_id").unwrap();
            if let Some(user) = text(message, "$user_id") {
                of_user
                    .entry(user)
                    .or_insert_with(BTreeSet::new)
                    .insert(device);
                of_device
                    .entry(device)
                    .or_insert_with(BTreeSet::new)
                    .insert(user);
            }
        }
        assert!(of_user.values().filter(|devices| devices.len() > 1).count() > 50);
        let shared: Vec<_> = of_device.values().filter(|users| users.len() > 1).collect();
        assert_eq!(shared.len(), 1);
        // It does not grow for ever.
        assert!(demo.people.len() <= MAX_PEOPLE && demo.devices.len() <= 4 * MAX_PEOPLE + 1);
        let names: BTreeSet<_> = (0..MAX_PEOPLE).map(email).collect();
        assert_eq!(names.len(), MAX_PEOPLE);
    }

    #[test]
    fn the_same_seed_gives_the_same_messages() {
        let run = |seed| {
            let mut demo = Demo::new(DemoModel::Original, "T", seed);
            let mut messages = demo.past(5);
            messages.extend((0..100).flat_map(|at| demo.next(at)));
            messages
        };
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
    }
}
