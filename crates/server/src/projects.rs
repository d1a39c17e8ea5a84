//! The projects of a server, open.

use std::sync::Arc;

use idmerge_core::RuleBook;
use idmerge_project::{Answer, Batch, Options, Project, ProjectError, Settings};
use idmerge_store::StoreError;
use tokio::sync::oneshot;

use crate::config::{Config, ProjectConfig};
use crate::error::ServeError;

/// A project, and what was said of it.
pub(crate) struct OpenProject {
    pub(crate) config: ProjectConfig,
    pub(crate) project: Arc<Project>,
}

/// Opens every project, each in a folder of its token's name.
pub(crate) fn open(config: &Config) -> Result<Vec<OpenProject>, ServeError> {
    let open = |project: &ProjectConfig| {
        let folder = config.data.join(&project.token);
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| ServeError::Open {
            token: project.token.clone(),
            source,
        };
        std::fs::create_dir_all(&folder).map_err(|error| failed(error.into()))?;
        let opened = Project::open(&folder, settings(project), Options::default());
        let opened = opened.map_err(|error| match error {
            ProjectError::Store(
                StoreError::OtherRuleBook { .. } | StoreError::OtherSettings { .. },
            ) => ServeError::Changed {
                token: project.token.clone(),
                source: error.into(),
            },
            error => failed(error.into()),
        })?;
        Ok(OpenProject {
            config: project.clone(),
            project: Arc::new(opened),
        })
    };
    config.projects.iter().map(open).collect()
}

fn settings(project: &ProjectConfig) -> Settings {
    let rule_book = project.engine.rule_book();
    let mut settings = Settings::of(rule_book);
    if let (RuleBook::Original, Settings::Original(original)) = (rule_book, &mut settings) {
        if let Some(max_cluster_ids) = project.max_cluster_ids {
            original.max_cluster_ids = max_cluster_ids;
        }
        if let Some(anon_id_format) = project.anon_id_format {
            original.anon_id_format = anon_id_format;
        }
    }
    settings
}

/// A batch that was handed in, and what will be answered.
pub(crate) struct PendingBatch(oneshot::Receiver<Result<Answer, ProjectError>>);

impl OpenProject {
    /// Hands a batch in. Nobody waits for the disk here.
    pub(crate) fn submit(&self, batch: Batch) -> Result<PendingBatch, ProjectError> {
        let (say, hear) = oneshot::channel();
        self.project.submit(batch, move |answer| {
            // Who asked may have gone; what was written stays written.
            let _is_heard = say.send(answer);
        })?;
        Ok(PendingBatch(hear))
    }
}

impl PendingBatch {
    /// What became of the batch, once it is safe.
    pub(crate) async fn answer(self) -> Result<Answer, ProjectError> {
        self.0.await.unwrap_or(Err(ProjectError::Closed))
    }
}
