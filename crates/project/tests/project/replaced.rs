//! What came with a credential is never dropped for what came without (rule AR-2).

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use idmerge_engines::{Engine, Model, Settings};
use idmerge_project::{
    Batch, ClaimAnswer, ExportQuery, Options, Project, Record, RecordAnswer, Sender,
};
use idmerge_store::redb::{TableDefinition, WriteTransaction};
use idmerge_store::{Durable, StoreError, repair, restore};

const STORED: RecordAnswer = RecordAnswer::Stored(ClaimAnswer::None);
const MERGED: RecordAnswer = RecordAnswer::Stored(ClaimAnswer::Merged);

fn open(folder: &Path) -> Project {
    open_with(folder, Options::default().index_events)
}

fn open_with(folder: &Path, index_events: u64) -> Project {
    let options = Options {
        index_events,
        ..Options::default()
    };
    Project::open(folder, Settings::of(Model::Simplified), options).unwrap()
}

fn record(insert_id: &str, sender: Sender) -> Record {
    Record::Event {
        time_ms: Some(1),
        insert_id: Some(insert_id.into()),
        sender,
        layout: None,
    }
}

/// A purchase by `user`, who is the own distinct_id, on a device.
fn purchase(user: &str, device: &str, price: u32) -> String {
    format!(
        r#"{{"event":"Purchase","properties":{{"$user_id":"{user}","$device_id":"{device}","price":{price}}}}}"#
    )
}

fn submit(project: &Project, events: &[(&str, Sender)]) -> Vec<RecordAnswer> {
    let mut batch = Batch::new("/import", 7);
    for (json, sender) in events {
        batch.push(json, record("I", *sender));
    }
    project.submit_and_wait(batch).unwrap().records
}

/// The numbers and the prices of all events that an export has.
fn prices(project: &Project) -> Vec<(u64, String)> {
    let mut prices = Vec::new();
    project
        .export(&ExportQuery::default(), &mut |event| {
            let json = str::from_utf8(event.json).unwrap();
            let (_, price) = json.split_once("\"price\":").unwrap();
            let price = price.trim_end_matches('}').split(',').next();
            prices.push((event.number, price.unwrap().to_owned()));
            Ok(true)
        })
        .unwrap();
    prices
}

/// The numbers of the events of a user.
fn timeline(project: &Project, user: &str) -> Vec<u64> {
    let timeline = project.user_events(user, None, 100).unwrap();
    timeline.events.iter().map(|event| event.number).collect()
}

#[test]
fn ar_2_an_imported_event_takes_the_place_of_a_tracked_one() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(folder.path());
    let [forged, right] = [purchase("U1", "D1", 9), purchase("U1", "D2", 5)];
    assert_eq!(submit(&project, &[(&forged, Sender::Anybody)]), [MERGED]);
    assert_eq!(submit(&project, &[(&right, Sender::Credential)]), [MERGED]);
    assert_eq!(prices(&project), [(2, "5".to_owned())]);
    assert_eq!(timeline(&project, "U1"), [2]);
    assert_eq!(project.figures().events_total, 1);
    // The claim of the replaced event stays: anybody could have made it with any other event.
    assert_eq!(project.identity("$device:D1").unwrap().canonical, "U1");

    // A later event with the same key is a duplicate, whatever its content and its sender.
    let third = purchase("U1", "D3", 7);
    for (json, sender) in [
        (&forged, Sender::Anybody),
        (&third, Sender::Anybody),
        (&third, Sender::TokenOnly),
        (&third, Sender::Credential),
        (&right, Sender::Credential),
    ] {
        assert_eq!(
            submit(&project, &[(json, sender)]),
            [RecordAnswer::Repeated]
        );
    }
    assert_eq!(prices(&project), [(2, "5".to_owned())]);
    assert_eq!(
        project.identity("$device:D3").unwrap().canonical,
        "$device:D3"
    );
}

#[test]
fn ar_2_a_tracked_event_after_the_imported_one_is_a_repetition() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(folder.path());
    let [right, forged] = [purchase("U1", "D1", 5), purchase("U1", "D2", 9)];
    let both = [(&*right, Sender::Credential), (&*forged, Sender::Anybody)];
    assert_eq!(submit(&project, &both), [MERGED, RecordAnswer::Repeated]);
    assert_eq!(prices(&project), [(1, "5".to_owned())]);
}

#[test]
fn ar_2_an_equal_import_stores_nothing_and_keeps_the_event_from_being_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let event = purchase("U1", "D1", 5);
    let other = purchase("U1", "D1", 6);
    let project = open(folder.path());
    submit(&project, &[(&event, Sender::Anybody)]);
    assert_eq!(
        submit(&project, &[(&event, Sender::Credential)]),
        [RecordAnswer::Repeated]
    );
    // Without closing, as in a crash: the answer was durable.
    drop(project);
    let project = open(folder.path());
    assert_eq!(
        submit(&project, &[(&other, Sender::Credential)]),
        [RecordAnswer::Repeated]
    );
    assert_eq!(prices(&project), [(1, "5".to_owned())]);
}

#[test]
fn ar_2_one_batch_can_have_both_and_a_claim_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(folder.path());
    let [forged, right] = [purchase("U1", "D1", 9), purchase("U1", "D1", 5)];
    let all = [
        (&*forged, Sender::Anybody),
        (&*right, Sender::Credential),
        (&*forged, Sender::Credential),
    ];
    assert_eq!(
        submit(&project, &all),
        [MERGED, STORED, RecordAnswer::Repeated]
    );
    assert_eq!(prices(&project), [(2, "5".to_owned())]);
    assert_eq!(project.figures().sequence, 1);
    assert_eq!(project.figures().replaced, 1);
}

#[test]
fn ar_2_the_token_alone_replaces_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(folder.path());
    let [first, forged, right] = [1, 2, 3].map(|price| purchase("U1", "D1", price));
    submit(&project, &[(&first, Sender::Anybody)]);
    assert_eq!(
        submit(&project, &[(&forged, Sender::TokenOnly)]),
        [RecordAnswer::Repeated]
    );
    assert_eq!(submit(&project, &[(&right, Sender::Credential)]), [STORED]);
    assert_eq!(prices(&project), [(2, "3".to_owned())]);
}

/// A project with 300 events by one user, of which the first 200 are replaced.
fn with_replaced(folder: &Path, index_events: u64) -> Project {
    let project = open_with(folder, index_events);
    for (events, sender, price) in [(300, Sender::Anybody, 9), (200, Sender::Credential, 5)] {
        let json = purchase("U1", "D1", price);
        let mut batch = Batch::new("/import", 7);
        for number in 0..events {
            batch.push(&json, record(&number.to_string(), sender));
        }
        project.submit_and_wait(batch).unwrap();
    }
    project
}

fn assert_replaced(project: &Project) {
    let numbers: Vec<u64> = (201..=500).collect();
    let shown: Vec<u64> = prices(project).iter().map(|(number, _)| *number).collect();
    assert_eq!(shown, numbers);
    let timeline = project.user_events("U1", None, 1_000).unwrap().events;
    assert_eq!(timeline.len(), 300);
    assert_eq!(project.figures().events_total, 300);
    // The indexes are there too.
    let again = purchase("U1", "D1", 8);
    for (insert_id, answer) in [("7", RecordAnswer::Repeated), ("207", STORED)] {
        let mut batch = Batch::new("/import", 7);
        batch.push(&again, record(insert_id, Sender::Credential));
        assert_eq!(project.submit_and_wait(batch).unwrap().records, [answer]);
    }
    assert_eq!(prices(project).len(), 300);
}

fn open_store(folder: &Path) -> Durable<Engine> {
    let settings = Settings::of(Model::Simplified);
    let options = idmerge_store::Options {
        settings: settings.to_string(),
        ..idmerge_store::Options::default()
    };
    Durable::open(folder, move || settings.engine(), options).unwrap()
}

#[test]
fn ar_2_events_of_a_project_without_the_index_of_numbers_count_as_imported() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = [1, 2].map(|price| purchase("U1", "D1", price));
    let project = open(folder.path());
    submit(&project, &[(&first, Sender::Anybody)]);
    drop(project);
    let numbers: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("number_recent");
    let store = open_store(folder.path());
    let delete = |write: &WriteTransaction| {
        assert!(write.delete_table(numbers).unwrap());
        Ok::<_, StoreError>(())
    };
    store.commit_with(delete).unwrap();
    drop(store);

    let project = open(folder.path());
    for sender in [Sender::Credential, Sender::Anybody, Sender::Credential] {
        assert_eq!(
            submit(&project, &[(&second, sender)]),
            [RecordAnswer::Repeated]
        );
    }
    assert_eq!(prices(&project), [(1, "1".to_owned())]);
}

#[test]
fn ar_2_a_backup_and_a_repair_have_the_replaced_events() {
    for index_events in [50, 1 << 17] {
        let folder = tempfile::tempdir().unwrap();
        let [original, restored] = ["original", "restored"].map(|name| folder.path().join(name));
        drop(with_replaced(&original, index_events));
        let store = open_store(&original);
        let backup = folder.path().join("backup");
        store.history().unwrap().backup(&backup).unwrap();
        drop(store);
        restore(&backup, &restored).unwrap();
        assert_replaced(&open_with(&restored, index_events));
        repair(&original).unwrap();
        assert_replaced(&open_with(&original, index_events));
    }
}

#[test]
fn ar_2_an_export_in_parts_has_each_event_once() {
    let folder = tempfile::tempdir().unwrap();
    // 300 tracked events, and then the imported ones that replace the first 200.
    let project = with_replaced(folder.path(), 50);
    assert_eq!(project.last_event().unwrap(), 500);
    for (as_of, part) in [(u64::MAX, 7), (500, 64), (500, 299), (330, 100), (300, 90)] {
        let mut numbers = Vec::new();
        for first in (1..=500).step_by(part) {
            let query = ExportQuery {
                numbers: first..=first + part as u64 - 1,
                as_of,
                ..ExportQuery::default()
            };
            let exported = project.export(&query, &mut |event| {
                numbers.push(event.number);
                Ok(true)
            });
            exported.unwrap();
        }
        let last = as_of.min(500);
        let wanted: Vec<u64> = (last - 300 + 1..=last).collect();
        assert_eq!(numbers, wanted, "{part} as of {as_of}");
    }
}

#[test]
fn ar_2_a_reader_sees_each_event_once_while_it_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let project = open_with(folder.path(), 2);
    let events = 0..200_u32;
    let send = |number: u32, sender, price| {
        let mut batch = Batch::new("/import", 7);
        batch.push(
            &purchase("U1", "D1", price),
            record(&number.to_string(), sender),
        );
        project.submit_and_wait(batch).unwrap();
    };
    let tracked = events.clone();
    tracked.for_each(|number| send(number, Sender::Anybody, number));
    let is_writing = AtomicBool::new(true);
    thread::scope(|scope| {
        scope.spawn(|| {
            events
                .clone()
                .for_each(|number| send(number, Sender::Credential, number + 1_000));
            is_writing.store(false, Ordering::SeqCst);
        });
        let mut is_last = false;
        while !is_last {
            is_last = !is_writing.load(Ordering::SeqCst);
            let prices = prices(&project);
            let prices: Vec<u32> = prices
                .iter()
                .map(|(_, price)| price.parse().unwrap())
                .collect();
            let keys: BTreeSet<u32> = prices.iter().map(|price| price % 1_000).collect();
            assert_eq!((prices.len(), keys.len()), (200, 200));
            let timeline = project.user_events("U1", None, 1_000).unwrap();
            assert_eq!(timeline.events.len(), 200);
        }
    });
}
