//! Turns the records of other products into events, and leaves out duplicates, before anything else
//! reads a block.

pub(crate) mod block;
mod report;
mod rows;
pub(crate) mod table;

use std::ops::Range;
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Context, bail};
use idmerge_adapters::{
    Adapted, Adapter, Columns, Detected, Format, Line as AdaptedLine, LineKind, Options, Receipts,
    Refusal, detect,
};
use idmerge_engines::Settings;
use idmerge_events::{Envelope, EventLayout, MalformedEvent};
use idmerge_spill::Seen;

use crate::report::say;
use crate::spill::TEMPORARY;
use crate::stream::adapt::block::{AdaptedBlock, RefusedRecord};
pub(crate) use crate::stream::adapt::report::AdaptReport;
use crate::stream::adapt::table::{Record, Table, Tables};
use crate::stream::block::{Block, Unit};
use crate::stream::event_reader::{self, EventReader};
use crate::stream::forms::text::first_records;
use crate::stream::lines::{Lines, too_long};
use crate::stream::ordered::{Ordered, Ticket};
use crate::stream::progress::Progress;

/// Who wrote the records of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// To be found out.
    Auto,
    /// The SDKs of Mixpanel: the records are events.
    Mixpanel,
    Product(Format),
}

/// How the records of the input become events. Both passes of a command use the same one.
pub(crate) struct Adapting {
    origin: Origin,
    options: Options,
    settings: Settings,
    /// Whether duplicates are left out. By default those of other products are.
    dedup: Option<bool>,
    is_silent: bool,
    /// Once it is known who wrote the records: the adapter, if they are no events.
    settled: OnceLock<Option<Adapter>>,
    report: Mutex<Option<AdaptReport>>,
}

impl Origin {
    /// How tables are read. `None` if the records are events, which are no tables.
    pub(crate) fn tables(self) -> Option<Tables> {
        (self != Self::Mixpanel).then_some(Tables {
            keep_case: self == Self::Product(Format::Csv),
            is_named: self != Self::Auto,
        })
    }
}

impl Adapting {
    /// Which texts are IDs is known from the settings of the engine.
    ///
    /// # Errors
    ///
    /// The options do not fit the product.
    pub(crate) fn new(
        origin: Origin,
        mut options: Options,
        settings: &Settings,
        dedup: Option<bool>,
        is_silent: bool,
    ) -> anyhow::Result<Self> {
        options.ids = settings.id_rules().clone();
        let adapting = Self {
            origin,
            options,
            settings: settings.clone(),
            dedup,
            is_silent,
            settled: OnceLock::new(),
            report: Mutex::new(None),
        };
        match origin {
            Origin::Auto => {}
            Origin::Mixpanel => adapting.settle(None),
            Origin::Product(format) => adapting.settle(Some(adapting.new_adapter(format)?)),
        }
        Ok(adapting)
    }

    fn new_adapter(&self, format: Format) -> anyhow::Result<Adapter> {
        Ok(Adapter::new(format, self.options.clone())?)
    }

    fn settle(&self, adapter: Option<Adapter>) {
        self.settled.get_or_init(|| adapter);
    }

    /// How tables are read. `None` if the records are events, which are no tables.
    pub(crate) fn tables(&self) -> Option<Tables> {
        self.origin.tables()
    }

    /// The columns that `--map` names, if the records are of a table of one's own.
    pub(crate) fn mapped_columns(&self) -> Option<&Columns> {
        (self.origin == Origin::Product(Format::Csv)).then_some(&self.options.columns)
    }

    /// What the first pass has found.
    pub(crate) fn report(&self) -> Option<AdaptReport> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<AdaptReport>> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks that a table has the columns that `--map` names.
    ///
    /// # Errors
    ///
    /// One of them is missing, or there twice (IN-6).
    fn check_columns(&self, table: &Table) -> anyhow::Result<()> {
        let Some(columns) = self.mapped_columns() else {
            return Ok(());
        };
        let names: Vec<_> = table.names().collect();
        columns.check_header(&names).map_err(anyhow::Error::msg)
    }

    /// Checks the columns of an input that begins like this, if it is a table.
    ///
    /// # Errors
    ///
    /// As [`check_columns`](Self::check_columns).
    pub(crate) fn check_head(&self, head: &[u8]) -> anyhow::Result<()> {
        match self.tables().and_then(|tables| tables.table(head)) {
            Some(table) => self.check_columns(&table),
            None => Ok(()),
        }
    }

    /// Finds out who wrote the records, if that is not known, and checks the columns of a table, if this is the first
    /// block of an input.
    ///
    /// # Errors
    ///
    /// Several formats fit, or a column is missing.
    pub(crate) fn settle_by(&self, block: &Block, progress: &Progress) -> anyhow::Result<()> {
        if block.head.is_empty() {
            return Ok(());
        }
        if let Some(table) = &block.table {
            self.check_columns(table)?;
        }
        if self.settled.get().is_some() {
            return Ok(());
        }
        let records = match &block.table {
            Some(table) => vec![table.columns()],
            None => first_records(&block.head),
        };
        let format = match detect(records.iter().map(String::as_str)) {
            Detected::Mixpanel => None,
            Detected::Format(format) => Some(format),
            Detected::Several(formats) => {
                let names: Vec<_> = formats.iter().map(|format| format.name()).collect();
                let names = names.join(" and ");
                bail!(
                    "the first records look like {names}, so --from auto cannot choose (A-8): name one of \
                     them, as in `--from {}`, or read their files in two runs",
                    formats[0]
                );
            }
        };
        let adapter = format.map(|format| self.new_adapter(format)).transpose()?;
        self.settle(adapter);
        if !self.is_silent {
            let name = format.map_or("mixpanel", Format::name);
            progress.suspended(|| {
                say(format_args!(
                    "--from auto: the records are read as {name} (A-8)"
                ));
            });
        }
        Ok(())
    }

    /// What turns the records into events, once it is known who wrote them. `None` if they are events.
    pub(crate) fn adapter(&self) -> Option<&Adapter> {
        self.settled.get()?.as_ref()
    }

    /// Who wrote the records: [`Origin::Auto`] before it is known.
    pub(crate) fn settled_origin(&self) -> Origin {
        match self.settled.get() {
            None => self.origin,
            Some(None) => Origin::Mixpanel,
            Some(Some(adapter)) => Origin::Product(adapter.format()),
        }
    }

    /// For one pass over the input.
    pub(crate) fn stage(&self) -> Stage<'_> {
        Stage {
            adapting: self,
            ordered: Ordered::new(InOrder::default()),
        }
    }
}

/// One pass over the input.
pub(crate) struct Stage<'s> {
    adapting: &'s Adapting,
    ordered: Ordered<InOrder>,
}

/// What a thread keeps for the stage from block to block: memory, and what earlier records and events have in common
/// with later ones.
pub(crate) struct StageMemory {
    adapted: Adapted,
    events: EventReader,
}

impl StageMemory {
    /// Longer records and events are refused.
    pub(crate) fn new(max_line_bytes: u64) -> Self {
        Self {
            adapted: Adapted::default(),
            events: EventReader::new(max_line_bytes),
        }
    }
}

/// What depends on the order of the records.
#[derive(Default)]
pub(crate) struct InOrder {
    seen: Seen,
    receipts: Receipts,
    counts: idmerge_adapters::Counts,
    duplicates: u64,
    /// Whether a header has the fields that arguments name.
    has_header: bool,
}

impl Stage<'_> {
    /// The ticket of the block with this number.
    pub(crate) fn ticket(&self, number: u64) -> Ticket<'_, InOrder> {
        self.ordered.ticket(number)
    }

    /// Turns the records of a block into events, and then waits for the block's turn to leave out
    /// duplicates.
    pub(crate) fn adapt(
        &self,
        block: &mut Block,
        ticket: Ticket<'_, InOrder>,
        memory: &mut StageMemory,
    ) -> anyhow::Result<()> {
        let StageMemory { adapted, events } = memory;
        let adapter = self.adapting.adapter();
        let leaves_out = self.adapting.dedup.unwrap_or(adapter.is_some());
        adapted.clear();
        let (lines, layouts) = match adapter {
            Some(adapter) => {
                adapted.take_text(block.take_spare());
                adapt_block(adapter, block, events.max_line_bytes(), adapted);
                Default::default()
            }
            None if leaves_out => fingerprinted(block, events, &self.adapting.settings),
            None => Default::default(),
        };
        block.layouts = layouts;
        let Some(mut turn) = ticket.wait() else {
            return Ok(());
        };
        turn.receipts.add(adapted.receipts());
        turn.counts.add(adapted.counts());
        turn.has_header |= block.table.is_some();
        if leaves_out {
            let (mut left_out, mut duplicates) = (Vec::new(), Vec::new());
            for line in lines.into_iter().chain(repeatable(adapted.lines())) {
                if !turn.seen.insert(line.fingerprint).context(TEMPORARY)? {
                    left_out.push(line.index);
                    duplicates.push(line.bytes);
                }
            }
            turn.duplicates += duplicates.len() as u64;
            drop(turn);
            // A blank line is passed over.
            block.blank_out(duplicates);
            if let Some(adapted) = &mut block.adapted {
                let is_left_out = |line: &usize| left_out.binary_search(line).is_ok();
                adapted.conflicts.retain(|it| !is_left_out(&it.line));
            }
        }
        Ok(())
    }

    /// Keeps what the pass has found. Only the first one counts: the second one finds the same.
    pub(crate) fn finish(self) {
        let in_order = self.ordered.into_inner();
        let Some(adapter) = self.adapting.adapter() else {
            return;
        };
        self.adapting.lock().get_or_insert(AdaptReport {
            format: adapter.format(),
            unfound: match in_order.has_header {
                true => Vec::new(),
                false => adapter.unfound(&in_order.counts),
            },
            counts: in_order.counts,
            duplicates: in_order.duplicates,
            receipts: in_order.receipts,
        });
    }
}

/// Puts the events of a block in place of its records.
fn adapt_block(adapter: &Adapter, block: &mut Block, max_line_bytes: u64, adapted: &mut Adapted) {
    let table = block.table.as_ref();
    let rows = table.and_then(|table| adapter.rows(table.names()));
    let (mut refused, mut object) = (Vec::new(), Vec::new());
    let mut take = |number: u64, record: &[u8], said: Result<Record<'_>, Refusal>| {
        if let Some(rows) = &rows
            && let Ok(Record::Row(_, cells)) = said
            && rows.adapt(number, cells, adapted)
        {
            return;
        }
        let before = adapted.lines().len();
        match said {
            Ok(said) => adapter.adapt(number, said.json(&mut object), adapted),
            Err(refusal) => adapted.refuse(number, refusal),
        }
        for (index, line) in adapted.lines().iter().enumerate().skip(before) {
            if let LineKind::Refused(refusal) = &line.kind {
                refused.push(RefusedRecord {
                    line: index as u64 + 1,
                    record: record.to_vec(),
                    refusal: refusal.clone(),
                });
            }
        }
    };
    let records = take_records(block, max_line_bytes, &mut take);
    let events = adapted.take_text(Vec::new());
    let conflicts = adapted.take_conflicts();
    let lines = adapted.lines();
    let numbers = lines.iter().map(|line| line.record).collect();
    let parts = lines.iter().map(|line| line.parts).collect();
    let block_adapted = AdaptedBlock {
        records,
        numbers,
        parts,
        refused,
        conflicts,
    };
    block.replace(events, block_adapted);
}

/// The lines with events that can have duplicates.
fn repeatable(lines: &[AdaptedLine]) -> impl Iterator<Item = Line> {
    let starts = [0].into_iter().chain(lines.iter().map(|line| line.end));
    let of_event = |(index, (line, start)): (_, (&AdaptedLine, usize))| match line.kind {
        LineKind::Event(Some(fingerprint)) => Some(Line {
            index,
            bytes: start..line.end - 1,
            fingerprint,
        }),
        _ => None,
    };
    let lines = lines.iter().zip(starts).enumerate();
    lines.filter_map(of_event)
}

/// Takes the number and the bytes of a record, and what it says.
type Take<'t, 'b> = &'t mut dyn FnMut(u64, &'b [u8], Result<Record<'_>, Refusal>);

/// Takes each record of a block. Returns how many lines there are.
pub(crate) fn take_records<'b>(block: &'b Block, max_line_bytes: u64, take: Take<'_, 'b>) -> u64 {
    match &block.table {
        Some(table) => take_rows(table, block, max_line_bytes, take),
        None => take_lines(block, max_line_bytes, take),
    }
}

/// Takes each line as a record. Returns how many lines there are.
fn take_lines<'b>(block: &'b Block, max_line_bytes: u64, take: Take<'_, 'b>) -> u64 {
    let unit = block.unit();
    let mut lines = Lines::new(block.bytes(), max_line_bytes);
    let text = block.text();
    for line in &mut lines {
        let text = match text {
            _ if line.is_too_long => {
                let error = too_long(unit, max_line_bytes);
                Err(Refusal::with_text("IN-3", error))
            }
            Some(text) => Ok(Record::Json(&text[line.start..][..line.bytes.len()])),
            None => str::from_utf8(line.bytes)
                .map(Record::Json)
                .map_err(|error| {
                    let valid_bytes = error.valid_up_to();
                    MalformedEvent::NotUtf8 { valid_bytes }.into()
                }),
        };
        take(line.number, line.bytes, text);
    }
    lines.count
}

/// Takes each row of a table as a record. Returns how many lines there are.
fn take_rows<'b>(table: &Table, block: &'b Block, max_line_bytes: u64, take: Take<'_, 'b>) -> u64 {
    let text = block.bytes();
    let is_first = block.starts_input && block.passed.is_none();
    table.visit_rows(text, is_first, |row| {
        let bytes = &text[row.bytes];
        let record = match row.cells {
            _ if bytes.trim_ascii_end().len() as u64 > max_line_bytes => Err(Refusal::with_text(
                "IN-3",
                too_long(Unit::Line, max_line_bytes),
            )),
            cells => cells.map(|cells| Record::Row(table, cells)),
        };
        take(row.line, bytes.trim_ascii_end(), record);
    });
    let breaks = memchr::memchr_iter(b'\n', text).count() as u64;
    breaks + u64::from(!text.ends_with(b"\n"))
}

/// A line with an event that can have duplicates.
struct Line {
    /// Among the lines of the block.
    index: usize,
    /// Without the line feed.
    bytes: Range<usize>,
    fingerprint: u128,
}

/// The lines of a block of events that can have duplicates, and the layouts of all its events, by their lines.
fn fingerprinted(
    block: &Block,
    reader: &EventReader,
    settings: &Settings,
) -> (Vec<Line>, Vec<(u64, EventLayout)>) {
    let (mut scratch, mut lines, mut layouts) = (Vec::new(), Vec::new(), Vec::new());
    // Refused lines have no duplicates. Who reads the block next reports them.
    let _refused = reader.read(block, |line, envelope: Envelope<'_>| {
        let reading = settings.read(&envelope.json_event().event());
        let reading = reading.map_err(event_reader::Refusal::Invalid)?;
        let repeatable = envelope.repeatable(reading.distinct_id, &mut scratch);
        if let (Some(repeatable), Ok(number)) = (repeatable, usize::try_from(line.number)) {
            lines.push(Line {
                index: number - 1,
                bytes: line.start..line.start + line.bytes.len(),
                fingerprint: repeatable.fingerprint,
            });
        }
        layouts.push((line.number, envelope.into_json_event().into_layout()));
        Ok(())
    });
    (lines, layouts)
}
