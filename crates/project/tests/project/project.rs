//! The guarantees of a project, one test each.

use std::sync::mpsc;

use idmerge_analysis::{FunnelQuery, Step};
use idmerge_engines::{Model, Overrides, Settings};
use idmerge_project::{
    Answer, Batch, ClaimAnswer, ExportQuery, Options, Project, ProjectError, Record, RecordAnswer,
    Sender,
};
use idmerge_store::StoreError;
use tempfile::TempDir;

const DEVICE: &str = "5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e";

fn open(folder: &TempDir, model: Model) -> Project {
    Project::open(folder.path(), Settings::of(model), Options::default()).unwrap()
}

fn with_cluster_limit(max_cluster_ids: u32) -> Settings {
    let overrides = Overrides {
        max_cluster_ids: Some(max_cluster_ids),
        ..Overrides::default()
    };
    Settings::new(Model::Original, &overrides).unwrap()
}

fn event(name: &str, properties: &str) -> String {
    format!(r#"{{"event":"{name}","properties":{{{properties}}}}}"#)
}

fn merging(insert_id: Option<&str>) -> Record {
    Record::Event {
        time_ms: Some(1),
        insert_id: insert_id.map(Box::from),
        sender: Sender::Credential,
        layout: None,
    }
}

fn submit(project: &Project, json: &str, record: Record) -> RecordAnswer {
    let mut batch = Batch::new("/import", 7);
    batch.push(json, record);
    let mut answer: Answer = project.submit_and_wait(batch).unwrap();
    answer.records.remove(0)
}

fn update(project: &Project, json: &str) -> RecordAnswer {
    submit(project, json, Record::Update)
}

#[track_caller]
fn assert_profile(project: &Project, id: &str, wanted: Option<(&str, &str)>) {
    let profile = project.profile(id).unwrap();
    let profile = profile
        .as_ref()
        .map(|profile| (&*profile.distinct_id, &*profile.json));
    assert_eq!(profile, wanted);
}

const STORED: RecordAnswer = RecordAnswer::Stored(ClaimAnswer::None);
const MERGED: RecordAnswer = RecordAnswer::Stored(ClaimAnswer::Merged);

#[test]
fn p_1_an_update_changes_the_profile_of_the_current_canonical_id() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(&folder, Model::Simplified);
    let log_in = event("Log In", r#""$device_id":"D1","$user_id":"U1""#);
    assert_eq!(submit(&project, &log_in, Record::event(None, None)), MERGED);
    assert_eq!(
        update(&project, r#"{"$distinct_id":"$device:D1","$set":{"a":1}}"#),
        STORED
    );
    assert_profile(&project, "U1", Some(("U1", r#"{"a":1}"#)));
    assert_profile(&project, "$device:D1", Some(("U1", r#"{"a":1}"#)));

    // An invalid update is refused with a reason and changes nothing.
    let RecordAnswer::Refused(error) = update(&project, r#"{"$distinct_id":"null","$set":{}}"#)
    else {
        panic!()
    };
    assert_eq!(
        (error.property(), error.rule()),
        (Some("distinct_id"), "ID-4")
    );
    let refused = update(
        &project,
        r#"{"$distinct_id":"U1","$set":{"a":"x"},"$add":{"a":1}}"#,
    );
    assert!(matches!(refused, RecordAnswer::Refused(_)));
    assert_profile(&project, "U1", Some(("U1", r#"{"a":1}"#)));

    update(&project, r#"{"$distinct_id":"U1","$delete":""}"#);
    assert_profile(&project, "U1", None);
    assert_eq!(
        project.figures().refused,
        [("update", 1), ("ID-4", 1)].into()
    );
}

#[test]
fn p_2_the_profile_of_a_device_is_deleted_when_it_is_linked() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(&folder, Model::Simplified);
    update(&project, r#"{"$distinct_id":"$device:D1","$set":{"a":1}}"#);
    update(&project, r#"{"$distinct_id":"$device:D2","$set":{"a":2}}"#);
    assert_profile(&project, "$device:D1", Some(("$device:D1", r#"{"a":1}"#)));
    let log_in = event("Log In", r#""$device_id":"D1","$user_id":"U1""#);
    submit(&project, &log_in, Record::event(None, None));
    assert_profile(&project, "$device:D1", None);
    assert_profile(&project, "U1", None);
    drop(project);
    let project = open(&folder, Model::Simplified);
    let page = project.profiles(None, 9).unwrap();
    assert_eq!(
        (page.total, &*page.profiles[0].json, page.next),
        (1, r#"{"a":2}"#, None)
    );
}

#[test]
fn p_3_of_two_profiles_the_one_of_the_canonical_id_stays_and_the_other_is_hidden() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(&folder, Model::Original);
    for (id, value) in [("U1", 1), ("U2", 2), ("U4", 4)] {
        let json = format!(r#"{{"$distinct_id":"{id}","$set":{{"a":{value}}}}}"#);
        assert_eq!(update(&project, &json), STORED);
    }
    let merge = |pair: &str| {
        let json = event("$merge", &format!("\"$distinct_ids\":{pair}"));
        submit(&project, &json, merging(None))
    };
    assert_eq!(merge(r#"["U1","U2"]"#), MERGED);
    assert_profile(&project, "U2", Some(("U1", r#"{"a":1}"#)));
    // Only one has a profile: it moves to the canonical ID.
    assert_eq!(merge(r#"["U3","U4"]"#), MERGED);
    assert_profile(&project, "U4", Some(("U3", r#"{"a":4}"#)));
    let page = project.profiles(None, 1).unwrap();
    assert_eq!((page.total, page.next.as_deref()), (2, Some("U1")));
    let page = project.profiles(Some("U1"), 1).unwrap();
    assert_eq!((&*page.profiles[0].distinct_id, page.next), ("U3", None));

    // The hidden profile can be deleted without the canonical one.
    update(
        &project,
        r#"{"$distinct_id":"U2","$ignore_alias":true,"$delete":""}"#,
    );
    assert_profile(&project, "U2", Some(("U1", r#"{"a":1}"#)));
    update(&project, r#"{"$distinct_id":"U2","$delete":""}"#);
    assert_profile(&project, "U1", None);

    // U4 is marked and becomes canonical. The profile of its cluster moves to it.
    let identify = event(
        "$identify",
        &format!(r#""distinct_id":"U4","$anon_id":"{DEVICE}""#),
    );
    assert_eq!(
        submit(&project, &identify, Record::event(None, None)),
        MERGED
    );
    assert_eq!(project.identity("U3").unwrap().canonical, "U4");
    assert_profile(&project, "U3", Some(("U4", r#"{"a":4}"#)));
    assert_eq!(project.profiles(None, 9).unwrap().total, 1);
}

#[test]
fn groups_have_their_own_profiles() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(&folder, Model::Original);
    update(
        &project,
        r#"{"$group_key":"company","$group_id":"7","$set":{"a":1}}"#,
    );
    update(
        &project,
        r#"{"$group_key":"company","$group_id":7,"$add":{"a":1}}"#,
    );
    assert_eq!(
        project.group("company", "7").unwrap().as_deref(),
        Some(r#"{"a":2}"#)
    );
    assert_eq!(project.group("country", "7").unwrap(), None);
    assert_eq!(project.profiles(None, 9).unwrap().total, 0);
}

#[test]
fn a_merge_without_permission_does_not_block_a_later_one_with_permission() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(&folder, Model::Original);
    let merge = event("$merge", r#""$distinct_ids":["U1","U2"]"#);
    let without = submit(&project, &merge, Record::event(Some(1), Some("I")));
    assert_eq!(without, RecordAnswer::Stored(ClaimAnswer::NotAllowed));
    assert_eq!(project.identity("U2").unwrap().canonical, "U2");
    assert_eq!(submit(&project, &merge, merging(Some("I"))), MERGED);
    assert_eq!(
        submit(&project, &merge, merging(Some("I"))),
        RecordAnswer::Repeated
    );
    assert_eq!(project.identity("U2").unwrap().canonical, "U1");
}

#[test]
fn an_event_without_a_time_is_repeated_at_any_arrival_time() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        index_events: 1,
        ..Options::default()
    };
    let settings = Settings::of(Model::Simplified);
    let project = Project::open(folder.path(), settings, options).unwrap();
    let submit = |received_ms, record| {
        let mut batch = Batch::new("/track", received_ms);
        batch.push(&event("A", r#""$user_id":"U1""#), record);
        project.submit_and_wait(batch).unwrap().records.remove(0)
    };
    assert_eq!(submit(1, Record::event(None, Some("I"))), STORED);
    assert_eq!(
        submit(9, Record::event(None, Some("I"))),
        RecordAnswer::Repeated
    );
    // An event with another time is new, and so is every event without an `$insert_id`.
    assert_eq!(submit(9, Record::event(Some(1), Some("I"))), STORED);
    assert_eq!(submit(9, Record::event(Some(1), None)), STORED);
    assert_eq!(submit(9, Record::event(Some(1), None)), STORED);
}

#[test]
fn a_repeated_event_is_found_after_a_later_process_has_written_its_index() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::of(Model::Simplified);
    let options = Options {
        index_events: 2,
        ..Options::default()
    };
    let open = || Project::open(folder.path(), settings.clone(), options.clone()).unwrap();
    let json = event("A", r#""$user_id":"U1""#);
    let at = |time_ms| Record::event(Some(time_ms), Some("I"));
    let project = open();
    assert_eq!(submit(&project, &json, at(1)), STORED);
    drop(project);
    // The second event makes the project write the index. The two events have different times.
    let project = open();
    assert_eq!(submit(&project, &json, at(5)), STORED);
    assert_eq!(submit(&project, &json, at(1)), RecordAnswer::Repeated);
    drop(project);
    let project = open();
    assert_eq!(submit(&project, &json, at(1)), RecordAnswer::Repeated);
    assert_eq!(submit(&project, &json, at(5)), RecordAnswer::Repeated);
    assert_eq!(submit(&project, &json, at(3)), STORED);
    assert_eq!(project.user_events("U1", None, 9).unwrap().events.len(), 3);
}

#[test]
fn an_invalid_record_is_not_stored_and_has_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(&folder, Model::Simplified);
    let mut batch = Batch::new("/track", 1);
    batch.push(
        &event("A", r#""$user_id":"undefined""#),
        Record::event(None, None),
    );
    batch.push(&event("A", r#""$user_id":"U1""#), Record::event(None, None));
    batch.push("[]", Record::event(None, None));
    let end = batch.text.len();
    batch
        .records
        .push((end..end + 1, Record::event(None, None)));
    let answer = project.submit_and_wait(batch).unwrap();
    let refused: Vec<_> = answer
        .records
        .iter()
        .map(|answer| match answer {
            RecordAnswer::Refused(error) => (error.property(), error.rule()),
            _ => (None, "stored"),
        })
        .collect();
    assert_eq!(
        refused,
        [
            (Some("$user_id"), "ID-4"),
            (None, "stored"),
            (None, "IN-1"),
            (None, "IN-1")
        ]
    );
    assert_eq!(
        project
            .export(&ExportQuery::default(), &mut |_| Ok(true))
            .unwrap(),
        1
    );
}

#[test]
fn a_funnel_follows_a_user_through_a_login() {
    for model in [Model::Simplified, Model::Original] {
        let folder = tempfile::tempdir().unwrap();
        let project = open(&folder, model);
        let mut batch = Batch::new("/track", 1);
        let visitor = format!(r#""distinct_id":"$device:{DEVICE}","$device_id":"{DEVICE}""#);
        let user = format!(r#""distinct_id":"U1","$user_id":"U1","$device_id":"{DEVICE}""#);
        batch.push(&event("View", &visitor), Record::event(Some(1), None));
        let anon = format!(r#"{user},"$anon_distinct_id":"$device:{DEVICE}""#);
        batch.push(&event("$identify", &anon), Record::event(Some(2), None));
        batch.push(&event("Buy", &user), Record::event(Some(3), None));
        project.submit_and_wait(batch).unwrap();
        let mut query = FunnelQuery::new(["View", "Buy"].map(Step::named).to_vec());
        query.window_ms = 2;
        query.grace_ms = 0;
        let counts = |query: &FunnelQuery| {
            let funnel = query.clone().funnel().unwrap();
            let steps = project.funnel(&funnel).unwrap().steps.into_iter();
            steps
                .map(|step| (step.users, step.users_without_merge))
                .collect::<Vec<_>>()
        };
        assert_eq!(counts(&query), [(1, 1), (1, 0)]);
        let narrow = FunnelQuery {
            window_ms: 1,
            ..query.clone()
        };
        assert_eq!(counts(&narrow), [(1, 1), (0, 0)]);
        let late = FunnelQuery {
            from_ms: Some(2),
            ..query
        };
        assert_eq!(counts(&late), [(0, 0), (0, 0)]);
    }
}

#[test]
fn a_funnel_that_takes_too_much_memory_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        max_funnel_bytes: 1 << 20,
        ..Options::default()
    };
    let settings = Settings::of(Model::Simplified);
    let project = Project::open(folder.path(), settings, options).unwrap();
    let track = |properties: String| {
        submit(
            &project,
            &event("A", &properties),
            Record::event(None, None),
        );
    };
    let query = FunnelQuery::new(vec![Step::named("A")]);
    let funnel = query.clone().funnel().unwrap();
    let mut holding = query;
    holding.hold = vec!["page".to_owned()];
    let holding = holding.funnel().unwrap();
    assert_eq!(project.funnel(&holding).unwrap().steps[0].users, 0);
    // Many events of a user take no memory, unless what they hold differs. It is in memory three times.
    let track_pages = |pages: std::ops::Range<u32>| {
        for at in pages {
            let page = format!("{at}{}", "x".repeat(8_000));
            track(format!(r#""$user_id":"U1","page":"{page}""#));
        }
    };
    track_pages(0..20);
    assert_eq!(project.funnel(&holding).unwrap().steps[0].users, 1);
    track_pages(20..80);
    let error = project.funnel(&holding).unwrap_err();
    let max_bytes = 1 << 20;
    assert!(
        matches!(error, ProjectError::FunnelTooLarge { max_bytes: max } if max == max_bytes),
        "{error}"
    );
    assert_eq!(project.funnel(&funnel).unwrap().steps[0].users, 1);
}

#[test]
fn the_settings_of_a_project_cannot_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    open(&folder, Model::Original).close().unwrap();
    let options = Options::default;
    let other = Project::open(folder.path(), Settings::of(Model::Simplified), options());
    let is_other = matches!(
        other,
        Err(ProjectError::Store(StoreError::OtherRuleBook { .. }))
    );
    assert!(is_other);
    let settings = with_cluster_limit(3);
    let other = Project::open(folder.path(), settings, options());
    let is_other = matches!(
        other,
        Err(ProjectError::Store(StoreError::OtherSettings { .. }))
    );
    assert!(is_other);
    let first = open(&folder, Model::Original);
    let second = Project::open(folder.path(), Settings::of(Model::Original), options());
    assert!(matches!(
        second,
        Err(ProjectError::Store(StoreError::InUse))
    ));
    drop(first);
}

#[test]
fn clusters_near_the_cap_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let settings = with_cluster_limit(10);
    let open = || Project::open(folder.path(), settings.clone(), Options::default()).unwrap();
    let project = open();
    for (at, wanted) in (2..=11).zip([0, 0, 0, 0, 0, 0, 0, 1, 1, 1]) {
        let merge = event("$merge", &format!(r#""$distinct_ids":["U1","U{at}"]"#));
        submit(&project, &merge, merging(None));
        assert_eq!(project.figures().clusters_near_cap, wanted, "{at}");
    }
    assert_eq!(project.figures().rejected, [("errManyIDs", 1)].into());
    drop(project);
    assert_eq!(open().figures().clusters_near_cap, 1);
}

/// Blocks the writer in the answer to a first batch, until the returned sender is dropped.
fn block_writer(project: &Project) -> mpsc::Sender<()> {
    let (unblock, blocked) = mpsc::channel::<()>();
    let (reached, is_reached) = mpsc::channel();
    let mut batch = Batch::new("/track", 1);
    batch.push(&event("A", ""), Record::event(None, None));
    project
        .submit(batch, move |_| {
            reached.send(()).unwrap();
            blocked.recv().unwrap_or_default();
        })
        .unwrap();
    is_reached.recv().unwrap();
    unblock
}

fn one(number: usize) -> Batch {
    let mut batch = Batch::new("/track", 1);
    let insert_id = format!("I{number}");
    batch.push(
        &event("B", r#""$user_id":"U1""#),
        Record::event(Some(1), Some(&insert_id)),
    );
    batch
}

#[test]
fn concurrent_batches_share_a_commit() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(&folder, Model::Simplified);
    let unblock = block_writer(&project);
    let (sender, answers) = mpsc::channel();
    for number in 0..20 {
        let sender = sender.clone();
        let answer = move |answer: Result<Answer, _>| sender.send(answer.is_ok()).unwrap();
        project.submit(one(number), answer).unwrap();
    }
    drop(unblock);
    drop(sender);
    assert_eq!(answers.iter().collect::<Vec<_>>(), [true; 20]);
    let figures = project.figures();
    assert_eq!((figures.commits, figures.events), (2, 21));
    assert_eq!((figures.queue_batches, figures.queue_bytes), (0, 0));
}

#[test]
fn a_full_queue_is_an_error_until_there_is_room() {
    for options in [
        Options {
            max_queue_batches: 2,
            ..Options::default()
        },
        Options {
            max_queue_bytes: 2 * one(0).text.len(),
            ..Options::default()
        },
    ] {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::of(Model::Simplified);
        let project = Project::open(folder.path(), settings, options).unwrap();
        let unblock = block_writer(&project);
        let (sender, answers) = mpsc::channel();
        let submit = |number| {
            let sender = sender.clone();
            let answer = move |answer: Result<Answer, _>| sender.send(answer.is_ok()).unwrap();
            project.submit(one(number), answer)
        };
        submit(0).unwrap();
        submit(1).unwrap();
        assert!(matches!(submit(2), Err(ProjectError::Full)));
        assert_eq!(project.figures().queue_batches, 2);
        drop(unblock);
        assert_eq!([answers.recv(), answers.recv()], [Ok(true); 2]);
        submit(2).unwrap();
        assert_eq!(answers.recv(), Ok(true));
        assert_eq!(project.figures().events, 4);
    }
}

#[test]
fn closing_writes_the_queue_and_takes_no_more_batches() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(&folder, Model::Simplified);
    let unblock = block_writer(&project);
    let (sender, answers) = mpsc::channel();
    for number in 0..3 {
        let sender = sender.clone();
        let answer = move |answer: Result<Answer, _>| sender.send(answer.is_ok()).unwrap();
        project.submit(one(number), answer).unwrap();
    }
    std::thread::scope(|scope| {
        let closing = scope.spawn(|| project.close());
        while project.submit(one(9), |_| {}).is_ok() {
            std::thread::yield_now();
        }
        drop(unblock);
        closing.join().unwrap().unwrap();
    });
    drop(sender);
    assert_eq!(answers.iter().collect::<Vec<_>>(), [true; 3]);
    assert!(matches!(
        project.submit_and_wait(one(9)),
        Err(ProjectError::Closed)
    ));
    assert!(project.user_events("U1", None, 9).unwrap().events.len() >= 3);
}

#[test]
fn acknowledged_events_survive_a_crash_and_a_resend_stores_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for _ in 0..5 {
        let project = open(&folder, Model::Simplified);
        let (sender, answers) = mpsc::channel();
        for number in 0..100 {
            let sender = sender.clone();
            let answer = move |answer: Result<Answer, _>| sender.send(answer.is_ok()).unwrap();
            project.submit(one(number), answer).unwrap();
        }
        drop(sender);
        // When the project is dropped, some batches are answered and some are not.
        assert_eq!(answers.recv(), Ok(true));
        drop(project);
        let answered = 1 + answers.iter().filter(|is_kept| *is_kept).count();
        acknowledged = acknowledged.max(answered);
        let project = open(&folder, Model::Simplified);
        let kept = project.user_events("U1", None, 1_000).unwrap().events.len();
        assert!(
            (acknowledged..=100).contains(&kept),
            "{acknowledged} {kept}"
        );
    }
    let project = open(&folder, Model::Simplified);
    for number in 0..100 {
        project.submit_and_wait(one(number)).unwrap();
    }
    assert_eq!(
        project.user_events("U1", None, 1_000).unwrap().events.len(),
        100
    );
}

#[test]
fn a_written_cursor_is_read_back() {
    for text in ["", "1", "1.", ".1", "a.1", "1.-1", "1.1.1"] {
        assert!(text.parse::<idmerge_project::Cursor>().is_err(), "{text}");
    }
    for text in ["1.2", "-1.2"] {
        let cursor: idmerge_project::Cursor = text.parse().unwrap();
        assert_eq!(cursor.to_string(), text);
    }
}
