//! Some threads submit batches and others read, while the maintenance thread merges the index.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use idmerge_analysis::{FunnelQuery, Step};
use idmerge_engines::{Model, Settings};
use idmerge_project::{
    Batch, ExportQuery, MembersQuery, Options, Project, ProjectError, Record, RecordAnswer,
};

const THREADS: usize = 2;
const BATCHES: usize = 60;
const USERS: usize = 5;

fn batch(thread: usize, number: usize) -> Batch {
    let mut batch = Batch::new("/track", 1);
    for user in 0..USERS {
        let ids = format!(r#""$user_id":"U{user}","$device_id":"D{thread}-{number}-{user}""#);
        let json = format!(r#"{{"event":"A","properties":{{{ids}}}}}"#);
        let insert_id = format!("{thread}-{number}-{user}");
        let time_ms = i64::try_from(number).unwrap();
        batch.push(&json, Record::event(Some(time_ms), Some(&insert_id)));
        let update = format!(r#"{{"$distinct_id":"U{user}","$add":{{"count":1}}}}"#);
        batch.push(&update, Record::Update);
    }
    batch
}

fn read(project: &Project, acknowledged: &AtomicUsize) {
    let at_least = acknowledged.load(Ordering::SeqCst);
    let timeline = project.user_events("U1", None, 1_000).unwrap();
    assert!(timeline.events.len() >= at_least);
    let is_sorted = timeline
        .events
        .windows(2)
        .all(|pair| pair[0].time_ms >= pair[1].time_ms);
    assert!(is_sorted);
    let mut last = 0;
    let count = project.export(&ExportQuery::default(), &mut |event| {
        assert_eq!(event.number, last + 1);
        last = event.number;
        Ok(true)
    });
    assert!(count.unwrap() >= (at_least * USERS) as u64);
    let query = FunnelQuery::new(vec![Step::named("A")]);
    for step in project.funnel(&query.funnel().unwrap()).unwrap().steps {
        // Each event has both IDs, so each ID belongs to its user from its first event on.
        assert!(step.users <= USERS as u64 && step.users == step.users_without_merge);
    }
    let identity = project.identity("U1").unwrap();
    assert!(identity.members.len() >= at_least);
    let query = MembersQuery {
        with_claims: true,
        ..MembersQuery::default()
    };
    assert!(project.identity_page("U1", &query).unwrap().claims.len() >= at_least);
    assert!(project.profiles(None, 100).unwrap().total <= USERS as u64);
    assert!(project.figures().failure.is_none());
}

#[test]
fn reading_is_consistent_while_others_write() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        index_events: 20,
        snapshot_entries: 50,
        ..Options::default()
    };
    let settings = Settings::of(Model::Simplified);
    let project = Project::open(folder.path(), settings, options).unwrap();
    let acknowledged = AtomicUsize::new(0);
    let writing = AtomicUsize::new(THREADS);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (project, acknowledged, writing) = (&project, &acknowledged, &writing);
            scope.spawn(move || {
                for number in 0..BATCHES {
                    // Send it twice, as a client does that got no response.
                    let first = project.submit_and_wait(batch(thread, number)).unwrap();
                    assert!(first.records.iter().all(RecordAnswer::is_stored));
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                    let mut again = batch(thread, number);
                    again
                        .records
                        .retain(|(_, record)| *record != Record::Update);
                    let again = project.submit_and_wait(again).unwrap();
                    assert_eq!(again.records, [const { RecordAnswer::Repeated }; USERS]);
                }
                writing.fetch_sub(1, Ordering::SeqCst);
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                while writing.load(Ordering::SeqCst) > 0 {
                    read(&project, &acknowledged);
                }
            });
        }
    });
    read(&project, &acknowledged);
    let profile = project.profile("U1").unwrap().unwrap();
    assert_eq!(
        profile.json,
        format!(r#"{{"count":{}}}"#, THREADS * BATCHES)
    );
    project.close().unwrap();
    read(&project, &acknowledged);
}

#[test]
fn a_batch_does_not_wait_for_the_reader_of_an_export() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::of(Model::Simplified);
    let project = Project::open(folder.path(), settings, Options::default()).unwrap();
    project.submit_and_wait(batch(0, 0)).unwrap();
    let (sender, receiver) = mpsc::channel();
    let exported = project.export(&ExportQuery::default(), &mut |event| {
        let sender = sender.clone();
        let again = move |answer: Result<_, ProjectError>| sender.send(answer).unwrap();
        let number = usize::try_from(event.number).unwrap();
        project.submit(batch(1, number), again).unwrap();
        // Longer than any commit takes.
        let answer = receiver.recv_timeout(Duration::from_secs(60));
        assert!(answer.unwrap().is_ok());
        Ok(true)
    });
    assert_eq!(exported.unwrap(), USERS as u64);
}
