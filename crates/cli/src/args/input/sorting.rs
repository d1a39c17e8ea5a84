//! The argument that sorts the input.

#![allow(
    clippy::doc_markdown,
    reason = "doc comments are help text, and a terminal shows backticks as they are"
)]

use clap::builder::NonEmptyStringValueParser;

#[derive(Debug, clap::Args)]
pub(crate) struct SortingArgs {
    /// Sort the records by this field first, such as receivedAt; equal ones stay in order, or are sorted by the field
    /// of a second --order-by. It is a field of the record, a property, or a path with dots; numbers come before
    /// times, and times before other text
    #[arg(long = "order-by", value_name = "FIELD", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) fields: Vec<String>,
}
