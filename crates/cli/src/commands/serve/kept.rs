//! `idmerge.toml` in the data folder: the first start writes it, and later starts read it.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::{fs, path};

use anyhow::{Context, anyhow, bail};
use idmerge_server::{Bounds, Config, Listen, Prepared, ProjectConfig};
use toml::Value;

use super::contradiction;
use super::secret::{self, GivenSecret};
use crate::args::engine::how_to_choose;
use crate::args::serve::ServeArgs;
use crate::report::wrong_usage;

/// The name of the file in the data folder.
const FILE: &str = "idmerge.toml";

/// The configuration without `--config`.
pub(super) struct Kept {
    pub(super) config: Config,
    /// The path of the file.
    pub(super) path: PathBuf,
    /// The text to write, at the first start.
    new_text: Option<String>,
    /// The secret was generated at this start.
    pub(super) has_new_secret: bool,
}

/// The path of the file in a data folder.
pub(super) fn path_in(data: &Path) -> PathBuf {
    data.join(FILE)
}

impl Kept {
    /// Reads the file, or makes the configuration of the first start. Writes nothing yet.
    pub(super) fn of_args(args: &ServeArgs) -> anyhow::Result<Self> {
        let path = path_in(&args.data);
        match fs::read_to_string(&path) {
            Ok(text) => Self::later(args, path, &text),
            Err(error) if error.kind() == ErrorKind::NotFound => Self::first(args, path),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    fn later(args: &ServeArgs, path: PathBuf, text: &str) -> anyhow::Result<Self> {
        let config = Config::read_in(args.data.clone(), text, &args.data);
        let mut config =
            config.with_context(|| format!("{} is not a valid configuration", path.display()))?;
        if let Some(listen) = &args.listen {
            config.listen = listen.clone();
        }
        let secret = secret::given(args)?;
        contradiction::check(args, secret.as_ref(), &config, &path)?;
        if let [project] = &mut config.projects[..]
            && project.secret.is_none()
        {
            project.secret = secret.map(|secret| secret.text);
            if project.secret.is_none() && project.service_accounts.is_empty() {
                bail!(
                    "project {:?} has no secret: give it with --secret-file or {}, or add it to {}",
                    project.token,
                    secret::VARIABLE,
                    path.display()
                );
            }
        }
        config.check()?;
        Ok(Self {
            config,
            path,
            new_text: None,
            has_new_secret: false,
        })
    }

    fn first(args: &ServeArgs, path: PathBuf) -> anyhow::Result<Self> {
        let Some(model) = args.engine else {
            let tips: String = how_to_choose()
                .map(|tip| format!("\n  tip: {tip}"))
                .collect();
            let path = path.display();
            return Err(wrong_usage(format_args!(
                "the first start needs --engine, since there is no {path} yet\n{tips}"
            )));
        };
        let settings = args.settings.settings(model)?;
        let token = match &args.token {
            Some(token) => token.clone(),
            None => {
                no_other_project(&args.data)?;
                random()?
            }
        };
        let mut project = ProjectConfig::new(token, settings);
        let given = secret::given(args)?;
        let secret = match &given {
            Some(given) => given.text.clone(),
            None => random()?,
        };
        project.secret = Some(secret);
        project.profile_merge = args.profile_merge.unwrap_or_default();
        let new_text = text(args, &project, given.as_ref())?;
        let config = Config {
            data: args.data.clone(),
            listen: args.listen.clone().unwrap_or(Listen::LOCAL),
            projects: vec![project],
            bounds: Bounds::STANDARD,
        };
        if let Err(error) = config.check() {
            return Err(wrong_usage(format_args!("{error}")));
        }
        Ok(Self {
            config,
            path,
            new_text: Some(new_text),
            has_new_secret: given.is_none(),
        })
    }

    /// Writes the file at the first start.
    pub(super) fn prepare(&self) -> Prepared {
        if let Some(text) = &self.new_text {
            self.write(text)?;
        }
        Ok(())
    }

    fn write(&self, text: &str) -> anyhow::Result<()> {
        let data = &self.config.data;
        let failed = || format!("cannot write {}", self.path.display());
        idmerge_store::make_folder(data).with_context(failed)?;
        let named = tempfile::Builder::new()
            .prefix(".idmerge-")
            .tempfile_in(data);
        let mut file = named.with_context(failed)?;
        file.write_all(text.as_bytes()).with_context(failed)?;
        file.as_file().sync_all().with_context(failed)?;
        match file.persist_noclobber(&self.path) {
            Ok(_file) => Ok(()),
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Err(anyhow!(
                "another start of the server has just written {}; start again to use it",
                self.path.display()
            )),
            Err(error) => Err(error.error).with_context(failed),
        }
    }
}

/// Without a token the server would make a new project beside those that are there.
fn no_other_project(data: &Path) -> anyhow::Result<()> {
    let entries = match fs::read_dir(data) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", data.display()));
        }
    };
    for entry in entries {
        let folder = entry.with_context(|| format!("cannot read {}", data.display()))?;
        if idmerge_store::exists(folder.path()).unwrap_or(false) {
            let token = folder.file_name();
            let token = token.display();
            bail!(
                "{} has the project {token}, but no {FILE}: give --token {token} and its secret, or \
                 --config with all projects",
                data.display()
            );
        }
    }
    Ok(())
}

/// 128 random bits in hexadecimal.
pub(crate) fn random() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).context("the system has no randomness for a token or a secret")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The text of the file: the project, with the settings that were given.
fn text(
    args: &ServeArgs,
    project: &ProjectConfig,
    given: Option<&GivenSecret>,
) -> anyhow::Result<String> {
    let mut lines = vec![
        "# The first start of `idmerge serve` wrote this file, and later starts read it."
            .to_owned(),
        "# `idmerge serve --help` shows what else can be in it.".to_owned(),
        String::new(),
        "[[project]]".to_owned(),
    ];
    let mut set = |key: &str, value: Value| lines.push(format!("{key} = {value}"));
    set("token", project.token.clone().into());
    set("engine", project.settings.model().to_string().into());
    let overrides = args.settings.overrides();
    if let Some(max) = overrides.max_cluster_ids {
        set("max_cluster_ids", i64::from(max).into());
    }
    if let Some(format) = overrides.anon_id_format {
        set("anon_id_format", format.to_string().into());
    }
    if let Some(max) = overrides.max_id_bytes {
        set("max_id_bytes", i64::from(max).into());
    }
    if let Some(option) = args.settings.blocked_ids() {
        set("blocked_ids", absolute(option)?.into());
    }
    if let Some(merge) = args.profile_merge {
        set("profile_merge", merge.name().into());
    }
    match (given, &project.secret) {
        // Somebody else keeps this secret, and may change it.
        (Some(given), _) if given.from != secret::ARGUMENT => {
            lines.push(format!(
                "# Each start reads the secret from {}.",
                given.from
            ));
        }
        (_, Some(secret)) => set("secret", secret.clone().into()),
        (_, None) => {}
    }
    lines.push(String::new());
    Ok(lines.join("\n"))
}

/// A value of `--blocked-ids` that does not depend on the current folder.
fn absolute(option: &str) -> anyhow::Result<String> {
    let (plus, file) = match option.strip_prefix('+') {
        Some(file) => ("+", file),
        None => ("", option),
    };
    let file = path::absolute(file).with_context(|| format!("cannot find {file}"))?;
    match file.to_str() {
        Some(file) => Ok(format!("{plus}{file}")),
        None => bail!("the path {} is not UTF-8", file.display()),
    }
}
