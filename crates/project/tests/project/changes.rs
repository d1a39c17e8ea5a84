//! The pages of the changes of canonical IDs.

use idmerge_engines::{Model, Settings};
use idmerge_project::{Options, Project};

use crate::imported::merge;

/// The IDs that changed, and the entry after which the next changes are.
fn page(project: &Project, since: u64, limit: usize) -> (Vec<String>, u64) {
    let (changes, next) = project.changes_page(since, limit).unwrap();
    let ids = changes.iter().map(|change| change.id.to_string());
    (ids.collect(), next)
}

#[test]
fn a_page_has_as_many_changes_as_asked_for_and_whole_entries() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::of(Model::Original);
    let project = Project::open(folder.path(), settings, Options::default()).unwrap();
    merge(&project, "A", "B");
    merge(&project, "A", "C");
    merge(&project, "D", "E");
    // D and E change.
    merge(&project, "A", "D");
    let of = |ids: &[&str], next| (ids.iter().map(ToString::to_string).collect(), next);
    assert_eq!(page(&project, 0, 1), of(&["B"], 1));
    assert_eq!(page(&project, 0, 2), of(&["B", "C"], 2));
    assert_eq!(page(&project, 1, 2), of(&["C", "E"], 3));
    assert_eq!(page(&project, 2, 2), of(&["E", "D", "E"], 4));
    assert_eq!(page(&project, 3, 1), of(&["D", "E"], 4));
    assert_eq!(page(&project, 4, 1), of(&[], 4));
}
