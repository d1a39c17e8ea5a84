//! The order in which a project weighs the claims of a batch (rule AR-1).

use std::path::Path;
use std::sync::mpsc;

use idmerge_engines::{Model, Overrides, Settings};
use idmerge_project::{
    Batch, EventOrder, ExportQuery, Options, Project, Record, RecordAnswer, Sender,
};
use idmerge_store::{Digest, Durable};
use proptest::prelude::*;

/// The events of the batch that is split.
const EVENTS: usize = 2_000;

#[derive(Clone, Debug)]
struct Sent {
    json: String,
    time_ms: Option<i64>,
    insert_id: Option<String>,
}

impl Sent {
    fn new(json: String, time_ms: i64) -> Self {
        Self {
            json,
            time_ms: Some(time_ms),
            insert_id: None,
        }
    }

    /// An event that links a device to a user in Simplified.
    fn log_in(user: &str, time_ms: i64) -> Self {
        let device = device(0);
        let json = format!(
            r#"{{"event":"A","properties":{{"$device_id":"{device}","$user_id":"{user}"}}}}"#
        );
        Self::new(json, time_ms)
    }

    /// An event that links an anonymous ID to a user in Original.
    fn identify(user: &str, time_ms: i64) -> Self {
        let anon = device(0);
        let json = format!(
            r#"{{"event":"$identify","properties":{{"$identified_id":"{user}","$anon_id":"{anon}"}}}}"#
        );
        Self::new(json, time_ms)
    }

    fn record(&self) -> Record {
        Record::Event {
            time_ms: self.time_ms,
            insert_id: self.insert_id.as_deref().map(Box::from),
            sender: Sender::Credential,
            layout: None,
        }
    }
}

fn device(number: u8) -> String {
    format!("d0000000-0000-4000-8000-{number:012}")
}

/// An event of one of few users and devices, so that most claims meet an earlier one.
fn any_sent() -> impl Strategy<Value = Sent> {
    let name = prop::sample::select(&["A", "$identify", "$create_alias", "$merge"][..]);
    let time_ms = prop::option::weighted(0.9, 0..50_i64);
    let insert_id = prop::option::weighted(0.5, 0..200_u8);
    (name, 0..30_u8, 0..60_u8, time_ms, insert_id).prop_map(
        |(name, user, number, time_ms, insert_id)| {
            let device = device(number);
            let ids = match name {
                "$identify" => format!(r#""$identified_id":"U{user}","$anon_id":"{device}""#),
                "$create_alias" => format!(r#""distinct_id":"U{user}","alias":"U{number}""#),
                "$merge" => format!(r#""$distinct_ids":["U{user}","{device}"]"#),
                _ => format!(r#""$user_id":"U{user}","$device_id":"{device}""#),
            };
            Sent {
                json: format!(r#"{{"event":"{name}","properties":{{{ids}}}}}"#),
                time_ms,
                insert_id: insert_id.map(|number| number.to_string()),
            }
        },
    )
}

/// Small limits, so that some merges are rejected.
fn settings(model: Model) -> Settings {
    let mut overrides = Overrides::default();
    if model == Model::Original {
        overrides.max_cluster_ids = Some(6);
    }
    Settings::new(model, &overrides).unwrap()
}

fn open(folder: &Path, model: Model) -> Project {
    Project::open(folder, settings(model), Options::default()).unwrap()
}

fn batch(order: EventOrder, sent: &[Sent]) -> Batch {
    let mut batch = Batch::new("/import", 25);
    batch.order = order;
    for sent in sent {
        batch.push(&sent.json, sent.record());
    }
    batch
}

/// All that a project knows after some batches.
#[derive(Debug, PartialEq)]
struct Known {
    answers: Vec<RecordAnswer>,
    exported: Vec<String>,
    sequence: u64,
    /// Two engines with the same digest have the same state.
    digest: Digest,
}

/// Submits the events as batches of these sizes. The sizes are repeated until all events are sent.
fn known(model: Model, sent: &[Sent], sizes: &[usize]) -> Known {
    let folder = tempfile::tempdir().unwrap();
    let project = open(folder.path(), model);
    let (sender, receiver) = mpsc::channel();
    let mut rest = sent;
    for &size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (first, later) = rest.split_at(size.min(rest.len()));
        rest = later;
        let sender = sender.clone();
        let answered = move |answer| sender.send(answer).unwrap();
        let batch = batch(EventOrder::AsSent, first);
        project.submit(batch, answered).unwrap();
    }
    drop(sender);
    let answers = receiver.into_iter().flat_map(|answer| {
        let answer: Result<idmerge_project::Answer, _> = answer;
        answer.unwrap().records
    });
    let answers = answers.collect();
    let mut exported = Vec::new();
    project
        .export(&ExportQuery::default(), &mut |event| {
            exported.push(String::from_utf8(event.json.to_vec()).unwrap());
            Ok(true)
        })
        .unwrap();
    project.close().unwrap();
    drop(project);
    let (sequence, digest) = state(folder.path(), model);
    Known {
        answers,
        exported,
        sequence,
        digest,
    }
}

/// The last entry of the log of a closed project, and the digest of its engine.
fn state(folder: &Path, model: Model) -> (u64, Digest) {
    let settings = settings(model);
    let options = idmerge_store::Options {
        settings: settings.to_string(),
        ..idmerge_store::Options::default()
    };
    let store = Durable::open(folder, move || settings.engine(), options).unwrap();
    let sequence = store.sequence();
    (sequence, Digest::of(&store).unwrap())
}

fn any_sizes() -> impl Strategy<Value = Vec<usize>> {
    let size = prop_oneof![1..4_usize, 1..100_usize, 1..EVENTS];
    prop::collection::vec(size, 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn ar_1_a_batch_gives_the_same_state_however_it_is_split(
        sent in prop::collection::vec(any_sent(), EVENTS),
        sizes in any_sizes(),
    ) {
        for model in [Model::Simplified, Model::Original] {
            let whole = known(model, &sent, &[EVENTS]);
            prop_assert!(known(model, &sent, &sizes) == whole, "{model}");
            prop_assert!(known(model, &sent, &[1]) == whole, "{model}, one by one");
        }
    }
}

/// The user to whom the one device of some events belongs after one batch.
fn owner(model: Model, order: EventOrder, sent: &[Sent]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let project = open(folder.path(), model);
    let answer = project.submit_and_wait(batch(order, sent)).unwrap();
    assert!(answer.records.iter().all(RecordAnswer::is_stored));
    // Original removes the prefix (O-1).
    let device = format!("$device:{}", device(0));
    project.identity(&device).unwrap().canonical
}

#[test]
fn ar_1_times_that_go_backwards_do_not_change_the_order() {
    for (model, event) in [
        (Model::Simplified, Sent::log_in as fn(&str, i64) -> Sent),
        (Model::Original, Sent::identify),
    ] {
        let sent = [event("U1", 3), event("U2", 2), event("U3", 1)];
        assert_eq!(owner(model, EventOrder::AsSent, &sent), "U1");
    }
}

#[test]
fn ar_1_a_tracked_batch_is_weighed_by_time_and_ties_as_sent() {
    for (model, event) in [
        (Model::Simplified, Sent::log_in as fn(&str, i64) -> Sent),
        (Model::Original, Sent::identify),
    ] {
        let sent = [event("U1", 3), event("U2", 2), event("U3", 2)];
        assert_eq!(owner(model, EventOrder::ByTime, &sent), "U2");
    }
}
