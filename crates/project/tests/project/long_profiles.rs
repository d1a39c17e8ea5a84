//! Long profiles have a table of their own. Whatever happens to them, they read as short ones do, and no
//! text is left over.

use std::path::Path;

use idmerge_engines::{Engine, Model, Settings};
use idmerge_project::{Batch, Options, ProfileMerge, Project, Record, Sender};
use idmerge_store::redb::{ReadableTable, ReadableTableMetadata, TableDefinition};
use idmerge_store::{Cause, Durable};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// Some profile updates in one batch: the ID, the operation, and whether it is about the hidden
    /// profile of this ID.
    Update(Vec<(usize, &'static str, bool)>),
    Merge(Vec<(usize, usize)>),
    Close,
    /// Withdraws this entry of the log, and opens the project again.
    Retract(u64),
}

const IDS: usize = 5;
const OPERATIONS: [&str; 6] = [
    r#""$set":{"pad":PAD}"#,
    r#""$set":{"pad":PAD}"#,
    r#""$set":{"pad":1}"#,
    r#""$add":{"n":1}"#,
    r#""$set":{"PROPERTY":PAD}"#,
    r#""$delete":"""#,
];

fn any_step() -> impl Strategy<Value = Step> {
    let operation = prop::sample::select(&OPERATIONS[..]);
    let update = (0..IDS, operation, prop::bool::weighted(0.2));
    prop_oneof![
        6 => prop::collection::vec(update, 1..4).prop_map(Step::Update),
        3 => prop::collection::vec((0..IDS, 0..IDS), 1..3).prop_map(Step::Merge),
        1 => Just(Step::Close),
        1 => (1..5_u64).prop_map(Step::Retract),
    ]
}

/// A project, and how long its pads are.
struct Padded<'f> {
    folder: &'f Path,
    pad: String,
    profile_merge: ProfileMerge,
    project: Option<Project>,
}

impl Padded<'_> {
    fn project(&mut self) -> &Project {
        let options = Options {
            profile_merge: self.profile_merge,
            ..Options::default()
        };
        let open = || Project::open(self.folder, settings(), options).unwrap();
        self.project.get_or_insert_with(open)
    }

    fn carry_out(&mut self, step: &Step) {
        match step {
            Step::Close => {
                self.project().close().unwrap();
                self.project = None;
            }
            Step::Retract(sequence) => {
                self.project = None;
                let mut store = store(self.folder);
                // There may be no such entry.
                let _result = store.retract(*sequence, "ada", "a test", Cause::default());
                store.close().unwrap();
            }
            Step::Update(updates) => {
                let mut batch = Batch::new("/engage", 1);
                for (id, operation, is_hidden) in updates {
                    let operation = operation
                        .replace("PAD", &self.pad)
                        .replace("PROPERTY", &format!("of{id}"));
                    let json = format!(
                        r#"{{"$distinct_id":"U{id}","$ignore_alias":{is_hidden},{operation}}}"#
                    );
                    batch.push(&json, Record::Update);
                    let json = format!(r#"{{"$group_key":"g","$group_id":"{id}",{operation}}}"#);
                    batch.push(&json, Record::Update);
                }
                self.project().submit_and_wait(batch).unwrap();
            }
            Step::Merge(pairs) => {
                let mut batch = Batch::new("/import", 1);
                for (first, second) in pairs {
                    let json = format!(
                        r#"{{"event":"$merge","properties":{{"$distinct_ids":["U{first}","U{second}"]}}}}"#
                    );
                    let record = Record::Event {
                        time_ms: Some(1),
                        insert_id: None,
                        sender: Sender::Credential,
                        layout: None,
                    };
                    batch.push(&json, record);
                }
                self.project().submit_and_wait(batch).unwrap();
            }
        }
    }

    /// All profiles, with a word for each pad.
    fn shown(&mut self) -> Vec<String> {
        let pad = self.pad.clone();
        let project = self.project();
        let shown = |json: String| json.replace(&pad, "PAD");
        let page = project.profiles(None, 100).unwrap();
        let mut all: Vec<String> = page
            .profiles
            .into_iter()
            .map(|profile| format!("{} {}", profile.distinct_id, shown(profile.json)))
            .collect();
        for id in 0..IDS {
            let profile = project.profile(&format!("U{id}")).unwrap();
            let group = project.group("g", &id.to_string()).unwrap();
            all.push(format!(
                "{:?} {:?}",
                profile.map(|profile| shown(profile.json)),
                group.map(shown)
            ));
        }
        all
    }

    /// How many long texts there are, and how many rows that refer to one.
    fn texts_and_rows(&mut self) -> (u64, usize) {
        self.project = None;
        let store = store(self.folder);
        let read = store.begin_read().unwrap();
        let is_long = |row: &str| row.starts_with('@');
        let mut rows = 0;
        for table in ["profiles", "profiles_hidden"] {
            let table = TableDefinition::<&str, &str>::new(table);
            if let Ok(table) = read.open_table(table) {
                rows += table
                    .iter()
                    .unwrap()
                    .filter(|row| is_long(row.as_ref().unwrap().1.value()))
                    .count();
            }
        }
        let groups = TableDefinition::<(&str, &str), &str>::new("groups");
        if let Ok(table) = read.open_table(groups) {
            rows += table
                .iter()
                .unwrap()
                .filter(|row| is_long(row.as_ref().unwrap().1.value()))
                .count();
        }
        let texts = TableDefinition::<u64, &[u8]>::new("profile_texts");
        let texts = read
            .open_table(texts)
            .map_or(0, |texts| texts.len().unwrap());
        (texts, rows)
    }
}

fn settings() -> Settings {
    Settings::of(Model::Original)
}

fn store(folder: &Path) -> Durable<Engine> {
    let options = idmerge_store::Options {
        settings: settings().to_string(),
        ..idmerge_store::Options::default()
    };
    Durable::open(folder, || settings().engine(), options).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn a_long_profile_reads_as_a_short_one(
        steps in prop::collection::vec(any_step(), 1..12),
        profile_merge in prop::sample::select(&ProfileMerge::ALL[..]),
    ) {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [mut short, mut long] = [(0, 4), (1, 20_000)].map(|(at, bytes)| Padded {
            folder: folders[at].path(),
            // Of several strings, since long strings are cut.
            pad: format!("[{}\"x\"]", "\"xxxxxxxxxx\",".repeat(bytes / 10)),
            profile_merge,
            project: None,
        });
        for step in &steps {
            short.carry_out(step);
            long.carry_out(step);
            prop_assert_eq!(short.shown(), long.shown(), "after {:?}", step);
        }
        let (texts, rows) = long.texts_and_rows();
        prop_assert_eq!(texts, rows as u64);
        prop_assert_eq!(short.texts_and_rows(), (0, 0));
    }
}

#[test]
fn a_backup_has_long_profiles() {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [folder, backup, restored] = [0, 1, 2].map(|at| folders[at].path().join("project"));
    let pad = format!("[{}1]", "1,".repeat(20_000));
    let project = |folder: &Path| Project::open(folder, settings(), Options::default()).unwrap();
    {
        let project = project(&folder);
        let mut batch = Batch::new("/engage", 1);
        let json = format!(r#"{{"$distinct_id":"U","$set":{{"pad":{pad}}}}}"#);
        batch.push(&json, Record::Update);
        project.submit_and_wait(batch).unwrap();
    }
    store(&folder).history().unwrap().backup(&backup).unwrap();
    idmerge_store::restore(&backup, &restored).unwrap();
    let profile = project(&restored).profile("U").unwrap().unwrap();
    assert_eq!(profile.json, format!(r#"{{"pad":{pad}}}"#));
}
