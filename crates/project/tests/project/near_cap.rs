//! The clusters that are nearly full are counted anew when claims are withdrawn from an open project.

use idmerge_engines::{Model, Overrides, Settings};
use idmerge_project::{Options, Project, RetractionTarget};

use crate::imported::merge;

#[test]
fn o_12_a_live_retraction_and_its_withdrawal_change_the_count_of_full_clusters() {
    let folder = tempfile::tempdir().unwrap();
    let overrides = Overrides {
        max_cluster_ids: Some(3),
        ..Overrides::default()
    };
    let settings = Settings::new(Model::Original, &overrides).unwrap();
    let project = Project::open(folder.path(), settings, Options::default()).unwrap();
    let near = || project.figures().clusters_near_cap;
    let retract = |target| project.retract(target, "ada", "a tablet").unwrap();
    merge(&project, "A", "B");
    merge(&project, "A", "C");
    assert_eq!(near(), 1);
    // Each ID is alone.
    let detached = retract(RetractionTarget::Named("A".to_owned()));
    assert_eq!(detached.changes().len(), 2);
    assert_eq!(near(), 0);
    // B and C have another canonical ID again, and are one cluster with it.
    retract(RetractionTarget::Entry(detached.sequence));
    assert_eq!(near(), 1);
    // A and B are left, which is less than 90 percent.
    retract(RetractionTarget::Entry(2));
    assert_eq!(near(), 0);
}
