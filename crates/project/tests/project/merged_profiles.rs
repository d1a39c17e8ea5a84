//! Which profile remains if a claim names IDs that are not canonical, or makes another ID canonical (P-2,
//! P-3, O-15). The answers are worked out by hand from the rules.

use idmerge_engines::{Model, Overrides, Settings};
use idmerge_project::Sender;
use idmerge_project::{Batch, ClaimAnswer, Options, ProfileMerge, Project, Record, RecordAnswer};
use tempfile::TempDir;

/// Two IDs in the form that `$identify` wants for the anonymous one (O-8).
const ANON: &str = "0191d7a5-7a56-4f19-9b1e-000000000001";
const OTHER_ANON: &str = "0191d7a5-7a56-4f19-9b1e-000000000002";

struct Tested {
    project: Project,
    _folder: TempDir,
}

fn open(profile_merge: ProfileMerge, max_cluster_ids: u32) -> Tested {
    let folder = tempfile::tempdir().unwrap();
    let overrides = Overrides {
        max_cluster_ids: Some(max_cluster_ids),
        ..Overrides::default()
    };
    let options = Options {
        profile_merge,
        ..Options::default()
    };
    let settings = Settings::new(Model::Original, &overrides).unwrap();
    Tested {
        project: Project::open(folder.path(), settings, options).unwrap(),
        _folder: folder,
    }
}

impl Tested {
    fn submit(&self, json: &str, record: Record) -> RecordAnswer {
        let mut batch = Batch::new("/import", 1);
        batch.push(json, record);
        self.project
            .submit_and_wait(batch)
            .unwrap()
            .records
            .remove(0)
    }

    fn claim(&self, json: &str) -> ClaimAnswer {
        let record = Record::Event {
            time_ms: Some(1),
            insert_id: None,
            sender: Sender::Credential,
            layout: None,
        };
        match self.submit(json, record) {
            RecordAnswer::Stored(answer) => answer,
            _ => ClaimAnswer::None,
        }
    }

    fn merge(&self, first: &str, second: &str) -> ClaimAnswer {
        self.claim(&format!(
            r#"{{"event":"$merge","properties":{{"$distinct_ids":["{first}","{second}"]}}}}"#
        ))
    }

    fn identify(&self, identified: &str, anon: &str) -> ClaimAnswer {
        self.claim(&format!(
            r#"{{"event":"$identify","properties":{{"$identified_id":"{identified}","$anon_id":"{anon}"}}}}"#
        ))
    }

    fn set(&self, id: &str, properties: &str) {
        let json = format!(r#"{{"$distinct_id":"{id}","$set":{properties}}}"#);
        let answer = self.submit(&json, Record::Update);
        assert!(answer.is_stored(), "{json}");
    }

    /// The ID of a user's profile, and its properties.
    fn profile(&self, id: &str) -> Option<(String, String)> {
        let found = self.project.profile(id).unwrap()?;
        Some((found.distinct_id, found.json))
    }

    fn profiles(&self) -> usize {
        usize::try_from(self.project.profiles(None, 10).unwrap().total).unwrap()
    }
}

fn of(id: &str, json: &str) -> Option<(String, String)> {
    Some((id.to_owned(), json.to_owned()))
}

#[test]
fn p_3_a_merge_that_names_a_member_keeps_the_profile_of_the_canonical_id() {
    for (way, wanted) in [
        (ProfileMerge::Vendor, r#"{"plan":"free","n":1}"#),
        (ProfileMerge::Fill, r#"{"plan":"free","n":1,"city":"Oslo"}"#),
    ] {
        for is_first in [true, false] {
            let tested = open(way, 500);
            tested.merge("C", "member");
            tested.set("C", r#"{"plan":"free","n":1}"#);
            tested.set("V", r#"{"plan":"none","city":"Oslo"}"#);
            // C is the oldest, and the claim does not name it.
            let answer = match is_first {
                true => tested.merge("member", "V"),
                false => tested.merge("V", "member"),
            };
            assert_eq!(answer, ClaimAnswer::Merged);
            assert_eq!(tested.profile("V"), of("C", wanted), "{way:?}");
            assert_eq!(tested.profiles(), 1);
        }
    }
}

#[test]
fn p_3_a_profile_moves_with_the_canonical_id_if_the_other_side_has_none() {
    for way in [ProfileMerge::Vendor, ProfileMerge::Fill] {
        let tested = open(way, 500);
        tested.merge("A", "B");
        tested.set("A", r#"{"plan":"free"}"#);
        assert_eq!(tested.identify("B", ANON), ClaimAnswer::Merged);
        for id in ["A", "B", ANON] {
            assert_eq!(tested.profile(id), of("B", r#"{"plan":"free"}"#), "{way:?}");
        }
        // The profile is there once.
        assert_eq!(tested.profiles(), 1);
        // Another one without a profile changes nothing.
        assert_eq!(tested.identify("B", OTHER_ANON), ClaimAnswer::Merged);
        assert_eq!(tested.profile(OTHER_ANON), of("B", r#"{"plan":"free"}"#));
    }
}

#[test]
fn o_13_p_3_a_profile_follows_a_mark_within_one_cluster() {
    for way in [ProfileMerge::Vendor, ProfileMerge::Fill] {
        let tested = open(way, 500);
        tested.merge(ANON, "B");
        tested.set("B", r#"{"plan":"free"}"#);
        assert_eq!(tested.profile("B"), of(ANON, r#"{"plan":"free"}"#));
        assert_eq!(tested.identify("B", ANON), ClaimAnswer::AlreadyMerged);
        assert_eq!(
            tested.profile(ANON),
            of("B", r#"{"plan":"free"}"#),
            "{way:?}"
        );
        assert_eq!(tested.profiles(), 1);
        tested.set(ANON, r#"{"n":1}"#);
        assert_eq!(tested.profile("B"), of("B", r#"{"plan":"free","n":1}"#));
    }
}

#[test]
fn o_12_a_cluster_near_the_limit_is_counted_once_when_its_canonical_id_changes() {
    let tested = open(ProfileMerge::Vendor, 10);
    for member in ["B", "C", "D", "E", "F", "G", "H"] {
        tested.merge(ANON, member);
    }
    let near = || tested.project.figures().clusters_near_cap;
    assert_eq!(near(), 0);
    tested.merge(ANON, "I");
    // 9 of 10.
    assert_eq!(near(), 1);
    assert_eq!(tested.identify("B", ANON), ClaimAnswer::AlreadyMerged);
    assert_eq!(near(), 1);
    assert_eq!(tested.merge("B", "J"), ClaimAnswer::Merged);
    assert_eq!(near(), 1);
}
