//! A project that is sent events of some people, and who is who by a plain engine.

use std::path::Path;

use idmerge_core::{DistinctIdBuf, IdentityResolver, Resolve};
use idmerge_engines::{Model, Settings};
use idmerge_events::JsonEvent;
use idmerge_project::{
    Answer, Batch, ExportQuery, Options, ProfileMerge, Project, ProjectErasure, Record,
};
use idmerge_store::{ErasedEvents, Erasure, ErasureReceipt, erase};
use serde_json::{Value, json};

pub(crate) const DEVICES: [&str; 4] = [
    "a1b2c3d4-1111-4aaa-8aaa-0123456789ab",
    "b2c3d4e5-2222-4bbb-9bbb-123456789abc",
    "c3d4e5f6-3333-4ccc-accc-23456789abcd",
    "d4e5f6a7-4444-4ddd-bddd-3456789abcde",
];
pub(crate) const USERS: [&str; 4] = [
    "ursula.utrecht@example.com",
    "viktor-from-valencia",
    "wanda&co/winterthur",
    "xaver_xanten_0042",
];

/// How many groups have profiles.
pub(crate) const GROUPS: usize = 3;

/// An event or an update that is sent.
#[derive(Clone, Debug)]
pub(crate) enum Sent {
    /// Properties with IDs, by the kind of the event.
    Event(u8, [usize; 2]),
    /// Sets properties of the profile of a user or a device; with `$ignore_alias` of the very ID, which may be hidden.
    Profile(usize, bool),
    /// Sets properties of the profile of a group.
    Group(usize),
}

pub(crate) fn all_ids() -> Vec<String> {
    let devices = DEVICES.iter().map(|id| format!("$device:{id}"));
    let plain = DEVICES.iter().chain(&USERS).map(|id| (*id).to_owned());
    devices.chain(plain).collect()
}

pub(crate) fn settings(model: Model) -> Settings {
    Settings::of(model)
}

pub(crate) fn open(folder: &Path, model: Model) -> Project {
    open_with(folder, model, ProfileMerge::Vendor)
}

pub(crate) fn open_with(folder: &Path, model: Model, profile_merge: ProfileMerge) -> Project {
    let options = Options {
        profile_merge,
        // So that runs are written.
        index_events: 20,
        ..Options::default()
    };
    Project::open(folder, settings(model), options).unwrap()
}

/// The event, with a word that no other event has.
pub(crate) fn event(model: Model, kind: u8, [first, second]: [usize; 2], number: usize) -> Value {
    let (user, device) = (USERS[first], DEVICES[second]);
    let (name, mut properties) = match (model, kind % 5) {
        (Model::Simplified, 0) => ("View", json!({"$device_id": device})),
        (Model::Simplified, 1) => ("View", json!({"distinct_id": user, "page": "home"})),
        (Model::Simplified, 2) => (
            "$identify",
            json!({"$user_id": user, "$anon_distinct_id": device, "$identified_id": user}),
        ),
        (Model::Simplified, _) => (
            "Log In",
            json!({"$device_id": device, "$user_id": user, "distinct_id": user}),
        ),
        (_, 0) => (
            "View",
            json!({"distinct_id": format!("$device:{device}"), "$device_id": device}),
        ),
        (_, 1) => (
            "View",
            json!({"distinct_id": user, "$user_id": user, "$device_id": device}),
        ),
        (Model::Original, 2) => ("$merge", json!({"$distinct_ids": [user, USERS[second]]})),
        (Model::Original, 3) => (
            "$identify",
            json!({"distinct_id": user, "$identified_id": user, "$anon_distinct_id": device}),
        ),
        _ => (
            "$create_alias",
            json!({"distinct_id": device, "alias": user}),
        ),
    };
    properties["$insert_id"] = format!("insert-{number}").into();
    properties["word"] = format!("word-{number}").into();
    json!({"event": name, "properties": properties})
}

pub(crate) fn submit(project: &Project, number: usize, sent: &Value, record: bool) -> Answer {
    let time = 1_000_000 + i64::try_from(number).unwrap();
    let mut batch = Batch::new("/import", time);
    let record = match record {
        true => {
            let insert_id = format!("insert-{number}");
            let mut record = Record::event(Some(time), Some(&insert_id));
            if let Record::Event { sender, .. } = &mut record {
                *sender = idmerge_project::Sender::Credential;
            }
            record
        }
        false => Record::Update,
    };
    batch.push(&sent.to_string(), record);
    project.submit_and_wait(batch).unwrap()
}

pub(crate) fn update(id: &str, ignores_alias: bool, number: usize) -> Value {
    // The last property is one that other profiles may lack.
    let last = format!("p{}", number % 4);
    let set = json!({"number": number, "text": text(number), last: number});
    json!({"$distinct_id": id, "$ignore_alias": ignores_alias, "$set": set})
}

pub(crate) fn update_of_group(id: usize, number: usize) -> Value {
    let set = json!({"number": number, "text": text(number)});
    json!({"$group_key": "company", "$group_id": id.to_string(), "$set": set})
}

/// Every second profile is long, and so in a table of its own.
pub(crate) fn text(number: usize) -> String {
    "x".repeat(if number.is_multiple_of(2) { 20_000 } else { 10 })
}

/// Who is who: a plain engine, and what it gave each event at its arrival.
pub(crate) struct Truth {
    pub(crate) engine: idmerge_engines::Engine,
    pub(crate) settings: Settings,
}

impl Truth {
    pub(crate) fn of(model: Model) -> Self {
        let settings = settings(model);
        Self {
            engine: settings.engine(),
            settings,
        }
    }

    /// The ID that the event is put under now.
    pub(crate) fn weigh(&mut self, event: &str) -> Option<DistinctIdBuf> {
        let event = JsonEvent::parse_text(event).unwrap();
        let event = event.event();
        let reading = self.settings.read(&event).unwrap();
        if let Some(claim) = reading.claim {
            self.engine.apply(claim).unwrap();
        }
        Some(self.engine.resolve(reading.distinct_id?).to_buf())
    }

    /// The ID to whose profile an update goes now (LP-1).
    pub(crate) fn target(&self, id: &str, ignores_alias: bool) -> DistinctIdBuf {
        let id = self.settings.read_id(id).unwrap();
        match ignores_alias {
            true => id.to_buf(),
            false => self.engine.resolve(id).to_buf(),
        }
    }
}

/// An erased ID is replaced by the own ID of the event, or removed, as the rule says (E-3).
pub(crate) fn without(event: &Value, own: &str, is_erased: &dyn Fn(&str, &str) -> bool) -> Value {
    let mut event = event.clone();
    let is_identity = event["event"].as_str().unwrap().starts_with('$');
    let properties = event["properties"].as_object_mut().unwrap();
    for key in [
        "distinct_id",
        "$user_id",
        "$device_id",
        "$identified_id",
        "$anon_distinct_id",
        "alias",
    ] {
        let Some(text) = properties.get(key).and_then(Value::as_str) else {
            continue;
        };
        if is_erased(key, text) {
            match is_identity {
                true => drop(properties.insert(key.to_owned(), own.into())),
                false => drop(properties.remove(key)),
            }
        }
    }
    if let Some(Value::Array(ids)) = properties.get_mut("$distinct_ids") {
        for id in ids {
            if is_erased("$distinct_ids", id.as_str().unwrap()) {
                *id = own.into();
            }
        }
    }
    event
}

/// All that a project answers, without the numbers of events and entries.
pub(crate) fn answers(project: &Project, ids: &[String]) -> Vec<Value> {
    let mut all = Vec::new();
    let events = |json: &[u8]| {
        let mut event: Value = serde_json::from_slice(json).unwrap();
        let object = event["properties"].as_object_mut().unwrap();
        // What was rejected has another reason now.
        object.remove("$failure_reason");
        object.remove("$failure_description");
        object.remove("$identity_failure_reason");
        event
    };
    for id in ids {
        let identity = project.identity(id).unwrap();
        let page = project.user_events(id, None, 1_000).unwrap();
        let timeline: Vec<Value> = (page.events.iter())
            .map(|event| {
                json!([
                    event.time_ms,
                    event.distinct_id,
                    events(event.json.as_bytes())
                ])
            })
            .collect();
        let profile = project.profile(id).unwrap().map(|profile| profile.json);
        all.push(json!([
            id,
            identity.canonical,
            identity.members,
            timeline,
            profile
        ]));
    }
    let mut exported = Vec::new();
    project
        .export(&ExportQuery::default(), &mut |event| {
            exported.push(json!([
                event.time_ms,
                event.is_unweighed,
                events(event.json)
            ]));
            Ok(true)
        })
        .unwrap();
    all.push(Value::Array(exported));
    all.extend((0..GROUPS).map(|id| project.group("company", &id.to_string()).unwrap().into()));
    let figures = project.figures();
    all.push(json!([figures.events_total, figures.ids]));
    all
}

pub(crate) fn erase_ids(
    folder: &Path,
    model: Model,
    ids: &[&str],
    events: ErasedEvents,
) -> ErasureReceipt {
    let settings = settings(model);
    let options = idmerge_store::Options {
        settings: settings.to_string(),
        ..idmerge_store::Options::default()
    };
    let erasure = Erasure {
        ids: ids.iter().map(|id| id.parse().unwrap()).collect(),
        until_ms: None,
        events,
        key: [5; 32],
        dry_run: false,
    };
    let service = ProjectErasure::new(settings.clone());
    let fresh = move || settings.engine();
    erase(folder, fresh, &options, &erasure, Some(&service), &|_| true).unwrap()
}
