//! How much of a disk a project takes.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use idmerge_engines::{Model, Settings};
use idmerge_project::{Batch, Options, Project, Record};

/// The bytes that a folder takes on its disk: a part of a file that was never written takes none.
fn taken(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).unwrap();
    let bytes = |file: fs::DirEntry| file.metadata().unwrap().blocks() * 512;
    files.map(|file| bytes(file.unwrap())).sum()
}

/// An event of 100 kB that hardly compresses.
fn batch(number: u64) -> Batch {
    let mut state = number;
    let mut hex = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        format!("{:x}", state >> 32)
    };
    let text: String = (0..12_500).map(|_| hex()).collect();
    let json = format!(
        r#"{{"event":"A","properties":{{"$user_id":"U{number}","$device_id":"D{number}","x":"{text}"}}}}"#
    );
    let mut batch = Batch::new("/import", 1);
    batch.push(&json, Record::event(Some(1), Some("I")));
    batch
}

#[test]
fn a_new_project_takes_less_than_2_mib_and_grows_by_what_it_writes() {
    const MIB: u64 = 1 << 20;
    for model in [Model::Simplified, Model::Original] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let project = Project::open(folder, Settings::of(model), Options::default()).unwrap();
        project.submit_and_wait(batch(0)).unwrap();
        assert!(taken(folder) < 2 * MIB, "{}", taken(folder));
        let length = || fs::metadata(folder.join("store.redb")).unwrap().len();
        assert!(length() < 2 * MIB, "{}", length());

        // The file doubles its length as it grows, and takes room only for what is written.
        for number in 1..100 {
            let (before, batch) = (taken(folder), batch(number));
            let most = before + batch.text.len() as u64 + MIB;
            project.submit_and_wait(batch).unwrap();
            assert!(taken(folder) <= most, "{} after {before}", taken(folder));
        }
        println!("{} bytes taken, length {}", taken(folder), length());
        project.close().unwrap();
    }
}
