//! The rule book, `docs/rules.md`. It is normative: if code and rules differ, the code is wrong.
#![doc = include_str!("../rules.md")]

/// The text of the rule book, in Markdown.
pub const TEXT: &str = include_str!("../rules.md");
