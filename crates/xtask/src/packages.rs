//! The packages of the tree, as `cargo metadata` lists them.

use std::path::Path;

use anyhow::Context;
use cargo_metadata::{Metadata, MetadataCommand};
use toml::Table;

use crate::files;

/// A package of the tree.
#[derive(Debug)]
pub(crate) struct Package {
    /// The folder without `crates/`: `core`.
    pub(crate) name: String,
    /// The folder, relative to the root: `crates/core`.
    pub(crate) folder: String,
    /// The package after inheritance from the workspace.
    pub(crate) metadata: cargo_metadata::Package,
}

impl Package {
    /// `Cargo.toml` as it is written, to see what it inherits.
    pub(crate) fn manifest(&self, root: &Path) -> anyhow::Result<Table> {
        files::toml(root, &format!("{}/Cargo.toml", self.folder))
    }

    /// Whether the package may be published.
    pub(crate) fn is_published(&self) -> bool {
        let registries = self.metadata.publish.as_ref();
        registries.is_none_or(|registries| !registries.is_empty())
    }
}

/// The packages that are workspaces of their own.
const APART: [&str; 2] = ["fuzz", "python"];

/// All packages, sorted by folder: the members of the workspace, and those that are workspaces of their own.
pub(crate) fn packages(root: &Path) -> anyhow::Result<Vec<Package>> {
    let mut packages = members(root)?;
    for folder in APART {
        packages.extend(apart(root, folder)?);
    }
    packages.sort_by(|a, b| a.folder.cmp(&b.folder));
    Ok(packages)
}

/// The members of the workspace at the root, sorted by folder.
pub(crate) fn members(root: &Path) -> anyhow::Result<Vec<Package>> {
    let metadata = metadata(&root.join("Cargo.toml"))?;
    let root = &metadata.workspace_root;
    let package = |metadata: &cargo_metadata::Package| {
        let folder = metadata.manifest_path.parent()?.strip_prefix(root).ok()?;
        let folder = folder.as_str().replace('\\', "/");
        Some(Package {
            name: folder.trim_start_matches("crates/").to_owned(),
            folder,
            metadata: metadata.clone(),
        })
    };
    let packages = metadata.workspace_packages();
    let mut packages: Vec<_> = packages.into_iter().filter_map(package).collect();
    packages.sort_by(|a, b| a.folder.cmp(&b.folder));
    Ok(packages)
}

/// The package in a folder that is a workspace of its own, if the tree has it.
fn apart(root: &Path, folder: &str) -> anyhow::Result<Option<Package>> {
    let manifest = root.join(folder).join("Cargo.toml");
    if !manifest.is_file() {
        return Ok(None);
    }
    let metadata = metadata(&manifest)?;
    Ok(metadata.root_package().map(|package| Package {
        name: folder.to_owned(),
        folder: folder.to_owned(),
        metadata: package.clone(),
    }))
}

/// What cargo says about the workspace of a manifest, without its dependencies.
pub(crate) fn metadata(manifest: &Path) -> anyhow::Result<Metadata> {
    MetadataCommand::new()
        .manifest_path(manifest)
        .no_deps()
        .exec()
        .with_context(|| format!("cargo cannot read {}", manifest.display()))
}

/// Writes a small workspace into a temporary folder, for tests. Each package is a folder and the
/// rest of its manifest, below `[package]` with a name and a version.
#[cfg(test)]
pub(crate) fn workspace(packages: &[(&str, &str)]) -> tempfile::TempDir {
    workspace_with(packages, &[])
}

/// Like [`workspace`], with more files.
#[cfg(test)]
pub(crate) fn workspace_with(
    packages: &[(&str, &str)],
    files: &[(&str, &str)],
) -> tempfile::TempDir {
    let is_member = |folder: &str| folder != "fuzz";
    let members = packages.iter().filter(|(folder, _)| is_member(folder));
    let members: Vec<_> = members.map(|(folder, _)| format!("\"{folder}\"")).collect();
    let mut tree = vec![(
        "Cargo.toml".to_owned(),
        format!(
            "[workspace]\nresolver = \"3\"\nmembers = [{}]\nexclude = [\"fuzz\"]\n",
            members.join(", ")
        ),
    )];
    for (folder, rest) in packages {
        let name = match folder.trim_start_matches("crates/") {
            "cli" => "idmerge".to_owned(),
            name => format!("idmerge-{name}"),
        };
        tree.push((
            format!("{folder}/Cargo.toml"),
            format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\n{rest}"),
        ));
        tree.push((format!("{folder}/src/lib.rs"), String::new()));
    }
    let tree = tree.iter().map(|(path, text)| (&**path, &**text));
    files::tree(&tree.chain(files.iter().copied()).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_the_members_and_fuzz() {
        let root = workspace(&[
            ("crates/two", ""),
            ("crates/one", ""),
            ("benches", ""),
            ("fuzz", "[workspace]"),
        ]);
        let packages = packages(root.path()).unwrap();
        let folders: Vec<_> = packages.iter().map(|it| it.folder.as_str()).collect();
        assert_eq!(folders, ["benches", "crates/one", "crates/two", "fuzz"]);
        assert_eq!(packages[1].name, "one");
        assert_eq!(packages[1].metadata.name.as_str(), "idmerge-one");
        let manifest = packages[3].manifest(root.path()).unwrap();
        assert!(manifest.contains_key("workspace"));
        assert_eq!(members(root.path()).unwrap().len(), 3);
    }

    #[test]
    fn an_error_names_the_manifest() {
        let root = workspace(&[("crates/one", "edition = \"1066\"")]);
        let error = format!("{:#}", packages(root.path()).unwrap_err());
        assert!(error.starts_with("cargo cannot read "), "{error}");
        assert!(error.contains("crates/one/Cargo.toml"), "{error}");
    }
}
