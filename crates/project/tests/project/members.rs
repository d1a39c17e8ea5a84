//! The members of a user in pages, with their claims, and what else a project says about an ID.

use std::ops::Range;

use idmerge_engines::{Model, Settings};
use idmerge_project::{
    Batch, ExportQuery, MemberCursor, MembersQuery, Options, Project, ProjectError, Record,
};
use tempfile::TempDir;

fn open(folder: &TempDir, model: Model) -> Project {
    Project::open(folder.path(), Settings::of(model), Options::default()).unwrap()
}

/// One event for each device, which joins it with the user.
fn join(project: &Project, user: &str, devices: Range<usize>) {
    let mut batch = Batch::new("/track", 1);
    for device in devices {
        let json = format!(
            r#"{{"event":"A","properties":{{"$user_id":"{user}","$device_id":"D{device}"}}}}"#
        );
        batch.push(&json, Record::event(Some(1), None));
    }
    project.submit_and_wait(batch).unwrap();
}

/// The members by S-10: the user, then its devices in the order in which they were linked.
fn members_of(user: &str, devices: Range<usize>) -> Vec<String> {
    let devices = devices.map(|device| format!("$device:D{device}"));
    [user.to_owned()].into_iter().chain(devices).collect()
}

/// All pages, one after the other. A cursor is written as text and read again, as a client does.
fn pages(project: &Project, id: &str, limit: usize, with_claims: bool) -> Vec<Page> {
    let mut query = MembersQuery {
        limit,
        with_claims,
        after: None,
    };
    let mut pages = Vec::new();
    loop {
        let page = project.identity_page(id, &query).unwrap();
        pages.push((
            page.members,
            page.claims.iter().map(|claim| claim.sequence).collect(),
        ));
        let Some(next) = page.next else {
            return pages;
        };
        query.after = Some(next.to_string().parse().unwrap());
        assert_eq!(query.after, Some(next));
    }
}

type Page = (Vec<String>, Vec<u64>);

#[test]
fn s_10_the_pages_of_a_user_are_its_members_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(&folder, Model::Simplified);
    join(&project, "U", 0..5);
    join(&project, "V", 5..9);
    let members = members_of("U", 0..5);
    for with_claims in [false, true] {
        for limit in 1..8 {
            let pages = pages(&project, "$device:D3", limit, with_claims);
            let found: Vec<_> = pages.iter().map(|page| page.0.clone()).collect();
            let wanted: Vec<_> = members.chunks(limit).map(<[String]>::to_vec).collect();
            assert_eq!(found, wanted, "limit {limit}");
            // The entries 1 to 5 are the claims of this user.
            let claims: Vec<u64> = pages.into_iter().flat_map(|page| page.1).collect();
            assert_eq!(
                claims,
                if with_claims {
                    vec![1, 2, 3, 4, 5]
                } else {
                    vec![]
                }
            );
        }
        // A page has a member at least, so that the next one is another one.
        let pages = pages(&project, "U", 0, with_claims);
        assert_eq!(pages.len(), members.len());
    }
}

#[test]
fn a_user_with_more_claims_than_a_page_is_listed_once() {
    const DEVICES: usize = 2_500;
    let folder = tempfile::tempdir().unwrap();
    let project = open(&folder, Model::Simplified);
    join(&project, "U", 0..DEVICES);
    for limit in [60, 700, 10_000] {
        let pages = pages(&project, "U", limit, true);
        let members: Vec<_> = pages.iter().flat_map(|page| page.0.clone()).collect();
        assert_eq!(members, members_of("U", 0..DEVICES), "limit {limit}");
        let mut claims: Vec<_> = pages.iter().flat_map(|page| page.1.clone()).collect();
        claims.sort_unstable();
        let wanted: Vec<_> = (1..=DEVICES as u64).collect();
        assert_eq!(claims, wanted, "limit {limit}");
        for (members, claims) in &pages {
            assert!(members.len() <= limit && claims.len() <= 2_000);
        }
    }
}

#[test]
fn an_id_that_is_in_no_cluster_is_its_own_only_member() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(&folder, Model::Simplified);
    join(&project, "U", 0..1);
    for with_claims in [false, true] {
        let alone = (vec!["nobody".to_owned()], vec![]);
        assert_eq!(pages(&project, "nobody", 1, with_claims), [alone]);
        // There is nothing behind it.
        let query = MembersQuery {
            after: Some("0.nobody".parse().unwrap()),
            with_claims,
            ..MembersQuery::default()
        };
        let page = project.identity_page("nobody", &query).unwrap();
        assert_eq!((page.members, page.next), (vec![], None));
    }
}

#[test]
fn a_cursor_of_another_user_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(&folder, Model::Simplified);
    join(&project, "U", 0..2);
    join(&project, "V", 2..4);
    for text in ["0.V", "7.$device:D3", "0.nobody", "0."] {
        let query = MembersQuery {
            after: Some(text.parse().unwrap()),
            ..MembersQuery::default()
        };
        let error = project.identity_page("U", &query).unwrap_err();
        assert!(matches!(error, ProjectError::InvalidCursor { .. }));
        assert!(error.to_string().contains(text), "{error}");
    }
    for text in ["", "U", "x.U", "-1.U"] {
        let error = text.parse::<MemberCursor>().unwrap_err();
        assert!(
            matches!(error, ProjectError::InvalidCursor { .. }),
            "{text}"
        );
    }
}

#[test]
fn a_bare_device_id_gets_the_spelling_that_is_in_a_cluster() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(&folder, Model::Simplified);
    join(&project, "U", 0..1);
    for (id, wanted) in [
        ("D0", Some("$device:D0")),
        ("$device:U", Some("U")),
        ("U", None),
        ("$device:D0", None),
        ("D1", None),
    ] {
        let wanted = wanted.map(str::to_owned);
        assert_eq!(project.did_you_mean(id).unwrap(), wanted, "{id}");
        let identity = project.identity(id).unwrap();
        assert_eq!(identity.did_you_mean, wanted, "{id}");
    }
}

#[test]
fn the_last_event_and_the_last_entry_are_counted_apart() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(&folder, Model::Simplified);
    assert_eq!(
        (project.last_event().unwrap(), project.sequence().unwrap()),
        (0, 0)
    );
    join(&project, "U", 0..3);
    // The claims are known, so the log does not grow.
    join(&project, "U", 0..2);
    assert_eq!(
        (project.last_event().unwrap(), project.sequence().unwrap()),
        (5, 3)
    );
}

#[test]
fn a_backup_is_the_project_of_that_moment() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(&folder, Model::Simplified);
    join(&project, "U", 0..3);
    let backup = folder.path().join("backup");
    let file = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(project.backup(file.reopen().unwrap()).unwrap(), 3);
    join(&project, "U", 3..5);
    assert_eq!(project.backup(tempfile::tempfile().unwrap()).unwrap(), 5);

    idmerge_store::restore(file.path(), &backup).unwrap();
    let settings = Settings::of(Model::Simplified);
    let restored = Project::open(&backup, settings, Options::default()).unwrap();
    let members = restored.identity("$device:D0").unwrap().members;
    assert_eq!(members, members_of("U", 0..3));
    let query = ExportQuery::default();
    assert_eq!(restored.export(&query, &mut |_event| Ok(true)).unwrap(), 3);
    assert_eq!(
        (restored.last_event().unwrap(), restored.sequence().unwrap()),
        (3, 3)
    );
}
