//! Long profiles on the disk: a version that does not know them refuses the store, and a damaged one is found
//! and named, and loses nothing else.

use std::path::Path;

use idmerge_engines::{Engine, Model, Settings};
use idmerge_project::{Batch, Options, ProfileCheck, Project, Record, RecordAnswer};
use idmerge_store::redb::{
    ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction,
};
use idmerge_store::{Durable, StoreError, repair, repair_with, restore};

const ABOUT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("about");
const PROFILES: TableDefinition<'_, &str, &str> = TableDefinition::new("profiles");
const GROUPS: TableDefinition<'_, (&str, &str), &str> = TableDefinition::new("groups");
const TEXTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("profile_texts");

fn settings() -> Settings {
    Settings::of(Model::Simplified)
}

fn open(folder: &Path) -> Project {
    Project::open(folder, settings(), Options::default()).unwrap()
}

fn store(folder: &Path) -> Durable<Engine> {
    let options = idmerge_store::Options {
        settings: settings().to_string(),
        ..idmerge_store::Options::default()
    };
    Durable::open(folder, || settings().engine(), options).unwrap()
}

fn write(folder: &Path, change: impl FnOnce(&WriteTransaction)) {
    let store = store(folder);
    let change = |write: &WriteTransaction| {
        change(write);
        Ok::<_, StoreError>(())
    };
    store.commit_with(change).unwrap();
    store.close().unwrap();
}

fn format(folder: &Path) -> u8 {
    let store = store(folder);
    let about = store.begin_read().unwrap().open_table(ABOUT).unwrap();
    let format = about.get("format").unwrap().unwrap().value()[0];
    drop(about);
    store.close().unwrap();
    format
}

/// A property that makes a profile long or short.
fn update(id: &str, elements: usize) -> String {
    let list = vec![format!("\"of {id}\""); elements].join(",");
    format!(r#"{{"$distinct_id":"{id}","$set":{{"list":[{list}]}}}}"#)
}

fn submit(project: &Project, updates: &[String]) {
    let mut batch = Batch::new("/engage", 1);
    for update in updates {
        batch.push(update, Record::Update);
    }
    let answer = project.submit_and_wait(batch).unwrap();
    assert!(answer.records.iter().all(RecordAnswer::is_stored));
}

/// The IDs of the profiles that a reader sees, each with whether it is the one that was stored.
fn seen(project: &Project) -> Vec<(String, bool)> {
    let page = project.profiles(None, 100).unwrap();
    let profiles = page.profiles.into_iter();
    profiles
        .map(|profile| {
            let list = format!("\"of {}\"", profile.distinct_id);
            let is_whole = profile.json.contains(&list) && profile.json.ends_with("]}");
            (profile.distinct_id, is_whole)
        })
        .collect()
}

#[test]
fn a_version_that_does_not_know_long_profiles_refuses_a_store_with_one() {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let folder = folders[0].path();
    submit(&open(folder), &[update("A", 1)]);
    assert_eq!(format(folder), 2);
    submit(&open(folder), &[update("B", 10_000)]);
    assert_eq!(format(folder), 3);
    // So is a copy of it.
    let backup = folders[1].path().join("backup");
    store(folder).history().unwrap().backup(&backup).unwrap();
    let restored = folders[2].path().join("restored");
    restore(&backup, &restored).unwrap();
    assert_eq!(format(&restored), 3);
    // A store that an earlier version wrote is marked when it is opened.
    write(folder, |write| {
        let mut about = write.open_table(ABOUT).unwrap();
        about.insert("format", &[2, 0][..]).unwrap();
    });
    assert_eq!(format(folder), 2);
    drop(open(folder));
    assert_eq!(format(folder), 3);
    // This version refuses the next one in the same way.
    write(folder, |write| {
        let mut about = write.open_table(ABOUT).unwrap();
        about.insert("format", &[6, 0][..]).unwrap();
    });
    let error = Project::open(folder, settings(), Options::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the store has format version 6, and this version of idmerge opens versions up to 5; open it with the \
         version that made it"
    );
    let error = repair_with(folder, Some(&ProfileCheck)).unwrap_err();
    assert!(matches!(
        error,
        StoreError::UnsupportedVersion { found: 6, .. }
    ));
}

/// The number of the text of a profile.
fn text_of(write: &WriteTransaction, id: &str) -> u64 {
    let profiles = write.open_table(PROFILES).unwrap();
    let row = profiles.get(id).unwrap().unwrap().value().to_owned();
    row[1..].split(':').next().unwrap().parse().unwrap()
}

fn damage(write: &WriteTransaction) {
    let [missing, changed] = ["missing", "changed"].map(|id| text_of(write, id));
    let mut texts = write.open_table(TEXTS).unwrap();
    texts.remove(missing).unwrap();
    // It is still JSON of the same length.
    let mut text = texts.get(changed).unwrap().unwrap().value().to_vec();
    let at = text.len() - 10;
    text[at] ^= 1;
    texts.insert(changed, &*text).unwrap();
    // Text that no row names.
    texts.insert(999, &b"{}"[..]).unwrap();
    let mut profiles = write.open_table(PROFILES).unwrap();
    for (id, row) in [
        ("no number", "@x:20000"),
        ("too long", "@1:18446744073709551615"),
        ("no JSON", "{\"list\":"),
    ] {
        profiles.insert(id, row).unwrap();
    }
    let mut groups = write.open_table(GROUPS).unwrap();
    groups.insert(("company", "x"), "@77:20000:0").unwrap();
}

#[test]
fn damaged_profiles_are_named_and_a_repair_keeps_all_others() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let ids = [
        "changed",
        "good",
        "missing",
        "no JSON",
        "no number",
        "too long",
    ];
    let updates: Vec<String> = ids.iter().map(|id| update(id, 10_000)).collect();
    submit(&open(folder), &updates);
    submit(&open(folder), &[update("short", 1)]);
    let nothing = repair_with(folder, Some(&ProfileCheck)).unwrap();
    assert_eq!((nothing.tables, nothing.damaged_file), (Vec::new(), None));
    write(folder, damage);

    // Queries pass the damaged ones over, and updates of others go on.
    let project = open(folder);
    for id in ["missing", "changed", "no number", "too long"] {
        assert_eq!(project.profile(id).unwrap(), None, "{id}");
    }
    assert_eq!(project.group("company", "x").unwrap(), None);
    let page: Vec<_> = seen(&project);
    assert!(page.contains(&("good".to_owned(), true)), "{page:?}");
    assert!(page.contains(&("short".to_owned(), true)), "{page:?}");
    submit(&project, &[update("good", 10_001), update("new", 10_000)]);
    drop(project);

    // Without the check of profiles, the store is good.
    assert_eq!(repair(folder).unwrap().tables, Vec::new());
    let repaired = repair_with(folder, Some(&ProfileCheck)).unwrap();
    assert!(repaired.damaged_file.is_some());
    assert_eq!(repaired.damage, None);
    let row = |table: &str, who: &str, what: &str| {
        let what = format!("the profile of {who} cannot be read, because {what}");
        (table.to_owned(), what)
    };
    assert_eq!(
        repaired.tables,
        [
            row("profiles", "\"changed\"", "its text is damaged"),
            row("profiles", "\"missing\"", "its text is missing"),
            row("profiles", "\"no JSON\"", "its row is damaged"),
            row("profiles", "\"no number\"", "its row is damaged"),
            row("profiles", "\"too long\"", "its row is damaged"),
            row(
                "groups",
                "the group \"company\" \"x\"",
                "its text is missing"
            ),
        ]
    );
    let again = repair_with(folder, Some(&ProfileCheck)).unwrap();
    assert_eq!((again.tables, again.damaged_file), (Vec::new(), None));
    let project = open(folder);
    let whole = ["good", "new", "short"].map(|id| (id.to_owned(), true));
    assert_eq!(seen(&project), whole);
    drop(project);
    let store = store(folder);
    let texts = store.begin_read().unwrap().open_table(TEXTS).unwrap();
    assert_eq!(texts.len().unwrap(), 2);
    // It still refuses versions that do not know long profiles.
    drop(texts);
    store.close().unwrap();
    assert_eq!(format(folder), 3);
}

#[test]
fn a_store_without_profiles_has_none_after_a_repair() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    store(folder).close().unwrap();
    let repaired = repair_with(folder, Some(&ProfileCheck)).unwrap();
    assert_eq!((repaired.tables, repaired.damaged_file), (Vec::new(), None));
}
