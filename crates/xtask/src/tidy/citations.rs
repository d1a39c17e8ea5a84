//! Checks that the rules and the files that comments and documents name are there.

use std::path::Path;

use super::rules::{RULE_BOOK, SERIES, rules};
use super::sources::without_excused;
use crate::files::{files, text};

/// The old entries of it name rules and files as they were.
const CHANGES: &str = "CHANGELOG.md";

/// Finds rules that a document, a source file or a configuration names and `docs/rules.md` does not have, and entries
/// of `excused` that are not needed. An entry is a file whose rules are made up, and the reason.
///
/// # Errors
///
/// Fails if the rule book or another file cannot be read.
pub fn unknown_rules(root: &Path, excused: &[(&str, &str)]) -> anyhow::Result<Vec<String>> {
    let rules = rules(&text(root, RULE_BOOK)?);
    let mut unknown = Vec::new();
    for ending in [".md", ".rs", ".py", ".toml"] {
        for file in files(root, ending)? {
            let text = text(root, &file)?;
            let lines = (1..).zip(text.lines());
            let missing = lines.filter_map(|(number, line)| {
                let rule = cited(line).find(|rule| !rules.iter().any(|known| known == rule))?;
                Some(format!(
                    "cites {rule} in line {number}, which {RULE_BOOK} does not have"
                ))
            });
            // One complaint for each file: the next run finds the next line.
            unknown.extend(missing.take(1).map(|what| (file.clone(), what)));
        }
    }
    Ok(without_excused(
        &unknown,
        "MADE_UP_RULES",
        "correct it",
        excused,
    ))
}

/// The rules that a line names, such as `O-12`: a series, a hyphen and digits, and no part of a longer word, such as
/// `UTF-8`.
fn cited(line: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    line.split(move |c| !is_part(c)).filter(|word| {
        word.split_once('-').is_some_and(|(series, number)| {
            let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
            is_number && SERIES.contains(&series)
        })
    })
}

/// Finds source files that a document names in backticks and the tree does not have. A document may leave out the first
/// folders of a path.
///
/// # Errors
///
/// Fails if a document cannot be read.
pub fn missing_files(root: &Path) -> anyhow::Result<Vec<String>> {
    let sources = [files(root, ".rs")?, files(root, ".py")?].concat();
    let is_there = |path: &str| {
        let is_it = |file: &str| file.strip_suffix(path).is_some_and(is_folder);
        sources.iter().any(|file| is_it(file))
    };
    let mut complaints = Vec::new();
    for document in files(root, ".md")? {
        if document == CHANGES {
            continue;
        }
        for (number, line) in (1..).zip(text(root, &document)?.lines()) {
            // Every second part is in backticks.
            let quoted = line.split('`').skip(1).step_by(2);
            let missing = quoted.filter(|text| is_source(text) && !is_there(text));
            complaints.extend(missing.map(|path| {
                format!("{document}:{number}: there is no file {path}: name its path in `crates/`")
            }));
        }
    }
    Ok(complaints)
}

/// Whether a text is nothing, or ends with a slash.
fn is_folder(text: &str) -> bool {
    text.is_empty() || text.ends_with('/')
}

/// Whether a text is the path of a source file, and not the pattern of several.
fn is_source(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    let ending = Path::new(text).extension();
    ending.is_some_and(|ending| ending == "rs" || ending == "py") && text.chars().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tree;

    const BOOK: (&str, &str) = (RULE_BOOK, "- **ID-91** Text.\n- **O-92** Text.\n");

    #[test]
    fn a_rule_that_is_cited_is_in_the_book() {
        let unknown = |files: &[(&str, &str)], excused: &[(&str, &str)]| {
            unknown_rules(tree(&[&[BOOK], files].concat()).path(), excused).unwrap()
        };
        let fine =
            "// ID-91, (O-92) and `O-92`. No rules: UTF-8, XO-93, A1-O-93, O-93x, O-93-94, O-x.\n";
        assert_eq!(unknown(&[("crates/a/src/lib.rs", fine)], &[]), [""; 0]);
        for file in ["docs/a.md", "python/a.py", "crates/a/src/a.rs", "a.toml"] {
            assert_eq!(
                unknown(&[(file, "# By O-92.\n\n# By O-93, LE-1.\n")], &[]),
                [format!(
                    "{file} cites O-93 in line 3, which docs/rules.md does not have: correct it, or \
                     add it to MADE_UP_RULES with a reason"
                )]
            );
        }
        let made_up = [("a.md", "O-93")];
        assert_eq!(unknown(&made_up, &[("a.md", "an example")]), [""; 0]);
        assert_eq!(unknown(&made_up, &[("a.md", "")]).len(), 1);
        assert_eq!(unknown(&[], &[("a.md", "an example")]).len(), 1);
    }

    #[test]
    fn a_file_that_a_document_names_is_there() {
        let missing = |document: &str| {
            let sources = [
                ("crates/store/tests/store/crash.rs", ""),
                ("python/idmerge/spark.py", ""),
            ];
            missing_files(tree(&[&sources[..], &[("docs/a.md", document)]].concat()).path())
                .unwrap()
        };
        let fine = "`store/tests/store/crash.rs`, `crash.rs`, `crates/store/tests/store/crash.rs`,\n\
                    `idmerge/spark.py`, `adapt_*.rs`, `cargo run a.rs`, tests/crash.rs, `.rs`\n";
        assert_eq!(missing(fine), [""; 0]);
        for path in [
            "tests/crash.rs",
            "rash.rs",
            "store/crash.py",
            "src/lib.rs",
            "spark.rs",
        ] {
            assert_eq!(
                missing(&format!("Text.\nSee `{path}`.\n")),
                [format!(
                    "docs/a.md:2: there is no file {path}: name its path in `crates/`"
                )]
            );
        }
    }
}
