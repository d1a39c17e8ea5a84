//! The events of a block and their claims, and the lines that cannot be used.

use std::collections::HashSet;
use std::mem;

use idmerge_core::{Claim, InvalidEvent};
use idmerge_engines::Settings;
use idmerge_events::JsonEvent;

use crate::spill::outlines::{BlockOutlines, OutlineWriter};
use crate::stream::block::Block;
pub(crate) use crate::stream::event_reader::RefusedLine;
use crate::stream::event_reader::{EventReader, Refusal};
use crate::stream::forms::unusable::Tally;
use crate::stream::lines::Line;

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

/// The numbers of the refused lines.
pub(crate) fn numbers_of(refused: &[RefusedLine<'_>]) -> HashSet<u64> {
    refused.iter().map(|refused| refused.line.number).collect()
}

/// The first refused line, for a [`Tally`].
pub(crate) fn first_refused(refused: &[RefusedLine<'_>]) -> Option<(u64, String)> {
    let first = refused.first()?;
    Some((first.line.number, first.error.clone()))
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
        reader: &EventReader,
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
        let (lines, refused) = reader.read_lines(block, |line, text| {
            let event = reader.event(block, line, text);
            let number = events.count;
            // By reference: an event is large, and moving it takes time.
            match &event {
                Ok(read) => {
                    let has_escapes = events.add(line, read, reader, settings);
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
        reader: &EventReader,
        settings: &Settings,
    ) -> Result<HasEscapes, InvalidEvent> {
        let (mut has_escapes, mut outline) = (HasEscapes::No, None);
        if let Some(in_text) = event.event_in_text() {
            let reading = settings.read(&in_text)?;
            self.with_id += u64::from(reading.distinct_id.is_some());
            let fingerprint = reader.identity_fingerprint(event, &reading, settings);
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
            let properties = event.event();
            let reading = settings.read(&properties)?;
            self.with_id += u64::from(reading.distinct_id.is_some());
            let fingerprint = reader.identity_fingerprint(event, &reading, settings);
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
