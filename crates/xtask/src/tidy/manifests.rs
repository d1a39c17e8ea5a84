//! What the manifests and the map of the house must say.

use std::collections::BTreeSet;
use std::path::Path;

use toml::{Table, Value};

use crate::failure::Failure;
use crate::rooms::{self, Room, rooms};

/// Which siblings a package may name: its own folder, the folders that `[dependencies]` and
/// `[build-dependencies]` may name, and those that `[dev-dependencies]` may name besides.
pub type MayName<'a> = (&'a str, &'a [&'a str], &'a [&'a str]);

/// What every package inherits from the workspace.
const INHERITED: [&str; 6] = [
    "version",
    "edition",
    "rust-version",
    "license",
    "repository",
    "authors",
];

const NORMAL: [&str; 2] = ["dependencies", "build-dependencies"];
const DEV: &str = "dev-dependencies";

/// Who names whom without leave, and where the table and the folders differ.
///
/// # Errors
///
/// A manifest cannot be read.
pub fn siblings(root: &Path, may_name: &[MayName<'_>]) -> Result<Vec<String>, Failure> {
    let rooms = rooms(root)?;
    let names: BTreeSet<&str> = rooms.iter().map(|room| room.name.as_str()).collect();
    let mut complaints = Vec::new();

    let mut rows = BTreeSet::new();
    for &(name, normal, dev) in may_name {
        if !rows.insert(name) {
            complaints.push(format!("MAY_NAME has two rows for {name}: remove one"));
        }
        let named = normal.iter().chain(dev).copied();
        for absent in [name]
            .into_iter()
            .chain(named)
            .filter(|name| !names.contains(name))
        {
            complaints.push(format!(
                "the row of {name} in MAY_NAME names {absent}, which has no folder: remove it"
            ));
        }
    }

    for room in &rooms {
        let Room { name, folder, .. } = room;
        let Some((_, normal, dev)) = may_name.iter().find(|(row, ..)| row == name) else {
            complaints.push(format!(
                "{folder} has no row: add it to MAY_NAME and to ARCHITECTURE.md"
            ));
            continue;
        };
        for Dependency {
            section,
            key,
            value,
        } in dependencies(&room.manifest)
        {
            let Some(sibling) = sibling(key, value) else {
                continue;
            };
            let allowed = normal.contains(&sibling) || section == DEV && dev.contains(&sibling);
            if !allowed {
                complaints.push(format!(
                    "{folder} may not name {sibling} in [{section}]: do without it, or change \
                     MAY_NAME and say why in ARCHITECTURE.md"
                ));
            }
        }
    }
    Ok(complaints)
}

/// Packages that are not called `idmerge-` and their folder. The command line's is `idmerge`.
///
/// # Errors
///
/// A manifest cannot be read.
pub fn package_names(root: &Path) -> Result<Vec<String>, Failure> {
    let complaint = |room: &Room| {
        let wanted = match room.name.as_str() {
            "cli" => "idmerge".to_owned(),
            name => format!("idmerge-{name}"),
        };
        let found = room.package();
        (found != wanted).then(|| {
            let folder = &room.folder;
            format!("{folder}/Cargo.toml: the package is named {found:?}: name it {wanted:?}")
        })
    };
    Ok(rooms(root)?.iter().filter_map(complaint).collect())
}

/// Manifests that state for themselves what the workspace states for all. A package that is its
/// own workspace has nothing to inherit.
///
/// # Errors
///
/// A manifest cannot be read.
pub fn inheritance(root: &Path) -> Result<Vec<String>, Failure> {
    let mut complaints = Vec::new();
    if rooms::toml(root, "Cargo.toml")?.contains_key("package") {
        complaints.push("Cargo.toml: move the package into crates: the root has none".to_owned());
    }
    for room in rooms(root)?.iter().filter(|room| !room.is_workspace()) {
        let Room {
            folder, manifest, ..
        } = room;
        let package = manifest.get("package");
        for key in INHERITED {
            if !package
                .and_then(|package| package.get(key))
                .is_some_and(inherits)
            {
                complaints.push(format!(
                    "{folder}/Cargo.toml: write `{key}.workspace = true`"
                ));
            }
        }
        if !manifest.get("lints").is_some_and(inherits) {
            complaints.push(format!(
                "{folder}/Cargo.toml: write `[lints]` and below it `workspace = true`"
            ));
        }
        for Dependency {
            section,
            key,
            value,
        } in dependencies(manifest)
        {
            if !inherits(value) {
                complaints.push(format!(
                    "{folder}/Cargo.toml: [{section}]: write `{key}.workspace = true`, and the \
                     version in the Cargo.toml of the root"
                ));
            }
        }
    }
    Ok(complaints)
}

/// Packages that ARCHITECTURE.md does not mention by their folder.
///
/// # Errors
///
/// ARCHITECTURE.md or a manifest cannot be read.
pub fn architecture(root: &Path) -> Result<Vec<String>, Failure> {
    let map = rooms::text(root, "ARCHITECTURE.md")?;
    let complaint = |room: &Room| {
        let folder = match room.folder.as_str() {
            folder if folder.contains('/') => folder.to_owned(),
            // `fuzz` alone is also a word.
            folder => format!("{folder}/"),
        };
        let longer = |rest: &str| rest.starts_with(|c: char| c.is_alphanumeric() || c == '-');
        let mentioned = map
            .match_indices(&folder)
            .any(|(at, _)| folder.ends_with('/') || !longer(&map[at + folder.len()..]));
        (!mentioned).then(|| format!("ARCHITECTURE.md: write a paragraph about `{folder}`"))
    };
    Ok(rooms(root)?.iter().filter_map(complaint).collect())
}

struct Dependency<'a> {
    section: &'static str,
    key: &'a str,
    value: &'a Value,
}

/// All dependencies of a manifest, those for one platform too.
fn dependencies(manifest: &Table) -> impl Iterator<Item = Dependency<'_>> {
    let platforms = manifest.get("target").and_then(Value::as_table);
    let platforms = platforms.into_iter().flat_map(Table::values);
    let tables = [manifest]
        .into_iter()
        .chain(platforms.filter_map(Value::as_table));
    tables.flat_map(|table| {
        let sections = NORMAL.into_iter().chain([DEV]);
        sections.flat_map(|section| {
            let dependencies = table.get(section).and_then(Value::as_table);
            let dependencies = dependencies.into_iter().flatten();
            dependencies.map(move |(key, value)| Dependency {
                section,
                key,
                value,
            })
        })
    })
}

/// The folder of the sibling that a dependency names.
fn sibling<'a>(key: &'a str, value: &'a Value) -> Option<&'a str> {
    let renamed = value.get("package").and_then(Value::as_str);
    match renamed.unwrap_or(key) {
        "idmerge" => Some("cli"),
        package => package.strip_prefix("idmerge-"),
    }
}

/// Whether this is `{ workspace = true, … }`.
fn inherits(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rooms::tree;

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

    fn core_with(more: &str) -> tempfile::TempDir {
        let manifest = format!("{CORE}{more}");
        tree(&[
            ("crates/core/Cargo.toml", &manifest),
            ("Cargo.toml", "[workspace]"),
        ])
    }

    #[test]
    fn a_sibling_needs_leave() {
        let root = tree(&[
            ("crates/core/Cargo.toml", ""),
            (
                "crates/cli/Cargo.toml",
                "[dependencies]\nidmerge-core.workspace = true",
            ),
            (
                "crates/suite/Cargo.toml",
                "[dev-dependencies]\nidmerge-core.workspace = true\nserde = \"1\"",
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
            complaint.starts_with("crates/suite may not name core in [dev-dependencies]: "),
            "{complaint}"
        );
        // Leave for tests is no leave for the package.
        let complaints = check(&[core, ("cli", &[], &["core"]), ("suite", &["core"], &[])]);
        assert!(complaints[0].starts_with("crates/cli may not name core in [dependencies]: "));
        assert_eq!(complaints.len(), 1);
    }

    #[test]
    fn no_spelling_hides_a_sibling() {
        for named in [
            "[dependencies]\nidmerge = { path = \"../cli\" }",
            "[build-dependencies]\nidmerge.workspace = true",
            "[dependencies]\nx = { package = \"idmerge\", version = \"1\" }",
            "[target.'cfg(unix)'.dependencies]\nidmerge = \"0.1\"",
        ] {
            let root = tree(&[("crates/core/Cargo.toml", named)]);
            let complaints = siblings(root.path(), &[("core", &[], &[])]).unwrap();
            assert_eq!(complaints.len(), 1, "{named}");
            assert!(complaints[0].contains("may not name cli"), "{complaints:?}");
        }
    }

    #[test]
    fn rows_and_folders_are_the_same() {
        let root = tree(&[("crates/core/Cargo.toml", ""), ("fuzz/Cargo.toml", "")]);
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
    fn packages_are_named_by_their_folders() {
        let root = tree(&[
            (
                "crates/core/Cargo.toml",
                "[package]\nname = \"idmerge-core\"",
            ),
            ("crates/cli/Cargo.toml", "[package]\nname = \"idmerge\""),
        ]);
        assert!(package_names(root.path()).unwrap().is_empty());
        let root = tree(&[
            ("crates/core/Cargo.toml", "[package]\nname = \"core\""),
            ("crates/cli/Cargo.toml", "[package]\nname = \"idmerge-cli\""),
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
            let complaints = inheritance(core_with(more).path()).unwrap();
            assert!(complaints.is_empty(), "{complaints:?}");
        }
        for own in [
            "[dependencies]\nserde = \"1\"",
            "[dev-dependencies]\nserde = { version = \"1\" }",
            "[target.'cfg(unix)'.dev-dependencies]\nserde = { workspace = false }",
        ] {
            let complaints = inheritance(core_with(own).path()).unwrap();
            assert_eq!(complaints.len(), 1, "{own}");
            assert!(complaints[0].contains("write `serde.workspace = true`"));
        }

        let root = tree(&[
            (
                "crates/core/Cargo.toml",
                "package.version = \"1\"\nlints.rust = {}",
            ),
            ("fuzz/Cargo.toml", "workspace = {}\ndependencies.x = \"1\""),
            ("Cargo.toml", "[package]"),
        ]);
        let complaints = inheritance(root.path()).unwrap();
        // The root's package, six keys and the lints; the fuzzer's workspace is its own.
        assert_eq!(complaints.len(), 8, "{complaints:?}");
        assert_eq!(
            complaints[1],
            "crates/core/Cargo.toml: write `version.workspace = true`"
        );
    }

    #[test]
    fn the_map_shows_every_room() {
        let map = "`crates/core`, crates/core-more/, and to benches/: we fuzz";
        let mut files = vec![
            ("crates/core/Cargo.toml", ""),
            ("benches/Cargo.toml", ""),
            ("ARCHITECTURE.md", map),
        ];
        let root = tree(&files);
        assert!(architecture(root.path()).unwrap().is_empty());

        files.push(("fuzz/Cargo.toml", ""));
        files.push(("crates/cor/Cargo.toml", ""));
        assert_eq!(
            architecture(tree(&files).path()).unwrap(),
            [
                "ARCHITECTURE.md: write a paragraph about `crates/cor`",
                "ARCHITECTURE.md: write a paragraph about `fuzz/`",
            ]
        );
        let root = tree(&[("crates/core/Cargo.toml", "")]);
        let failure = architecture(root.path()).unwrap_err().to_string();
        assert!(
            failure.starts_with("cannot read ARCHITECTURE.md: "),
            "{failure}"
        );
    }
}
