//! Limits on source files, and words that they must not contain.

use std::path::Path;

use crate::files::{files, text};

/// Source files of more than `lines_max` lines that are not `excused`, and excuses that nothing
/// needs. An excuse is a file and its reason.
///
/// # Errors
///
/// Fails if a source file cannot be read.
pub fn long_files(
    root: &Path,
    lines_max: usize,
    excused: &[(&str, &str)],
) -> anyhow::Result<Vec<String>> {
    let mut long = Vec::new();
    for file in files(root, ".rs")? {
        let lines = text(root, &file)?.lines().count();
        if lines > lines_max {
            long.push((file, lines));
        }
    }
    let is_excused = |file: &str| excused.iter().any(|(excused, _)| *excused == file);
    let mut complaints = Vec::new();
    for (file, lines) in long.iter().filter(|(file, _)| !is_excused(file)) {
        complaints.push(format!(
            "{file} has {lines} lines: split it, or excuse it in LONG_FILES with a reason"
        ));
    }
    for (file, reason) in excused {
        if !long.iter().any(|(long, _)| long == file) {
            complaints.push(format!("{file} is not long: remove it from LONG_FILES"));
        } else if reason.is_empty() {
            complaints.push(format!("{file}: give its reason in LONG_FILES"));
        }
    }
    Ok(complaints)
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
    fn a_long_file_needs_an_excuse() {
        let root = tree(&[
            ("a.rs", "1\n2\n3\n"),
            ("b.rs", "1\n2\n3\n4"),
            ("c.md", "\n\n\n\n"),
        ]);
        let check = |excused| long_files(root.path(), 3, excused).unwrap();
        assert!(check(&[("b.rs", "a table")]).is_empty());
        assert_eq!(
            check(&[]),
            ["b.rs has 4 lines: split it, or excuse it in LONG_FILES with a reason"]
        );
        assert_eq!(
            check(&[("b.rs", "")]),
            ["b.rs: give its reason in LONG_FILES"]
        );
        assert_eq!(
            check(&[("a.rs", "a table"), ("b.rs", "a table")]),
            ["a.rs is not long: remove it from LONG_FILES"]
        );
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
