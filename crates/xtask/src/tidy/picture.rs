//! Which packages may depend on which.

use std::collections::BTreeSet;
use std::path::Path;

use cargo_metadata::{Dependency, DependencyKind};

use crate::files;
use crate::packages::{Package, packages};

/// The packages of this tree that a package may depend on: its folder, the folders that
/// `[dependencies]` and `[build-dependencies]` may name, and the folders that `[dev-dependencies]`
/// may name in addition.
pub type MayName<'a> = (&'a str, &'a [&'a str], &'a [&'a str]);

/// Finds dependencies that the table does not allow, and rows of the table that match no folder.
///
/// # Errors
///
/// Fails if a manifest cannot be read.
pub fn siblings(root: &Path, may_name: &[MayName<'_>]) -> anyhow::Result<Vec<String>> {
    let packages = packages(root)?;
    let mut complaints = unknown_rows(&packages, may_name);
    for package in &packages {
        let Package { name, folder, .. } = package;
        let Some((_, normal, dev)) = may_name.iter().find(|(row, ..)| row == name) else {
            complaints.push(format!(
                "{folder} has no row: add it to MAY_NAME and to ARCHITECTURE.md"
            ));
            continue;
        };
        for dependency in &package.metadata.dependencies {
            let Some(sibling) = sibling(dependency) else {
                continue;
            };
            let is_dev = dependency.kind == DependencyKind::Development;
            let is_allowed = normal.contains(&sibling) || is_dev && dev.contains(&sibling);
            if !is_allowed {
                complaints.push(format!(
                    "{folder} may not depend on {sibling} in [{}]: remove the dependency, or \
                     change MAY_NAME and give the reason in ARCHITECTURE.md",
                    section(dependency)
                ));
            }
        }
    }
    Ok(complaints)
}

/// Finds packages that ARCHITECTURE.md does not mention by their folder.
///
/// # Errors
///
/// Fails if ARCHITECTURE.md or a manifest cannot be read.
pub fn architecture(root: &Path) -> anyhow::Result<Vec<String>> {
    let map = files::text(root, "ARCHITECTURE.md")?;
    let complaint = |package: &Package| {
        let folder = match package.folder.as_str() {
            folder if folder.contains('/') => folder.to_owned(),
            // `fuzz` without the slash is also a word.
            folder => format!("{folder}/"),
        };
        let longer = |rest: &str| rest.starts_with(|c: char| c.is_alphanumeric() || c == '-');
        let mentioned = map
            .match_indices(&folder)
            .any(|(at, _)| folder.ends_with('/') || !longer(&map[at + folder.len()..]));
        (!mentioned).then(|| format!("ARCHITECTURE.md: write a paragraph about `{folder}`"))
    };
    Ok(packages(root)?.iter().filter_map(complaint).collect())
}

/// Rows that appear twice, and rows that name a folder that does not exist.
fn unknown_rows(packages: &[Package], may_name: &[MayName<'_>]) -> Vec<String> {
    let names: BTreeSet<&str> = packages.iter().map(|it| it.name.as_str()).collect();
    let mut complaints = Vec::new();
    let mut rows = BTreeSet::new();
    for &(name, normal, dev) in may_name {
        if !rows.insert(name) {
            complaints.push(format!("MAY_NAME has two rows for {name}: remove one"));
        }
        let named = [name].into_iter().chain(normal.iter().chain(dev).copied());
        for absent in named.filter(|name| !names.contains(name)) {
            complaints.push(format!(
                "the row of {name} in MAY_NAME names {absent}, which has no folder: remove it"
            ));
        }
    }
    complaints
}

/// The folder of the package of this tree that a dependency names.
fn sibling(dependency: &Dependency) -> Option<&str> {
    match dependency.name.as_str() {
        "idmerge" => Some("cli"),
        package => package.strip_prefix("idmerge-"),
    }
}

fn section(dependency: &Dependency) -> &'static str {
    match dependency.kind {
        DependencyKind::Development => "dev-dependencies",
        DependencyKind::Build => "build-dependencies",
        _ => "dependencies",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::workspace;

    const CORE: &str = "idmerge-core = { path = \"../core\" }";

    #[test]
    fn a_dependency_must_be_allowed() {
        let root = workspace(&[
            ("crates/core", ""),
            ("crates/cli", &format!("[dependencies]\n{CORE}")),
            (
                "crates/suite",
                &format!("[dev-dependencies]\n{CORE}\nserde = \"1\""),
            ),
        ]);
        let check = |rows: &[MayName<'_>]| siblings(root.path(), rows).unwrap();
        let core: MayName<'_> = ("core", &[], &[]);
        let cli: MayName<'_> = ("cli", &["core"], &[]);
        assert!(check(&[core, cli, ("suite", &[], &["core"])]).is_empty());
        // What the package itself may name, its tests may name.
        assert!(check(&[core, cli, ("suite", &["core"], &[])]).is_empty());

        let suite: MayName<'_> = ("suite", &[], &[]);
        let [complaint] = &check(&[core, cli, suite])[..] else {
            panic!("one complaint");
        };
        assert!(
            complaint.starts_with("crates/suite may not depend on core in [dev-dependencies]: "),
            "{complaint}"
        );
        // What tests may name, the package itself may not.
        let complaints = check(&[core, ("cli", &[], &["core"]), ("suite", &["core"], &[])]);
        assert!(complaints[0].starts_with("crates/cli may not depend on core in [dependencies]: "));
        assert_eq!(complaints.len(), 1);
    }

    #[test]
    fn every_spelling_of_a_dependency_is_seen() {
        for named in [
            "[dependencies]\nidmerge = { path = \"../cli\" }",
            "[build-dependencies]\nidmerge.path = \"../cli\"",
            "[dependencies]\nx = { package = \"idmerge\", version = \"1\" }",
            "[target.'cfg(unix)'.dependencies]\nidmerge = \"0.1\"",
        ] {
            let root = workspace(&[("crates/core", named), ("crates/cli", "")]);
            let rows: [MayName<'_>; 2] = [("core", &[], &[]), ("cli", &[], &[])];
            let complaints = siblings(root.path(), &rows).unwrap();
            assert_eq!(complaints.len(), 1, "{named}");
            assert!(
                complaints[0].contains("may not depend on cli"),
                "{complaints:?}"
            );
        }
    }

    #[test]
    fn rows_match_folders() {
        let root = workspace(&[("crates/core", ""), ("fuzz", "[workspace]")]);
        let check = |rows: &[MayName<'_>]| siblings(root.path(), rows).unwrap();
        let fuzz: MayName<'_> = ("fuzz", &["core"], &[]);
        assert!(check(&[("core", &[], &[]), fuzz]).is_empty());
        assert_eq!(
            check(&[fuzz]),
            ["crates/core has no row: add it to MAY_NAME and to ARCHITECTURE.md"]
        );
        let complaints = check(&[("core", &[], &["x"]), fuzz, fuzz, ("y", &[], &[])]);
        assert_eq!(complaints.len(), 3, "{complaints:?}");
        assert!(complaints[0].contains("names x, which has no folder"));
        assert!(complaints[1].contains("two rows for fuzz"));
        assert!(complaints[2].contains("names y, which has no folder"));
    }

    #[test]
    fn the_architecture_mentions_every_package() {
        let root = workspace(&[("crates/core", ""), ("benches", "")]);
        let path = root.path().join("ARCHITECTURE.md");
        let map = "`crates/core`, crates/core-more/, and to benches/: we fuzz";
        std::fs::write(&path, map).unwrap();
        assert!(architecture(root.path()).unwrap().is_empty());

        let root = workspace(&[
            ("crates/core", ""),
            ("crates/cor", ""),
            ("fuzz", "[workspace]"),
        ]);
        let error = architecture(root.path()).unwrap_err().to_string();
        assert_eq!(error, "cannot read ARCHITECTURE.md");
        std::fs::write(root.path().join("ARCHITECTURE.md"), map).unwrap();
        assert_eq!(
            architecture(root.path()).unwrap(),
            [
                "ARCHITECTURE.md: write a paragraph about `crates/cor`",
                "ARCHITECTURE.md: write a paragraph about `fuzz/`",
            ]
        );
    }
}
