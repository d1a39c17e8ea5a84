//! The two passes over the input: the first gathers what the lines say, the second writes the events.

use std::io::{self, Write};
use std::mem;

use anyhow::Context;
use idmerge_events::Envelope;
use idmerge_migrate::{
    EventWriter, Gathering, Options, People, Place, SourceEvent, Tally, Written, WrittenLine,
};

use crate::args::migrate::choices::Source;
use crate::commands::migrate::finishing::Outputs;
use crate::output::refused::RefusedWriter;
use crate::stream::block::Block;
use crate::stream::event_reader::EventReader;
use crate::stream::events::{RefusedLine, first_refused};
use crate::stream::forms::unusable::Tally as LineTally;
use crate::stream::lines::Line;
use crate::stream::ordered::Ticket;
use crate::stream::pipeline::{OrderedSink, Pass, Refusal, Sink, Worker, in_turn};

/// The result of the first pass.
pub(super) struct Gathered {
    pub(super) gathering: Gathering,
    pub(super) starts: Starts,
    /// `None` if there was no record.
    pub(super) source: Option<Source>,
}

/// The source, once the first records were looked at.
pub(super) type SettledSource<'s> = &'s (dyn Fn() -> anyhow::Result<Source> + Sync);

/// For each block, how many events that the source accepts come before it.
pub(super) struct Starts(Vec<u64>);

/// The lines of a block that are events by their form.
struct Parsed<'b> {
    envelopes: Vec<(Line<'b>, Envelope<'b>)>,
    refused: Vec<RefusedLine<'b>>,
    /// How many lines there are.
    lines: u64,
}

/// The events of a block that the source accepts, and the lines that are refused.
struct SourceEvents<'b, 'e> {
    events: Vec<(Line<'b>, SourceEvent<'e>)>,
    refused: Vec<RefusedLine<'b>>,
    tally: LineTally,
}

impl<'b> Parsed<'b> {
    fn new(block: &'b Block, reader: &EventReader) -> Self {
        let mut envelopes = Vec::new();
        let (lines, refused) = reader.read(block, |line, envelope| {
            envelopes.push((*line, envelope));
            Ok(())
        });
        Self {
            envelopes,
            refused,
            lines,
        }
    }

    fn read<'e>(&'e mut self, options: &Options) -> SourceEvents<'b, 'e> {
        let mut events = Vec::with_capacity(self.envelopes.len());
        let mut refused = mem::take(&mut self.refused);
        let mut with_id = 0;
        for (line, envelope) in &self.envelopes {
            match options.read(envelope) {
                Ok(event) => {
                    with_id += u64::from(event.has_id());
                    events.push((*line, event));
                }
                Err(error) => refused.push(RefusedLine {
                    line: *line,
                    rule: error.rule(),
                    error: error.to_string(),
                }),
            }
        }
        refused.sort_by_key(|refused| refused.line.number);
        let tally = LineTally {
            lines: self.lines,
            events: events.len() as u64,
            with_id,
            first_refused: first_refused(&refused),
        };
        SourceEvents {
            events,
            refused,
            tally,
        }
    }
}

/// Runs the first pass.
pub(super) fn gather(
    pass: Pass<'_>,
    gathering: Gathering,
    refused: RefusedWriter,
    source: SettledSource<'_>,
) -> anyhow::Result<(Gathered, RefusedWriter)> {
    let max_line_bytes = pass.limits.max_line_bytes;
    let options = gathering.options().clone();
    let sink = GatherSink {
        gathered: Gathered {
            gathering,
            starts: Starts(Vec::new()),
            source: None,
        },
        refused,
        source,
    };
    let worker = || GatherWorker {
        reader: EventReader::new(max_line_bytes),
        options: &options,
    };
    let sink = pass.run(sink, |_| Ok(()), worker)?;
    Ok((sink.gathered, sink.refused))
}

struct GatherSink<'s> {
    gathered: Gathered,
    refused: RefusedWriter,
    source: SettledSource<'s>,
}

impl Sink for GatherSink<'_> {}

struct GatherWorker<'o> {
    reader: EventReader,
    options: &'o Options,
}

impl<'o> Worker for GatherWorker<'o> {
    type Kept = ();
    type Sink = GatherSink<'o>;

    fn block(
        &mut self,
        block: &Block,
        (): (),
        ticket: Ticket<'_, OrderedSink<GatherSink<'o>>>,
    ) -> anyhow::Result<()> {
        let mut parsed = Parsed::new(block, &self.reader);
        let read = parsed.read(self.options);
        let number = ticket.number();
        in_turn(ticket, |ordered| {
            let (sink, position) = ordered.for_block(block, read.tally)?;
            let Gathered {
                gathering,
                starts,
                source,
            } = &mut sink.gathered;
            if source.is_none() {
                let settled = (sink.source)()?;
                gathering.set_anonymous_events(settled.anonymous_events());
                *source = Some(settled);
            }
            starts.set(number, gathering.events());
            let file = u32::try_from(block.input).context("there are too many inputs")?;
            for (line, event) in &read.events {
                let line = position.line_as_read(line.number);
                gathering.add(event, Place { file, line })?;
            }
            sink.refused.add_all(position, read.refused)
        })
    }

    fn unread_line(
        sink: &mut GatherSink<'o>,
        refusal: Refusal<'_>,
        copy: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        sink.refused.add_unread(&refusal, copy)
    }
}

impl Starts {
    fn set(&mut self, block: u64, events: u64) {
        let block = usize::try_from(block).unwrap_or(usize::MAX);
        if self.0.len() <= block {
            // Blocks without a start have no events.
            self.0.resize(block + 1, events);
        }
        self.0[block] = events;
    }

    fn of(&self, block: u64) -> u64 {
        let block = usize::try_from(block).unwrap_or(usize::MAX);
        self.0.get(block).copied().unwrap_or_default()
    }
}

/// Runs the second pass.
pub(super) fn write(
    pass: Pass<'_>,
    people: &People,
    starts: Starts,
    outputs: Outputs,
) -> anyhow::Result<(Tally, Outputs)> {
    let max_line_bytes = pass.limits.max_line_bytes;
    let mut tally = Tally::default();
    // Those that were refused while the input was sorted.
    tally.refused = outputs.refused.count();
    let sink = WriteSink { tally, outputs };
    let worker = || WriteWorker {
        reader: EventReader::new(max_line_bytes),
        people,
        writer: people.event_writer(),
    };
    let sink = pass.run(sink, |block| Ok(starts.of(block)), worker)?;
    Ok((sink.tally, sink.outputs))
}

struct WriteSink {
    tally: Tally,
    outputs: Outputs,
}

impl Sink for WriteSink {}

struct WriteWorker<'p> {
    reader: EventReader,
    people: &'p People,
    writer: EventWriter<'p>,
}

/// What a block gives.
struct WrittenBlock<'b> {
    lines: Vec<u8>,
    written: Vec<Written>,
    refused: Vec<RefusedLine<'b>>,
    doubles: u64,
    identity_events: u64,
}

impl WriteWorker<'_> {
    /// Writes the events of a block. `start` is the number of the first.
    fn write<'b>(
        &mut self,
        read: SourceEvents<'b, '_>,
        start: u64,
    ) -> io::Result<WrittenBlock<'b>> {
        let mut block = WrittenBlock {
            lines: Vec::new(),
            written: Vec::with_capacity(read.events.len()),
            refused: read.refused,
            doubles: 0,
            identity_events: 0,
        };
        for (number, (line, event)) in (start..).zip(&read.events) {
            if self.people.is_double(number) {
                block.doubles += 1;
                continue;
            }
            match self.writer.write(number, event, &mut block.lines)? {
                WrittenLine::Written(written) => block.written.push(written),
                WrittenLine::IdentityEvent => block.identity_events += 1,
                WrittenLine::Refused { rule, message } => block.refused.push(RefusedLine {
                    line: *line,
                    rule,
                    error: message,
                }),
            }
        }
        block.refused.sort_by_key(|refused| refused.line.number);
        Ok(block)
    }
}

impl Worker for WriteWorker<'_> {
    type Kept = u64;
    type Sink = WriteSink;

    fn block(
        &mut self,
        block: &Block,
        start: u64,
        ticket: Ticket<'_, OrderedSink<WriteSink>>,
    ) -> anyhow::Result<()> {
        let mut parsed = Parsed::new(block, &self.reader);
        let mut read = parsed.read(self.people.options());
        let tally = mem::take(&mut read.tally);
        let written = self
            .write(read, start)
            .context("cannot read a temporary file")?;
        in_turn(ticket, |ordered| {
            let (sink, position) = ordered.for_block(block, tally)?;
            sink.tally.doubles += written.doubles;
            sink.tally.identity_events += written.identity_events;
            sink.tally.refused += written.refused.len() as u64;
            for event in &written.written {
                sink.tally
                    .add(event)
                    .context("cannot write a temporary file")?;
            }
            sink.outputs.write_events(&written.lines)?;
            sink.outputs.refused.add_all(position, written.refused)
        })
    }

    fn unread_line(
        sink: &mut WriteSink,
        refusal: Refusal<'_>,
        copy: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        sink.tally.refused += 1;
        sink.outputs.refused.add_unread(&refusal, copy)
    }
}
