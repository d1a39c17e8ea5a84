//! Reads the files of the tree. Paths are relative to the root and use `/`.

use std::fs;
use std::path::Path;

use anyhow::Context;
use toml::Table;

/// The entries of a folder, sorted.
pub(crate) fn entries(root: &Path, folder: &str) -> anyhow::Result<Vec<String>> {
    let context = || format!("cannot read the folder {folder}");
    let mut entries = Vec::new();
    for entry in fs::read_dir(root.join(folder)).with_context(context)? {
        let name = entry.with_context(context)?.file_name();
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

/// All files whose names end with `ending`, sorted. Build output, hidden files and symbolic links
/// are left out.
pub(crate) fn files(root: &Path, ending: &str) -> anyhow::Result<Vec<String>> {
    files_in(root, "", ending)
}

/// The files of one folder and its inner folders, like [`files`].
pub(crate) fn files_in(root: &Path, folder: &str, ending: &str) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
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

/// The text of a file.
pub(crate) fn text(root: &Path, path: &str) -> anyhow::Result<String> {
    fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {path}"))
}

/// A TOML file.
pub(crate) fn toml(root: &Path, path: &str) -> anyhow::Result<Table> {
    text(root, path)?
        .parse()
        .with_context(|| format!("{path} is not valid TOML"))
}

/// Writes a small tree into a temporary folder, for tests.
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
    fn files_leave_out_build_output() {
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
        assert_eq!(files_in(root.path(), "b", ".rs").unwrap(), ["b/src/lib.rs"]);
    }

    #[test]
    fn an_error_names_the_file() {
        let root = tree(&[("broken.toml", "[package")]);
        let error = text(root.path(), "missing.toml").unwrap_err();
        assert_eq!(error.to_string(), "cannot read missing.toml");
        let error = toml(root.path(), "broken.toml").unwrap_err();
        assert_eq!(error.to_string(), "broken.toml is not valid TOML");
    }
}
