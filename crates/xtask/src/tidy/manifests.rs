//! What the manifests must say.

use std::path::Path;

use toml::{Table, Value};

use crate::files;
use crate::packages::{Package, members, packages};

/// What every member inherits from the workspace.
const INHERITED: [&str; 6] = [
    "version",
    "edition",
    "rust-version",
    "license",
    "repository",
    "authors",
];

/// Finds packages that are not named `idmerge-` and their folder. The command line's is `idmerge`.
///
/// # Errors
///
/// Fails if a manifest cannot be read.
pub fn package_names(root: &Path) -> anyhow::Result<Vec<String>> {
    let complaint = |package: &Package| {
        let wanted = match package.name.as_str() {
            "cli" => "idmerge".to_owned(),
            name => format!("idmerge-{name}"),
        };
        let found = package.metadata.name.as_str();
        (found != wanted).then(|| {
            let folder = &package.folder;
            format!("{folder}/Cargo.toml: the package is named {found:?}: name it {wanted:?}")
        })
    };
    Ok(packages(root)?.iter().filter_map(complaint).collect())
}

/// Finds manifests that repeat what the workspace says for all. `fuzz` and `python` are workspaces of their own, and
/// have nothing to inherit.
///
/// # Errors
///
/// Fails if a manifest cannot be read.
pub fn inheritance(root: &Path) -> anyhow::Result<Vec<String>> {
    if files::toml(root, "Cargo.toml")?.contains_key("package") {
        let complaint = "Cargo.toml: move the package into crates: the root has no package";
        return Ok(vec![complaint.to_owned()]);
    }
    let mut complaints = Vec::new();
    for member in members(root)? {
        let file = format!("{}/Cargo.toml", member.folder);
        let manifest = member.manifest(root)?;
        let package = manifest.get("package");
        for key in INHERITED {
            if !package.and_then(|it| it.get(key)).is_some_and(inherits) {
                complaints.push(format!("{file}: write `{key}.workspace = true`"));
            }
        }
        if !manifest.get("lints").is_some_and(inherits) {
            complaints.push(format!(
                "{file}: write `[lints]` and below it `workspace = true`"
            ));
        }
        for (section, dependency) in own_dependencies(&manifest) {
            complaints.push(format!(
                "{file}: [{section}]: write `{dependency}.workspace = true`, and the version in \
                 the Cargo.toml of the root"
            ));
        }
    }
    Ok(complaints)
}

/// The dependencies that a manifest does not inherit, each with its section. `cargo metadata`
/// cannot tell: it shows dependencies after inheritance.
fn own_dependencies(manifest: &Table) -> Vec<(&'static str, &str)> {
    let platforms = manifest.get("target").and_then(Value::as_table);
    let platforms = platforms.into_iter().flat_map(Table::values);
    let platforms = platforms.filter_map(Value::as_table);
    let mut own = Vec::new();
    for table in [manifest].into_iter().chain(platforms) {
        for section in ["dependencies", "build-dependencies", "dev-dependencies"] {
            let dependencies = table.get(section).and_then(Value::as_table);
            for (key, value) in dependencies.into_iter().flatten() {
                if !inherits(value) {
                    own.push((section, key.as_str()));
                }
            }
        }
    }
    own
}

/// Whether a value is `{ workspace = true, … }`.
fn inherits(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tree;
    use crate::packages::workspace;

    const WORKSPACE: &str = r#"
        [workspace]
        resolver = "3"
        members = ["crates/*"]
        exclude = ["fuzz"]
        [workspace.package]
        version = "0.1.0"
        edition = "2024"
        rust-version = "1.85"
        license = "MIT"
        repository = "https://example.org"
        authors = ["A"]
        [workspace.dependencies]
        serde = "1"
    "#;

    const CORE: &str = r#"
        [package]
        name = "idmerge-core"
        version.workspace = true
        edition.workspace = true
        rust-version.workspace = true
        license.workspace = true
        repository.workspace = true
        authors.workspace = true
        [lints]
        workspace = true
    "#;

    fn complaints(core: &str) -> Vec<String> {
        let workspace = format!("{WORKSPACE}\n[workspace.lints]\n");
        let root = tree(&[
            ("Cargo.toml", &workspace),
            ("crates/core/Cargo.toml", core),
            ("crates/core/src/lib.rs", ""),
            (
                "fuzz/Cargo.toml",
                "workspace = {}\npackage.name = \"fuzz\"\ndependencies.x = \"1\"",
            ),
        ]);
        inheritance(root.path()).unwrap()
    }

    #[test]
    fn packages_are_named_by_their_folders() {
        let root = workspace(&[("crates/core", ""), ("crates/cli", "")]);
        assert!(package_names(root.path()).unwrap().is_empty());
        let root = tree(&[
            ("Cargo.toml", "[workspace]\nmembers = [\"crates/*\"]"),
            ("crates/core/Cargo.toml", "[package]\nname = \"core\""),
            ("crates/core/src/lib.rs", ""),
            ("crates/cli/Cargo.toml", "[package]\nname = \"idmerge-cli\""),
            ("crates/cli/src/lib.rs", ""),
        ]);
        assert_eq!(
            package_names(root.path()).unwrap(),
            [
                "crates/cli/Cargo.toml: the package is named \"idmerge-cli\": name it \"idmerge\"",
                "crates/core/Cargo.toml: the package is named \"core\": name it \"idmerge-core\"",
            ]
        );
    }

    #[test]
    fn manifests_inherit() {
        for more in [
            "",
            "[dependencies]\nserde = { workspace = true, optional = true }",
        ] {
            let complaints = complaints(&format!("{CORE}{more}"));
            assert!(complaints.is_empty(), "{complaints:?}");
        }
        for own in [
            "[dependencies]\nserde = \"1\"",
            "[dev-dependencies]\nserde = { version = \"1\" }",
            "[target.'cfg(unix)'.dev-dependencies]\nserde = { version = \"1\" }",
        ] {
            let complaints = complaints(&format!("{CORE}{own}"));
            assert_eq!(complaints.len(), 1, "{own}");
            assert!(complaints[0].contains("write `serde.workspace = true`"));
        }

        let complaints = complaints("package.name = \"core\"\npackage.version = \"1.0.0\"");
        // Six keys and the lints. The fuzz targets have a workspace of their own.
        assert_eq!(complaints.len(), 7, "{complaints:?}");
        assert_eq!(
            complaints[0],
            "crates/core/Cargo.toml: write `version.workspace = true`"
        );
    }

    #[test]
    fn the_root_has_no_package() {
        let root = tree(&[
            ("Cargo.toml", "[workspace]\n[package]\nname = \"idmerge\""),
            ("src/lib.rs", ""),
        ]);
        assert_eq!(
            inheritance(root.path()).unwrap(),
            ["Cargo.toml: move the package into crates: the root has no package"]
        );
    }
}
