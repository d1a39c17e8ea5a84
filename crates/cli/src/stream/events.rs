//! The events of a block and their claims, and the lines that cannot be used.

use std::collections::HashSet;
use std::mem;

use idmerge_core::{Claim, InvalidEvent, Reading};
use idmerge_engines::Settings;
use idmerge_events::{Envelope, EventParts, JsonEvent, MalformedEvent};

use crate::spill::outlines::{BlockOutlines, OutlineWriter};
use crate::stream::adapt::block::AdaptedBlock;
use crate::stream::block::Block;
use crate::stream::forms::unusable::Tally;
use crate::stream::lines::{Line, Lines, too_long};

/// What was read from a block. Whether a line can be used depends on the line alone, so another
/// pass finds the same events.
#[derive(Debug)]
pub(crate) struct BlockEvents<'b> {
    lines: u64,
    count: usize,
    /// How many events have a distinct_id.
    with_id: u64,
    /// The claims of events without escapes, and the numbers of those events.
    claims: Vec<Claim<'b>>,
    claimants: Vec<usize>,
    /// Events with escapes, and their numbers. They are kept because their IDs are not in the block
    /// as they are: the claims borrow from them.
    escaped: Vec<(usize, JsonEvent<'b>)>,
    /// The numbers and fingerprints of the identity events that can have duplicates (AR-2).
    fingerprints: Vec<(usize, u128)>,
    outlines: Option<OutlineWriter>,
    refused: Vec<RefusedLine<'b>>,
}

/// What to keep of each event besides its claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    Nothing,
    /// Its outline, so that it can be written without being scanned again.
    Outlines,
}

/// A line that cannot be used.
#[derive(Debug)]
pub(crate) struct RefusedLine<'b> {
    pub(crate) line: Line<'b>,
    pub(crate) rule: &'static str,
    pub(crate) error: String,
}

/// Why a line cannot be used.
pub(crate) enum Refusal {
    Malformed(MalformedEvent),
    Invalid(InvalidEvent),
}

/// Reads each line of a block as an event, and returns the number of lines, blank and refused ones
/// included, and the lines that `read` refuses or that are too long.
///
/// `read` gets the text of the line if the whole block is UTF-8; a check of the block is cheaper
/// than one of each line.
#[inline]
fn read_lines<'b>(
    block: &'b Block,
    max_line_bytes: u64,
    mut read: impl FnMut(&Line<'b>, Option<&'b str>) -> Result<(), Refusal>,
) -> (u64, Vec<RefusedLine<'b>>) {
    let mut refused: Vec<RefusedLine<'b>> =
        block.adapted.iter().flat_map(refused_records).collect();
    let has_refused_records = !refused.is_empty();
    let mut refuse = |line, rule, error| refused.push(RefusedLine { line, rule, error });
    let text = str::from_utf8(block.bytes()).ok();
    let mut lines = Lines::new(block.bytes(), max_line_bytes);
    for line in &mut lines {
        if line.is_too_long {
            refuse(line, "IN-3", too_long(block.unit(), max_line_bytes));
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

/// What a line can be read as.
pub(crate) trait FromLine<'b>: Sized {
    /// From a line that is known to be UTF-8.
    fn of_text(text: &'b str) -> Result<Self, MalformedEvent>;
    fn of_bytes(bytes: &'b [u8]) -> Result<Self, MalformedEvent>;
    /// From a line whose parts are known. `None` if only a scan tells.
    fn of_parts(text: &'b str, parts: &EventParts) -> Option<Self>;

    /// From a line of a block, and its text if the whole block is UTF-8.
    #[inline]
    fn of_line(
        block: &Block,
        line: &Line<'b>,
        text: Option<&'b str>,
    ) -> Result<Self, MalformedEvent> {
        let Some(text) = text else {
            return Self::of_bytes(line.bytes);
        };
        let adapted = block.adapted.as_ref();
        let parts = adapted.and_then(|adapted| adapted.parts_of(line.number));
        match parts.and_then(|parts| Self::of_parts(text, parts)) {
            Some(event) => Ok(event),
            None => Self::of_text(text),
        }
    }
}

impl<'b> FromLine<'b> for JsonEvent<'b> {
    fn of_text(text: &'b str) -> Result<Self, MalformedEvent> {
        Self::parse_text(text)
    }

    fn of_bytes(bytes: &'b [u8]) -> Result<Self, MalformedEvent> {
        Self::parse(bytes)
    }

    #[inline]
    fn of_parts(text: &'b str, parts: &EventParts) -> Option<Self> {
        Self::of_parts(text, parts)
    }
}

impl<'b> FromLine<'b> for Envelope<'b> {
    fn of_text(text: &'b str) -> Result<Self, MalformedEvent> {
        Self::parse_text(text)
    }

    fn of_bytes(bytes: &'b [u8]) -> Result<Self, MalformedEvent> {
        Self::parse(bytes)
    }

    #[inline]
    fn of_parts(text: &'b str, parts: &EventParts) -> Option<Self> {
        Self::of_parts(text, parts)
    }
}

/// As [`read_lines`], but `read` gets what the line was read as. Lines that are no such thing are refused.
#[inline]
pub(crate) fn read_events<'b, E: FromLine<'b>>(
    block: &'b Block,
    max_line_bytes: u64,
    mut read: impl FnMut(&Line<'b>, E) -> Result<(), Refusal>,
) -> (u64, Vec<RefusedLine<'b>>) {
    read_lines(block, max_line_bytes, |line, text| {
        let event = E::of_line(block, line, text);
        read(line, event.map_err(Refusal::Malformed)?)
    })
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

/// The numbers of the refused lines.
pub(crate) fn numbers_of(refused: &[RefusedLine<'_>]) -> HashSet<u64> {
    refused.iter().map(|refused| refused.line.number).collect()
}

/// The first refused line, for a [`Tally`].
pub(crate) fn first_refused(refused: &[RefusedLine<'_>]) -> Option<(u64, String)> {
    let first = refused.first()?;
    Some((first.line.number, first.error.clone()))
}

/// The fingerprint of an identity event; `None` if it cannot have duplicates (AR-2). Only these events are
/// scanned for it, a second time, because the others are many and need no fingerprint: in a model without
/// identity events, a claim that comes again changes nothing (S-6).
pub(crate) fn identity_fingerprint(
    line: &Line<'_>,
    reading: &Reading<'_>,
    settings: &Settings,
) -> Option<u128> {
    if reading.claim.is_none() || !settings.has_identity_events() {
        return None;
    }
    let envelope = Envelope::parse(line.bytes).ok()?;
    let event = envelope.repeatable(reading.distinct_id, &mut Vec::new())?;
    Some(event.fingerprint)
}

/// Whether an event has escapes, so that its IDs cannot be borrowed from the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HasEscapes {
    Yes,
    No,
}

impl<'b> BlockEvents<'b> {
    /// Reads each line by the rules of these settings.
    pub(crate) fn read(
        block: &'b Block,
        max_line_bytes: u64,
        settings: &Settings,
        keep: Keep,
    ) -> Self {
        let mut events = Self {
            lines: 0,
            count: 0,
            with_id: 0,
            claims: Vec::new(),
            claimants: Vec::new(),
            escaped: Vec::new(),
            fingerprints: Vec::new(),
            outlines: (keep == Keep::Outlines).then(|| OutlineWriter::new(block.fingerprint())),
            refused: Vec::new(),
        };
        let (lines, refused) = read_lines(block, max_line_bytes, |line, text| {
            let event = JsonEvent::of_line(block, line, text);
            let number = events.count;
            // By reference: an event is large, and moving it takes time.
            match &event {
                Ok(read) => {
                    let has_escapes = events.add(line, read, settings);
                    if has_escapes.map_err(Refusal::Invalid)? == HasEscapes::Yes {
                        events.escaped.extend(event.map(|event| (number, event)));
                    }
                    Ok(())
                }
                Err(_) => event.map(drop).map_err(Refusal::Malformed),
            }
        });
        events.lines = lines;
        events.refused = refused;
        events
    }

    #[inline]
    fn add(
        &mut self,
        line: &Line<'b>,
        event: &JsonEvent<'b>,
        settings: &Settings,
    ) -> Result<HasEscapes, InvalidEvent> {
        let (mut has_escapes, mut outline) = (HasEscapes::No, None);
        if let Some(in_text) = event.event_in_text() {
            let reading = settings.read(&in_text)?;
            self.with_id += u64::from(reading.distinct_id.is_some());
            let fingerprint = identity_fingerprint(line, &reading, settings);
            self.fingerprints
                .extend(fingerprint.map(|event| (self.count, event)));
            if let Some(claim) = reading.claim {
                self.claims.push(claim);
                self.claimants.push(self.count);
            }
            if self.outlines.is_some() {
                outline = event.outline(reading.distinct_id);
            }
        } else {
            let event = event.event();
            let reading = settings.read(&event)?;
            self.with_id += u64::from(reading.distinct_id.is_some());
            let fingerprint = identity_fingerprint(line, &reading, settings);
            self.fingerprints
                .extend(fingerprint.map(|event| (self.count, event)));
            has_escapes = HasEscapes::Yes;
        }
        if let Some(outlines) = &mut self.outlines {
            outlines.add(line.start, line.bytes.len(), outline.as_ref());
        }
        self.count += 1;
        Ok(has_escapes)
    }

    /// How many lines and events there are. Call it before the refused lines are taken.
    pub(crate) fn tally(&self) -> Tally {
        Tally {
            lines: self.lines,
            events: self.count as u64,
            with_id: self.with_id,
            first_refused: first_refused(&self.refused),
        }
    }

    /// The number of events that can be used.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Takes the lines that cannot be used, in order.
    pub(crate) fn take_refused(&mut self) -> Vec<RefusedLine<'b>> {
        mem::take(&mut self.refused)
    }

    /// Takes the outlines. `None` if they were not kept.
    pub(crate) fn take_outlines(&mut self) -> Option<BlockOutlines> {
        let outlines = self.outlines.take()?;
        Some(outlines.finish(self.lines))
    }

    /// Takes the fingerprints of identity events, in order, each with the number of its event among
    /// those that can be used.
    pub(crate) fn take_fingerprints(&mut self) -> Vec<(usize, u128)> {
        mem::take(&mut self.fingerprints)
    }

    /// Takes all claims in order, each with the number of its event among those that can be used.
    pub(crate) fn take_claims(&mut self, settings: &Settings) -> (Vec<usize>, Vec<Claim<'_>>) {
        let claimants = mem::take(&mut self.claimants);
        let claims: Vec<Claim<'_>> = mem::take(&mut self.claims);
        if self.escaped.is_empty() {
            return (claimants, claims);
        }
        let mut all: Vec<_> = claimants.into_iter().zip(claims).collect();
        for (number, event) in &self.escaped {
            let reading = settings.read(&event.event()).unwrap_or_default();
            all.extend(reading.claim.map(|claim| (*number, claim)));
        }
        all.sort_by_key(|(number, _)| *number);
        all.into_iter().unzip()
    }
}
