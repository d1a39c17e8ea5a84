//! The longest event that can be stored can be read, in a block that others began.

use idmerge_engines::{Model, Settings};
use idmerge_project::{Batch, ExportQuery, Options, Project, Record, RecordAnswer};

const LONGEST: usize = 16 << 20;

/// An event of this length in bytes.
fn event(bytes: usize) -> String {
    let (start, end) = (
        r#"{"event":"A","properties":{"distinct_id":"U","x":""#,
        r#""}}"#,
    );
    let pad = "x".repeat(bytes - start.len() - end.len());
    [start, &pad, end].concat()
}

/// The length of each event, without the properties that an export adds.
fn lengths(project: &Project) -> Vec<usize> {
    let mut lengths = Vec::new();
    let mut push = |event: idmerge_project::ExportedEvent<'_>| {
        lengths.push(event.json.iter().filter(|byte| **byte == b'x').count());
        Ok(true)
    };
    project.export(&ExportQuery::default(), &mut push).unwrap();
    lengths
}

#[test]
fn in_3_the_longest_event_is_stored_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let settings = || Settings::of(Model::Original);
    let open = || Project::open(folder.path(), settings(), Options::default()).unwrap();
    let project = open();
    let mut batch = Batch::new("/import", 1);
    // The first one does not fill its block.
    let events = [60_000, LONGEST, LONGEST + 1, 100].map(event);
    for event in &events {
        batch.push(event, Record::event(Some(1), None));
    }
    let answers = project.submit_and_wait(batch).unwrap().records;
    let stored: Vec<bool> = answers.iter().map(RecordAnswer::is_stored).collect();
    assert_eq!(stored, [true, true, false, true]);
    let RecordAnswer::Refused(error) = &answers[2] else {
        panic!("{:?}", answers[2]);
    };
    assert_eq!(error.rule(), "IN-3");
    let letters = |at: usize| events[at].bytes().filter(|byte| *byte == b'x').count();
    let wanted = [0, 1, 3].map(letters);
    assert_eq!(lengths(&project), wanted);
    project.close().unwrap();
    drop(project);
    assert_eq!(lengths(&open()), wanted);
}
