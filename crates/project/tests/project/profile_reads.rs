//! What a project answers about its profiles, and from where its events came.

use idmerge_engines::{Model, Settings};
use idmerge_project::{
    Batch, ExportQuery, Options, Project, Record, RecordAnswer, RetractionTarget,
};
use idmerge_store::What;
use tempfile::TempDir;

fn open(folder: &TempDir) -> Project {
    let settings = Settings::of(Model::Simplified);
    Project::open(folder.path(), settings, Options::default()).unwrap()
}

fn submit(project: &Project, source: &'static str, json: &str, record: Record) -> RecordAnswer {
    let mut batch = Batch::new(source, 7);
    batch.push(json, record);
    project.submit_and_wait(batch).unwrap().records.remove(0)
}

fn join(project: &Project, source: &'static str, device: &str) -> RecordAnswer {
    let json =
        format!(r#"{{"event":"A","properties":{{"$user_id":"U","$device_id":"{device}"}}}}"#);
    submit(project, source, &json, Record::event(Some(1), None))
}

#[test]
fn profiles_are_found_by_any_id_and_counted_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(&folder);
    let after = |after, count| project.profile_after(after, count).unwrap();
    assert_eq!(after(None, 1), None);
    assert_eq!(project.count_profiles().unwrap(), 0);

    join(&project, "/track", "D");
    for id in ["U", "b", "c"] {
        let json = format!(r#"{{"$distinct_id":"{id}","$set":{{"is":"{id}"}}}}"#);
        assert!(submit(&project, "/engage", &json, Record::Update).is_stored());
    }
    // In the order of their bytes.
    let found = |id: &str| Some(id.to_owned());
    assert_eq!(after(None, 1), found("U"));
    assert_eq!(after(None, 3), found("c"));
    assert_eq!(after(None, 4), None);
    assert_eq!(after(Some("U"), 1), found("b"));
    assert_eq!(after(Some("U"), 2), found("c"));
    assert_eq!(after(Some("a"), 1), found("b"));
    assert_eq!(after(Some("c"), 1), None);

    let visit = |id| {
        let mut found = Vec::new();
        let mut visit = |id: &str, json: &str| found.push((id.to_owned(), json.to_owned()));
        project.visit_profile(id, &mut visit).unwrap();
        found
    };
    let profile = ("U".to_owned(), r#"{"is":"U"}"#.to_owned());
    assert_eq!(visit("$device:D"), visit("U"));
    assert_eq!(visit("U"), [profile]);
    assert_eq!(visit("nobody"), []);
}

#[test]
fn an_event_has_the_endpoint_that_received_it() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(&folder);
    for source in ["/track", "/import", Batch::TOKEN_IMPORT] {
        join(&project, source, source);
    }
    // Both ways to import are one endpoint.
    let wanted = ["/track", "/import", "/import"];
    let mut exported = Vec::new();
    let query = ExportQuery::default();
    let mut visit = |event: idmerge_project::ExportedEvent<'_>| {
        exported.push(event.source.to_owned());
        Ok(true)
    };
    project.export(&query, &mut visit).unwrap();
    assert_eq!(exported, wanted);
    let timeline = project.user_events("U", None, 10).unwrap();
    let sources = timeline.events.iter().rev().map(|event| &*event.source);
    assert_eq!(sources.collect::<Vec<_>>(), wanted);
}

#[test]
fn a_retraction_is_logged_with_its_endpoint() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(&folder);
    join(&project, "/track", "D");
    project
        .retract(RetractionTarget::Entry(1), "ada", "a tablet")
        .unwrap();
    let mut sources = Vec::new();
    let mut each = |entry: idmerge_store::Entry<'_>| {
        if let What::Retracted { .. } = entry.what {
            sources.push(entry.cause.source.map(str::to_owned));
        }
        Ok(true)
    };
    project.history().unwrap().entries(1, &mut each).unwrap();
    assert_eq!(sources, [Some("/v1/retract".to_owned())]);
}
