//! Reads the lines of blocks as events.

use std::cell::RefCell;

use idmerge_core::{InvalidEvent, Reading};
use idmerge_engines::Settings;
use idmerge_events::{Envelope, EventLayout, EventParts, EventShapes, JsonEvent, MalformedEvent};

use crate::stream::adapt::block::AdaptedBlock;
use crate::stream::block::Block;
use crate::stream::lines::{Line, Lines, too_long};

/// Reads the lines of blocks as events. Each thread has one: it knows the shapes of the events before.
#[derive(Debug)]
pub(crate) struct EventReader {
    max_line_bytes: u64,
    /// Borrowed for a line at a time, so that what is done with an event can read events too.
    shapes: RefCell<EventShapes>,
}

/// Why a line cannot be used.
pub(crate) enum Refusal {
    Malformed(MalformedEvent),
    Invalid(InvalidEvent),
}

/// A line that cannot be used.
#[derive(Debug)]
pub(crate) struct RefusedLine<'b> {
    pub(crate) line: Line<'b>,
    pub(crate) rule: &'static str,
    pub(crate) error: String,
}

/// What a line can be read as.
pub(crate) trait FromLine<'b>: Sized {
    /// From a line that is known to be UTF-8.
    fn of_text(text: &'b str, shapes: &mut EventShapes) -> Result<Self, MalformedEvent>;
    fn of_bytes(bytes: &'b [u8]) -> Result<Self, MalformedEvent>;
    /// From a line whose parts are known. `None` if only a scan tells.
    fn of_parts(text: &'b str, parts: &EventParts) -> Option<Self>;
    /// From a line that was read as a [`JsonEvent`] before. `None` if only a scan tells.
    fn of_layout(text: &'b str, layout: &EventLayout) -> Option<Self>;
}

impl<'b> FromLine<'b> for JsonEvent<'b> {
    #[inline]
    fn of_text(text: &'b str, shapes: &mut EventShapes) -> Result<Self, MalformedEvent> {
        shapes.parse_text(text)
    }

    fn of_bytes(bytes: &'b [u8]) -> Result<Self, MalformedEvent> {
        Self::parse(bytes)
    }

    #[inline]
    fn of_parts(text: &'b str, parts: &EventParts) -> Option<Self> {
        Self::of_parts(text, parts)
    }

    #[inline]
    fn of_layout(text: &'b str, layout: &EventLayout) -> Option<Self> {
        layout.of_text(text)
    }
}

impl<'b> FromLine<'b> for Envelope<'b> {
    #[inline]
    fn of_text(text: &'b str, shapes: &mut EventShapes) -> Result<Self, MalformedEvent> {
        shapes.parse_envelope(text)
    }

    fn of_bytes(bytes: &'b [u8]) -> Result<Self, MalformedEvent> {
        Self::parse(bytes)
    }

    #[inline]
    fn of_parts(text: &'b str, parts: &EventParts) -> Option<Self> {
        Self::of_parts(text, parts)
    }

    #[inline]
    fn of_layout(_: &'b str, _: &EventLayout) -> Option<Self> {
        None
    }
}

impl EventReader {
    /// Lines that are longer than this are refused.
    pub(crate) fn new(max_line_bytes: u64) -> Self {
        Self {
            max_line_bytes,
            shapes: RefCell::default(),
        }
    }

    /// Longer lines are refused.
    pub(crate) fn max_line_bytes(&self) -> u64 {
        self.max_line_bytes
    }

    /// Reads each line of a block, and returns the number of lines, blank and refused ones included, and the lines that
    /// are no events, are too long, or that `read` refuses.
    #[inline]
    pub(crate) fn read<'b, E: FromLine<'b>>(
        &self,
        block: &'b Block,
        mut read: impl FnMut(&Line<'b>, E) -> Result<(), Refusal>,
    ) -> (u64, Vec<RefusedLine<'b>>) {
        self.read_lines(block, |line, text| {
            let event = self.event(block, line, text);
            read(line, event.map_err(Refusal::Malformed)?)
        })
    }

    /// As [`read`](Self::read), but `read` gets the line, and its text if the whole block is UTF-8; a check of the block
    /// is cheaper than one of each line.
    #[inline]
    pub(crate) fn read_lines<'b>(
        &self,
        block: &'b Block,
        mut read: impl FnMut(&Line<'b>, Option<&'b str>) -> Result<(), Refusal>,
    ) -> (u64, Vec<RefusedLine<'b>>) {
        let mut refused: Vec<RefusedLine<'b>> =
            block.adapted.iter().flat_map(refused_records).collect();
        let has_refused_records = !refused.is_empty();
        let mut refuse = |line, rule, error| refused.push(RefusedLine { line, rule, error });
        let text = block.text();
        let mut lines = Lines::new(block.bytes(), self.max_line_bytes);
        for line in &mut lines {
            if line.is_too_long {
                refuse(line, "IN-3", too_long(block.unit(), self.max_line_bytes));
                continue;
            }
            let text = text.map(|text| &text[line.start..][..line.bytes.len()]);
            match read(&line, text) {
                Ok(()) => {}
                Err(Refusal::Malformed(error)) => refuse(line, error.rule(), error.to_string()),
                Err(Refusal::Invalid(error)) => refuse(line, error.rule(), error.to_string()),
            }
        }
        let count = lines.count;
        if has_refused_records {
            refused.sort_by_key(|refused| refused.line.number);
        }
        (count, refused)
    }

    /// The event of a line of a block, whose text is known if the whole block is UTF-8.
    #[inline]
    pub(crate) fn event<'b, E: FromLine<'b>>(
        &self,
        block: &Block,
        line: &Line<'b>,
        text: Option<&'b str>,
    ) -> Result<E, MalformedEvent> {
        let Some(text) = text else {
            return E::of_bytes(line.bytes);
        };
        let known = match &block.adapted {
            Some(adapted) => adapted
                .parts_of(line.number)
                .and_then(|parts| E::of_parts(text, parts)),
            None => block
                .layout_of(line.number)
                .and_then(|layout| E::of_layout(text, layout)),
        };
        match known {
            Some(event) => Ok(event),
            None => E::of_text(text, &mut self.shapes.borrow_mut()),
        }
    }

    /// As [`identity_fingerprint`], of an event that was not read as an envelope. Identity events are read a second time
    /// for it.
    pub(crate) fn identity_fingerprint(
        &self,
        event: &JsonEvent<'_>,
        reading: &Reading<'_>,
        settings: &Settings,
    ) -> Option<u128> {
        if !is_identity_event(reading, settings) {
            return None;
        }
        let mut shapes = self.shapes.borrow_mut();
        let envelope = shapes.parse_envelope(event.text()).ok()?;
        identity_fingerprint(&envelope, reading, settings)
    }
}

/// Whether an identity event was read, which can have duplicates (AR-2). The other events are many, and need no
/// fingerprint: in a model without identity events, a claim that comes again changes nothing (S-6).
#[inline]
fn is_identity_event(reading: &Reading<'_>, settings: &Settings) -> bool {
    reading.claim.is_some() && settings.has_identity_events()
}

/// The fingerprint of an identity event; `None` if it cannot have duplicates (AR-2).
pub(crate) fn identity_fingerprint(
    envelope: &Envelope<'_>,
    reading: &Reading<'_>,
    settings: &Settings,
) -> Option<u128> {
    if !is_identity_event(reading, settings) {
        return None;
    }
    let event = envelope.repeatable(reading.distinct_id, &mut Vec::new())?;
    Some(event.fingerprint)
}

/// The records that could not be turned into events, each at its blank line.
fn refused_records(adapted: &AdaptedBlock) -> impl Iterator<Item = RefusedLine<'_>> {
    adapted.refused.iter().map(|refused| RefusedLine {
        line: Line {
            number: refused.line,
            start: 0,
            bytes: &refused.record,
            is_too_long: false,
        },
        rule: refused.refusal.rule(),
        error: refused.refusal.to_string(),
    })
}
