//! The tables of a configuration file.

use std::path::Path;

use idmerge_engines::{AnonIdFormat, BlockedIds, Model, Overrides, Settings};
use idmerge_project::ProfileMerge;
use serde::Deserialize;

use super::listen::Listen;
use super::{MAX_IDS, ProjectConfig, ServiceAccount};
use crate::error::ConfigError;

/// The configuration file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default = "local")]
    pub(super) listen: Listen,
    #[serde(default)]
    pub(super) project: Vec<ProjectTable>,
    pub(super) connections_max: Option<usize>,
    pub(super) connections_per_address_max: Option<usize>,
    pub(super) body_bytes_in_memory_max: Option<usize>,
}

fn local() -> Listen {
    Listen::LOCAL
}

/// A `[[project]]` of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProjectTable {
    token: String,
    project_id: Option<String>,
    engine: Model,
    secret: Option<String>,
    #[serde(default, rename = "service_account")]
    service_accounts: Vec<ServiceAccount>,
    #[serde(default = "yes")]
    token_may_import: bool,
    #[serde(default)]
    token_may_merge: bool,
    max_ids: Option<usize>,
    max_cluster_ids: Option<u32>,
    anon_id_format: Option<AnonIdFormat>,
    max_id_bytes: Option<u16>,
    blocked_ids: Option<String>,
    profile_merge: Option<String>,
}

fn yes() -> bool {
    true
}

impl ProjectTable {
    /// The paths in the table start from `folder`.
    pub(super) fn into_config(self, folder: &Path) -> Result<ProjectConfig, ConfigError> {
        let read = |option: String| {
            BlockedIds::of_option(&option, |file| std::fs::read(folder.join(file)))
        };
        let blocked_ids = self.blocked_ids.map(read).transpose();
        let overrides = Overrides {
            max_cluster_ids: self.max_cluster_ids,
            anon_id_format: self.anon_id_format,
            max_id_bytes: self.max_id_bytes,
            blocked_ids: blocked_ids.map_err(|error| ConfigError::BlockedIds {
                token: self.token.clone(),
                error,
            })?,
        };
        let settings = Settings::new(self.engine, &overrides);
        let profile_merge = match self.profile_merge {
            None => ProfileMerge::default(),
            Some(name) => {
                ProfileMerge::of_name(&name).ok_or_else(|| ConfigError::ProfileMerge {
                    token: self.token.clone(),
                    name,
                })?
            }
        };
        Ok(ProjectConfig {
            settings: settings.map_err(|error| ConfigError::Settings {
                token: self.token.clone(),
                error,
            })?,
            token: self.token,
            project_id: self.project_id,
            secret: self.secret,
            service_accounts: self.service_accounts,
            token_may_import: self.token_may_import,
            token_may_merge: self.token_may_merge,
            max_ids: self.max_ids.unwrap_or(MAX_IDS),
            profile_merge,
        })
    }
}
