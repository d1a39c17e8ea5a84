//! `--order-by`: sorts the records of all inputs before anything else reads them.

mod key;

use std::io::{self, Write};

use anyhow::Context;
use idmerge_adapters::Refusal as BadRecord;
use idmerge_core::quote;
use idmerge_engines::Settings;
use idmerge_events::{JsonEvent, MalformedEvent};

use crate::args::identities::{Identities, IdentityArgs};
use crate::args::input::InputArgs;
use crate::commands::order::key::Key;
use crate::output::refused::RefusedWriter;
use crate::spill::sort::Sorter;
use crate::stream::adapt::table::Tables;
use crate::stream::adapt::take_records;
use crate::stream::block::{Block, Limits};
use crate::stream::events::{RefusedLine, first_refused};
use crate::stream::forms::unusable::Tally;
use crate::stream::input::sorted::{Origin, SortedWriter};
use crate::stream::input::{self, Input, Reread};
use crate::stream::lines::Line;
use crate::stream::ordered::Ticket;
use crate::stream::pipeline::{OrderedSink, Pass, Refusal, Sink, Worker, in_turn};
use crate::stream::progress::Progress;

/// The inputs as one, with the records in the order of `--order-by`. Records without that field are refused.
/// Without the argument, the inputs as they are.
///
/// # Errors
///
/// An argument of the command does not fit the others, an input cannot be read, or a temporary file cannot be
/// written.
pub(crate) fn ordered(
    args: &IdentityArgs,
    identities: &Identities<'_>,
    inputs: Vec<Input>,
    refused: &mut RefusedWriter,
) -> anyhow::Result<Vec<Input>> {
    let Some(field) = &args.order.order_by else {
        return Ok(inputs);
    };
    args.adapt.check()?;
    let tables = args.adapt.tables();
    // What becomes of the records of another product is not known before they are sorted.
    let settings = match (identities, tables) {
        (Identities::OfInput(settings), None) => Some(settings),
        _ => None,
    };
    let order = Order {
        field,
        tables,
        settings,
    };
    order.of(inputs, &args.input, refused)
}

/// The order of `--order-by`.
pub(crate) struct Order<'o> {
    pub(crate) field: &'o str,
    /// How tables are read, if the records may be in some.
    pub(crate) tables: Option<Tables>,
    /// By which the usable events of each input are counted, if the records are events: IN-6 is about each
    /// input, and sorted they are one.
    pub(crate) settings: Option<&'o Settings>,
}

impl Order<'_> {
    /// The inputs as one, with the records in this order. Records without the field are refused.
    ///
    /// # Errors
    ///
    /// An input cannot be read, or a temporary file cannot be written.
    pub(crate) fn of(
        &self,
        mut inputs: Vec<Input>,
        args: &InputArgs,
        refused: &mut RefusedWriter,
    ) -> anyhow::Result<Vec<Input>> {
        if inputs.is_empty() {
            return Ok(inputs);
        }
        let (field, settings) = (self.field, self.settings);
        let limits = args.limits();
        let names: Vec<_> = inputs.iter().map(|input| input.name.clone()).collect();
        let progress = Progress::of_bytes(input::total_bytes(&inputs), args.quiet);
        progress.stage("sorting");
        let pass = Pass::new(&mut inputs, limits, Reread::No, &progress).with_tables(self.tables);
        let sorting = Sorting {
            sorter: Sorter::default(),
            refused,
        };
        let new_worker = || SortWorker {
            field,
            limits,
            settings,
        };
        let sorting = pass.run(sorting, |_| Ok(()), new_worker)?;
        let sorted = || -> io::Result<Input> {
            let mut writer = SortedWriter::new()?;
            sorting.sorter.finish(|record| writer.add(record))?;
            let (records, origins) = writer.finish(names)?;
            Ok(Input::sorted(field, records, origins))
        };
        let sorted = sorted().context(TEMPORARY)?;
        progress.finish();
        Ok(vec![sorted])
    }
}

const TEMPORARY: &str =
    "cannot use a temporary file to sort the records (TMPDIR sets another folder)";

struct Sorting<'s> {
    sorter: Sorter,
    refused: &'s mut RefusedWriter,
}

impl Sink for Sorting<'_> {}

struct SortWorker<'w> {
    field: &'w str,
    limits: Limits,
    settings: Option<&'w Settings>,
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
    /// How many records are events that can be used, and how many of those have a distinct_id.
    events: u64,
    with_id: u64,
    /// The number of the first other record, and why it cannot be used.
    first_unusable: Option<(u64, String)>,
}

impl<'b> Keyed<'b> {
    fn take(
        &mut self,
        worker: &SortWorker<'_>,
        number: u64,
        bytes: &'b [u8],
        text: Result<&str, BadRecord>,
    ) {
        match text.and_then(|text| Ok((worker.key(text)?, text))) {
            Ok((key, text)) => {
                match worker.has_id(text) {
                    Ok(has_id) => {
                        self.events += 1;
                        self.with_id += u64::from(has_id);
                    }
                    Err(refusal) => {
                        let error = refusal.to_string();
                        self.first_unusable.get_or_insert((number, error));
                    }
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
}

impl SortWorker<'_> {
    /// The key of a record, or why there is none.
    fn key(&self, record: &str) -> Result<Key, BadRecord> {
        let field = self.field;
        let (rule, text) = match Key::of_record(record, field) {
            Ok(Some(key)) => return Ok(key),
            Ok(None) => (
                "A-6",
                format!(
                    "\"{field}\" is missing, and --order-by sorts by it; add it, or name a field that every \
                     record has (A-6)"
                ),
            ),
            Err(key::Unusable::Value(value)) => (
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
                        "{} is not a JSON object, so it is no record (IN-1)",
                        quote(record)
                    ),
                )
            }
        };
        Err(BadRecord::with_text(rule, text))
    }

    /// Whether an event has a distinct_id, or why it cannot be used.
    fn has_id(&self, text: &str) -> Result<bool, BadRecord> {
        let Some(settings) = self.settings else {
            return Ok(true);
        };
        let event = JsonEvent::parse_text(text)?;
        match settings.read(&event.event()) {
            Ok(reading) => Ok(reading.distinct_id.is_some()),
            Err(error) => Err(BadRecord::with_text(error.rule(), error.to_string())),
        }
    }

    /// The records of a block, and how many lines it has.
    fn keyed<'b>(&self, block: &'b Block) -> (Keyed<'b>, u64) {
        let mut keyed = Keyed::default();
        let lines = take_records(
            block,
            self.limits.max_line_bytes,
            &mut |number, bytes, text| keyed.take(self, number, bytes, text),
        );
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
