//! What dependencies from outside this tree bring in.

use std::path::Path;

use anyhow::Context;
use cargo_metadata::{MetadataCommand, Package};
use spdx::{Expression, ParseMode};
use toml::Value;

use crate::files;

/// The rules for dependencies, which `cargo deny` reads too.
const RULES: &str = "deny.toml";

/// Finds dependencies with a licence that deny.toml does not allow, and dependencies that come from
/// elsewhere than the registry. `cargo deny` also looks for advisories.
///
/// # Errors
///
/// Fails if deny.toml or a manifest cannot be read, or if a dependency cannot be downloaded.
pub fn dependencies(root: &Path) -> anyhow::Result<Vec<String>> {
    let allowed = allowed(root)?;
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .exec()
        .context("cargo cannot read the dependencies")?;
    let is_member = |package: &&Package| metadata.workspace_members.contains(&package.id);
    let packages = metadata.packages.iter().filter(|it| !is_member(it));
    Ok(packages.filter_map(|it| complaint(it, &allowed)).collect())
}

/// The licences that deny.toml allows.
fn allowed(root: &Path) -> anyhow::Result<Vec<String>> {
    let rules = files::toml(root, RULES)?;
    let allowed = rules.get("licenses").and_then(|it| it.get("allow"));
    let allowed = allowed.and_then(Value::as_array);
    let allowed = allowed.with_context(|| format!("{RULES} has no list of licences to allow"))?;
    let names = allowed.iter().filter_map(Value::as_str);
    Ok(names.map(str::to_owned).collect())
}

fn complaint(package: &Package, allowed: &[String]) -> Option<String> {
    let Package { name, version, .. } = package;
    let is_registry = |source: &cargo_metadata::Source| source.is_crates_io();
    if !package.source.as_ref().is_some_and(is_registry) {
        return Some(format!(
            "{name} {version} is not from the registry: use a released version"
        ));
    }
    let license = package.license.as_deref().unwrap_or_default();
    let expression = Expression::parse_mode(license, ParseMode::LAX);
    let is_allowed = expression.is_ok_and(|expression| {
        expression.evaluate(|required| {
            let id = required.license.id();
            id.is_some_and(|id| allowed.iter().any(|it| it == id.name))
        })
    });
    (!is_allowed).then(|| {
        format!(
            "{name} {version} has the licence {license:?}: do without it, or allow the licence in \
             {RULES}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::workspace_with;

    fn check(rules: &str, dependencies: &str) -> anyhow::Result<Vec<String>> {
        let manifest = format!("[dependencies]\n{dependencies}");
        let outside = "[package]\nname = \"outside\"\nversion = \"0.1.0\"\nlicense = \"MIT\"";
        let root = workspace_with(
            &[("crates/core", &manifest)],
            &[
                (RULES, rules),
                ("outside/Cargo.toml", outside),
                ("outside/src/lib.rs", ""),
            ],
        );
        let file = root.path().join("Cargo.toml");
        let excluded = std::fs::read_to_string(&file)?.replace("\"fuzz\"", "\"outside\"");
        std::fs::write(file, excluded)?;
        super::dependencies(root.path())
    }

    #[test]
    fn dependencies_come_from_the_registry() {
        let mit = "licenses.allow = [\"MIT\"]";
        assert!(check(mit, "").unwrap().is_empty());
        assert_eq!(
            check(mit, "outside = { path = \"../../outside\" }").unwrap(),
            ["outside 0.1.0 is not from the registry: use a released version"]
        );
        assert!(check("", "").is_err());
    }

    #[test]
    fn a_licence_must_be_allowed() {
        let metadata = MetadataCommand::new().exec().unwrap();
        let mut package = metadata
            .packages
            .into_iter()
            .find(|it| it.name == "toml")
            .unwrap();
        let allowed = ["MIT".to_owned(), "Zlib".to_owned()];
        let mut check = |license: &str| {
            package.license = Some(license.to_owned());
            complaint(&package, &allowed)
        };
        for license in ["MIT", "GPL-3.0-only OR MIT", "MIT AND Zlib", "GPL-3.0/MIT"] {
            assert_eq!(check(license), None, "{license}");
        }
        for license in ["GPL-3.0-only", "MIT AND GPL-3.0-only", "Free", ""] {
            assert!(check(license).is_some(), "{license}");
        }
        package.license = None;
        assert!(complaint(&package, &allowed).is_some());
    }
}
