//! The JSON of entries and changes, which the command line, HTTP and Python print.

use idmerge_core::{Claim, Id, IdentityResolver};
use idmerge_original::Original;
use idmerge_store::{Cause, Durable, LogEntry, Options};

use crate::support::disk::Disk;
use crate::support::{Engine, snapshot_of};

fn id(text: &str) -> Id<'_> {
    Id::new(text).unwrap()
}

fn log(store: &Durable<Original>) -> Vec<String> {
    let mut lines = Vec::new();
    let history = store.history().unwrap();
    history
        .entries(1, &mut |entry| {
            lines.push(serde_json::to_string(&LogEntry::from(entry)).unwrap());
            Ok(true)
        })
        .unwrap();
    lines
}

fn open() -> Durable<Original> {
    Durable::open_backend(Disk::default(), Original::empty, Options::default()).unwrap()
}

#[test]
fn every_kind_of_entry_is_printed_with_its_ids_by_role() {
    let mut store = open();
    let anon = "5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e";
    let claims = [
        Claim::Identify {
            identified: id("U1"),
            anon: id(anon),
        },
        Claim::Alias {
            distinct_id: id("U1"),
            alias: id("U2"),
        },
        Claim::Merge {
            first: id("U1"),
            second: id("U1"),
        },
        Claim::Link {
            device: id("D1"),
            user: id("U1"),
        },
    ];
    for claim in claims {
        let cause = Cause {
            insert_id: Some("i1"),
            time_ms: Some(-5),
            source: Some("/import"),
        };
        store.apply_caused(claim, cause).unwrap();
    }
    let retraction = store.retract(2, "ada", "a test", Cause::default()).unwrap();
    let cause = r#""insert_id":"i1","time_ms":-5,"source":"/import"}"#;
    assert_eq!(
        log(&store),
        [
            format!(
                r#"{{"sequence":1,"claim":"identify","identified":"U1","anon":"{anon}","answer":"merged",{cause}"#
            ),
            format!(
                r#"{{"sequence":2,"claim":"alias","distinct_id":"U1","alias":"U2","answer":"merged",{cause}"#
            ),
            format!(
                r#"{{"sequence":3,"claim":"merge","first":"U1","second":"U1","answer":"errSameIDs","description":"both IDs are \"U1\"",{cause}"#
            ),
            format!(
                r#"{{"sequence":4,"claim":"link","device":"D1","user":"U1","answer":"ignored",{cause}"#
            ),
            r#"{"sequence":5,"retracted":2,"who":"ada","why":"a test"}"#.to_owned(),
        ]
    );
    assert_eq!(
        serde_json::to_string(retraction.changes()).unwrap(),
        r#"[{"sequence":5,"id":"U2","from":"U1","to":"U2"}]"#
    );
    let mut changes = Vec::new();
    let history = store.history().unwrap();
    history
        .changes_since(0, &mut |change| {
            changes.push(serde_json::to_string(&change).unwrap());
            Ok(true)
        })
        .unwrap();
    assert_eq!(
        changes,
        [
            format!(r#"{{"sequence":1,"id":"{anon}","from":"{anon}","to":"U1",{cause}"#),
            format!(r#"{{"sequence":2,"id":"U2","from":"U2","to":"U1",{cause}"#),
            r#"{"sequence":5,"id":"U2","from":"U1","to":"U2"}"#.to_owned(),
        ]
    );
}

#[test]
fn a_loaded_state_is_printed_as_replaced() {
    let mut store = open();
    let bytes = snapshot_of(&Original::empty());
    store.read_snapshot(&mut &*bytes).unwrap();
    assert_eq!(log(&store), [r#"{"sequence":1,"replaced":true}"#]);
}
