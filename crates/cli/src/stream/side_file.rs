//! The lines of the files that a migration reads besides the events.

use std::io::BufRead;

use anyhow::Context;

/// Visits the lines of a file, with their line breaks and their numbers.
pub(super) fn for_each_line(
    name: &str,
    reader: &mut dyn BufRead,
    mut visit: impl FnMut(&[u8], u64) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let bytes = reader
            .read_until(b'\n', &mut line)
            .with_context(|| format!("cannot read {name}"))?;
        if bytes == 0 {
            break;
        }
        visit(&line, number)?;
    }
    Ok(())
}

/// Visits the lines of a file that are not blank, as text without the white space around it.
pub(super) fn for_each_text_line(
    name: &str,
    reader: &mut dyn BufRead,
    mut visit: impl FnMut(&str, u64) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for_each_line(name, reader, |line, number| {
        let text =
            str::from_utf8(line).with_context(|| format!("{name}, line {number}: not UTF-8"))?;
        match text.trim_start_matches('\u{feff}').trim() {
            "" => Ok(()),
            text => visit(text, number),
        }
    })
}
