//! Tables of who is who: the vendor's identity mappings, and PostHog's persons.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use anyhow::{Context, bail};
use foldhash::HashMap;
use idmerge_events::visit_members;

use crate::stream::input::table::MAGIC;
use crate::stream::input::{Input, Reread};
use crate::stream::side_file::{for_each_text_line, with_text};

/// A row: two IDs that are one person.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mapped<'r> {
    pub(crate) id: &'r str,
    /// The ID that the other one resolves to. Of a table of persons: the first ID that the person has in it.
    pub(crate) head: &'r str,
    /// Whether the table is one of persons.
    pub(crate) is_of_person: bool,
}

/// Visits the rows of a file, CSV with a header or NDJSON, with their lines. Rows that say nothing are passed
/// over.
pub(crate) fn for_each_mapping(
    mapping: &mut Input,
    mut visit: impl FnMut(Mapped<'_>, u64) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    with_text(mapping, Reread::No, |shown, reader| {
        let head = reader
            .fill_buf()
            .with_context(|| format!("cannot read {shown}"))?;
        if head.starts_with(MAGIC) {
            bail!("{shown} is Parquet that is compressed as a whole: decompress it");
        }
        let is_json = head.trim_ascii_start().starts_with(b"{");
        let mut persons: HashMap<String, String> = HashMap::default();
        let mut add = |row: MappingRow<'_>, line: u64| {
            let (head, is_of_person) = match &row.head {
                Head::Id(head) => (&**head, false),
                Head::Person(person) if person.is_empty() => bail!(
                    "{shown}, line {line}: \"person_id\" is empty, so the row names no person; leave it out (M-6)"
                ),
                // The ID of a person is of the product, and no ID of an event: it joins the IDs that have it.
                Head::Person(person) => match persons.get(&**person) {
                    Some(first) => (first.as_str(), true),
                    None => {
                        persons.insert(person.clone().into_owned(), row.id.into_owned());
                        return Ok(());
                    }
                },
            };
            let id = &*row.id;
            visit(
                Mapped {
                    id,
                    head,
                    is_of_person,
                },
                line,
            )
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

/// A row as it is in the file.
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
