//! The counters of a project count each thing once, over all commits.

use idmerge_engines::{Model, Settings};
use idmerge_project::{Batch, Options, Project, Record, Sender};

fn event(name: &str, ids: &str) -> String {
    format!(r#"{{"event":"{name}","properties":{{{ids}}}}}"#)
}

fn record(insert_id: &str, sender: Sender) -> Record {
    Record::Event {
        time_ms: Some(1),
        insert_id: Some(insert_id.into()),
        sender,
        layout: None,
    }
}

/// A batch with one of each: a claim that merges, the same event again, an event that a better known
/// sender replaces, a rejected claim, a profile update, and a refused event.
fn one_of_each(number: u32) -> Batch {
    let mut batch = Batch::new("/import", 7);
    let merges = event(
        "Log In",
        &format!(r#""$user_id":"U{number}","$device_id":"D{number}""#),
    );
    let rejected = event(
        "Log In",
        &format!(r#""$user_id":"V{number}","$device_id":"D{number}""#),
    );
    let view = event("View", &format!(r#""$user_id":"U{number}""#));
    let id = number.to_string();
    batch.push(&merges, record(&id, Sender::Anybody));
    batch.push(&merges, record(&id, Sender::Anybody));
    batch.push(&view, record(&id, Sender::Anybody));
    let other = event("View", &format!(r#""$user_id":"U{number}","page":1"#));
    batch.push(&other, record(&id, Sender::Credential));
    batch.push(&rejected, record(&id, Sender::Anybody));
    let update = format!(r#"{{"$distinct_id":"U{number}","$set":{{"a":1}}}}"#);
    batch.push(&update, Record::Update);
    let refused = event("View", r#""$user_id":"null""#);
    batch.push(&refused, record(&id, Sender::Anybody));
    batch
}

#[test]
fn each_counter_is_the_sum_over_all_commits() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::of(Model::Simplified);
    let project = Project::open(folder.path(), settings, Options::default()).unwrap();
    assert!(project.check().is_ok());
    for number in 1..=3_u32 {
        project.submit_and_wait(one_of_each(number)).unwrap();
        let figures = project.figures();
        let n = u64::from(number);
        let counters = [
            figures.repeated,
            figures.replaced,
            figures.updates,
            figures.merges,
            figures.commits,
        ];
        assert_eq!(counters, [n; 5], "{figures:?}");
        assert_eq!((figures.events, figures.events_total), (4 * n, 3 * n));
        let rejected: Vec<_> = figures.rejected.values().copied().collect();
        assert_eq!(rejected, [n]);
        assert_eq!(figures.refused, [("ID-4", n)].into());
        assert_eq!(figures.commit_latency.iter().sum::<u64>(), n);
    }
    assert!(project.figures().commit_time > std::time::Duration::ZERO);
}

#[test]
fn what_a_request_refuses_is_counted_under_its_rule() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::of(Model::Simplified);
    let project = Project::open(folder.path(), settings, Options::default()).unwrap();
    for rule in ["IN-3", "IN-1", "IN-3"] {
        project.count_refused(rule);
    }
    assert_eq!(project.figures().refused, [("IN-1", 1), ("IN-3", 2)].into());
    let text = format!("{project:?}");
    assert!(text.contains("Simplified"), "{text}");
}
