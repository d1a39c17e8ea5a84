//! The events of a block, and the lines of it that cannot be used.

use std::mem;

use idmerge_core::{Claim, IdentityResolver, InvalidEvent};
use idmerge_events::JsonEvent;

use crate::blocks::Block;
use crate::fold::LinePlace;
use crate::lines::{Line, Lines};
use crate::notes::{BlockNotes, NoteTaker};
use crate::refused::{Reason, RefusedLines};

/// What stands in a block. What can be used depends on the line alone, so it is the same lines
/// when the input is read again.
#[derive(Debug)]
pub(crate) struct BlockEvents<'b> {
    lines: u64,
    count: usize,
    /// What they claim, but for those that are spelled with escapes, and the number of the event
    /// that does, among those that can be used.
    claims: Vec<Claim<'b>>,
    claimants: Vec<usize>,
    /// Those that are spelled with escapes, and their numbers.
    escaped: Vec<(usize, JsonEvent<'b>)>,
    notes: Option<NoteTaker>,
    kept_lines: Option<Vec<&'b [u8]>>,
}

/// What is kept of each event, besides its claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    Nothing,
    /// Notes, for reading again.
    Notes,
    /// Its line.
    Lines,
}

/// Whether an event must be kept for what it claims: its ids stand nowhere else as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Yes,
    No,
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
    /// Reads each line by the rules of the engine.
    pub(crate) fn read(
        block: &'b Block,
        max_line_bytes: u64,
        engine: &dyn IdentityResolver,
        keep: Keep,
        refusals: &mut Refusals<'b>,
    ) -> Self {
        let mut events = Self {
            lines: 0,
            count: 0,
            claims: Vec::new(),
            claimants: Vec::new(),
            escaped: Vec::new(),
            notes: (keep == Keep::Notes).then(|| NoteTaker::new(block)),
            kept_lines: (keep == Keep::Lines).then(Vec::new),
        };
        // All lines at once; where one of them is not UTF-8, each for itself.
        let text = str::from_utf8(block.bytes());
        let mut lines = Lines::new(block.bytes(), block.starts_input, max_line_bytes);
        for line in &mut lines {
            if line.is_too_long {
                refusals.add(line, "IN-3", too_long(max_line_bytes));
                continue;
            }
            let event = match text {
                Ok(text) => JsonEvent::parse_text(&text[line.start..][..line.bytes.len()]),
                Err(_) => JsonEvent::parse(line.bytes),
            };
            let number = events.count;
            // Looked at where it is: it is large, and to move it takes time.
            match &event {
                Ok(read) => match events.add(&line, read, engine) {
                    Ok(Kept::No) => {}
                    Ok(Kept::Yes) => events.escaped.extend(event.map(|event| (number, event))),
                    Err(refused) => refusals.add(line, refused.rule(), refused.to_string()),
                },
                Err(error) => refusals.add(line, error.rule(), error.to_string()),
            }
        }
        events.lines = lines.count;
        events
    }

    #[inline]
    fn add(
        &mut self,
        line: &Line<'b>,
        event: &JsonEvent<'b>,
        engine: &dyn IdentityResolver,
    ) -> Result<Kept, InvalidEvent> {
        let (mut kept, mut outline) = (Kept::No, None);
        if let Some(in_text) = event.event_in_text() {
            let reading = engine.read(&in_text)?;
            if let Some(claim) = reading.claim {
                self.claims.push(claim);
                self.claimants.push(self.count);
            }
            if self.notes.is_some() {
                outline = event.outline(reading.distinct_id);
            }
        } else {
            engine.read(&event.event())?;
            kept = Kept::Yes;
        }
        if let Some(notes) = &mut self.notes {
            notes.add(line, outline.as_ref());
        }
        if let Some(kept_lines) = &mut self.kept_lines {
            kept_lines.push(line.bytes);
        }
        self.count += 1;
        Ok(kept)
    }

    /// How many lines the block has, with those that are no events.
    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }

    /// How many events can be used.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The notes, if they were to be taken. They are taken away.
    pub(crate) fn take_notes(&mut self) -> Option<BlockNotes> {
        self.notes.take().map(|notes| notes.finish(self.lines))
    }

    /// The lines, if they were to be kept, by the numbers of their events. They are taken away.
    pub(crate) fn take_kept_lines(&mut self) -> Vec<&'b [u8]> {
        self.kept_lines.take().unwrap_or_default()
    }

    /// All claims in order, and beside each the number of its event among those that can be used.
    /// They are taken away.
    pub(crate) fn take_claims(
        &mut self,
        engine: &dyn IdentityResolver,
    ) -> (Vec<usize>, Vec<Claim<'_>>) {
        let claimants = mem::take(&mut self.claimants);
        let claims: Vec<Claim<'_>> = mem::take(&mut self.claims);
        if self.escaped.is_empty() {
            return (claimants, claims);
        }
        let mut all: Vec<_> = claimants.into_iter().zip(claims).collect();
        for (number, event) in &self.escaped {
            let reading = engine.read(&event.event()).unwrap_or_default();
            all.extend(reading.claim.map(|claim| (*number, claim)));
        }
        all.sort_by_key(|(number, _)| *number);
        all.into_iter().unzip()
    }
}

impl<'b> Refusals<'b> {
    fn add(&mut self, line: Line<'b>, rule: &'static str, error: String) {
        self.0.push(Refusal { line, rule, error });
    }

    /// Hands the lines on, in order. Before the block there were so many lines of the file.
    pub(crate) fn hand_on(
        self,
        file: &str,
        lines_before: u64,
        refused: &mut RefusedLines,
    ) -> anyhow::Result<()> {
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
