//! Arguments that contradict `idmerge.toml`.

use std::path::{Display, Path};

use anyhow::bail;
use idmerge_server::{Config, ProjectConfig};

use super::secret::GivenSecret;
use crate::args::serve::ServeArgs;

/// Checks that the arguments say the same as the file.
///
/// # Errors
///
/// Names the first argument that does not, and the file.
pub(super) fn check(
    args: &ServeArgs,
    secret: Option<&GivenSecret>,
    config: &Config,
    path: &Path,
) -> anyhow::Result<()> {
    let path = path.display();
    let projects = &config.projects;
    if let Some(token) = &args.token
        && !projects.iter().any(|project| project.token == *token)
    {
        let tokens: Vec<_> = projects
            .iter()
            .map(|it| format!("{:?}", it.token))
            .collect();
        bail!(
            "--token {token} contradicts the token {} in {path}: leave out --token, or add a [[project]] \
             with this token to the file",
            tokens.join(" and ")
        );
    }
    // Without --token the other arguments are about every project.
    let named =
        |project: &&ProjectConfig| args.token.as_ref().is_none_or(|it| *it == project.token);
    for project in projects.iter().filter(named) {
        check_engine(args, project, &path)?;
        check_rest(args, secret, project, &path)?;
    }
    Ok(())
}

/// The engine and its settings, which cannot change once there is data.
fn check_engine(
    args: &ServeArgs,
    project: &ProjectConfig,
    path: &Display<'_>,
) -> anyhow::Result<()> {
    let token = &project.token;
    let model = project.settings.model();
    if let Some(given) = args.engine
        && given != model
    {
        bail!(
            "--engine {given} contradicts engine = \"{model}\" of project {token:?} in {path}: leave \
             out --engine. The engine of a project cannot change; add a [[project]] with a new token to \
             the file, and import the events into it"
        );
    }
    if let Some((option, difference)) = args.settings.contradiction(&project.settings)? {
        bail!(
            "{option} contradicts {path}: in project {token:?} {difference}. Leave out {option}. A \
             setting cannot change once there is data; add a [[project]] with a new token to the file, \
             and import the events into it"
        );
    }
    Ok(())
}

/// What can change, but not by an argument.
fn check_rest(
    args: &ServeArgs,
    secret: Option<&GivenSecret>,
    project: &ProjectConfig,
    path: &Display<'_>,
) -> anyhow::Result<()> {
    let token = &project.token;
    if let Some(given) = args.profile_merge
        && given != project.profile_merge
    {
        bail!(
            "--profile-merge {} contradicts {path}: in project {token:?} profile_merge is \"{}\". Leave \
             out --profile-merge, or change the file",
            given.name(),
            project.profile_merge.name()
        );
    }
    if let (Some(given), Some(kept)) = (secret, &project.secret)
        && given.text != *kept
    {
        let from = given.from;
        bail!(
            "{from} contradicts {path}: project {token:?} has another secret there. Leave out {from}, or \
             change the file"
        );
    }
    Ok(())
}
