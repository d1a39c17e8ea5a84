//! The two passes over the input: the first gathers what the lines say, the second writes the events.

use std::io::{self, Write};
use std::marker::PhantomData;

use anyhow::Context;
use idmerge_core::InvalidEvent;
use idmerge_events::Envelope;
use idmerge_migrate::{
    EventWriter, GatherError, Gathering, Options, People, Place, Tally, Written, WrittenLine,
};

use crate::commands::migrate::finishing::Outputs;
use crate::output::refused::RefusedWriter;
use crate::stream::block::Block;
use crate::stream::events::{self, RefusedLine, first_refused, read_lines};
use crate::stream::forms::unusable::Tally as LineTally;
use crate::stream::lines::Line;
use crate::stream::ordered::Ticket;
use crate::stream::pipeline::{OrderedSink, Pass, Refusal, Sink, Worker, in_turn};

/// The result of the first pass.
pub(super) struct Gathered {
    pub(super) gathering: Gathering,
    pub(super) starts: Starts,
}

/// For each block, how many events that the source accepts come before it.
pub(super) struct Starts(Vec<u64>);

/// The events of a block that the source accepts, and the lines that are refused.
struct BlockLines<'b> {
    events: Vec<(Line<'b>, Envelope<'b>)>,
    refused: Vec<RefusedLine<'b>>,
    tally: LineTally,
}

impl<'b> BlockLines<'b> {
    fn read(block: &'b Block, max_line_bytes: u64, options: &Options) -> Self {
        let (mut events, mut with_id) = (Vec::new(), 0);
        let (lines, refused) = read_lines(block, max_line_bytes, |line, text| {
            let envelope = match text {
                Some(text) => Envelope::parse_text(text),
                None => Envelope::parse(line.bytes),
            };
            let envelope = envelope.map_err(events::Refusal::Malformed)?;
            let has_id = options.read(&envelope);
            with_id +=
                u64::from(has_id.map_err(|error: InvalidEvent| events::Refusal::Invalid(error))?);
            events.push((*line, envelope));
            Ok(())
        });
        let tally = LineTally {
            lines,
            events: events.len() as u64,
            with_id,
            first_refused: first_refused(&refused),
        };
        Self {
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
) -> anyhow::Result<(Gathered, RefusedWriter)> {
    let max_line_bytes = pass.limits.max_line_bytes;
    let options = gathering.options().clone();
    let sink = GatherSink {
        gathered: Gathered {
            gathering,
            starts: Starts(Vec::new()),
        },
        refused,
    };
    let worker = || GatherWorker {
        max_line_bytes,
        options: &options,
    };
    let sink = pass.run(sink, |_| Ok(()), worker)?;
    Ok((sink.gathered, sink.refused))
}

struct GatherSink {
    gathered: Gathered,
    refused: RefusedWriter,
}

impl Sink for GatherSink {}

struct GatherWorker<'o> {
    max_line_bytes: u64,
    options: &'o Options,
}

impl Worker for GatherWorker<'_> {
    type Kept = ();
    type Sink = GatherSink;

    fn block(
        &mut self,
        block: &Block,
        (): (),
        ticket: Ticket<'_, OrderedSink<GatherSink>>,
    ) -> anyhow::Result<()> {
        let lines = BlockLines::read(block, self.max_line_bytes, self.options);
        let number = ticket.number();
        in_turn(ticket, |ordered| {
            let (sink, position) = ordered.for_block(block, lines.tally)?;
            let Gathered { gathering, starts } = &mut sink.gathered;
            starts.set(number, gathering.events());
            let file = u32::try_from(block.input).context("there are too many inputs")?;
            for (line, envelope) in &lines.events {
                let line = position.line(line.number).line;
                let place = Place { file, line };
                match gathering.add(envelope, place) {
                    Ok(()) => {}
                    Err(GatherError::TemporaryFile(error)) => {
                        return Err(error).context("cannot write a temporary file");
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            sink.refused.add_all(position, lines.refused)
        })
    }

    fn unread_line(
        sink: &mut GatherSink,
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
    outputs: &mut Outputs,
) -> anyhow::Result<Tally> {
    let max_line_bytes = pass.limits.max_line_bytes;
    let sink = WriteSink {
        tally: Tally::default(),
        outputs,
    };
    let worker = || WriteWorker {
        max_line_bytes,
        people,
        writer: people.event_writer(),
        outputs: PhantomData,
    };
    let sink = pass.run(sink, |block| Ok(starts.of(block)), worker)?;
    Ok(sink.tally)
}

struct WriteSink<'o> {
    tally: Tally,
    outputs: &'o mut Outputs,
}

impl Sink for WriteSink<'_> {}

struct WriteWorker<'p, 'o> {
    max_line_bytes: u64,
    people: &'p People,
    writer: EventWriter<'p>,
    /// The outputs that its sink has.
    outputs: PhantomData<&'o Outputs>,
}

/// What a block gives.
struct WrittenBlock<'b> {
    lines: Vec<u8>,
    written: Vec<Written>,
    refused: Vec<RefusedLine<'b>>,
    doubles: u64,
    identity_events: u64,
}

impl WriteWorker<'_, '_> {
    /// Writes the events of a block. `start` is the number of the first.
    fn write<'b>(&self, lines: BlockLines<'b>, start: u64) -> WrittenBlock<'b> {
        let mut block = WrittenBlock {
            lines: Vec::new(),
            written: Vec::with_capacity(lines.events.len()),
            refused: lines.refused,
            doubles: 0,
            identity_events: 0,
        };
        for (number, (line, envelope)) in (start..).zip(&lines.events) {
            if self.people.is_double(number) {
                block.doubles += 1;
                continue;
            }
            match self.writer.write(envelope, &mut block.lines) {
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
        block
    }
}

impl<'o> Worker for WriteWorker<'_, 'o> {
    type Kept = u64;
    type Sink = WriteSink<'o>;

    fn block(
        &mut self,
        block: &Block,
        start: u64,
        ticket: Ticket<'_, OrderedSink<WriteSink<'o>>>,
    ) -> anyhow::Result<()> {
        let mut lines = BlockLines::read(block, self.max_line_bytes, self.people.options());
        let tally = std::mem::take(&mut lines.tally);
        let written = self.write(lines, start);
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
        sink: &mut WriteSink<'o>,
        refusal: Refusal<'_>,
        copy: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        sink.tally.refused += 1;
        sink.outputs.refused.add_unread(&refusal, copy)
    }
}
