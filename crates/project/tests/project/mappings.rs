//! The mappings of a project are of one moment, and nothing waits for them.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use idmerge_core::IdentityResolver;
use idmerge_core::Resolve;
use idmerge_engines::{Engine, Model, Settings};
use idmerge_events::{JsonEvent, MappingFormat};
use idmerge_project::{Batch, MayGoOn, Options, Project, ProjectError, Record, Sender};

/// Longer than any commit takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The event with this number: it connects two of a hundred times as many IDs, and sometimes two users.
fn event(model: Model, number: usize) -> String {
    let (user, device) = (number * 7 % 900, number * 13 % 2_000);
    match model {
        Model::Simplified => format!(
            r#"{{"event":"A","properties":{{"$device_id":"d{device}","$user_id":"u{user}"}}}}"#
        ),
        Model::Legacy => format!(
            r#"{{"event":"$create_alias","properties":{{"distinct_id":"u{user}","alias":"d{device}"}}}}"#
        ),
        _ => format!(
            r#"{{"event":"$merge","properties":{{"$distinct_ids":["u{user}","d{device}"]}}}}"#
        ),
    }
}

fn batch(model: Model, numbers: std::ops::Range<usize>) -> Batch {
    let mut batch = Batch::new("/import", 1);
    for number in numbers {
        let record = Record::Event {
            time_ms: Some(1),
            insert_id: None,
            sender: Sender::Credential,
            layout: None,
        };
        batch.push(&event(model, number), record);
    }
    batch
}

/// The rows that an engine gives that was told the first events, in any order.
fn rows_after(model: Model, events: usize) -> BTreeMap<String, String> {
    let mut engine: Engine = Settings::of(model).engine();
    for number in 0..events {
        let json = event(model, number);
        let json = JsonEvent::parse_text(&json).unwrap();
        let event = json.event();
        let reading = engine.read(&event).unwrap();
        if let Some(claim) = reading.claim {
            engine.apply(claim).unwrap();
        }
    }
    let mut rows = BTreeMap::new();
    for cluster in engine.clusters() {
        for member in &cluster.members {
            if *member != cluster.canonical {
                rows.insert(member.to_string(), cluster.canonical.to_string());
            }
        }
    }
    rows
}

fn read(csv: &[u8]) -> BTreeMap<String, String> {
    let mut lines = str::from_utf8(csv).unwrap().lines();
    assert_eq!(lines.next(), Some("distinct_id,resolved_distinct_id"));
    let mut rows = BTreeMap::new();
    for line in lines {
        let (id, canonical) = line.split_once(',').unwrap();
        let earlier = rows.insert(id.to_owned(), canonical.to_owned());
        assert_eq!(earlier, None, "{id} has two rows");
    }
    rows
}

/// A place to copy mappings to. It submits claims and waits for them, so a copy that holds a lock while it
/// writes never ends.
struct Busy<'p> {
    project: &'p Project,
    model: Model,
    next: usize,
    batches: usize,
    bytes: Vec<u8>,
}

impl io::Write for Busy<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend(bytes);
        if self.batches < 20 {
            let (sender, answered) = mpsc::channel();
            let claims = batch(self.model, self.next..self.next + 50);
            let submitted = self.project.submit(claims, move |answer| {
                drop(sender.send(answer));
            });
            submitted.unwrap();
            let answer = answered.recv_timeout(PATIENCE);
            answer.expect("claims wait for the mappings").unwrap();
            self.next += 50;
            self.batches += 1;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn open(folder: &std::path::Path, model: Model) -> Project {
    Project::open(folder, Settings::of(model), Options::default()).unwrap()
}

#[test]
fn claims_are_taken_while_the_mappings_of_one_moment_are_copied() {
    for model in [Model::Original, Model::Simplified, Model::Legacy] {
        let folder = tempfile::tempdir().unwrap();
        let project = open(folder.path(), model);
        let before = 1_500;
        project.submit_and_wait(batch(model, 0..before)).unwrap();
        let mut busy = Busy {
            project: &project,
            model,
            next: before,
            batches: 0,
            bytes: Vec::new(),
        };
        project
            .write_mappings_while(MappingFormat::Csv, &mut busy, Arc::new(|| true))
            .unwrap();
        let Busy {
            bytes,
            batches,
            next,
            ..
        } = busy;
        // The writer buffers rows, and even so there was more than one batch.
        assert!(batches >= 2, "{batches}");
        assert_eq!(read(&bytes), rows_after(model, before));
        // What was taken meanwhile is in the next copy, also after a snapshot and some more claims.
        project.close().unwrap();
        drop(project);
        let project = open(folder.path(), model);
        project
            .submit_and_wait(batch(model, next..next + 500))
            .unwrap();
        let mut later = Vec::new();
        project
            .write_mappings_while(MappingFormat::Csv, &mut later, Arc::new(|| true))
            .unwrap();
        let later = read(&later);
        assert_eq!(later, rows_after(model, next + 500));
        assert_ne!(later, read(&bytes));
    }
}

#[test]
fn a_copy_of_the_mappings_and_questions_about_identities_end_at_the_first_no() {
    let folder = tempfile::tempdir().unwrap();
    let model = Model::Original;
    let project = open(folder.path(), model);
    project.submit_and_wait(batch(model, 0..3_000)).unwrap();
    let question = |name: &str, may_go_on: MayGoOn| match name {
        "mappings" => {
            project.write_mappings_while(MappingFormat::Ndjson, &mut io::sink(), may_go_on)
        }
        "changes" => project
            .changes_page_while(0, usize::MAX, may_go_on)
            .map(drop),
        _ => {
            let query = idmerge_project::MembersQuery {
                with_claims: true,
                ..Default::default()
            };
            project
                .identity_page_while("u7", &query, may_go_on)
                .map(drop)
        }
    };
    for name in ["mappings", "changes", "explain"] {
        let ask = |no_at: u64| {
            let asked = Arc::new(AtomicU64::new(0));
            let count = asked.clone();
            let may_go_on = move || count.fetch_add(1, Ordering::Relaxed) + 1 < no_at;
            let answer = question(name, Arc::new(may_go_on));
            (answer, asked.load(Ordering::Relaxed))
        };
        let (answer, all) = ask(u64::MAX);
        answer.unwrap();
        assert!(all > 2, "{name} asked {all} times");
        for no_at in [1, all / 2, all] {
            let (answer, asked) = ask(no_at);
            assert!(
                matches!(answer, Err(ProjectError::Cancelled)),
                "{name}: {answer:?}"
            );
            assert_eq!(asked, no_at, "{name}");
        }
    }
}
