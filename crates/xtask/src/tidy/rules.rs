//! Every numbered rule has a test that cites it.

use std::path::Path;

use toml::Value;

use crate::failure::Failure;
use crate::rooms::{self, files};

const RULE_BOOK: &str = "docs/rules.md";
const VECTORS: &str = "crates/conformance/vectors/";

/// The series of rules that need a test, by what their numbers begin with.
const SERIES: [&str; 5] = ["ID", "S", "O", "IN", "W"];

/// Rules of `docs/rules.md` that no test cites.
///
/// A test cites rule O-12 where its name has the words `o_12`, such as
/// `o_12_a_full_cluster_is_closed`, and a test vector where its `rules` list has `"O-12"`.
///
/// # Errors
///
/// The rule book, a source file or a vector cannot be read.
pub fn untested_rules(root: &Path) -> Result<Vec<String>, Failure> {
    let rules = rules(&rooms::text(root, RULE_BOOK)?);
    if rules.is_empty() {
        return Ok(vec![format!(
            "{RULE_BOOK}: number the rules, as in **S-1**"
        )]);
    }

    let mut names = Vec::new();
    for file in files(root, ".rs")? {
        let mut folders = file.split('/');
        let in_crates = folders.next() == Some("crates");
        if in_crates && matches!(folders.nth(1), Some("src" | "tests")) {
            names.extend(test_names(&rooms::text(root, &file)?));
        }
    }
    let mut cited = Vec::new();
    for file in files(root, ".toml")? {
        if file.starts_with(VECTORS) {
            cites(&Value::Table(rooms::toml(root, &file)?), &mut cited);
        }
    }

    let complaint = |rule: &String| {
        let words = rule.to_ascii_lowercase().replace('-', "_");
        let in_name = format!("_{words}_");
        let tested = cited.contains(rule) || names.iter().any(|name| name.contains(&in_name));
        (!tested).then(|| {
            format!("{RULE_BOOK}: no test cites {rule}: write one and name it `fn {words}_…`")
        })
    };
    Ok(rules.iter().filter_map(complaint).collect())
}

/// The rules of the series above, each once and in the order of the book.
fn rules(book: &str) -> Vec<String> {
    let mut rules = Vec::new();
    // What is bold is every second part.
    for bold in book.split("**").skip(1).step_by(2) {
        let is_rule = bold.split_once('-').is_some_and(|(series, number)| {
            let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
            digits && SERIES.contains(&series)
        });
        if is_rule && !rules.iter().any(|rule| rule == bold) {
            rules.push(bold.to_owned());
        }
    }
    rules
}

/// The names of the functions below a `#[test]`, with a `_` before and after.
fn test_names(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim_start) {
        if line.starts_with("#[test]") {
            is_test = true;
        } else if let Some(signature) = line.strip_prefix("fn ") {
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = signature.find(|c| !is_word(c)).unwrap_or(signature.len());
            if is_test {
                names.push(format!("_{}_", &signature[..end]));
            }
            is_test = false;
        }
    }
    names
}

/// Adds what the `rules` lists in a vector file have, however deep they stand.
fn cites(value: &Value, cited: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| cites(value, cited)),
        Value::Table(table) => {
            for (key, value) in table {
                match value {
                    Value::Array(rules) if key == "rules" => {
                        cited.extend(rules.iter().filter_map(|rule| Some(rule.as_str()?.into())));
                    }
                    _ => cites(value, cited),
                }
            }
        }
        _ => {}
    }
}

// The rules of these tests have numbers that no rule has: a test that this file quotes must not
// count for a real one.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::rooms::tree;

    const BOOK: &str = "\
# Rules
- **ID-91** Bold, as in **event**, and again **ID-91**.
| **O-92** | in a table |
- **W-93** as said in S-94. **P-95** has no test yet. **S-x** and **S-** are no rules.
";

    fn untested(files: &[(&str, &str)]) -> Vec<String> {
        let book = [(RULE_BOOK, BOOK)];
        untested_rules(tree(&[&book, files].concat()).path()).unwrap()
    }

    #[test]
    fn the_book_numbers_its_rules_in_bold() {
        assert_eq!(rules(BOOK), ["ID-91", "O-92", "W-93"]);
        let root = tree(&[(RULE_BOOK, "No rules.")]);
        assert_eq!(untested_rules(root.path()).unwrap().len(), 1);
        assert!(untested_rules(&root.path().join("docs")).is_err());
    }

    #[test]
    fn rules_without_a_test_are_listed() {
        let all = untested(&[]);
        assert_eq!(all.len(), 3, "{all:?}");
        assert_eq!(
            all[1],
            "docs/rules.md: no test cites O-92: write one and name it `fn o_92_…`"
        );
    }

    #[test]
    fn a_test_cites_by_its_name() {
        let tests = "\
            mod tests {\n    #[test]\n    fn id_91_what_it_says() {}\n\n    #[test]\n    \
            #[should_panic]\n    // Why.\n    fn none_but_o_92() {}\n}\n";
        let w_93 = "#[test]\nfn either_w_93_or_w_94(x in 0..9) {}";
        let all = untested(&[
            ("crates/core/src/a/b.rs", tests),
            ("crates/core/tests/c.rs", w_93),
        ]);
        assert!(all.is_empty(), "{all:?}");
        // Not a test's name, not the whole number, and not where tests are.
        let all = untested(&[
            (
                "crates/core/src/a.rs",
                "#[test]\nfn x() {}\nfn id_91_() {}\n// fn o_92_",
            ),
            (
                "crates/core/tests/b.rs",
                "#[test]\nfn o_921_x() {}\n#[test]\nfn foo_92_x() {}",
            ),
            ("crates/core/examples/c.rs", w_93),
            ("benches/src/lib.rs", tests),
        ]);
        assert_eq!(all.len(), 3, "{all:?}");
    }

    #[test]
    fn a_vector_cites_by_its_list() {
        let vectors = "[[case]]\nrules = [\"O-92\", \"W-93\"]\nwhy = \"ID-91\"";
        let all = untested(&[("crates/conformance/vectors/a/b.toml", vectors)]);
        assert_eq!(all.len(), 1, "{all:?}");
        assert!(all[0].contains("no test cites ID-91"));
        assert_eq!(
            untested(&[("crates/core/vectors/b.toml", vectors)]).len(),
            3
        );
    }
}
