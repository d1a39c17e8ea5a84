//! Checks that a test cites every numbered rule, and that vectors show it from both sides.

use std::path::Path;

use toml::Value;

use crate::files::{files, text, toml};

pub(super) const RULE_BOOK: &str = "docs/rules.md";
const VECTORS: &str = "crates/conformance/vectors/";

/// The prefixes of the rules, which all need a test.
pub(super) const SERIES: [&str; 15] = [
    "ID", "S", "O", "L", "LP", "LE", "IN", "AR", "W", "P", "LG", "M", "A", "F", "E",
];

/// Finds rules of `docs/rules.md` that no test cites.
///
/// A test cites rule O-12 if its name contains `o_12`, such as `o_12_a_full_cluster_is_closed`. A
/// vector cites it if its `rules` list contains `"O-12"`.
///
/// # Errors
///
/// Fails if the rule book, a source file or a vector cannot be read.
pub fn untested_rules(root: &Path) -> anyhow::Result<Vec<String>> {
    let rules = rules(&text(root, RULE_BOOK)?);
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
            names.extend(test_names(&text(root, &file)?));
        }
    }
    let mut cited = Vec::new();
    for file in files(root, ".toml")? {
        if file.starts_with(VECTORS) {
            cites(&Value::Table(toml(root, &file)?), "rules", &mut cited);
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

/// Finds rules of `docs/rules.md` that lack a vector, rules that vectors cite and the book does
/// not have, and entries of `exempt` that are of no rule.
///
/// A rule needs a vector that lists it under `rules`, because the rule applies, and one that lists
/// it under `just_not`, because the rule only just does not apply. `exempt` has the rules and the series of
/// rules that a vector cannot show, each with the reason.
///
/// # Errors
///
/// Fails if the rule book or a vector cannot be read.
pub fn rules_and_vectors(root: &Path, exempt: &[(&str, &str)]) -> anyhow::Result<Vec<String>> {
    let rules = rules(&text(root, RULE_BOOK)?);
    let is_of = |rule: &str, exempt: &str| {
        let series = rule.split_once('-').map_or("", |(series, _)| series);
        [rule, series].contains(&exempt)
    };
    let mut complaints = Vec::new();
    for (exempt, _) in exempt {
        if !rules.iter().any(|rule| is_of(rule, exempt)) {
            complaints.push(format!(
                "{exempt} is no rule or series of {RULE_BOOK}: remove it from NO_VECTORS"
            ));
        }
    }
    for list in ["rules", "just_not"] {
        let mut cited = Vec::new();
        for file in files(root, ".toml")? {
            if file.starts_with(VECTORS) {
                cites(&Value::Table(toml(root, &file)?), list, &mut cited);
            }
        }
        for rule in &rules {
            let exempt = exempt.iter().any(|(exempt, _)| is_of(rule, exempt));
            if exempt == cited.contains(rule) {
                complaints.push(if exempt {
                    format!("{rule} has a vector: remove the exception")
                } else {
                    format!("{VECTORS}: no vector lists {rule} under `{list}`: write one")
                });
            }
        }
        cited.sort_unstable();
        cited.dedup();
        for rule in cited.iter().filter(|rule| !rules.contains(rule)) {
            complaints.push(format!("{VECTORS}: there is no rule {rule} in {RULE_BOOK}"));
        }
    }
    Ok(complaints)
}

/// The rules with the prefixes above, each once, in the order of the book.
pub(super) fn rules(book: &str) -> Vec<String> {
    let mut rules = Vec::new();
    // Every second part is bold.
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

/// The names of the test functions, with a `_` before and after.
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

/// Adds the rules in the lists of this name, at any depth of a vector file.
fn cites(value: &Value, list: &str, cited: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| cites(value, list, cited)),
        Value::Table(table) => {
            for (key, value) in table {
                match value {
                    Value::Array(rules) if key == list => {
                        cited.extend(rules.iter().filter_map(|rule| Some(rule.as_str()?.into())));
                    }
                    _ => cites(value, list, cited),
                }
            }
        }
        _ => {}
    }
}

// No real rule has the numbers that these tests use: a test quoted in this file must not count as a
// citation.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tree;

    const BOOK: &str = "\
# Rules
- **ID-91** Bold, as in **event**, and again **ID-91**.
| **O-92** | in a table |
- **W-93** as said in S-94. **X-95** is of no series. **S-x** and **S-** are no rules.
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
        // Not the name of a test, not the whole number, and not in a folder of tests.
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

    #[test]
    fn a_rule_needs_vectors_from_both_sides() {
        let complaints = |exempt: &[(&str, &str)], vectors: &str| {
            let root = tree(&[
                (RULE_BOOK, BOOK),
                ("crates/conformance/vectors/a.toml", vectors),
            ]);
            rules_and_vectors(root.path(), exempt).unwrap()
        };
        let both =
            "[[case]]\nrules = [\"ID-91\", \"O-92\"]\n[[case]]\njust_not = [\"ID-91\", \"O-92\"]";
        assert_eq!(complaints(&[("W-93", "why")], both), [""; 0]);
        assert_eq!(complaints(&[("W", "why")], both), [""; 0]);
        let missing = complaints(&[], both);
        assert_eq!(missing.len(), 2, "{missing:?}");
        assert!(missing[0].contains("no vector lists W-93 under `rules`"));
        assert!(missing[1].contains("no vector lists W-93 under `just_not`"));
        let one_side = "[[case]]\nrules = [\"ID-91\", \"O-92\"]\njust_not = [\"ID-91\"]";
        assert_eq!(complaints(&[("W-93", "why")], one_side).len(), 1);
        let needless = complaints(&[("W-93", "why"), ("O-92", "why")], both);
        assert!(needless[0].contains("O-92 has a vector"), "{needless:?}");
        for exempt in ["W-94", "S", "W-9"] {
            let stale = complaints(&[("W-93", "why"), (exempt, "why")], both);
            assert_eq!(stale.len(), 1, "{stale:?}");
            assert!(stale[0].starts_with(&format!("{exempt} is no rule")));
        }
        let unknown = both.replace("\"O-92\"]", "\"O-92\", \"O-99\"]");
        let unknown = complaints(&[("W-93", "why")], &unknown);
        assert!(unknown[0].contains("there is no rule O-99"), "{unknown:?}");
    }
}
