//! `--order-by`: sorts the records of all inputs before anything else reads them.

mod key;

use std::io::{self, Write};
use std::slice;

use anyhow::Context;
use idmerge_adapters::{Adapted, LineKind, Refusal as BadRecord};
use idmerge_core::quote;
use idmerge_engines::Settings;
use idmerge_events::{JsonEvent, MalformedEvent};

use crate::args::identities::{Identities, IdentityArgs};
use crate::args::input::InputArgs;
use crate::args::input::sorting::SortingArgs;
use crate::commands::sorting::key::Key;
#[cfg(feature = "store")]
use crate::commands::store::open::settings_of;
use crate::output::refused::RefusedWriter;
#[cfg(not(feature = "store"))]
use crate::report::left_out;
use crate::spill::sort::Sorter;
use crate::stream::adapt::{Adapting, take_records};
use crate::stream::block::{Block, Limits};
use crate::stream::events::{RefusedLine, first_refused};
use crate::stream::forms::HEAD_BYTES;
use crate::stream::forms::unusable::Tally;
use crate::stream::input::sorted::{Origin, SortedWriter};
use crate::stream::input::table::TableForm;
use crate::stream::input::{self, Input, Reread};
use crate::stream::lines::Line;
use crate::stream::ordered::Ticket;
use crate::stream::pipeline::{OrderedSink, Pass, Refusal, Sink, Worker, in_turn};
use crate::stream::progress::Progress;

/// How the records of a command are put in order.
pub(crate) struct Ordering<'o> {
    pub(crate) by: &'o SortingArgs,
    pub(crate) input: &'o InputArgs,
    /// Those of the models for which the events are read.
    pub(crate) settings: &'o [Settings],
    /// How records of another product become events.
    pub(crate) adapting: Option<&'o Adapting>,
}

/// The settings of the engine that has the identities.
///
/// # Errors
///
/// There is no store.
pub(crate) fn settings(identities: &Identities<'_>) -> anyhow::Result<Settings> {
    match identities {
        Identities::OfInput(settings) => Ok(settings.clone()),
        #[cfg(feature = "store")]
        Identities::OfStore(folder) => settings_of(folder),
        #[cfg(not(feature = "store"))]
        Identities::OfStore(_) => Err(left_out("`--store`", "store")),
    }
}

impl<'o> Ordering<'o> {
    /// That of a command whose identities are those of these settings.
    pub(crate) fn of(
        args: &'o IdentityArgs,
        settings: &'o Settings,
        adapting: Option<&'o Adapting>,
    ) -> Self {
        Self {
            by: &args.sorting,
            input: &args.input,
            settings: slice::from_ref(settings),
            adapting,
        }
    }

    /// Settles what the rows of tables are, since this is known for all inputs here: events, or records.
    /// Returns the inputs as one, with the records in the order of `--order-by`. Records without that field are refused.
    /// Without the argument, the inputs as they are.
    ///
    /// # Errors
    ///
    /// A column of a table is missing. An input cannot be read, none of its events can be used, or a temporary file
    /// cannot be written.
    pub(crate) fn order(
        &self,
        mut inputs: Vec<Input>,
        refused: &mut RefusedWriter,
    ) -> anyhow::Result<Vec<Input>> {
        let form = TableForm::of_inputs(self.settings, self.adapting, self.input.quiet);
        inputs
            .iter_mut()
            .for_each(|input| input.read_table_as(&form));
        if let Some(adapting) = self.adapting.filter(|it| it.mapped_columns().is_some()) {
            check_columns(adapting, &mut inputs)?;
        }
        let fields = &self.by.fields[..];
        if fields.is_empty() || inputs.is_empty() {
            return Ok(inputs);
        }
        let limits = self.input.limits();
        let names: Vec<_> = inputs.iter().map(|input| input.name.clone()).collect();
        let progress = Progress::of_bytes(input::total_bytes(&inputs), self.input.quiet);
        progress.stage("sorting");
        let pass = Pass::new(&mut inputs, limits, Reread::No, &progress).settling(self.adapting);
        let sorting = Sorting {
            sorter: Sorter::default(),
            refused,
        };
        let new_worker = || SortWorker {
            fields,
            limits,
            settings: self.settings,
            adapting: self.adapting,
            adapted: Adapted::default(),
        };
        let sorting = pass.run(sorting, |_| Ok(()), new_worker)?;
        let sorted = || -> io::Result<Input> {
            let mut writer = SortedWriter::new()?;
            sorting.sorter.finish(|record| writer.add(record))?;
            let (records, origins) = writer.finish(names)?;
            Ok(Input::sorted(&fields.join(", "), records, origins))
        };
        let sorted = sorted().context(TEMPORARY)?;
        progress.finish();
        Ok(vec![sorted])
    }
}

/// Checks the columns of each input that is a file and a table, before anything is taken of the first one. Those of a
/// stream are checked when it is read.
fn check_columns(adapting: &Adapting, inputs: &mut [Input]) -> anyhow::Result<()> {
    for input in inputs {
        if let Some(head) = input.head(HEAD_BYTES) {
            let checked = adapting.check_head(&head);
            checked.map_err(|error| anyhow::anyhow!("{}: {error}", input.name))?;
        }
    }
    Ok(())
}

const TEMPORARY: &str =
    "cannot use a temporary file to sort the records (TMPDIR sets another folder)";

struct Sorting<'s> {
    sorter: Sorter,
    refused: &'s mut RefusedWriter,
}

impl Sink for Sorting<'_> {}

struct SortWorker<'w> {
    fields: &'w [String],
    limits: Limits,
    /// They tell whether an input has an event that can be used. IN-6 is about each input, and once sorted, all
    /// inputs are one.
    settings: &'w [Settings],
    adapting: Option<&'w Adapting>,
    adapted: Adapted,
}

/// The records of a block, with their keys.
#[derive(Default)]
struct Keyed<'b> {
    /// The number of the line in the block, and the key.
    keys: Vec<(u64, Key)>,
    /// The end of each record in `bytes`.
    ends: Vec<usize>,
    bytes: Vec<u8>,
    refused: Vec<RefusedLine<'b>>,
    /// How many records are events that can be used, and how many of those have a distinct_id. After the first
    /// one that has, no more are counted: one is enough.
    events: u64,
    with_id: u64,
    /// The number of the first other record, and why it cannot be used.
    first_unusable: Option<(u64, String)>,
}

impl<'b> Keyed<'b> {
    fn take(
        &mut self,
        worker: &mut SortWorker<'_>,
        number: u64,
        bytes: &'b [u8],
        text: Result<&str, BadRecord>,
    ) {
        match text.and_then(|text| Ok((worker.key(text)?, text))) {
            Ok((key, text)) => {
                if self.with_id == 0 {
                    self.judge(number, worker.usability(text));
                }
                self.keys.push((number, key));
                self.bytes.extend_from_slice(text.as_bytes());
                self.ends.push(self.bytes.len());
            }
            Err(refusal) => self.refused.push(RefusedLine {
                line: Line {
                    number,
                    start: 0,
                    bytes,
                    is_too_long: refusal.rule() == "IN-3",
                },
                rule: refusal.rule(),
                error: refusal.to_string(),
            }),
        }
    }

    fn judge(&mut self, number: u64, usability: Result<Usability, BadRecord>) {
        match usability {
            Ok(Usability::NoEvent) => {}
            Ok(Usability::Event { has_id }) => {
                self.events += 1;
                self.with_id += u64::from(has_id);
            }
            Err(refusal) => {
                let error = refusal.to_string();
                self.first_unusable.get_or_insert((number, error));
            }
        }
    }
}

/// What a record can be used for.
enum Usability {
    /// It is passed over.
    NoEvent,
    Event {
        has_id: bool,
    },
}

impl SortWorker<'_> {
    /// The key of a record, or why there is none.
    fn key(&self, record: &str) -> Result<Key, BadRecord> {
        let (rule, text) = match Key::of_record(record, self.fields) {
            Ok(key) => return Ok(key),
            Err(key::Unusable::Missing(field)) => (
                "A-6",
                format!(
                    "\"{field}\" is missing, and --order-by sorts by it; add it, or name a field that every \
                     record has (A-6)"
                ),
            ),
            Err(key::Unusable::Value(field, value)) => (
                "A-6",
                format!(
                    "\"{field}\" is {}, and --order-by sorts by numbers, times and text (A-6)",
                    quote(&value)
                ),
            ),
            Err(key::Unusable::Record) => {
                serde_json::from_str::<serde::de::IgnoredAny>(record)
                    .map_err(MalformedEvent::NotJson)?;
                (
                    "IN-1",
                    format!(
                        "{} is not a JSON object, so it is not a record (IN-1)",
                        quote(record)
                    ),
                )
            }
        };
        Err(BadRecord::with_text(rule, text))
    }

    /// What a record can be used for, or why it cannot be used.
    fn usability(&mut self, text: &str) -> Result<Usability, BadRecord> {
        if let Some(adapter) = self.adapting.and_then(Adapting::adapter) {
            self.adapted.clear();
            adapter.adapt(0, text, &mut self.adapted);
            let mut refusal = Ok(Usability::NoEvent);
            for line in self.adapted.take_lines() {
                match line.kind {
                    LineKind::Event(_) => return Ok(Usability::Event { has_id: true }),
                    LineKind::Refused(why) => refusal = refusal.and(Err(why)),
                }
            }
            return refusal;
        }
        let event = JsonEvent::parse_text(text)?;
        let event = event.event();
        let (mut is_event, mut first_error) = (false, None);
        for settings in self.settings {
            match settings.read(&event) {
                Ok(reading) if reading.distinct_id.is_some() => {
                    return Ok(Usability::Event { has_id: true });
                }
                Ok(_) => is_event = true,
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        match first_error {
            Some(error) if !is_event => Err(BadRecord::with_text(error.rule(), error.to_string())),
            _ => Ok(Usability::Event { has_id: false }),
        }
    }

    /// The records of a block, and how many lines it has.
    fn keyed<'b>(&mut self, block: &'b Block) -> (Keyed<'b>, u64) {
        let (mut keyed, mut object) = (Keyed::default(), Vec::new());
        let max_line_bytes = self.limits.max_line_bytes;
        let lines = take_records(block, max_line_bytes, &mut |number, bytes, text| {
            let text = match &text {
                Ok(record) => Ok(record.json(&mut object)),
                Err(refusal) => Err(refusal.clone()),
            };
            keyed.take(self, number, bytes, text);
        });
        (keyed, lines)
    }
}

impl<'s> Worker for SortWorker<'s> {
    type Kept = ();
    type Sink = Sorting<'s>;

    fn block(
        &mut self,
        block: &Block,
        (): (),
        ticket: Ticket<'_, OrderedSink<Sorting<'s>>>,
    ) -> anyhow::Result<()> {
        let (keyed, lines) = self.keyed(block);
        in_turn(ticket, |ordered| {
            let unusable = [first_refused(&keyed.refused), keyed.first_unusable];
            let tally = Tally {
                lines,
                events: keyed.events,
                with_id: keyed.with_id,
                first_refused: unusable.into_iter().flatten().min(),
            };
            let (sorting, position) = ordered.for_block(block, tally)?;
            let starts = [0].into_iter().chain(keyed.ends.iter().copied());
            let mut value = Vec::new();
            for ((number, key), (start, end)) in keyed.keys.iter().zip(starts.zip(&keyed.ends)) {
                let place = position.line(*number);
                let origin = Origin {
                    input: u32::try_from(block.input).unwrap_or(u32::MAX),
                    line: place.line,
                    record: place.record.unwrap_or_default(),
                };
                value.clear();
                value.extend_from_slice(&origin.to_bytes());
                value.extend_from_slice(&keyed.bytes[start..*end]);
                sorting
                    .sorter
                    .push(key.as_bytes(), &value)
                    .context(TEMPORARY)?;
            }
            sorting.refused.add_all(position, keyed.refused)
        })
    }

    fn unread_line(
        sorting: &mut Sorting<'s>,
        refusal: Refusal<'_>,
        copy: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        sorting.refused.add_unread(&refusal, copy)
    }
}
