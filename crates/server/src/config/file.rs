//! The tables of a configuration file.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use idmerge_adapters::Output;
use idmerge_engines::{AnonIdFormat, BlockedIds, Model, Overrides, Settings};
use idmerge_project::ProfileMerge;
use serde::Deserialize;

use super::listen::Listen;
use super::secret_file::SecretFile;
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
    pub(super) page_cache_mib_max: Option<NonZeroUsize>,
    pub(super) erasure_delay_s: Option<u32>,
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
    secret_file: Option<PathBuf>,
    #[serde(default, rename = "service_account")]
    service_accounts: Vec<AccountTable>,
    #[serde(default = "yes")]
    token_may_import: bool,
    #[serde(default)]
    token_may_merge: bool,
    #[serde(default = "yes")]
    token_may_alias: bool,
    #[serde(default)]
    calls_as: Output,
    max_ids: Option<usize>,
    max_cluster_ids: Option<u32>,
    anon_id_format: Option<AnonIdFormat>,
    max_id_bytes: Option<u16>,
    blocked_ids: Option<String>,
    profile_merge: Option<String>,
}

/// A `[[project.service_account]]` of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountTable {
    user: String,
    secret: Option<String>,
    secret_file: Option<PathBuf>,
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
        let holder = format!("project {:?}", self.token);
        let secret = secret(&holder, self.secret, self.secret_file, folder)?;
        let accounts = self.service_accounts.into_iter();
        let accounts = accounts.map(|table| table.into_account(&holder, folder));
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
            secret,
            service_accounts: accounts.collect::<Result<_, _>>()?,
            token_may_import: self.token_may_import,
            token_may_merge: self.token_may_merge,
            token_may_alias: self.token_may_alias,
            calls_as: self.calls_as,
            max_ids: self.max_ids.unwrap_or(MAX_IDS),
            profile_merge,
        })
    }
}

impl AccountTable {
    fn into_account(self, project: &str, folder: &Path) -> Result<ServiceAccount, ConfigError> {
        let user = self.user;
        let holder = format!("{project}: the service account {user:?}");
        let secret = secret(&holder, self.secret, self.secret_file, folder)?;
        let secret = secret.ok_or(ConfigError::NoSecret { holder })?;
        Ok(ServiceAccount { user, secret })
    }
}

/// The secret that a table gives, itself or in a file. `holder` names the table in errors.
fn secret(
    holder: &str,
    secret: Option<String>,
    file: Option<PathBuf>,
    folder: &Path,
) -> Result<Option<String>, ConfigError> {
    let holder = || holder.to_owned();
    let path = match (secret, file) {
        (secret, None) => return Ok(secret),
        (Some(_), Some(_)) => return Err(ConfigError::TwoSecrets { holder: holder() }),
        (None, Some(file)) => folder.join(file),
    };
    let file = SecretFile::read(&path).map_err(|error| ConfigError::SecretFile {
        holder: holder(),
        error,
    })?;
    if file.is_open_to_others {
        let (holder, path) = (holder(), path.display());
        tracing::warn!(
            "{holder}: every user of this machine can read the secret in {path}: chmod 600 {path}"
        );
    }
    Ok(Some(file.secret))
}
