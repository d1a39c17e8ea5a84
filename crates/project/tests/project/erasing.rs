//! Erasing people while a project is open: rules E-1 to E-6. What was acknowledged is the truth.

use crate::traces;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use idmerge_core::IdentityResolver;
use idmerge_engines::{Model, Settings};
use idmerge_project::{
    Batch, ExportQuery, Options, PrivacyTask, Project, ProjectError, Record, TaskKind, TaskStatus,
};
use idmerge_store::{Durable, StoreError};
use serde_json::{Value, json};

const ADA: &str = "ada.lovelace@example.com";
const TABLET: &str = "7e57ab1e-0000-4000-8000-00000000ada1";
const KEY: [u8; 32] = [7; 32];

fn open(folder: &Path) -> Project {
    Project::open(folder, Settings::of(Model::Simplified), Options::default()).unwrap()
}

fn event(user: &str, device: &str, number: usize) -> (String, String) {
    let insert_id = format!("insert-{number}");
    let event = json!({"event": "Log In", "properties": {
        "$user_id": user, "$device_id": device, "distinct_id": user, "$insert_id": insert_id,
        "number": number, "padding": "x".repeat(200),
    }});
    (event.to_string(), insert_id)
}

/// Sends an event, and an update that counts it.
fn send(project: &Project, user: &str, device: &str, number: usize) -> Result<(), ProjectError> {
    let (text, insert_id) = event(user, device, number);
    let time_ms = 1_700_000_000_000 + i64::try_from(number).unwrap();
    let mut batch = Batch::new("/import", time_ms);
    batch.push(&text, Record::event(Some(time_ms), Some(&insert_id)));
    let answer = project.submit_and_wait(batch)?;
    assert!(answer.records[0].is_stored(), "{answer:?}");
    Ok(())
}

/// Sends events in one batch.
fn send_all(project: &Project, user: &str, device: &str, numbers: Range<usize>) {
    let mut batch = Batch::new("/import", 1);
    for number in numbers {
        let (text, insert_id) = event(user, device, number);
        batch.push(&text, Record::event(Some(1), Some(&insert_id)));
    }
    project.submit_and_wait(batch).unwrap();
}

fn count(project: &Project, user: &str) {
    let mut batch = Batch::new("/engage", 1);
    let update = json!({"$distinct_id": user, "$add": {"seen": 1}}).to_string();
    batch.push(&update, Record::Update);
    project.submit_and_wait(batch).unwrap();
}

fn deletion(id: &str, requested_ms: i64, ids: &[&str]) -> PrivacyTask {
    PrivacyTask {
        id: id.to_owned(),
        kind: TaskKind::Deletion,
        status: TaskStatus::Pending,
        requested_ms,
        requested_by: "dpo".to_owned(),
        compliance_type: "GDPR".to_owned(),
        distinct_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        ids_named: ids.len() as u64,
        error: None,
        receipt: None,
        key: None,
    }
}

/// How often each number was stored.
fn stored(project: &Project) -> BTreeMap<u64, usize> {
    let mut stored = BTreeMap::new();
    project
        .export(&ExportQuery::default(), &mut |event| {
            let event: Value = serde_json::from_slice(event.json).unwrap();
            *stored
                .entry(event["properties"]["number"].as_u64().unwrap())
                .or_default() += 1;
            Ok(true)
        })
        .unwrap();
    stored
}

/// Whether there is a trace of Ada in a file of the project.
fn traces_of_ada(folder: &Path) -> Vec<String> {
    traces::traces(folder, &[ADA, TABLET])
}

/// Ends the senders, also if the test fails.
struct Ends<'e>(&'e AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn e_6_others_lose_nothing_and_double_nothing_while_somebody_is_erased() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(folder.path());
    send_all(&project, ADA, TABLET, 0..200);
    count(&project, ADA);
    project.add_privacy_task(deletion("T", 5, &[ADA])).unwrap();
    assert_eq!(project.figures().deletions_waiting, 1);

    let next = AtomicUsize::new(1_000);
    let is_over = AtomicBool::new(false);
    let refused = AtomicUsize::new(0);
    let acknowledged = thread::scope(|scope| {
        let send_some = || {
            let mut acknowledged = Vec::new();
            while !is_over.load(Ordering::SeqCst) {
                let number = next.fetch_add(1, Ordering::SeqCst);
                let user = format!("other-{}", number % 10);
                loop {
                    match send(&project, &user, &format!("{user}'s"), number) {
                        Ok(()) => break acknowledged.push(number as u64),
                        Err(ProjectError::Erasing) => {
                            refused.fetch_add(1, Ordering::SeqCst);
                            // The task can be asked for meanwhile.
                            let task = project.privacy_task("T").unwrap();
                            assert_ne!(task.status, TaskStatus::Failure);
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            acknowledged
        };
        let senders: Vec<_> = (0..3).map(|_| scope.spawn(send_some)).collect();
        let ends = Ends(&is_over);
        while next.load(Ordering::SeqCst) < 1_100 {
            thread::yield_now();
        }
        let receipt = project.erase_waiting(5, KEY).unwrap().unwrap();
        assert_eq!(receipt.ids_erased, 2);
        assert_eq!(receipt.rows.events_erased, 200);
        assert_eq!(receipt.rows.profiles_erased, 1);
        // The others go on.
        let end = next.load(Ordering::SeqCst) + 100;
        while next.load(Ordering::SeqCst) < end {
            thread::yield_now();
        }
        drop(ends);
        let senders = senders.into_iter();
        let mut all: Vec<_> = senders.flat_map(|sender| sender.join().unwrap()).collect();
        all.sort_unstable();
        all
    });
    let stored = stored(&project);
    assert!(stored.values().all(|times| *times == 1), "{stored:?}");
    assert_eq!(stored.into_keys().collect::<Vec<_>>(), acknowledged);
    assert_eq!(
        project.identity("$device:other-3's").unwrap().canonical,
        "other-3"
    );

    // E-2
    let task = project.privacy_task("T").unwrap();
    assert_eq!(task.status, TaskStatus::Success);
    assert_eq!(task.distinct_ids, [""; 0]);
    assert_eq!(task.ids_named, 1);
    assert!(task.receipt.unwrap().contains("\"events_erased\":200"));
    let figures = project.figures();
    assert_eq!((figures.erasures, figures.ids_erased), (1, 2));
    assert_eq!((figures.deletions_waiting, figures.is_erasing), (0, false));
    assert_eq!(figures.failure, None);
    let (text, insert_id) = event(ADA, TABLET, 7);
    let mut batch = Batch::new("/import", 1);
    batch.push(&text, Record::event(Some(1), Some(&insert_id)));
    assert!(!project.submit_and_wait(batch).unwrap().records[0].is_stored());
    project.close().unwrap();
    drop(project);
    assert_eq!(traces_of_ada(folder.path()), [""; 0]);

    // The task is still done after a restart.
    let project = open(folder.path());
    assert_eq!(
        project.privacy_task("T").unwrap().status,
        TaskStatus::Success
    );
    assert_eq!(project.oldest_deletion_ms(), None);
    assert!(project.erase_waiting(i64::MAX, KEY).unwrap().is_none());
}

#[test]
fn e_6_deletions_that_wait_are_carried_out_together_and_those_of_later_wait() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(folder.path());
    for (number, user) in ["u1", "u2", "u3", "u4"].into_iter().enumerate() {
        send(&project, user, &format!("d{number}"), number).unwrap();
    }
    for (id, time_ms, user) in [
        ("T1", 1, "u1"),
        ("T2", 2, "u2"),
        ("T3", 3, "u3"),
        ("T4", 2, "u4"),
    ] {
        project
            .add_privacy_task(deletion(id, time_ms, &[user]))
            .unwrap();
    }
    assert_eq!(project.oldest_deletion_ms(), Some(1));
    assert!(project.erase_waiting(0, KEY).unwrap().is_none());
    let cancelled = project.cancel_privacy_task("T4").unwrap();
    assert_eq!(cancelled, Some(TaskStatus::Revoked));
    let receipt = project.erase_waiting(2, KEY).unwrap().unwrap();
    assert_eq!((receipt.ids_named, receipt.rows.events_erased), (2, 2));
    let numbers: Vec<_> = stored(&project).into_keys().collect();
    assert_eq!(numbers, [2, 3]);
    let statuses = |project: &Project| -> Vec<_> {
        let tasks = project.privacy_tasks();
        tasks
            .iter()
            .map(|task| (task.id.clone(), task.status.name()))
            .collect()
    };
    let wanted = [
        ("T1", "SUCCESS"),
        ("T2", "SUCCESS"),
        ("T4", "REVOKED"),
        ("T3", "PENDING"),
    ]
    .map(|(id, status)| (id.to_owned(), status));
    assert_eq!(statuses(&project), wanted);
    assert_eq!(
        project.cancel_privacy_task("T1").unwrap(),
        Some(TaskStatus::Success)
    );
    assert_eq!(project.cancel_privacy_task("T9").unwrap(), None);
    drop(project);
    let project = open(folder.path());
    assert_eq!(statuses(&project), wanted);
    assert_eq!(project.oldest_deletion_ms(), Some(3));
}

#[test]
fn a_query_that_reads_is_waited_for_and_a_project_that_closes_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(folder.path());
    send_all(&project, "u", "d", 0..2_000);
    project.add_privacy_task(deletion("T", 1, &["v"])).unwrap();
    thread::scope(|scope| {
        let erasing = scope.spawn(|| project.erase_waiting(1, KEY));
        while project.check().is_ok() {
            thread::yield_now();
        }
        // What does not need the store answers, and all else says why it does not.
        assert!(project.privacy_task("T").is_some());
        let error = project.user_events("u", None, 1);
        assert!(
            matches!(error, Ok(_) | Err(ProjectError::Erasing)),
            "{error:?}"
        );
        let error = project.add_privacy_task(deletion("T2", 1, &["w"]));
        assert!(
            matches!(error, Ok(()) | Err(ProjectError::Erasing)),
            "{error:?}"
        );
        project.close().unwrap();
        let erased = erasing.join().unwrap();
        assert!(
            matches!(erased, Err(ProjectError::Closed) | Ok(Some(_))),
            "{erased:?}"
        );
    });
    drop(project);
    let project = open(folder.path());
    assert_eq!(stored(&project).len(), 2_000);
    let status = project.privacy_task("T").unwrap().status;
    if status == TaskStatus::Pending {
        project.erase_waiting(1, KEY).unwrap().unwrap();
        assert_eq!(
            project.privacy_task("T").unwrap().status,
            TaskStatus::Success
        );
    }
}

#[test]
fn what_is_to_be_retrieved_is_forgotten_with_the_people() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(folder.path());
    send(&project, ADA, TABLET, 1).unwrap();
    send(&project, "ben", "d", 2).unwrap();
    let retrieval = |id: &str, ids: &[&str]| PrivacyTask {
        kind: TaskKind::Retrieval,
        status: TaskStatus::Success,
        key: Some("secret".to_owned()),
        ..deletion(id, 1, ids)
    };
    project.add_privacy_task(retrieval("R1", &[ADA])).unwrap();
    let tablet = format!("$device:{TABLET}");
    project
        .add_privacy_task(retrieval("R2", &["ben", &tablet]))
        .unwrap();
    project
        .add_privacy_task(deletion("T1", 1, &[ADA, "ben"]))
        .unwrap();
    project.cancel_privacy_task("T1").unwrap();
    // It names the same person by another ID.
    project
        .add_privacy_task(deletion("T2", 9, &[&tablet]))
        .unwrap();
    project.add_privacy_task(deletion("T3", 1, &[ADA])).unwrap();
    project.erase_waiting(1, KEY).unwrap().unwrap();
    let task = |id: &str| project.privacy_task(id).unwrap();
    assert_eq!(
        (task("R1").status, task("R1").key),
        (TaskStatus::Revoked, None)
    );
    assert_eq!(task("R2").status, TaskStatus::Success);
    assert_eq!(task("R2").distinct_ids, ["ben"]);
    assert_eq!(task("T2").status, TaskStatus::Success);
    project.close().unwrap();
    drop(project);
    assert_eq!(traces_of_ada(folder.path()), [""; 0]);
}

#[test]
fn bad_requests_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(folder.path());
    let error = project.add_privacy_task(deletion("T", 1, &[""]));
    assert!(
        matches!(error, Err(ProjectError::InvalidId(_))),
        "{error:?}"
    );
    let ids: Vec<_> = (0..100_000).map(|number| format!("u{number}")).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    project.add_privacy_task(deletion("T", 1, &ids)).unwrap();
    let error = project.add_privacy_task(deletion("T2", 1, &["u"]));
    assert!(
        matches!(error, Err(ProjectError::TooManyTasks { .. })),
        "{error:?}"
    );
    project.cancel_privacy_task("T").unwrap();
    project.add_privacy_task(deletion("T2", 1, &["u"])).unwrap();
    // A finished task is forgotten after 90 days.
    let later_ms = 1 + 90 * 24 * 3_600_000;
    project
        .add_privacy_task(deletion("T3", later_ms, &["u"]))
        .unwrap();
    assert!(project.privacy_task("T").is_some());
    project
        .add_privacy_task(deletion("T4", later_ms + 1, &["u"]))
        .unwrap();
    assert!(project.privacy_task("T").is_none());
}

#[test]
fn a_deletion_that_can_never_be_carried_out_fails_and_says_why_and_the_project_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::of(Model::Simplified);
    let fresh = settings.clone();
    let options = idmerge_store::Options {
        settings: settings.to_string(),
        ..idmerge_store::Options::default()
    };
    let mut store = Durable::open(folder.path(), move || fresh.engine(), options).unwrap();
    let mut state = Vec::new();
    settings.engine().write_snapshot(&mut state).unwrap();
    store.read_snapshot(&mut &state[..]).unwrap();
    store.close().unwrap();

    let project = open(folder.path());
    send(&project, ADA, TABLET, 1).unwrap();
    project.add_privacy_task(deletion("T", 1, &[ADA])).unwrap();
    let error = project.erase_waiting(1, KEY);
    assert!(
        matches!(
            error,
            Err(ProjectError::Store(StoreError::NotFromClaims { .. }))
        ),
        "{error:?}"
    );
    let task = project.privacy_task("T").unwrap();
    assert_eq!(task.status, TaskStatus::Failure);
    assert!(task.error.unwrap().contains("loaded"));
    // It is not tried again.
    assert!(project.erase_waiting(1, KEY).unwrap().is_none());
    send(&project, ADA, TABLET, 2).unwrap();
    assert_eq!(stored(&project).len(), 2);
    assert_eq!(project.figures().erasures, 0);
}
