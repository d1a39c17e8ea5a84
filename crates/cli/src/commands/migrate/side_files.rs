//! Files beside the events: mappings, profiles, and the output of an earlier migration.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use idmerge_events::visit_members;
use idmerge_migrate::{GatherError, Gathering, Place};

use crate::args::migrate::MigrateArgs;
use crate::commands::migrate::folder::Folder;
use crate::commands::migrate::lines::for_each_text_line;
use crate::stream::input::{self, Reread};
use crate::stream::progress::Progress;

/// Gives all of them to the first stage. Their names are added to `names`.
pub(super) fn add_all(
    args: &MigrateArgs,
    folder: &Folder,
    gathering: &mut Gathering,
    names: &mut Vec<String>,
) -> anyhow::Result<()> {
    if let Some(path) = &args.mapping {
        let file = add_name(names, path)?;
        add_mapping(path, file, gathering)?;
    }
    if let Some(path) = &args.profiles {
        for_each_profile(path, |line, _| Ok(gathering.add_profile(line)?))?;
    }
    folder.for_each_earlier_link(|line| Ok(gathering.add_earlier_link(line)?))?;
    folder.for_each_earlier_event(|line| Ok(gathering.add_earlier_event(line)?))
}

/// Adds the name of a file, and returns its number.
pub(super) fn add_name(names: &mut Vec<String>, path: &Path) -> anyhow::Result<u32> {
    let number = u32::try_from(names.len()).context("there are too many inputs")?;
    names.push(path.display().to_string());
    Ok(number)
}

/// Opens a file, decompressed.
fn with_text<T>(
    path: &Path,
    read: impl FnOnce(&mut dyn BufRead) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut inputs = input::find_all(&[PathBuf::from(path)])?;
    let input = inputs.first_mut().context("there is no file")?;
    let progress = Progress::of_bytes(None, true);
    let text = input.read(Reread::No, &progress)?;
    read(&mut BufReader::new(text))
}

/// Visits the lines of the file of profiles, with their numbers.
pub(super) fn for_each_profile(
    path: &Path,
    visit: impl FnMut(&str, u64) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    with_text(path, |reader| for_each_text_line(path, reader, visit))
}

/// M-6, rank 2. The file is CSV with a header, or NDJSON.
fn add_mapping(path: &Path, file: u32, gathering: &mut Gathering) -> anyhow::Result<()> {
    let shown = path.display();
    with_text(path, |reader| {
        let head = reader
            .fill_buf()
            .with_context(|| format!("cannot read {shown}"))?;
        if head.starts_with(b"PAR1") {
            bail!(
                "{shown} is Parquet, which this build cannot read: convert it to CSV with the columns \
                 distinct_id and resolved_distinct_id"
            );
        }
        let is_json = head.trim_ascii_start().starts_with(b"{");
        let mut add = |id: &str, head: &str, line: u64| {
            let added = gathering.add_mapping(id, head, Place { file, line });
            added.map_err(|error| match error {
                GatherError::Invalid(error) => anyhow!("{shown}, line {line}: {error}"),
                error => error.into(),
            })
        };
        match is_json {
            true => for_each_text_line(path, reader, |text, line| {
                let (id, head) = mapping_of(text).with_context(|| {
                    format!(
                        "{shown}, line {line}: not an object with the texts distinct_id and \
                         resolved_distinct_id (M-6)"
                    )
                })?;
                add(&id, &head, line)
            }),
            false => add_csv(path, reader, &mut add),
        }
    })
}

fn mapping_of(text: &str) -> Option<(String, String)> {
    let (mut id, mut head) = (None, None);
    visit_members(text, |key, value| match key {
        b"distinct_id" => id = value.string_or_number(),
        b"resolved_distinct_id" => head = value.string_or_number(),
        _ => {}
    })?;
    Some((id?.into_owned(), head?.into_owned()))
}

fn add_csv(
    path: &Path,
    reader: &mut dyn BufRead,
    add: &mut dyn FnMut(&str, &str, u64) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let shown = path.display();
    let mut rows = csv::Reader::from_reader(without_mark(reader)?);
    let header = rows
        .headers()
        .with_context(|| format!("cannot read {shown}"))?;
    let column = |name: &str| header.iter().position(|column| column == name);
    let (Some(id), Some(head)) = (column("distinct_id"), column("resolved_distinct_id")) else {
        bail!(
            "{shown}, line 1: the header must name the columns distinct_id and resolved_distinct_id (M-6)"
        );
    };
    let mut row = csv::StringRecord::new();
    while rows
        .read_record(&mut row)
        .with_context(|| format!("cannot read {shown}"))?
    {
        let line = row.position().map_or(0, csv::Position::line);
        let field = |at| row.get(at).unwrap_or_default();
        add(field(id), field(head), line)?;
    }
    Ok(())
}

/// The text without a byte order mark at its start.
fn without_mark(reader: &mut dyn BufRead) -> io::Result<impl Read> {
    if reader.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
        reader.consume(3);
    }
    Ok(reader)
}
