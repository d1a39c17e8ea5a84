//! Answers as JSON, one object a line.

use serde::Serialize;

use crate::output::destination::Output;

/// Writes a value as a line of JSON.
pub(crate) fn write_line(value: &impl Serialize, output: &mut Output) -> anyhow::Result<()> {
    output.write_with(|out| {
        serde_json::to_writer(&mut *out, value)?;
        out.write_all(b"\n")
    })
}
