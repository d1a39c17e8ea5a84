//! `--order-by`: sorts the records of all inputs before anything else reads them.

mod key;

use std::io::{self, Write};

use anyhow::Context;
use idmerge_core::quote;
use idmerge_events::MalformedEvent;

use crate::args::identities::IdentityArgs;
use crate::commands::order::key::Key;
use crate::output::refused::RefusedWriter;
use crate::spill::sort::Sorter;
use crate::stream::block::{Block, Limits};
use crate::stream::events::RefusedLine;
use crate::stream::forms::unusable::Tally;
use crate::stream::input::sorted::{Origin, SortedWriter};
use crate::stream::input::{self, Input, Reread};
use crate::stream::lines::{Line, Lines, too_long};
use crate::stream::ordered::Ticket;
use crate::stream::pipeline::{OrderedSink, Pass, Refusal, Sink, Worker, in_turn};
use crate::stream::progress::Progress;

/// The inputs as one, with the records in the order of `--order-by`. Records without that field are refused.
/// Without the argument, the inputs as they are.
///
/// # Errors
///
/// An input cannot be read, or a temporary file cannot be written.
pub(crate) fn ordered(
    args: &IdentityArgs,
    mut inputs: Vec<Input>,
    refused: &mut RefusedWriter,
) -> anyhow::Result<Vec<Input>> {
    let Some(field) = args.order_by.as_deref().filter(|_| !inputs.is_empty()) else {
        return Ok(inputs);
    };
    let limits = args.input.limits();
    let names: Vec<_> = inputs.iter().map(|input| input.name.clone()).collect();
    let progress = Progress::of_bytes(input::total_bytes(&inputs), args.input.quiet);
    progress.stage("sorting");
    let pass =
        Pass::new(&mut inputs, limits, Reread::No, &progress).with_tables(args.adapt.tables());
    let sorting = Sorting {
        sorter: Sorter::default(),
        refused,
    };
    let new_worker = || SortWorker { field, limits };
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
}

impl<'b> Keyed<'b> {
    fn take(
        &mut self,
        worker: &SortWorker<'_>,
        line: Line<'b>,
        text: Result<&str, (&'static str, String)>,
    ) {
        let keyed = text.and_then(|text| worker.key(text).map(|key| (key, text)));
        match keyed {
            Ok((key, text)) => {
                self.keys.push((line.number, key));
                self.bytes.extend_from_slice(text.trim().as_bytes());
                self.ends.push(self.bytes.len());
            }
            Err((rule, error)) => self.refused.push(RefusedLine { line, rule, error }),
        }
    }
}

impl SortWorker<'_> {
    /// The key of a record, or the rule that refuses it and why.
    fn key(&self, record: &str) -> Result<Key, (&'static str, String)> {
        let field = self.field;
        match Key::of_record(record, field) {
            Ok(Some(key)) => Ok(key),
            Ok(None) => Err((
                "A-6",
                format!(
                    "\"{field}\" is missing, and --order-by sorts by it; add it, or name a field that every \
                     record has (A-6)"
                ),
            )),
            Err(key::Unusable::Value(value)) => Err((
                "A-6",
                format!(
                    "\"{field}\" is {}, and --order-by sorts by numbers, times and text (A-6)",
                    quote(&value)
                ),
            )),
            Err(key::Unusable::Record) => {
                match serde_json::from_str::<serde::de::IgnoredAny>(record) {
                    Err(error) => {
                        let error = MalformedEvent::NotJson(error);
                        Err((error.rule(), error.to_string()))
                    }
                    Ok(_) => Err((
                        "IN-1",
                        format!(
                            "{} is not a JSON object, so it is no record (IN-1)",
                            quote(record)
                        ),
                    )),
                }
            }
        }
    }

    fn keyed<'b>(&self, block: &'b Block) -> (Keyed<'b>, u64) {
        let (mut keyed, bytes) = (Keyed::default(), block.bytes());
        let max_line_bytes = self.limits.max_line_bytes;
        let too_long = || ("IN-3", too_long(block.unit(), max_line_bytes));
        if let Some(table) = &block.table {
            let is_first = block.starts_input && block.passed.is_none();
            table.visit_rows(bytes, is_first, |row| {
                let text = bytes[row.bytes.clone()].trim_ascii_end();
                let is_too_long = text.len() as u64 > max_line_bytes;
                let line = Line {
                    number: row.line,
                    start: row.bytes.start,
                    bytes: text,
                    is_too_long,
                };
                let json = match is_too_long {
                    true => Err(too_long()),
                    false => row.json.map_err(|error| (error.rule(), error.to_string())),
                };
                keyed.take(self, line, json);
            });
            let breaks = memchr::memchr_iter(b'\n', bytes).count() as u64;
            return (keyed, breaks + u64::from(!bytes.ends_with(b"\n")));
        }
        let mut lines = Lines::new(bytes, max_line_bytes);
        for line in &mut lines {
            let text = match line.is_too_long {
                true => Err(too_long()),
                false => str::from_utf8(line.bytes).map_err(|error| {
                    let valid_bytes = error.valid_up_to();
                    let error = MalformedEvent::NotUtf8 { valid_bytes };
                    (error.rule(), error.to_string())
                }),
            };
            keyed.take(self, line, text);
        }
        (keyed, lines.count)
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
            let records = keyed.keys.len() as u64;
            let tally = Tally {
                lines,
                events: records,
                with_id: records,
                first_refused: keyed
                    .refused
                    .first()
                    .map(|refused| (refused.line.number, refused.error.clone())),
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
