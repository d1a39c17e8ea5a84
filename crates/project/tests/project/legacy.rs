//! A project of Legacy: an event is attributed when it arrives, for ever.

use idmerge_analysis::{FunnelQuery, Step};
use idmerge_engines::{Model, Settings};
use idmerge_project::{
    Batch, ExportQuery, Options, Project, Record, RecordAnswer, RetractionTarget, WrittenId,
};
use serde_json::{Value, json};
use tempfile::TempDir;

fn open(folder: &TempDir, options: Options) -> Project {
    Project::open(folder.path(), Settings::of(Model::Legacy), options).unwrap()
}

fn new() -> (TempDir, Project) {
    let folder = tempfile::tempdir().unwrap();
    let project = open(&folder, Options::default());
    (folder, project)
}

fn view(name: &str, id: &str) -> String {
    json!({"event": name, "properties": {"distinct_id": id}}).to_string()
}

fn alias(alias: &str, id: &str) -> String {
    let properties = json!({"distinct_id": id, "alias": alias});
    json!({"event": "$create_alias", "properties": properties}).to_string()
}

/// Sends events in one request.
fn track(project: &Project, events: &[String]) {
    let mut batch = Batch::new("/track", 1);
    for (time, event) in (1..).zip(events) {
        batch.push(event, Record::event(Some(time), None));
    }
    let answer = project.submit_and_wait(batch).unwrap();
    assert!(answer.records.iter().all(RecordAnswer::is_stored));
}

fn update(project: &Project, update: Value) {
    let mut batch = Batch::new("/engage", 1);
    batch.push(&update.to_string(), Record::Update);
    let answer = project.submit_and_wait(batch).unwrap();
    assert!(answer.records.iter().all(RecordAnswer::is_stored));
}

/// The name of each event, the ID that the export writes, and the event's own if that differs.
fn exported(project: &Project, written_id: WrittenId) -> Vec<[String; 3]> {
    let mut events = Vec::new();
    let query = ExportQuery {
        written_id,
        ..ExportQuery::default()
    };
    project
        .export(&query, &mut |event| {
            let event: Value = serde_json::from_slice(event.json).unwrap();
            let properties = &event["properties"];
            assert_eq!(properties["$is_reshuffled"], Value::Null, "{event}");
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let before = text(&properties["$distinct_id_before_identity"]);
            events.push([
                text(&event["event"]),
                text(&properties["distinct_id"]),
                before,
            ]);
            Ok(true)
        })
        .unwrap();
    events
}

/// The names of the events of a user, the first one first.
fn timeline(project: &Project, id: &str) -> Vec<String> {
    let page = project.user_events(id, None, 100).unwrap();
    let mut names: Vec<_> = page
        .events
        .iter()
        .map(|event| {
            let json: Value = serde_json::from_str(&event.json).unwrap();
            json["event"].as_str().unwrap().to_owned()
        })
        .collect();
    names.reverse();
    names
}

fn profile(project: &Project, id: &str) -> Option<(String, Value)> {
    let profile = project.profile(id).unwrap()?;
    let json = serde_json::from_str(&profile.json).unwrap();
    Some((profile.distinct_id, json))
}

/// `View U` before its alias, in the same request and in others.
fn events() -> Vec<String> {
    vec![
        view("1", "U"),
        alias("U", "d1"),
        view("2", "U"),
        view("3", "d1"),
        alias("d1", "root"),
        view("4", "U"),
        view("5", "$device:other"),
    ]
}

const STORED: [[&str; 3]; 7] = [
    ["1", "U", ""],
    ["$create_alias", "d1", ""],
    ["2", "d1", "U"],
    ["3", "d1", ""],
    ["$create_alias", "root", ""],
    ["4", "root", "U"],
    ["5", "other", ""],
];

#[test]
fn l_3_events_stay_where_they_were_attributed_whatever_the_batches() {
    for in_one_request in [true, false] {
        let (_folder, project) = new();
        if in_one_request {
            track(&project, &events());
        } else {
            for event in events() {
                track(&project, &[event]);
            }
        }
        assert_eq!(exported(&project, WrittenId::Canonical), STORED);
        let as_sent = exported(&project, WrittenId::AsSent);
        let sent = as_sent.iter().map(|[_, id, _]| &**id);
        assert!(sent.eq(["U", "d1", "U", "d1", "root", "U", "other"]));
    }
}

#[test]
fn l_3_a_timeline_has_the_events_of_the_root_alone() {
    let (_folder, project) = new();
    track(&project, &events());
    // All three stand for `root` now. What came before is under other IDs.
    for id in ["U", "d1", "root"] {
        assert_eq!(timeline(&project, id), ["$create_alias", "4"], "{id}");
    }
    assert_eq!(timeline(&project, "$device:other"), ["5"]);
}

#[test]
fn l_3_a_funnel_counts_by_the_ids_of_the_arrivals() {
    let (_folder, project) = new();
    track(&project, &events());
    let users = |steps: [&str; 2]| {
        let mut query = FunnelQuery::new(steps.map(Step::named).to_vec());
        query.window_ms = 100;
        query.grace_ms = 0;
        let funnel = project.funnel(&query.funnel().unwrap()).unwrap();
        let users: Vec<_> = funnel.steps.iter().map(|step| step.users).collect();
        users
    };
    assert_eq!(users(["2", "3"]), [1, 1]);
    assert_eq!(users(["1", "2"]), [1, 0]);
    assert_eq!(users(["3", "4"]), [1, 0]);
}

#[test]
fn l_3_the_attribution_is_the_same_after_the_project_is_opened_again() {
    for index_events in [1, 1_000_000] {
        let options = || Options {
            index_events,
            ..Options::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let project = open(&folder, options());
        track(&project, &events());
        drop(project);
        let project = open(&folder, options());
        assert_eq!(exported(&project, WrittenId::Canonical), STORED);
        assert_eq!(timeline(&project, "U"), ["$create_alias", "4"]);
    }
}

#[test]
fn l_3_a_withdrawal_changes_what_an_id_stands_for_from_then_on() {
    let (_folder, project) = new();
    track(&project, &events());
    // The alias of `U`.
    project
        .retract(RetractionTarget::Entry(1), "ada", "a mistake")
        .unwrap();
    track(&project, &[view("6", "U"), view("7", "d1")]);
    let mut wanted = STORED.map(|it| it.map(String::from)).to_vec();
    wanted.push(["6", "U", ""].map(String::from));
    wanted.push(["7", "root", "d1"].map(String::from));
    assert_eq!(exported(&project, WrittenId::Canonical), wanted);
    assert_eq!(timeline(&project, "U"), ["1", "6"]);
    // A timeline is in the order of the times that the events have.
    assert_eq!(timeline(&project, "d1"), ["7", "$create_alias", "4"]);
}

#[test]
fn l_13_a_rejected_alias_says_why() {
    let (_folder, project) = new();
    track(&project, &[alias("U", "d1"), alias("U", "d2")]);
    let mut last = Value::Null;
    project
        .export(&ExportQuery::default(), &mut |event| {
            last = serde_json::from_slice(event.json).unwrap();
            Ok(true)
        })
        .unwrap();
    assert_eq!(
        last["properties"]["$failure_reason"],
        "errAliasAlreadyExists"
    );
    assert_eq!(last["properties"]["distinct_id"], "d2");
}

#[test]
fn lp_1_an_update_goes_to_the_root_at_its_arrival() {
    let (_folder, project) = new();
    track(&project, &[alias("U", "d1")]);
    update(
        &project,
        json!({"$distinct_id": "U", "$set": {"plan": "a"}}),
    );
    let on_d1 = Some(("d1".to_owned(), json!({"plan": "a"})));
    assert_eq!(profile(&project, "d1"), on_d1);
    assert_eq!(profile(&project, "U"), on_d1);
    // The profile does not move when `d1` becomes an alias: it is hidden (LP-2).
    track(&project, &[alias("d1", "root")]);
    assert_eq!(profile(&project, "U"), None);
    update(
        &project,
        json!({"$distinct_id": "U", "$set": {"plan": "b"}}),
    );
    let on_root = Some(("root".to_owned(), json!({"plan": "b"})));
    assert_eq!(profile(&project, "d1"), on_root);
}

#[test]
fn lp_2_the_profile_of_an_alias_is_hidden_and_ignore_alias_reaches_it() {
    for has_other in [true, false] {
        let (_folder, project) = new();
        update(
            &project,
            json!({"$distinct_id": "U", "$set": {"name": "Ada"}}),
        );
        if has_other {
            update(
                &project,
                json!({"$distinct_id": "d1", "$set": {"plan": "a"}}),
            );
        }
        track(&project, &[alias("U", "d1")]);
        let shown = has_other.then(|| ("d1".to_owned(), json!({"plan": "a"})));
        assert_eq!(profile(&project, "U"), shown);
        update(
            &project,
            json!({"$distinct_id": "U", "$ignore_alias": true, "$set": {"age": 36}}),
        );
        assert_eq!(profile(&project, "U"), shown);
        // Without the alias, the profile of `U` is shown again.
        project
            .retract(RetractionTarget::Entry(1), "ada", "a mistake")
            .unwrap();
        let hidden = json!({"name": "Ada", "age": 36});
        assert_eq!(profile(&project, "U"), Some(("U".to_owned(), hidden)));
    }
}
