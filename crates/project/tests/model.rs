//! Any sequence of batches, closings and crashes: a project reads as a list of events in memory does.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests; the lint sees only test functions"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use idmerge_core::{IdentityResolver, IdentityResolverExt, Outcome, Resolve, RuleBook, Value};
use idmerge_engines::{AnonIdFormat, Engine, Model, Overrides, Settings};
use idmerge_events::{Failure, JsonEvent, Resolved};
use idmerge_project::{
    Batch, ClaimAnswer, EventOrder, ExportQuery, FunnelQuery, Options, Project, Record,
    RecordAnswer, Sender,
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Submit(Vec<Sent>),
    Close,
    /// Without closing, as in a crash.
    Drop,
}

#[derive(Clone, Debug)]
struct Sent {
    json: String,
    /// Makes the event longer, in units of 700 bytes, so that blocks fill up.
    pad: usize,
    time_ms: Option<i64>,
    insert_id: Option<&'static str>,
    sender: Sender,
}

impl Sent {
    fn json(&self) -> String {
        let pad = format!("\"properties\":{{\"pad\":{:?}", "x".repeat(self.pad * 700));
        let comma = if self.json.contains("{}") { "" } else { "," };
        self.json.replacen("\"properties\":{", &(pad + comma), 1)
    }
}

const IDS: [&str; 7] = [
    "5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e",
    "6c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e",
    "7c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e",
    "$device:6c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e",
    "U1",
    "U2",
    "null",
];

fn any_sent() -> impl Strategy<Value = Sent> {
    let id = || prop::option::weighted(0.7, prop::sample::select(&IDS[..]));
    let name = prop::sample::select(&["A", "B", "$identify", "$create_alias", "$merge"][..]);
    let ids = [id(), id(), id()];
    let time_ms = prop::option::weighted(0.9, 0..4_i64);
    let insert_id = prop::option::of(prop::sample::select(&["I", "J"][..]));
    let sender = prop::sample::select(
        &[
            Sender::Anybody,
            Sender::TokenOnly,
            Sender::Credential,
            Sender::Credential,
        ][..],
    );
    (name, ids, time_ms, insert_id, sender, 0..8_usize).prop_map(
        |(name, [first, second, third], time_ms, insert_id, sender, pad)| {
            let keys: &[&str] = match name {
                "$identify" => &["distinct_id", "$anon_distinct_id", "$user_id"],
                "$create_alias" => &["distinct_id", "alias", "$user_id"],
                _ => &["$user_id", "$device_id", "distinct_id"],
            };
            let mut properties: Vec<String> = keys
                .iter()
                .zip([first, second, third])
                .filter_map(|(key, id)| Some(format!("\"{key}\":{:?}", id?)))
                .collect();
            if name == "$merge" {
                properties.push(format!(
                    "\"$distinct_ids\":[{:?},{:?}]",
                    IDS[pad % 6],
                    IDS[4]
                ));
            }
            Sent {
                json: format!(
                    r#"{{"event":"{name}","properties":{{{}}}}}"#,
                    properties.join(",")
                ),
                pad,
                time_ms,
                insert_id,
                sender,
            }
        },
    )
}

/// Events that are often the same, from all senders, with different content and claims.
fn any_repeated() -> impl Strategy<Value = Sent> {
    let ids = (
        prop::sample::select(&IDS[..2]),
        prop::sample::select(&IDS[4..6]),
    );
    let name = prop::sample::select(&["A", "$identify", "$merge"][..]);
    let time_ms = prop::option::weighted(0.8, Just(1));
    let sender =
        prop::sample::select(&[Sender::Anybody, Sender::TokenOnly, Sender::Credential][..]);
    (name, ids, time_ms, sender, 0..2_usize).prop_map(|(name, (id, user), time_ms, sender, pad)| {
        let json = format!(
            r#"{{"event":"{name}","properties":{{"$user_id":"{user}","$device_id":"{id}","distinct_id":"{user}","$anon_distinct_id":"{id}","$distinct_ids":["U2","{id}"]}}}}"#
        );
        Sent { json, pad, time_ms, insert_id: Some("I"), sender }
    })
}

fn any_step(sent: impl Strategy<Value = Sent>) -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(sent, 0..8).prop_map(Step::Submit),
        1 => Just(Step::Close),
        1 => Just(Step::Drop),
    ]
}

struct ListedEvent {
    json: String,
    time_ms: i64,
    failure: Option<[String; 2]>,
    /// The claim that was weighed.
    claim: Option<String>,
    is_replaced: bool,
}

/// Name, time, own ID and `insert_id`.
type DedupKey = (String, Option<i64>, Option<String>, &'static str);

struct Exported {
    number: u64,
    json: String,
    /// The JSON in an export, which other models read too.
    export_json: String,
    own: Option<String>,
    canonical: Option<String>,
    time_ms: i64,
}

impl Exported {
    fn is_named(&self, name: &str) -> bool {
        self.json.contains(&format!("\"event\":\"{name}\""))
    }
}

/// What the project must read as: an engine and a list of events.
struct EventList {
    engine: Engine,
    events: Vec<ListedEvent>,
    /// The index of the event that counts, and the best known of its senders.
    stored: HashMap<DedupKey, (usize, Sender)>,
}

impl EventList {
    fn submit(&mut self, sent: &[Sent], received_ms: i64, order: EventOrder) -> Vec<RecordAnswer> {
        let mut answers = vec![RecordAnswer::Repeated; sent.len()];
        let mut positions: Vec<usize> = (0..sent.len()).collect();
        if order == EventOrder::ByTime {
            positions.sort_by_key(|&at| sent[at].time_ms.unwrap_or(received_ms));
        }
        for at in positions {
            answers[at] = self.apply(&sent[at], received_ms);
        }
        answers
    }

    fn apply(&mut self, sent: &Sent, received_ms: i64) -> RecordAnswer {
        let json = sent.json();
        let event = JsonEvent::parse_text(&json).unwrap();
        let event = event.event();
        let reading = match self.engine.read(&event) {
            Ok(reading) => reading,
            Err(invalid) => return RecordAnswer::Refused(Box::new(invalid.into())),
        };
        let is_merge = event.name == "$merge";
        let is_forbidden = is_merge && sent.sender == Sender::Anybody;
        let weighed = reading.claim.filter(|_| !is_forbidden);
        let weighed = weighed.map(|claim| format!("{claim:?}"));
        // Only for a `$merge` is the token alone more than nothing.
        let sender = match sent.sender {
            Sender::TokenOnly if !is_merge => Sender::Anybody,
            sender => sender,
        };
        let mut before = None;
        if let Some(insert_id) = sent.insert_id {
            let own = reading.distinct_id.map(|id| id.to_string());
            let name = event.name.to_owned();
            let next = (self.events.len(), sender);
            let stored = self.stored.entry((name, sent.time_ms, own, insert_id));
            let known = stored.or_insert(next);
            if *known != next {
                if sender <= known.1 {
                    return RecordAnswer::Repeated;
                }
                known.1 = sender;
                let earlier = &mut self.events[known.0];
                if earlier.json == json && earlier.claim == weighed {
                    return RecordAnswer::Repeated;
                }
                earlier.is_replaced = true;
                before = Some((earlier.claim.clone(), earlier.failure.clone()));
                known.0 = next.0;
            }
        }
        let mut failure = None;
        let answer = match reading.claim {
            None => ClaimAnswer::None,
            Some(_) if is_forbidden => ClaimAnswer::NotAllowed,
            Some(_) if before.as_ref().is_some_and(|(claim, _)| *claim == weighed) => {
                failure = before.and_then(|(_, failure)| failure);
                ClaimAnswer::None
            }
            Some(claim) => match self.engine.apply(claim).unwrap() {
                Outcome::Merged => ClaimAnswer::Merged,
                Outcome::AlreadyMerged => ClaimAnswer::AlreadyMerged,
                Outcome::Rejected(rejection) => {
                    failure = Some([rejection.code().to_owned(), rejection.to_string()]);
                    ClaimAnswer::Rejected(rejection.code())
                }
                _ => ClaimAnswer::None,
            },
        };
        self.events.push(ListedEvent {
            json: json.clone(),
            time_ms: sent.time_ms.unwrap_or(received_ms),
            failure,
            claim: weighed,
            is_replaced: false,
        });
        RecordAnswer::Stored(answer)
    }

    /// The export of all events that are not replaced.
    fn exported(&self) -> Vec<Exported> {
        let shown = self.events.iter().zip(1..);
        let shown = shown.filter(|(listed, _)| !listed.is_replaced);
        let exported = shown.map(|(listed, number)| {
            let event = JsonEvent::parse_text(&listed.json).unwrap();
            let own = self.engine.read(&event.event()).unwrap().distinct_id;
            let canonical = own.map(|id| self.engine.resolve(id));
            let failure = listed.failure.as_ref();
            let failure = failure.map(|[reason, description]| Failure {
                reason,
                description,
            });
            let written = |own| {
                let mut json = Vec::new();
                let rule_book = self.engine.rule_book();
                event.write_resolved(
                    &Resolved {
                        rule_book,
                        own,
                        canonical,
                        failure,
                    },
                    &mut json,
                );
                String::from_utf8(json).unwrap()
            };
            // AR-4: the `distinct_id` of an identity event that the model ignores, as it was sent.
            let read = event.event();
            let sent = match read.distinct_id {
                Value::Text(text) if read.is_identity_event() => self.engine.read_id(text).ok(),
                _ => None,
            };
            let is_ignored = self.engine.rule_book() == RuleBook::Simplified;
            Exported {
                number,
                json: written(own),
                export_json: written(sent.filter(|_| is_ignored).or(own)),
                own: own.map(|id| id.to_string()),
                canonical: canonical.map(|id| id.to_string()),
                time_ms: listed.time_ms,
            }
        });
        exported.collect()
    }
}

fn assert_reads_as(project: &Project, list: &EventList) {
    let exported = list.exported();
    let mut lines = Vec::new();
    let count = project.export(&ExportQuery::default(), &mut |event| {
        lines.push((
            String::from_utf8(event.json.to_vec()).unwrap(),
            event.time_ms,
        ));
        Ok(true)
    });
    assert_eq!(count.unwrap(), exported.len() as u64);
    let wanted: Vec<_> = exported
        .iter()
        .map(|event| (event.export_json.clone(), event.time_ms))
        .collect();
    assert_eq!(lines, wanted);

    // A range of times and some names.
    let query = ExportQuery {
        from_ms: Some(1),
        until_ms: Some(3),
        names: vec!["A".to_owned(), "$merge".to_owned()],
        limit: Some(3),
        ..ExportQuery::default()
    };
    let mut some = Vec::new();
    project
        .export(&query, &mut |event| {
            some.push(String::from_utf8(event.json.to_vec()).unwrap());
            Ok(true)
        })
        .unwrap();
    let wanted = exported.iter().filter(|event| {
        let is_named = ["A", "$merge"].iter().any(|name| event.is_named(name));
        (1..3).contains(&event.time_ms) && is_named
    });
    let wanted = wanted.take(3).map(|event| event.export_json.clone());
    let wanted: Vec<_> = wanted.collect();
    assert_eq!(some, wanted);
    assert_counts(project, &exported);

    for text in &IDS[..6] {
        let id = list.engine.read_id(text).unwrap();
        let canonical = list.engine.resolve(id).to_string();
        let identity = project.identity(text).unwrap();
        assert_eq!(identity.canonical, canonical);
        let members = list.engine.cluster(id).map(|cluster| cluster.members);
        let members = members.unwrap_or_else(|| vec![id]);
        let members: Vec<_> = members.iter().map(ToString::to_string).collect();
        assert_eq!(identity.members, members);

        let mut wanted: Vec<_> = exported
            .iter()
            .filter(|event| event.canonical.as_deref() == Some(&*canonical))
            .map(|event| (event.time_ms, event.number, event.json.clone()))
            .collect();
        wanted.sort();
        wanted.reverse();
        let mut timeline = Vec::new();
        let mut after = None;
        loop {
            let page = project.user_events(text, after, 3).unwrap();
            assert!(page.events.len() <= 3);
            assert!(page.next.is_none() || page.events.len() == 3);
            timeline.extend(
                page.events
                    .into_iter()
                    .map(|event| (event.time_ms, event.number, event.json)),
            );
            after = page.next.map(|cursor| cursor.to_string().parse().unwrap());
            if after.is_none() {
                break;
            }
        }
        assert_eq!(timeline, wanted, "{text}");
    }
    assert!(project.identity("null").is_err());
}

/// The events, and the users who did each of them.
fn assert_counts(project: &Project, exported: &[Exported]) {
    assert_eq!(project.figures().events_total, exported.len() as u64);
    for name in ["A", "B"] {
        let query = FunnelQuery {
            steps: vec![name.to_owned()],
            ..FunnelQuery::default()
        };
        let step = project.funnel(&query).unwrap().steps.remove(0);
        let named = || exported.iter().filter(|event| event.is_named(name));
        let users: BTreeSet<_> = named()
            .filter_map(|event| event.canonical.as_ref())
            .collect();
        let ids: BTreeSet<_> = named().filter_map(|event| event.own.as_ref()).collect();
        let wanted = (users.len() as u64, ids.len() as u64);
        assert_eq!((step.users, step.users_without_merge), wanted, "{name}");
    }
}

fn play(model: Model, steps: &[Step]) {
    let folder = tempfile::tempdir().unwrap();
    let mut overrides = Overrides::default();
    if model == Model::Original {
        overrides.max_cluster_ids = Some(4);
        overrides.anon_id_format = Some(AnonIdFormat::UuidV4);
    }
    let settings = Settings::new(model, &overrides).unwrap();
    let mut list = EventList {
        engine: settings.engine(),
        events: Vec::new(),
        stored: HashMap::new(),
    };
    let options = Options {
        index_events: 10,
        snapshot_entries: 5,
        ..Options::default()
    };
    let open = || Project::open(folder.path(), settings.clone(), options.clone()).unwrap();
    let mut project = open();
    for (at, step) in steps.iter().enumerate() {
        match step {
            Step::Submit(sent) => {
                let received_ms = at as i64 % 5;
                let endpoints = [
                    ("/track", EventOrder::ByTime),
                    ("/import", EventOrder::AsSent),
                ];
                let (source, order) = endpoints[at % 2];
                let mut batch = Batch::new(source, received_ms);
                batch.order = order;
                for sent in sent {
                    let record = Record::Event {
                        time_ms: sent.time_ms,
                        insert_id: sent.insert_id.map(Box::from),
                        sender: sent.sender,
                        layout: None,
                    };
                    batch.push(&sent.json(), record);
                }
                let answer = project.submit_and_wait(batch).unwrap();
                assert_eq!(answer.records, list.submit(sent, received_ms, order));
            }
            Step::Close => {
                project.close().unwrap();
                drop(project);
                project = open();
            }
            Step::Drop => {
                drop(project);
                project = open();
            }
        }
    }
    assert_reads_as(&project, &list);
    drop(project);
    assert_reads_as(&open(), &list);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_simplified_project_reads_as_the_list(steps in prop::collection::vec(any_step(any_sent()), 1..16)) {
        play(Model::Simplified, &steps);
    }

    #[test]
    fn an_original_project_reads_as_the_list(steps in prop::collection::vec(any_step(any_sent()), 1..16)) {
        play(Model::Original, &steps);
    }

    #[test]
    fn ar_2_a_simplified_project_has_the_event_of_the_best_known_sender(
        steps in prop::collection::vec(any_step(any_repeated()), 1..10),
    ) {
        play(Model::Simplified, &steps);
    }

    #[test]
    fn ar_2_an_original_project_has_the_event_of_the_best_known_sender(
        steps in prop::collection::vec(any_step(any_repeated()), 1..10),
    ) {
        play(Model::Original, &steps);
    }
}

#[test]
fn applying_all_changes_gives_the_current_state() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::of(Model::Original);
    let project = Project::open(folder.path(), settings, Options::default()).unwrap();
    let mut batch = Batch::new("/import", 0);
    for pair in [["U1", "U2"], ["U3", "U4"], ["U2", "U3"]] {
        let json = format!(r#"{{"event":"$merge","properties":{{"$distinct_ids":{pair:?}}}}}"#);
        let record = Record::Event {
            time_ms: None,
            insert_id: None,
            sender: Sender::Credential,
            layout: None,
        };
        batch.push(&json, record);
    }
    let answer = project.submit_and_wait(batch).unwrap();
    assert_eq!(answer.sequence, 3);
    let mut canonical = BTreeMap::new();
    let mut since = 0;
    loop {
        let changes = project.changes(since, 1).unwrap();
        let Some(last) = changes.last() else { break };
        since = last.sequence;
        for change in changes {
            let before = canonical.insert(change.id.to_string(), change.to);
            assert_eq!(before.unwrap_or(change.id), change.from);
        }
    }
    assert_eq!(since, 3);
    for id in ["U2", "U3", "U4"] {
        assert_eq!(
            canonical[id].to_string(),
            project.identity(id).unwrap().canonical
        );
    }
    assert!(project.changes(4, 1).is_err());

    let explained = project.explain("U4").unwrap();
    let ids: Vec<_> = explained
        .iter()
        .map(|entry| (entry.sequence, entry.answer))
        .collect();
    let merged = Some("merged");
    assert_eq!(ids, [(1, merged), (2, merged), (3, merged)]);
    let last = &explained[2];
    let named = [&last.first, &last.second].map(|id| id.as_deref());
    assert_eq!(named, [Some("U2"), Some("U3")]);
    assert_eq!(last.source.as_deref(), Some("/import"));
}
