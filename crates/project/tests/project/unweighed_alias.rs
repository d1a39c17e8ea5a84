//! AR-4: an alias that a project has not weighed stays unweighed where everybody may alias, and the same alias
//! without the mark is not a duplicate of it.

use idmerge_engines::{Model, Settings};
use idmerge_project::{Batch, ClaimAnswer, Options, Project, Record, RecordAnswer};

fn submit(project: &Project, mark: &str) -> Vec<RecordAnswer> {
    let json = format!(
        r#"{{"event":"$create_alias","properties":{{"distinct_id":"U","alias":"V"{mark}}}}}"#
    );
    let mut batch = Batch::new("/track", 1);
    batch.push(&json, Record::event(Some(1), Some("I")));
    project.submit_and_wait(batch).unwrap().records
}

#[test]
fn ar_2_ar_4_an_alias_that_may_count_is_not_a_duplicate_of_one_that_was_not_weighed() {
    for model in [Model::Original, Model::Legacy] {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            anybody_may_alias: true,
            ..Options::default()
        };
        let project = Project::open(folder.path(), Settings::of(model), options).unwrap();
        let canonical = || project.identity("V").unwrap().canonical;
        let stored = |answer| [RecordAnswer::Stored(answer)];
        let marked = submit(&project, r#","$idmerge_unweighed":true"#);
        assert_eq!(marked, stored(ClaimAnswer::None), "{model:?}");
        assert_eq!(canonical(), "V");
        assert_eq!(
            submit(&project, ""),
            stored(ClaimAnswer::Merged),
            "{model:?}"
        );
        assert_eq!(canonical(), "U");
        assert_eq!(submit(&project, ""), [RecordAnswer::Repeated], "{model:?}");
    }
}
