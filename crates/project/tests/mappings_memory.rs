//! A copy of the mappings takes the memory of one engine with the identities, and no more.
//!
//! A program of its own, because it counts allocations.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints what it measures"
)]

use std::path::Path;
use std::sync::Arc;

use idmerge_engines::{Model, Settings};
use idmerge_events::MappingFormat;
use idmerge_project::{Batch, Options, Project, Record, Sender};

const DEVICES: usize = 120_000;

/// What is not in proportion to the identities: the page cache, a piece of a snapshot, buffers.
const OTHER_BYTES: u64 = 3 << 20;

/// An event that joins a device with one of the users.
fn json(model: Model, users: usize, number: usize) -> String {
    let device = format!("0191d7a5-7a56-4f19-9b1e-{number:012x}");
    let user = number % users;
    match model {
        Model::Simplified => format!(
            r#"{{"event":"A","properties":{{"$device_id":"{device}","$user_id":"user {user}"}}}}"#
        ),
        _ => format!(
            r#"{{"event":"$merge","properties":{{"$distinct_ids":["user {user}","{device}"]}}}}"#
        ),
    }
}

fn open(folder: &Path, model: Model) -> Project {
    let options = Options {
        cache_bytes: 1 << 20,
        ..Options::default()
    };
    Project::open(folder, Settings::of(model), options).unwrap()
}

fn filled(folder: &Path, model: Model, users: usize) -> Project {
    let project = open(folder, model);
    for from in (0..DEVICES).step_by(2_000) {
        let mut batch = Batch::new("/import", 1);
        for number in from..from + 2_000 {
            let record = Record::Event {
                time_ms: Some(1),
                insert_id: None,
                sender: Sender::Credential,
                layout: None,
            };
            batch.push(&json(model, users, number), record);
        }
        project.submit_and_wait(batch).unwrap();
    }
    project
}

#[test]
fn a_copy_of_the_mappings_takes_the_memory_of_one_engine() {
    // In Simplified a user can have any number of devices.
    for (model, users) in [(Model::Simplified, 1), (Model::Original, DEVICES / 2)] {
        let folder = tempfile::tempdir().unwrap();
        let mut project = filled(folder.path(), model, users);
        for is_snapshot in [false, true] {
            if is_snapshot {
                project.close().unwrap();
                drop(project);
                project = open(folder.path(), model);
            }
            let history = project.history().unwrap();
            let mut engine = None;
            let of_engine = allocation_counter::measure(|| {
                engine = Some(history.as_of(history.last()).unwrap());
            });
            drop((engine, history));
            let engine_bytes = u64::try_from(of_engine.bytes_current).unwrap();
            let of_copy = allocation_counter::measure(|| {
                let to = &mut std::io::sink();
                project
                    .write_mappings_while(MappingFormat::Ndjson, to, Arc::new(|| true))
                    .unwrap();
            });
            println!(
                "{model:?}, {users} users, from a snapshot: {is_snapshot}: the engine has {engine_bytes} bytes, \
                 and a copy takes {} at the most",
                of_copy.bytes_max
            );
            assert!(engine_bytes > OTHER_BYTES);
            // A table that grows is there twice for a moment.
            assert!(of_copy.bytes_max < engine_bytes + engine_bytes / 2 + OTHER_BYTES);
        }
    }
}
