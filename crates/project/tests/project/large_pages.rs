//! Pages of a user with long events: a page ends at 2 MiB of JSON.

use idmerge_engines::{Model, Settings};
use idmerge_project::{Batch, Cursor, Options, Project, Record, RecordAnswer};
use tempfile::TempDir;

const PAGE_BYTES: usize = 2 << 20;
/// An event of 16 MiB is taken (IN-3).
const EVENT_BYTES: usize = 16 << 20;

fn open(folder: &TempDir) -> Project {
    let settings = Settings::of(Model::Simplified);
    Project::open(folder.path(), settings, Options::default()).unwrap()
}

fn event(pad: usize) -> String {
    let pad = "x".repeat(pad);
    format!(r#"{{"event":"A","properties":{{"distinct_id":"U","$user_id":"U","pad":"{pad}"}}}}"#)
}

fn submit(project: &Project, time_ms: i64, json: &str) -> RecordAnswer {
    let mut batch = Batch::new("/track", 1);
    batch.push(json, Record::event(Some(time_ms), None));
    let mut answer = project.submit_and_wait(batch).unwrap();
    answer.records.remove(0)
}

/// The lengths of the events of each page.
fn pages(project: &Project, limit: usize) -> Vec<Vec<usize>> {
    let mut pages = Vec::new();
    let mut after: Option<Cursor> = None;
    loop {
        let page = project.user_events("U", after, limit).unwrap();
        pages.push(page.events.iter().map(|event| event.json.len()).collect());
        after = page.next;
        if after.is_none() {
            return pages;
        }
    }
}

#[test]
fn a_page_has_as_many_events_as_fit() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(&folder);
    submit(&project, 0, &event(0));
    // What the project adds to the text of an event.
    let added = pages(&project, 1)[0][0];
    let mut lengths = vec![added];
    let quarter = PAGE_BYTES / 4;
    for (time_ms, length) in (1..).zip([
        quarter,
        quarter,
        quarter,
        quarter,
        quarter,
        quarter - 1,
        quarter + 1,
        quarter,
        1,
        PAGE_BYTES,
        3 * PAGE_BYTES,
        quarter,
    ]) {
        let length = length.max(added);
        submit(&project, time_ms, &event(length - added));
        lengths.push(length);
    }
    // The latest events are first, and a page has one at least.
    let mut wanted: Vec<Vec<usize>> = vec![Vec::new()];
    for length in lengths.into_iter().rev() {
        let page = wanted.last_mut().unwrap();
        if page.is_empty() || page.iter().sum::<usize>() + length <= PAGE_BYTES {
            page.push(length);
        } else {
            wanted.push(vec![length]);
        }
    }
    assert_eq!(pages(&project, 100), wanted);
    assert!(wanted.iter().any(|page| page.len() > 1));
    assert!(
        wanted
            .iter()
            .any(|page| page.iter().sum::<usize>() == PAGE_BYTES && page.len() == 4)
    );
}

#[test]
fn in_3_the_longest_event_is_taken_and_a_longer_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(&folder);
    let empty = event(0).len();
    assert!(submit(&project, 1, &event(EVENT_BYTES - empty)).is_stored());
    let refused = submit(&project, 2, &event(EVENT_BYTES - empty + 1));
    assert!(matches!(refused, RecordAnswer::Refused(error) if error.rule() == "IN-3"));
}
