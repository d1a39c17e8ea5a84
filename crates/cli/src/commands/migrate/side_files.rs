//! Files beside the events: mappings, profiles, and the output of an earlier migration.

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::slice;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use foldhash::HashMap;
use idmerge_events::visit_members;
use idmerge_migrate::{GatherError, Gathering, Place};

use crate::args::migrate::MigrateArgs;
use crate::commands::migrate::folder::Folder;
use crate::commands::migrate::lines::for_each_text_line;
use crate::output::destination::Destination;
use crate::stream::input::sorted::Origins;
use crate::stream::input::{self, Input, Reread};
use crate::stream::progress::Progress;

/// The files of `--mapping` and `--profiles`.
pub(super) struct SideFiles {
    mapping: Option<Input>,
    profiles: Option<Input>,
    /// The names of the inputs, and of those of these files that were read: evidence has their numbers.
    names: Vec<String>,
    /// Of each input whose records were sorted: where each record was.
    origins: Vec<Option<Arc<Origins>>>,
}

impl SideFiles {
    /// Finds them before anything is read.
    pub(super) fn find(args: &MigrateArgs) -> anyhow::Result<Self> {
        let find = |path: &Option<PathBuf>| match path {
            Some(path) => Ok(input::find_all(slice::from_ref(path))?.pop()),
            None => anyhow::Ok(None),
        };
        Ok(Self {
            mapping: find(&args.mapping)?,
            profiles: find(&args.profiles)?,
            names: Vec::new(),
            origins: Vec::new(),
        })
    }

    /// Takes note of the inputs. Call it before any of these files is read.
    pub(super) fn set_inputs(&mut self, inputs: &[Input]) {
        self.names = inputs.iter().map(|input| input.name.clone()).collect();
        self.origins = inputs.iter().map(Input::origins).collect();
    }

    /// The name of the file, and the line in it, that evidence is on.
    pub(super) fn find_place(&self, place: Place) -> Option<(String, u64)> {
        let file = usize::try_from(place.file).ok()?;
        match self.origins.get(file).and_then(Option::as_ref) {
            Some(origins) => {
                let (name, origin) = origins.of(place.line)?;
                Some((name.to_owned(), origin.line))
            }
            None => Some((self.names.get(file)?.clone(), place.line)),
        }
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
        let mut persons: HashMap<String, String> = HashMap::default();
        let mut add = |row: MappingRow<'_>, line: u64| {
            let head = match &row.head {
                Head::Id(head) => head,
                // The ID of a person is of the product, and no ID of an event: it joins the IDs that have it.
                Head::Person(person) => match persons.get(&**person) {
                    Some(first) => first.as_str(),
                    None => {
                        persons.insert(person.clone().into_owned(), row.id.into_owned());
                        return Ok(());
                    }
                },
            };
            let added = gathering.add_mapping(&row.id, head, Place { file, line });
            added.map_err(|error| match error {
                GatherError::Invalid(error) => anyhow!("{shown}, line {line}: {error}"),
                error => error.into(),
            })
        };
        match is_json {
            true => for_each_text_line(shown, reader, |text, line| {
                let row = mapping_of(text).with_context(|| {
                    format!(
                        "{shown}, line {line}: not an object with the texts distinct_id and \
                         resolved_distinct_id, or distinct_id and person_id (M-6)"
                    )
                })?;
                match row.is_deleted {
                    true => Ok(()),
                    false => add(row, line),
                }
            }),
            false => add_csv(shown, reader, &mut add),
        }
    })
}

/// A row of the mapping file.
struct MappingRow<'r> {
    id: Cow<'r, str>,
    head: Head<'r>,
    /// PostHog keeps rows of IDs that no longer belong to a person.
    is_deleted: bool,
}

/// What an ID is mapped to.
enum Head<'r> {
    /// Another ID.
    Id(Cow<'r, str>),
    /// A person of PostHog, who has the IDs of all rows with this person.
    Person(Cow<'r, str>),
}

fn is_true(text: &str) -> bool {
    ["1", "true", "True"].contains(&text)
}

fn mapping_of(text: &str) -> Option<MappingRow<'_>> {
    let (mut id, mut head, mut person, mut is_deleted) = (None, None, None, false);
    visit_members(text, |key, value| match key {
        b"distinct_id" => id = value.string_or_number(),
        b"resolved_distinct_id" => head = value.string_or_number(),
        b"person_id" => person = value.string_or_number(),
        b"is_deleted" => is_deleted = is_true(value.as_str().trim_matches('"')),
        _ => {}
    })?;
    Some(MappingRow {
        id: id?,
        head: match head {
            Some(head) => Head::Id(head),
            None => Head::Person(person?),
        },
        is_deleted,
    })
}

fn add_csv(
    shown: &str,
    reader: &mut dyn BufRead,
    add: &mut dyn FnMut(MappingRow<'_>, u64) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut rows = csv::Reader::from_reader(without_mark(reader)?);
    let header = rows
        .headers()
        .with_context(|| format!("cannot read {shown}"))?;
    let column = |name: &str| header.iter().position(|column| column == name);
    let (head, person) = (column("resolved_distinct_id"), column("person_id"));
    let (Some(id), Some(to)) = (column("distinct_id"), head.or(person)) else {
        bail!(
            "{shown}, line 1: the header must name the columns distinct_id and resolved_distinct_id, or \
             distinct_id and person_id (M-6)"
        );
    };
    let deleted = column("is_deleted").filter(|_| head.is_none());
    let mut row = csv::StringRecord::new();
    while rows
        .read_record(&mut row)
        .with_context(|| format!("cannot read {shown}"))?
    {
        let line = row.position().map_or(0, csv::Position::line);
        let field = |at| row.get(at).unwrap_or_default();
        if deleted.is_some_and(|at| is_true(field(at))) {
            continue;
        }
        let to = Cow::Borrowed(field(to));
        let row = MappingRow {
            id: Cow::Borrowed(field(id)),
            head: match head {
                Some(_) => Head::Id(to),
                None => Head::Person(to),
            },
            is_deleted: false,
        };
        add(row, line)?;
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
