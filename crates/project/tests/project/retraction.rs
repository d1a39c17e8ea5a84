//! A retraction while the project is open moves the profiles as one at rest does, after which all profiles
//! are looked through.

use std::path::Path;

use idmerge_engines::{Model, Overrides, Settings};
use idmerge_project::{Batch, Options, ProfileMerge, Project, Record, RetractionTarget, Sender};
use idmerge_store::{Cause, Durable};
use proptest::prelude::*;

const IDS: [&str; 6] = ["A", "B", "C", "D", "E", "F"];

fn settings() -> Settings {
    let overrides = Overrides {
        max_cluster_ids: Some(4),
        ..Overrides::default()
    };
    Settings::new(Model::Original, &overrides).unwrap()
}

fn open(folder: &Path, profile_merge: ProfileMerge) -> Project {
    open_within(
        folder,
        profile_merge,
        Options::default().max_commit_profile_bytes,
    )
}

/// Opens a project whose commits read at most this many bytes of profiles, or one profile.
fn open_within(
    folder: &Path,
    profile_merge: ProfileMerge,
    max_commit_profile_bytes: usize,
) -> Project {
    let options = Options {
        profile_merge,
        max_commit_profile_bytes,
        ..Options::default()
    };
    Project::open(folder, settings(), options).unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Merge(usize, usize),
    Set(usize, usize, u8),
    /// Withdraws one of the entries so far.
    Retract(prop::sample::Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let id = || 0..IDS.len();
    let step = prop_oneof![
        3 => (id(), id()).prop_map(|(first, second)| Step::Merge(first, second)),
        3 => (id(), 0..3_usize, any::<u8>()).prop_map(|(id, name, to)| Step::Set(id, name, to)),
        2 => any::<prop::sample::Index>().prop_map(Step::Retract),
    ];
    prop::collection::vec(step, 1..24)
}

fn send(project: &Project, json: &str, record: Record) {
    let mut batch = Batch::new("/import", 7);
    batch.push(json, record);
    project.submit_and_wait(batch).unwrap();
}

fn carry_out(project: &Project, step: &Step) {
    match step {
        Step::Merge(first, second) => {
            let record = Record::Event {
                time_ms: Some(1),
                insert_id: None,
                sender: Sender::Credential,
                layout: None,
            };
            let ids = [IDS[*first], IDS[*second]];
            let json = format!(
                r#"{{"event":"$merge","properties":{{"$distinct_ids":["{}","{}"]}}}}"#,
                ids[0], ids[1]
            );
            send(project, &json, record);
        }
        Step::Set(id, name, to) => {
            let json = format!(
                r#"{{"$distinct_id":"{}","$set":{{"p{name}":{to}}}}}"#,
                IDS[*id]
            );
            send(project, &json, Record::Update);
        }
        Step::Retract(_) => panic!("the caller retracts"),
    }
}

/// Retracts an entry of a project that is closed.
fn retract_at_rest(folder: &Path, sequence: u64) {
    let settings = settings();
    let options = idmerge_store::Options {
        settings: settings.to_string(),
        ..idmerge_store::Options::default()
    };
    let mut store = Durable::open(folder, move || settings.engine(), options).unwrap();
    let cause = Cause::default();
    store.retract(sequence, "ada", "a tablet", cause).unwrap();
    store.close().unwrap();
}

/// The profile of each ID, how many there are, and how many clusters are nearly full.
fn answers(project: &Project) -> (Vec<Option<(String, String)>>, u64, usize) {
    let of = |id: &&str| {
        let profile = project.profile(id).unwrap()?;
        Some((profile.distinct_id, profile.json))
    };
    let total = project.profiles(None, 10).unwrap().total;
    (
        IDS.iter().map(of).collect(),
        total,
        project.figures().clusters_near_cap,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn lg_1_p_3_a_live_retraction_moves_the_profiles_that_one_at_rest_moves(
        steps in steps(),
        fill in any::<bool>(),
        max_commit_profile_bytes in prop_oneof![Just(1), Just(4 << 20)],
    ) {
        let profile_merge = if fill { ProfileMerge::Fill } else { ProfileMerge::default() };
        let [live_folder, rest_folder] = [(), ()].map(|()| tempfile::tempdir().unwrap());
        let live = open_within(live_folder.path(), profile_merge, max_commit_profile_bytes);
        let mut rest = open(rest_folder.path(), profile_merge);
        for step in &steps {
            let Step::Retract(index) = step else {
                carry_out(&live, step);
                carry_out(&rest, step);
                continue;
            };
            let last = live.history().unwrap().last();
            if last == 0 {
                continue;
            }
            let sequence = 1 + index.index(usize::try_from(last).unwrap()) as u64;
            live.retract(RetractionTarget::Entry(sequence), "ada", "a tablet").unwrap();
            drop(rest);
            retract_at_rest(rest_folder.path(), sequence);
            rest = open(rest_folder.path(), profile_merge);
            prop_assert_eq!(answers(&live), answers(&rest), "after entry {} is withdrawn", sequence);
        }
        drop(live);
        let live = open(live_folder.path(), profile_merge);
        prop_assert_eq!(answers(&live), answers(&rest), "opened again");
    }
}

/// A profile that a retraction shows again is the only one of the project. Later merges move it.
#[test]
fn p_2_a_profile_that_a_live_retraction_shows_again_is_moved_by_the_next_merge() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(folder.path(), ProfileMerge::default());
    carry_out(&project, &Step::Set(0, 0, 1));
    carry_out(&project, &Step::Set(1, 0, 2));
    carry_out(&project, &Step::Merge(0, 1));
    send(
        &project,
        r#"{"$distinct_id":"A","$delete":""}"#,
        Record::Update,
    );
    assert_eq!(answers(&project).1, 0);
    project.close().unwrap();
    drop(project);

    let project = open(folder.path(), ProfileMerge::default());
    project
        .retract(RetractionTarget::Entry(1), "ada", "a tablet")
        .unwrap();
    assert_eq!(project.profile("B").unwrap().unwrap().json, r#"{"p0":2}"#);
    carry_out(&project, &Step::Merge(2, 1));
    let moved = project.profile("C").unwrap().unwrap();
    assert_eq!((&*moved.distinct_id, &*moved.json), ("C", r#"{"p0":2}"#));
}
