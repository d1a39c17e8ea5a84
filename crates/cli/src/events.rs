//! The events of a block, and the lines of it that cannot be used.

use idmerge_core::{IdentityResolver, Reading};
use idmerge_events::JsonEvent;

use crate::blocks::{BLOCK_BYTES, Block};
use crate::fold::LinePlace;
use crate::lines::{Line, Lines};
use crate::refused::{Reason, RefusedLines};

/// About as many bytes as an event has at least. It is for the room that is made beforehand.
const EVENT_BYTES: usize = 256;

/// What stands in a block. What can be used depends on the line alone, so it is the same lines
/// when the input is read again.
#[derive(Debug, Default)]
pub(crate) struct BlockEvents<'b> {
    events: Vec<(Line<'b>, JsonEvent<'b>)>,
    lines: u64,
}

/// Lines of a block that cannot be used.
#[derive(Debug, Default)]
pub(crate) struct Refusals<'b>(Vec<Refusal<'b>>);

#[derive(Debug)]
struct Refusal<'b> {
    line: Line<'b>,
    rule: &'static str,
    error: String,
}

impl<'b> BlockEvents<'b> {
    /// Parses each line.
    pub(crate) fn parse(
        block: &'b Block,
        max_line_bytes: u64,
        refusals: &mut Refusals<'b>,
    ) -> Self {
        let mut lines = Lines::new(block.bytes(), block.starts_input, max_line_bytes);
        // All lines at once; where one of them is not UTF-8, each for itself.
        let text = str::from_utf8(block.bytes());
        let mut events = Vec::with_capacity(block.bytes().len().min(BLOCK_BYTES) / EVENT_BYTES);
        for line in &mut lines {
            if line.is_too_long {
                refusals.add(line, "IN-3", too_long(max_line_bytes));
                continue;
            }
            let event = match text {
                Ok(text) => JsonEvent::parse_text(&text[line.start..][..line.bytes.len()]),
                Err(_) => JsonEvent::parse(line.bytes),
            };
            match event {
                Ok(event) => events.push((line, event)),
                Err(error) => refusals.add(line, error.rule(), error.to_string()),
            }
        }
        Self {
            events,
            lines: lines.count,
        }
    }

    /// Reads each event by the rules of the engine. `used` gets those that can be used, in order.
    pub(crate) fn read<'e>(
        &'e self,
        engine: &dyn IdentityResolver,
        refusals: &mut Refusals<'b>,
        mut used: impl FnMut(&'e JsonEvent<'b>, Reading<'e>),
    ) {
        for (line, event) in &self.events {
            match engine.read(&event.event()) {
                Ok(reading) => used(event, reading),
                Err(error) => refusals.add(*line, error.rule(), error.to_string()),
            }
        }
    }

    /// How many lines the block has, with those that are no events.
    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }
}

impl<'b> Refusals<'b> {
    fn add(&mut self, line: Line<'b>, rule: &'static str, error: String) {
        self.0.push(Refusal { line, rule, error });
    }

    /// Hands the lines on, in order. Before the block there were so many lines of the file.
    pub(crate) fn hand_on(
        mut self,
        file: &str,
        lines_before: u64,
        refused: &mut RefusedLines,
    ) -> anyhow::Result<()> {
        self.0.sort_by_key(|refusal| refusal.line.number);
        for Refusal { line, rule, error } in self.0 {
            let reason = Reason {
                file,
                line: lines_before + line.number,
                rule,
                error,
            };
            if line.is_too_long {
                refused.add_long(&reason, |out| out.write_all(line.bytes))?;
            } else {
                refused.add(&reason, line.bytes)?;
            }
        }
        Ok(())
    }
}

/// Why a line is refused that is not even held (IN-3).
pub(crate) fn long_line<'p>(place: &LinePlace<'p>, max_line_bytes: u64) -> Reason<'p> {
    Reason {
        file: place.file,
        line: place.line,
        rule: "IN-3",
        error: too_long(max_line_bytes),
    }
}

fn too_long(max_line_bytes: u64) -> String {
    format!("the line has more than {max_line_bytes} bytes (IN-3)")
}
