//! Files that a command reads besides the events, decompressed.

pub(crate) mod mapping;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::slice;

use anyhow::Context;

use crate::stream::input::{self, Input, Reread};
use crate::stream::progress::Progress;

/// Finds a file before anything is read.
pub(crate) fn find(path: Option<&PathBuf>) -> anyhow::Result<Option<Input>> {
    match path {
        Some(path) => Ok(input::find_all(slice::from_ref(path))?.pop()),
        None => Ok(None),
    }
}

/// Reads a file.
pub(crate) fn with_text<T>(
    file: &mut Input,
    reread: Reread,
    read: impl FnOnce(&str, &mut dyn BufRead) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let name = file.name.clone();
    let progress = Progress::of_bytes(None, true);
    let text = file.read(reread, &progress)?;
    read(&name, &mut BufReader::new(text))
}

/// Visits the lines of a file, with their line breaks and their numbers.
pub(crate) fn for_each_line(
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
pub(crate) fn for_each_text_line(
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
