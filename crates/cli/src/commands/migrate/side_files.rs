//! Files beside the events: mappings, profiles, and the output of an earlier migration.

use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::slice;

use anyhow::{Context, anyhow, bail};
use idmerge_events::visit_members;
use idmerge_migrate::{GatherError, Gathering, Place};

use crate::args::migrate::MigrateArgs;
use crate::commands::migrate::folder::Folder;
use crate::commands::migrate::lines::for_each_text_line;
use crate::output::destination::Destination;
use crate::stream::input::{self, Input, Reread};
use crate::stream::progress::Progress;

/// The files of `--mapping` and `--profiles`.
pub(super) struct SideFiles {
    mapping: Option<Input>,
    profiles: Option<Input>,
    /// The names of the inputs, and of those of these files that were read: evidence has their numbers.
    names: Vec<String>,
}

impl SideFiles {
    /// Finds them before anything is read.
    pub(super) fn find(args: &MigrateArgs, inputs: &[Input]) -> anyhow::Result<Self> {
        let find = |path: &Option<PathBuf>| match path {
            Some(path) => Ok(input::find_all(slice::from_ref(path))?.pop()),
            None => anyhow::Ok(None),
        };
        Ok(Self {
            mapping: find(&args.mapping)?,
            profiles: find(&args.profiles)?,
            names: inputs.iter().map(|input| input.name.clone()).collect(),
        })
    }

    /// The names of all files that evidence can be in.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// # Errors
    ///
    /// Writing to the destination would replace one of them.
    pub(super) fn must_be_kept_by(&self, destination: &Destination) -> anyhow::Result<()> {
        let files = [&self.mapping, &self.profiles];
        files
            .iter()
            .try_for_each(|file| destination.must_keep(file.as_slice(), "--output"))
    }

    /// Gives them, and the output of an earlier migration, to the first stage.
    pub(super) fn add_all(
        &mut self,
        folder: &Folder,
        gathering: &mut Gathering,
    ) -> anyhow::Result<()> {
        if let Some(mapping) = &mut self.mapping {
            let file = add_name(&mut self.names, mapping)?;
            add_mapping(mapping, file, gathering)?;
        }
        if let Some(profiles) = &mut self.profiles {
            for_each_profile(profiles, Reread::Yes, |line, _| {
                Ok(gathering.add_profile(line)?)
            })?;
        }
        folder.for_each_earlier_link(|line| Ok(gathering.add_earlier_link(line)?))?;
        folder.for_each_earlier_event(|line| Ok(gathering.add_earlier_event(line)?))
    }

    /// Visits the lines of the profiles again, with their places.
    pub(super) fn for_each_profile(
        &mut self,
        mut visit: impl FnMut(&str, Place) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Some(profiles) = &mut self.profiles else {
            return Ok(());
        };
        let file = add_name(&mut self.names, profiles)?;
        for_each_profile(profiles, Reread::No, |text, line| {
            visit(text, Place { file, line })
        })
    }
}

/// Adds the name of a file, and returns its number.
fn add_name(names: &mut Vec<String>, file: &Input) -> anyhow::Result<u32> {
    let number = u32::try_from(names.len()).context("there are too many inputs")?;
    names.push(file.name.clone());
    Ok(number)
}

fn for_each_profile(
    file: &mut Input,
    reread: Reread,
    visit: impl FnMut(&str, u64) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    with_text(file, reread, |name, reader| {
        for_each_text_line(name, reader, visit)
    })
}

/// Reads a file, decompressed.
fn with_text<T>(
    file: &mut Input,
    reread: Reread,
    read: impl FnOnce(&str, &mut dyn BufRead) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let name = file.name.clone();
    let progress = Progress::of_bytes(None, true);
    let text = file.read(reread, &progress)?;
    read(&name, &mut BufReader::new(text))
}

/// M-6, rank 2. The file is CSV with a header, or NDJSON.
fn add_mapping(mapping: &mut Input, file: u32, gathering: &mut Gathering) -> anyhow::Result<()> {
    with_text(mapping, Reread::No, |shown, reader| {
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
            true => for_each_text_line(shown, reader, |text, line| {
                let (id, head) = mapping_of(text).with_context(|| {
                    format!(
                        "{shown}, line {line}: not an object with the texts distinct_id and \
                         resolved_distinct_id (M-6)"
                    )
                })?;
                add(&id, &head, line)
            }),
            false => add_csv(shown, reader, &mut add),
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
    shown: &str,
    reader: &mut dyn BufRead,
    add: &mut dyn FnMut(&str, &str, u64) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
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
