//! Numbers and lines of the page.

use indicatif::HumanCount;

/// The width of the page.
const COLUMNS: usize = 100;

pub(crate) fn human(number: u64) -> String {
    HumanCount(number).to_string()
}

/// A number and its noun.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", human(number), if number == 1 { one } else { many })
}

/// The text in lines that fit the page. The first one begins with `first`, the others with as many spaces.
pub(crate) fn wrapped(first: &str, text: &str) -> String {
    let mut page = first.to_owned();
    let mut columns = first.chars().count();
    let indent = columns;
    for word in text.split(' ') {
        let word_columns = word.chars().count();
        if columns > indent && columns + 1 + word_columns > COLUMNS {
            page.push('\n');
            page.extend(std::iter::repeat_n(' ', indent));
            columns = indent;
        } else if columns > indent {
            page.push(' ');
            columns += 1;
        }
        page.push_str(word);
        columns += word_columns;
    }
    page.push('\n');
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_wrapped_between_words() {
        assert_eq!(wrapped("- ", "one two"), "- one two\n");
        let words = ["nine chars"; 12].join(" ");
        let page = wrapped("  - ", &words);
        assert!(page.lines().all(|line| line.len() <= COLUMNS), "{page}");
        assert!(
            page.lines()
                .skip(1)
                .all(|line| line.starts_with("    n") || line.starts_with("    c"))
        );
        assert_eq!(
            page.split_whitespace()
                .skip(1)
                .collect::<Vec<_>>()
                .join(" "),
            words
        );
        let long = "x".repeat(120);
        assert_eq!(wrapped("", &format!("{long} y")), format!("{long}\ny\n"));
    }
}
