//! `idmerge resolve` from Parquet to Parquet: events are read from their columns, and all columns are kept.
//!
//! Row groups are read, answered and encoded on all cores, one on each. What depends on their order is done in turns: the
//! claims are folded, and the groups are written.

mod answering;
mod arrivals;
mod each_group;
mod rows;
mod tables;
mod weighing;

use anyhow::{Context, anyhow};
use arrow_array::{RecordBatch, StringArray};
use arrow_schema::SchemaRef;
use idmerge_columns::{Answers, ColumnsError, Layout, Lines, Names, Read, Reader, Rejected};
use idmerge_core::Attribution;
use idmerge_engines::Settings;
use idmerge_tables::{GroupEncoder, GroupsWriter, NAME_COLUMNS};

use crate::output::destination::{Destination, Output};
use crate::output::refused::RefusedWriter;
use crate::output::summary::{Refused, Summary};
use crate::output::users::{UserBatch, UserCount};
use crate::report::say;
use crate::stream::forms::unusable::UsableEvents;
use crate::stream::input::Input;
use crate::stream::pipeline::{LinePosition, Refusal};
use crate::stream::progress::Progress;
use rows::{GroupAnswered, RefusedRow, Usable, without_refused};
use tables::{Known, RowGroup, Tables};

const OUTPUT: &str = "cannot write the output";

/// At most this many rows of a file are looked at to say what it may be.
const HEAD_ROWS: usize = 16;

/// Files whose columns can be kept.
pub(crate) struct Columns<'i>(Tables<'i>);

impl<'i> Columns<'i> {
    /// `None` if an input is no Parquet file, or has other columns than the first.
    ///
    /// # Errors
    ///
    /// A file cannot be read.
    pub(crate) fn of(inputs: &'i [Input]) -> anyhow::Result<Option<Self>> {
        Ok(Tables::open(inputs)?.map(Self))
    }

    /// Resolves the events. Refused rows are left out.
    pub(crate) fn resolve(
        &self,
        settings: &Settings,
        output: Destination,
        mut refused: RefusedWriter,
        is_quiet: bool,
    ) -> anyhow::Result<Summary> {
        let Self(tables) = self;
        let is_retroactive = settings.attribution() == Attribution::Retroactive;
        let passes = 1 + u64::from(is_retroactive);
        let progress = Progress::of_events(passes * tables.rows(), is_quiet);
        let output = Output::create(output.of_bytes())?;
        let run = Run::new(settings, tables, &progress)?;
        if !is_quiet {
            for warning in run.reader.warnings() {
                let name = &tables.files[0].input.name;
                progress.suspended(|| say(format_args!("{name}: {warning}")));
            }
        }
        let written = Written {
            file: GroupsWriter::new(&run.answered, output).context(OUTPUT)?,
            users: UserCount::default(),
            events: 0,
        };
        let (written, outcomes) = match is_retroactive {
            true => {
                let weighed = run.weigh(&mut refused)?;
                run.answer_all(weighed, written)?
            }
            false => run.answer_as_they_come(&mut refused, written)?,
        };
        let output = written.file.finish().context(OUTPUT)?;
        tables.check_unchanged()?;
        output.finish()?;
        progress.finish();
        Ok(Summary {
            events: written.events,
            users: written.users,
            outcomes,
            refused: Refused::of(&refused),
            adapted: None,
            is_of_now: false,
        })
    }
}

/// What is the same for all row groups.
struct Run<'r> {
    settings: &'r Settings,
    tables: &'r Tables<'r>,
    progress: &'r Progress,
    /// Reads batches with all columns.
    reader: Reader<'r>,
    lines: Lines,
    layout: Layout,
    answered: SchemaRef,
}

struct Written {
    file: GroupsWriter<Output>,
    users: UserCount,
    events: u64,
}

impl<'r> Run<'r> {
    fn new(
        settings: &'r Settings,
        tables: &'r Tables<'r>,
        progress: &'r Progress,
    ) -> anyhow::Result<Self> {
        let schema = &tables.schema;
        let known = Known { schema, tables };
        let names = Names::default();
        let lines = Lines::new(schema, &known, settings, &names, NAME_COLUMNS);
        let layout = Layout::of(schema);
        Ok(Self {
            settings,
            tables,
            progress,
            reader: reader(settings, &known)?,
            lines: lines.map_err(|error| unreadable(error, &tables.files[0].input.name))?,
            answered: layout.schema(schema),
            layout,
        })
    }

    /// Reads a batch. In messages rows are counted from 1.
    fn read(
        &self,
        reader: &Reader<'_>,
        group: &RowGroup,
        batch: &RecordBatch,
        first: usize,
    ) -> anyhow::Result<Read> {
        let number = usize::try_from(group.rows_before)?.saturating_add(first + 1);
        let read = reader.read(batch, number);
        read.map_err(|error| unreadable(error, self.tables.name(group)))
    }

    /// Adds the lines of refused rows, which have all columns.
    fn add_lines(&self, group: &RowGroup, refused: &mut [RefusedRow]) -> anyhow::Result<()> {
        if refused.is_empty() {
            return Ok(());
        }
        let mut refused = refused.iter_mut().peekable();
        self.tables.visit(group, None, |batch, first| {
            let end = first + batch.num_rows();
            while let Some(refused) = refused.next_if(|refused| refused.row < end) {
                let line = self.lines.of_rows(&batch, [refused.row - first]);
                refused.line = line.map_err(|error| anyhow!(error))?;
            }
            Ok(())
        })
    }

    fn refuse(
        &self,
        group: &RowGroup,
        rows: &[RefusedRow],
        refused: &mut RefusedWriter,
    ) -> anyhow::Result<()> {
        for row in rows {
            let refusal = Refusal {
                position: LinePosition {
                    file: self.tables.name(group),
                    line: group.rows_before + row.row as u64 + 1,
                    record: None,
                },
                rule: row.rule,
                error: row.error.clone(),
            };
            refused.add_row(&refusal, &row.line)?;
        }
        Ok(())
    }

    /// Fails if a file has no event that can be used (IN-6).
    fn must_be_usable(&self, usable: &[Usable]) -> anyhow::Result<()> {
        for (file, usable) in usable
            .iter()
            .enumerate()
            .filter(|(_, file)| file.with_id == 0)
        {
            let mut head = Vec::new();
            if let Some(group) = self.tables.groups.iter().find(|group| group.file == file) {
                self.tables.visit(group, None, |batch, first| {
                    if first == 0 {
                        let rows = 0..batch.num_rows().min(HEAD_ROWS);
                        head = self.lines.of_rows(&batch, rows).unwrap_or_default();
                    }
                    Ok(())
                })?;
            }
            let usable = UsableEvents::of_table(head, usable.events, usable.first_error.clone());
            if let Some(error) = usable.error() {
                return Err(anyhow!("{}: {error}", self.tables.files[file].input.name));
            }
        }
        Ok(())
    }

    /// Adds the answers to the events of a batch to its group.
    fn answer(
        &self,
        batch: &RecordBatch,
        read: &Read,
        canonical: StringArray,
        rejected: &[Rejected],
        to: &mut GroupAnswered,
    ) -> anyhow::Result<()> {
        let mut refused = read.refused.iter().peekable();
        for (row, (own, canonical)) in read.own.iter().zip(&canonical).enumerate() {
            if refused.next_if(|refused| refused.row == row).is_none() {
                to.users.add_text(own, canonical);
                to.events += 1;
            }
        }
        let answers = Answers::new(self.settings.rule_book(), read, canonical, rejected);
        let answered = self.layout.batch(batch, &answers, &self.answered)?;
        self.progress.advance(batch.num_rows() as u64);
        match read.refused.is_empty() {
            true => to.group.write(&answered)?,
            false => to.group.write(&without_refused(&answered, read)?)?,
        }
        Ok(())
    }
}

impl Written {
    fn new_groups(&self) -> NewGroups {
        NewGroups {
            encoder: self.file.encoder(),
            users: self.users.batch(),
        }
    }

    fn add(&mut self, mut answered: GroupAnswered) -> anyhow::Result<()> {
        self.users.add(&mut answered.users);
        self.events += answered.events;
        self.file.append(answered.group).context(OUTPUT)
    }
}

/// Makes row groups without rows.
struct NewGroups {
    encoder: GroupEncoder,
    users: UserBatch,
}

impl NewGroups {
    fn group(&self) -> anyhow::Result<GroupAnswered> {
        Ok(GroupAnswered {
            group: self.encoder.group().context(OUTPUT)?,
            users: self.users.clone(),
            events: 0,
        })
    }
}

fn reader<'r>(settings: &'r Settings, known: &Known<'_>) -> anyhow::Result<Reader<'r>> {
    let reader = Reader::new(
        known.schema,
        known,
        settings,
        &Names::default(),
        NAME_COLUMNS,
    );
    reader.map_err(|error| unreadable(error, &known.tables.files[0].input.name))
}

fn unreadable(error: ColumnsError, name: &str) -> anyhow::Error {
    anyhow::Error::new(error).context(format!("cannot read {name}"))
}
