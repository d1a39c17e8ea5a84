//! Limits on source files, and words that they must not contain.

use std::collections::BTreeMap;
use std::path::Path;

use crate::files::{files, text};

/// Finds source files that are too long, and entries of `excused` that are not needed. A file of a
/// `src` folder may have `src_lines_max` lines, and other files, such as tests, `lines_max`. An entry
/// is a file and the reason.
///
/// # Errors
///
/// Fails if a source file cannot be read.
pub fn long_files(
    root: &Path,
    src_lines_max: usize,
    lines_max: usize,
    excused: &[(&str, &str)],
) -> anyhow::Result<Vec<String>> {
    let mut long = Vec::new();
    for file in files(root, ".rs")? {
        let lines = text(root, &file)?.lines().count();
        let lines_max = if file.split('/').any(|it| it == "src") {
            src_lines_max
        } else {
            lines_max
        };
        if lines > lines_max {
            long.push((file, format!("has {lines} lines")));
        }
    }
    Ok(without_excused(&long, "LONG_FILES", "split it", excused))
}

/// Finds folders below `src` that have more than `files_max` source files and no inner folders, and
/// entries of `excused` that are not needed. The root file of a crate does not count. An entry is
/// a folder and the reason.
///
/// # Errors
///
/// Fails if a folder cannot be read.
pub fn flat_folders(
    root: &Path,
    files_max: usize,
    excused: &[(&str, &str)],
) -> anyhow::Result<Vec<String>> {
    let mut folders: BTreeMap<String, usize> = BTreeMap::new();
    for file in files(root, ".rs")? {
        let Some((folder, name)) = file.rsplit_once('/') else {
            continue;
        };
        let is_root = matches!(name, "lib.rs" | "main.rs");
        if folder.split('/').any(|it| it == "src") && !is_root {
            *folders.entry(folder.to_owned()).or_default() += 1;
        }
    }
    let has_inner = |folder: &str| {
        let inner = format!("{folder}/");
        folders.keys().any(|it| it.starts_with(&inner))
    };
    let flat = folders
        .iter()
        .filter(|(folder, files)| **files > files_max && !has_inner(folder));
    let flat: Vec<_> = flat
        .map(|(folder, files)| {
            (
                folder.clone(),
                format!("has {files} files and no inner folders"),
            )
        })
        .collect();
    Ok(without_excused(&flat, "FLAT_FOLDERS", "split it", excused))
}

/// The complaints about what was found and is not excused, and about excuses that are not needed.
pub(super) fn without_excused(
    found: &[(String, String)],
    table: &str,
    remedy: &str,
    excused: &[(&str, &str)],
) -> Vec<String> {
    let is_excused = |path: &str| excused.iter().any(|(excused, _)| *excused == path);
    let mut complaints = Vec::new();
    for (path, what) in found.iter().filter(|(path, _)| !is_excused(path)) {
        complaints.push(format!(
            "{path} {what}: {remedy}, or add it to {table} with a reason"
        ));
    }
    for (path, reason) in excused {
        if !found.iter().any(|(found, _)| found == path) {
            complaints.push(format!("{path} needs no entry: remove it from {table}"));
        } else if reason.is_empty() {
            complaints.push(format!("{path}: give the reason in {table}"));
        }
    }
    complaints
}

/// Finds libraries that name the lint for missing documentation. The workspace enables the lint, so a
/// library can name it only to turn it off.
///
/// # Errors
///
/// Fails if a source file cannot be read.
pub fn undocumented(root: &Path) -> anyhow::Result<Vec<String>> {
    // In two parts, so that this file passes.
    let lint = concat!("missing", "_docs");
    complaints(root, |file, line| {
        let is_library = file.split('/').any(|folder| folder == "src");
        (is_library && line.contains(lint))
            .then(|| format!("remove `{lint}`: public items are documented"))
    })
}

/// Finds the lines of source files that contain one of the words.
///
/// # Errors
///
/// Fails if a source file cannot be read.
pub fn words(root: &Path, words: &[&str]) -> anyhow::Result<Vec<String>> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    complaints(root, |_, line| {
        let mut found = line
            .split(|c| !is_word(c))
            .filter(|word| words.contains(word));
        found
            .next()
            .map(|word| format!("remove {word}: do it now, or open an issue"))
    })
}

/// The complaints of a check about single lines, over all source files.
fn complaints(
    root: &Path,
    check: impl Fn(&str, &str) -> Option<String>,
) -> anyhow::Result<Vec<String>> {
    let mut complaints = Vec::new();
    for file in files(root, ".rs")? {
        for (number, line) in (1..).zip(text(root, &file)?.lines()) {
            if let Some(complaint) = check(&file, line) {
                complaints.push(format!("{file}:{number}: {complaint}"));
            }
        }
    }
    Ok(complaints)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tree;

    #[test]
    fn a_long_file_needs_a_reason() {
        let root = tree(&[
            ("core/src/a.rs", "1\n2\n3\n"),
            ("core/src/b.rs", "1\n2\n3\n4"),
            ("core/tests/c.rs", "1\n2\n3\n4\n"),
            ("core/tests/d.rs", "1\n2\n3\n4\n5"),
            ("e.md", "\n\n\n\n\n"),
        ]);
        let check = |excused: &[_]| long_files(root.path(), 3, 4, excused).unwrap();
        let d = ("core/tests/d.rs", "a table");
        assert!(check(&[d, ("core/src/b.rs", "a table")]).is_empty());
        assert_eq!(
            check(&[]),
            [
                "core/src/b.rs has 4 lines: split it, or add it to LONG_FILES with a reason",
                "core/tests/d.rs has 5 lines: split it, or add it to LONG_FILES with a reason",
            ]
        );
        assert_eq!(
            check(&[d, ("core/src/b.rs", ""), ("core/src/a.rs", "a table")]),
            [
                "core/src/b.rs: give the reason in LONG_FILES",
                "core/src/a.rs needs no entry: remove it from LONG_FILES",
            ]
        );
    }

    #[test]
    fn a_flat_folder_needs_a_reason() {
        let root = tree(&[
            ("core/src/lib.rs", ""),
            ("core/src/a.rs", ""),
            ("core/src/b.rs", ""),
            ("cli/src/a.rs", ""),
            ("cli/src/b.rs", ""),
            ("cli/src/c.rs", ""),
            ("store/src/a.rs", ""),
            ("store/src/b.rs", ""),
            ("store/src/c.rs", ""),
            ("store/src/a/d.rs", ""),
            ("cli/tests/a.rs", ""),
            ("cli/tests/b.rs", ""),
            ("cli/tests/c.rs", ""),
        ]);
        let check = |excused: &[_]| flat_folders(root.path(), 2, excused).unwrap();
        assert_eq!(
            check(&[]),
            [
                "cli/src has 3 files and no inner folders: split it, or add it to FLAT_FOLDERS \
                 with a reason"
            ]
        );
        assert!(check(&[("cli/src", "one file for each command")]).is_empty());
        assert_eq!(check(&[("cli/src", "a"), ("core/src", "a")]).len(), 1);
    }

    #[test]
    fn libraries_are_documented() {
        let off = concat!("//! A crate.\n#![allow(\n    missing", "_docs,\n)]\n");
        let root = tree(&[
            ("crates/core/src/lib.rs", "//! A crate.\n"),
            ("benches/benches/engines.rs", off),
        ]);
        assert!(undocumented(root.path()).unwrap().is_empty());
        let root = tree(&[("crates/core/src/lib.rs", off)]);
        let complaints = undocumented(root.path()).unwrap();
        assert_eq!(complaints.len(), 1);
        assert!(complaints[0].starts_with("crates/core/src/lib.rs:3: remove "));
    }

    #[test]
    fn whole_words_are_found() {
        let check = |text: &str| words(tree(&[("a.rs", text)]).path(), &["FIX", "LATER"]).unwrap();
        assert!(check("// FIXED, PREFIX, FIX_1, fix\n").is_empty());
        assert_eq!(
            check("\n// FIX: later\nlet x = 1; //LATER\n"),
            [
                "a.rs:2: remove FIX: do it now, or open an issue",
                "a.rs:3: remove LATER: do it now, or open an issue",
            ]
        );
    }
}
