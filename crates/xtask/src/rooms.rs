//! The packages of the tree, and reading its files.

use std::fs;
use std::path::Path;

use toml::{Table, Value};

use crate::failure::Failure;

/// One package of the tree.
#[derive(Debug)]
pub(crate) struct Room {
    /// The name of its folder: `core`.
    pub(crate) name: String,
    /// Its folder below the root: `crates/core`.
    pub(crate) folder: String,
    /// Its `Cargo.toml`.
    pub(crate) manifest: Table,
}

impl Room {
    /// The name in `[package]`.
    pub(crate) fn package(&self) -> &str {
        let package = self.manifest.get("package");
        let name = package.and_then(|package| package.get("name"));
        name.and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether it is its own workspace and so inherits nothing.
    pub(crate) fn is_workspace(&self) -> bool {
        self.manifest.contains_key("workspace")
    }
}

/// All packages of the tree: the folders of `crates`, then `benches` and `fuzz`.
pub(crate) fn rooms(root: &Path) -> Result<Vec<Room>, Failure> {
    let mut folders: Vec<String> = entries(root, "crates")?
        .into_iter()
        .filter(|folder| root.join(folder).is_dir())
        .collect();
    for folder in ["benches", "fuzz"] {
        if root.join(folder).is_dir() {
            folders.push(folder.to_owned());
        }
    }
    let room = |folder: String| {
        let path = format!("{folder}/Cargo.toml");
        let manifest = toml(root, &path)?;
        let name = folder.trim_start_matches("crates/").to_owned();
        Ok(Room {
            name,
            folder,
            manifest,
        })
    };
    folders.into_iter().map(room).collect()
}

/// What lies in a folder of the tree, as paths below the root with `/`, sorted.
pub(crate) fn entries(root: &Path, folder: &str) -> Result<Vec<String>, Failure> {
    let failed = |e| Failure::new(format!("cannot read the folder {folder}: {e}"));
    let mut entries = Vec::new();
    for entry in fs::read_dir(root.join(folder)).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let name = name.to_string_lossy();
        entries.push(if folder.is_empty() {
            name.into_owned()
        } else {
            format!("{folder}/{name}")
        });
    }
    entries.sort();
    Ok(entries)
}

/// All files below the root whose names end with `ending`, sorted. What cargo and git make is
/// left out.
pub(crate) fn files(root: &Path, ending: &str) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for entry in entries(root, &folder)? {
            let name = entry.rsplit('/').next().unwrap_or_default();
            let path = root.join(&entry);
            if path.is_symlink() || name.starts_with('.') {
                continue;
            } else if !path.is_dir() {
                if name.ends_with(ending) {
                    found.push(entry);
                }
            } else if name != "target" && !name.starts_with("mutants.out") {
                folders.push(entry);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The text of a file of the tree.
pub(crate) fn text(root: &Path, path: &str) -> Result<String, Failure> {
    fs::read_to_string(root.join(path))
        .map_err(|e| Failure::new(format!("cannot read {path}: {e}")))
}

/// A TOML file of the tree.
pub(crate) fn toml(root: &Path, path: &str) -> Result<Table, Failure> {
    text(root, path)?
        .parse()
        .map_err(|e| Failure::new(format!("{path} is not TOML: {e}")))
}

/// A small tree to try things on.
#[cfg(test)]
pub(crate) fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a folder for the test");
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_the_folders_of_crates_and_two_more() {
        let manifest = "[package]\nname = \"x\"";
        let root = tree(&[
            ("crates/two/Cargo.toml", manifest),
            ("crates/one/Cargo.toml", "[package]\nname = \"idmerge-one\""),
            ("crates/README.md", "no room"),
            ("benches/Cargo.toml", manifest),
            ("fuzz/Cargo.toml", "workspace = {}\npackage.name = \"y\""),
            ("examples/Cargo.toml", manifest),
        ]);
        let rooms = rooms(root.path()).unwrap();
        let folders: Vec<_> = rooms.iter().map(|room| room.folder.as_str()).collect();
        assert_eq!(folders, ["crates/one", "crates/two", "benches", "fuzz"]);
        assert_eq!(rooms[0].name, "one");
        assert_eq!(rooms[0].package(), "idmerge-one");
        assert!(!rooms[0].is_workspace());
        assert!(rooms[3].is_workspace());
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let root = tree(&[("crates/one/src/lib.rs", "")]);
        let failure = rooms(root.path()).unwrap_err().to_string();
        assert!(
            failure.starts_with("cannot read crates/one/Cargo.toml: "),
            "{failure}"
        );

        let root = tree(&[("crates/one/Cargo.toml", "[package")]);
        let failure = rooms(root.path()).unwrap_err().to_string();
        assert!(
            failure.starts_with("crates/one/Cargo.toml is not TOML: "),
            "{failure}"
        );
    }

    #[test]
    fn files_leave_out_what_is_made() {
        let root = tree(&[
            ("b/src/lib.rs", ""),
            ("a.rs", ""),
            ("a.toml", ""),
            ("target/debug/x.rs", ""),
            ("fuzz/target/x.rs", ""),
            (".git/x.rs", ""),
            ("mutants.out.old/x.rs", ""),
        ]);
        assert_eq!(files(root.path(), ".rs").unwrap(), ["a.rs", "b/src/lib.rs"]);
    }
}
