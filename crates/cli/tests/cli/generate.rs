//! `idmerge generate`: test events, the same every time, and the right answer for them.

use std::collections::HashMap;

use crate::run::{Folder, text_of};

const WORKLOADS: [&str; 4] = ["web-login", "identify", "shared-device", "cap"];

#[track_caller]
fn generate(args: &str) -> String {
    Folder::new().run(&format!("generate {args}")).ok()
}

#[test]
fn the_same_arguments_give_the_same_bytes() {
    for workload in WORKLOADS {
        let events = generate(&format!("--workload {workload} --events 500"));
        assert_eq!(events.lines().count(), 500);
        assert!(events == generate(&format!("--events 500 --seed 1 -q --workload {workload}")));
        assert!(events != generate(&format!("--workload {workload} --events 500 --seed 2")));
        // A shorter stream is the beginning of a longer one.
        let shorter = generate(&format!("--workload {workload} --events 499"));
        assert!(events.starts_with(&shorter));
    }
}

#[test]
fn both_engines_use_every_event() {
    let folder = Folder::new();
    for workload in WORKLOADS {
        folder
            .run(&format!(
                "generate --workload {workload} --events 2000 -o events"
            ))
            .ok();
        for engine in ["simplified", "original"] {
            let args = format!("resolve events --strict -q --engine {engine}");
            assert_eq!(folder.run(&args).ok().lines().count(), 2000, "{workload}");
        }
    }
}

#[test]
fn zero_events_give_empty_files() {
    let folder = Folder::new();
    folder
        .run("generate --workload cap --events 0 -o out --truth truth")
        .ok();
    assert_eq!(
        (folder.read("out"), folder.read("truth")),
        (String::new(), String::new())
    );
}

#[test]
fn the_truth_names_the_person_of_each_id() {
    let folder = Folder::new();
    let args = "generate --workload web-login --events 5000 -o events --truth truth";
    assert_eq!(folder.run(args).ok(), "");
    let mut person_of = HashMap::new();
    for line in folder.read("truth").lines() {
        let person: serde_json::Value = serde_json::from_str(line).unwrap();
        for id in person["ids"].as_array().unwrap() {
            let before = person_of.insert(id.as_str().unwrap().to_owned(), text_of(line, "person"));
            assert_eq!(before, None, "{id} belongs to two people");
        }
    }
    // In this workload people share no browser, so no cluster has two people.
    let clusters = folder.run("clusters events --engine simplified").ok();
    assert!(clusters.lines().count() > 100);
    for line in clusters.lines() {
        let cluster: serde_json::Value = serde_json::from_str(line).unwrap();
        let members = cluster["members"].as_array().unwrap();
        let people: Vec<_> = members
            .iter()
            .map(|id| &person_of[id.as_str().unwrap()])
            .collect();
        assert!(people.iter().all(|person| *person == people[0]), "{line}");
    }
}

#[test]
fn the_truth_goes_to_a_file_while_events_go_to_stdout() {
    let folder = Folder::new();
    let events = folder
        .run("generate --workload identify --events 300 --truth truth")
        .ok();
    assert_eq!(events.lines().count(), 300);
    assert!(folder.read("truth").starts_with("{\"person\":\""));
    assert_eq!(folder.names(), ["truth"]);
}

#[test]
fn o_12_the_workload_cap_reaches_the_cap() {
    let folder = Folder::new();
    folder
        .run("generate --workload cap --events 20000 -o events")
        .ok();
    let done = folder
        .run("resolve events --engine original -o out")
        .code(0);
    done.says(" errManyIDs\n");
}
