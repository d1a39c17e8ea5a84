//! The open projects of a server.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use idmerge_engines::Settings;
use idmerge_project::{Answer, Batch, Health, Options, Project, ProjectError, Workers};
use idmerge_store::StoreError;
use tokio::sync::oneshot;

use crate::config::{Config, ProjectConfig};
use crate::error::ServeError;
use crate::read::live::signal::LiveSignal;
use crate::read::profiles::sessions::ProfileSessions;
use crate::store::copy::Backups;

/// An open project and its configuration.
pub(crate) struct OpenProject {
    pub(crate) config: ProjectConfig,
    pub(crate) project: Arc<Project>,
    pub(crate) folder: PathBuf,
    /// How calls of Segment and RudderStack become events.
    pub(crate) calls: idmerge_adapters::Options,
    has_warned_of_merge: AtomicBool,
    has_warned_of_ids: AtomicBool,
    pub(crate) backups: Backups,
    pub(crate) profile_sessions: Arc<ProfileSessions>,
    pub(crate) live: Arc<LiveSignal>,
}

/// Opens every project, each in the folder named by its token. All of them share the threads that write.
pub(crate) fn open(config: &Config) -> Result<Vec<OpenProject>, ServeError> {
    let workers = Workers::for_cores().map_err(ServeError::System)?;
    let cache_bytes = page_cache_bytes(config.bounds.max_page_cache_bytes, config.projects.len());
    warn_of_readers(&config.data);
    let open = |project: &ProjectConfig| {
        let folder = config.data.join(&project.token);
        let options = Options {
            profile_merge: project.profile_merge,
            max_ids: project.max_ids,
            anybody_may_alias: project.token_may_alias,
            cache_bytes,
            workers: Some(workers.clone()),
            ..Options::default()
        };
        if has_lost_its_store(&folder) {
            tracing::warn!(
                folder = %folder.display(),
                "the folder of a project has no store.redb, so the project starts empty: restore a backup \
                 if it is not new"
            );
        }
        let opened = Project::open(&folder, project.settings.clone(), options);
        let opened = opened.map_err(|error| open_error(project, &folder, error))?;
        let token = project.token.clone();
        opened.watch(move |health| log(&token, health));
        Ok(OpenProject {
            calls: options_of_calls(project),
            config: project.clone(),
            live: live_signal(&opened),
            project: Arc::new(opened),
            backups: Backups::new(folder.clone()),
            profile_sessions: Arc::default(),
            folder,
            has_warned_of_merge: AtomicBool::new(false),
            has_warned_of_ids: AtomicBool::new(false),
        })
    };
    config.projects.iter().map(open).collect()
}

/// Why a project cannot be opened.
fn open_error(project: &ProjectConfig, folder: &Path, error: ProjectError) -> ServeError {
    let token = project.token.clone();
    match error {
        ProjectError::Store(StoreError::OtherSettings { ref found, .. }) => {
            let settings = &project.settings;
            let stored = Settings::of_store(settings.rule_book(), found);
            ServeError::Changed {
                token,
                difference: match stored {
                    Ok(stored) => stored.difference_from(settings).into(),
                    Err(_) => error.into(),
                },
            }
        }
        ProjectError::Store(StoreError::OtherRuleBook { .. }) => ServeError::Changed {
            token,
            difference: error.into(),
        },
        error => ServeError::Open {
            token,
            file: idmerge_store::file_of(folder),
            source: error.into(),
        },
    }
}

/// What wakes the live streams of a project after each commit with events.
fn live_signal(project: &Project) -> Arc<LiveSignal> {
    let live = Arc::new(LiveSignal::default());
    let signal = Arc::clone(&live);
    project.watch_events(move || signal.wake());
    live
}

/// How calls of Segment and RudderStack become events of a project.
fn options_of_calls(project: &ProjectConfig) -> idmerge_adapters::Options {
    let settings = &project.settings;
    let target = idmerge_adapters::Target::of(settings.rule_book());
    let mut options = idmerge_adapters::Options::new(target);
    options.output = project.calls_as;
    options.ids = settings.id_rules().clone();
    options.with_profiles = true;
    options
}

/// The bytes of the page cache of each project, if all projects together may have `budget` bytes.
fn page_cache_bytes(budget: Option<usize>, projects: usize) -> usize {
    /// The budget that a server has by default.
    const DEFAULT: usize = 256 << 20;
    /// The most of it that one project takes.
    const DEFAULT_PER_PROJECT: usize = 64 << 20;
    /// With less, the database would read its upper pages anew for each lookup.
    const MIN: usize = 256 << 10;
    let share = match budget {
        Some(bytes) => bytes / projects.max(1),
        None => (DEFAULT / projects.max(1)).min(DEFAULT_PER_PROJECT),
    };
    share.max(MIN)
}

/// Whether a project has a folder and no data. The server makes both at once, so the data was lost, or a
/// restore has failed.
fn has_lost_its_store(folder: &Path) -> bool {
    folder.is_dir() && idmerge_store::exists(folder).is_ok_and(|exists| !exists)
}

/// Warns if every user of the machine can read a folder. It keeps its mode, since somebody chose it.
#[cfg(unix)]
fn warn_of_readers(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    /// Reading and entering, for others than the owner and the group.
    const OTHERS: u32 = 0o005;
    let metadata = std::fs::metadata(folder);
    if metadata.is_ok_and(|metadata| metadata.permissions().mode() & OTHERS != 0) {
        tracing::warn!(
            folder = %folder.display(),
            "every user of this machine can open the data folder: chmod 700 it"
        );
    }
}

#[cfg(not(unix))]
fn warn_of_readers(_: &Path) {}

/// Logs that a project fails or has recovered: once, however many requests are refused meanwhile.
fn log(project: &str, health: &Health) {
    match health {
        Health::Failed { reason } => tracing::error!(
            project,
            reason,
            "the project cannot write; it refuses batches and tries again by itself"
        ),
        Health::Recovered => tracing::info!(project, "the project can write again"),
        Health::MaintenanceFailed { reason } => tracing::error!(
            project,
            reason,
            "background work failed; nothing is lost, and a later round tries again"
        ),
        _ => {}
    }
}

/// A batch in the queue of its project, or in a commit.
pub(crate) struct PendingBatch(oneshot::Receiver<Result<Answer, ProjectError>>);

impl OpenProject {
    /// Warns once that a `$merge` or a `$create_alias` was imported with the token and makes no claim (AR-4).
    pub(crate) fn warn_of_merge(&self) {
        if !self.has_warned_of_merge.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                project = self.config.token,
                "a $merge or a $create_alias was imported with the token, so it is stored and joins nothing: \
                 import with the secret, or set token_may_merge = true or token_may_alias = true for this \
                 project"
            );
        }
    }

    /// Warns once if the project has at least 80 % of the IDs that it may have.
    pub(crate) fn warn_of_ids(&self) {
        let figures = self.project.figures();
        let (ids, max_ids) = (figures.ids, figures.max_ids);
        if is_near(ids, max_ids) && !self.has_warned_of_ids.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                project = self.config.token,
                ids,
                max_ids,
                "the project has at least 80 % of the IDs that max_ids allows; beyond it events that connect \
                 new IDs get status 429: raise max_ids, if there is memory, or find out who sends them"
            );
        }
    }

    /// Queues a batch. This does not wait for the disk.
    pub(crate) fn submit(&self, batch: Batch) -> Result<PendingBatch, ProjectError> {
        let (sender, receiver) = oneshot::channel();
        self.project.submit(batch, move |answer| {
            // The client may be gone by now. The batch is written anyway.
            let _is_received = sender.send(answer);
        })?;
        Ok(PendingBatch(receiver))
    }
}

impl PendingBatch {
    /// Waits until the batch is durable, and returns the result of each record.
    pub(crate) async fn answer(self) -> Result<Answer, ProjectError> {
        self.0.await.unwrap_or(Err(ProjectError::Closed))
    }
}

/// Whether a project has at least 80 % of the IDs that it may have.
fn is_near(ids: usize, max_ids: usize) -> bool {
    ids >= max_ids - max_ids / 5
}

#[cfg(test)]
mod tests {
    use idmerge_engines::Model;

    use super::*;

    #[test]
    fn a_warning_of_ids_comes_at_80_percent() {
        for (max_ids, first) in [(4, 4), (9, 8), (10, 8), (11, 9), (50_000_000, 40_000_000)] {
            assert!(is_near(first, max_ids), "{max_ids}");
            assert!(!is_near(first - 1, max_ids), "{max_ids}");
        }
        assert!(!is_near(usize::MAX / 2, usize::MAX));
    }

    #[test]
    fn projects_have_equal_parts_of_the_page_cache() {
        const MIB: usize = 1 << 20;
        for (budget, projects, wanted) in [
            (None, 0, 64 * MIB),
            (None, 1, 64 * MIB),
            (None, 4, 64 * MIB),
            (None, 5, 256 * MIB / 5),
            (None, 500, 256 * MIB / 500),
            (None, 1_024, MIB / 4),
            (None, 100_000, MIB / 4),
            (Some(MIB), 1, MIB),
            (Some(MIB), 5, MIB / 4),
            (Some(1_024 * MIB), 1, 1_024 * MIB),
            (Some(1_024 * MIB), 500, 1_024 * MIB / 500),
            (Some(usize::MAX), 1, usize::MAX),
        ] {
            assert_eq!(
                page_cache_bytes(budget, projects),
                wanted,
                "{budget:?} {projects}"
            );
        }
    }

    #[test]
    fn a_folder_without_its_store_is_not_new() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("TOK");
        assert!(!has_lost_its_store(&folder));
        let project = Project::open(&folder, Settings::of(Model::Simplified), Options::default());
        project.unwrap().close().unwrap();
        assert!(!has_lost_its_store(&folder));
        std::fs::remove_file(folder.join("store.redb")).unwrap();
        assert!(has_lost_its_store(&folder));
    }
}
