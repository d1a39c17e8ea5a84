//! A script: the events that show one mistake.

use std::collections::VecDeque;

use super::mistake::Mistake;
use crate::actor::World;
use crate::wire::EventLine;

/// The events of a mistake, in order, and what they show.
#[derive(Debug, Default)]
pub(crate) struct Script {
    events: VecDeque<Planned>,
    pub(crate) mistakes: Vec<Mistake>,
}

/// An event without its time and `$insert_id`.
#[derive(Debug)]
struct Planned {
    name: String,
    /// The identity properties, as the inside of a JSON object, with a comma at the end.
    ids: String,
    /// How long before its arrival it happened.
    late_ms: u64,
}

/// The models that weigh identity events, those that weigh `$user_id` and `$device_id`, and both.
pub(crate) const ORIGINAL: &[&str] = &["original"];
pub(crate) const SIMPLIFIED: &[&str] = &["simplified"];
pub(crate) const BOTH: &[&str] = &["simplified", "original"];

/// The members of a JSON object. No text needs an escape.
pub(crate) fn members(members: &[(&str, &str)]) -> String {
    let member = |(key, text): &(&str, &str)| format!("\"{key}\":\"{text}\",");
    members.iter().map(member).collect()
}

impl Script {
    pub(crate) fn shows(&mut self, mistake: &str, ids: &[&str], models: &[&str]) {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        self.mistakes.push(Mistake {
            mistake: mistake.to_owned(),
            ids: owned(ids),
            models: owned(models),
        });
    }

    pub(crate) fn event(&mut self, name: &str, ids: String) {
        self.late_event(name, ids, 0);
    }

    pub(crate) fn late_event(&mut self, name: &str, ids: String, late_ms: u64) {
        self.events.push_back(Planned {
            name: name.to_owned(),
            ids,
            late_ms,
        });
    }

    /// An event of a browser before a login.
    pub(crate) fn visit(&mut self, device: &str) {
        let distinct_id = format!("$device:{device}");
        let ids = members(&[("distinct_id", &distinct_id), ("$device_id", device)]);
        self.event("Page View", ids);
    }

    /// An event of a browser after a login.
    pub(crate) fn browse(&mut self, device: &str, user: &str) {
        self.event("Search", logged_in(device, user));
    }

    /// What a browser sends at a login: `$identify` with the distinct_id before it, and an event with both IDs.
    pub(crate) fn login(&mut self, device: &str, user: &str, before: &str) {
        self.late_login(device, user, before, 0);
    }

    pub(crate) fn late_login(&mut self, device: &str, user: &str, before: &str, late_ms: u64) {
        let ids = logged_in(device, user) + &members(&[("$anon_distinct_id", before)]);
        self.late_event("$identify", ids, late_ms);
        self.late_event("Log In", logged_in(device, user), late_ms);
    }

    /// The first login of a device: what it was before is the device.
    pub(crate) fn first_login(&mut self, device: &str, user: &str) {
        self.login(device, user, &format!("$device:{device}"));
    }

    pub(crate) fn events_left(&self) -> u64 {
        self.events.len() as u64
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.events.is_empty()
    }

    pub(crate) fn write_next(&mut self, world: &mut World, line: &mut Vec<u8>) {
        let Some(planned) = self.events.pop_front() else {
            return;
        };
        let now_ms = world.now_ms();
        world.set_now_ms(now_ms - planned.late_ms);
        let mut event = EventLine::begin(line, &planned.name);
        event.raw(&planned.ids);
        event.raw(r#""mp_lib":"web","$lib_version":"2.82.1","#);
        event.insert_id(world);
        event.time_in_seconds(world);
        event.end();
        world.set_now_ms(now_ms);
    }
}

fn logged_in(device: &str, user: &str) -> String {
    members(&[
        ("distinct_id", user),
        ("$device_id", device),
        ("$user_id", user),
    ])
}
