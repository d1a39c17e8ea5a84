//! Stores whose settings an earlier version wrote.

use idmerge_engines::{Model, Overrides, Settings};
use idmerge_project::{Options, Project, ProjectError};
use idmerge_store::{Durable, StoreError};

#[test]
fn a_store_with_the_settings_text_of_an_earlier_version_opens() {
    let rules = format!(
        r#""max_id_bytes":255,"blocked_values":{:?}"#,
        idmerge_core::IdRules::DEFAULT_BLOCKED_VALUES
    );
    let server = format!("{{{rules}}}");
    let of_original = r#","max_cluster_ids":500,"anon_id_format":"uuid_v4""#;
    let of_original = format!("{{{rules}{of_original}}}");
    let command = "max_cluster_ids=500 anon_id_format=uuid_v4";
    for (model, texts) in [
        (Model::Simplified, [String::new(), server]),
        (Model::Original, [command.to_owned(), of_original]),
    ] {
        let settings = Settings::of(model);
        for text in texts {
            let folder = tempfile::tempdir().unwrap();
            let fresh = settings.clone();
            let options = idmerge_store::Options {
                settings: text,
                ..idmerge_store::Options::default()
            };
            let store = Durable::open(folder.path(), move || fresh.engine(), options).unwrap();
            store.close().unwrap();
            let open = |settings| Project::open(folder.path(), settings, Options::default());
            let project = open(settings.clone()).unwrap();
            assert_eq!(project.identity("U1").unwrap().canonical, "U1");
            drop(project);
            if model == Model::Original {
                let overrides = Overrides {
                    max_cluster_ids: Some(3),
                    ..Overrides::default()
                };
                let error = open(Settings::new(model, &overrides).unwrap()).unwrap_err();
                assert!(matches!(
                    error,
                    ProjectError::Store(StoreError::OtherSettings { .. })
                ));
            }
        }
    }
}
