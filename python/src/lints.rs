//! Gives the events of a table to a lint.

use std::collections::HashSet;

use idmerge_columns::{ColumnsError, Lines, Read};
use idmerge_engines::Settings;
use idmerge_events::{Envelope, TimeRange};
use idmerge_lint::{Evidence, Fold as _, Lint, Reader};
use pyo3::PyResult;

use crate::arrow::input::{Input, first_rows};
use crate::errors::{engine_failed, unreadable};

/// Adds all events, in the order of arrival. The line of an event is its row, counted from 0.
pub(crate) fn lint(
    input: &Input,
    read: &[Read],
    lines: &Lines,
    settings: &Settings,
) -> PyResult<Lint> {
    let (reader, mut lint) = (Reader::new(settings), Lint::new(settings));
    let mut weighed = HashSet::new();
    let firsts = first_rows(&input.batches, 0);
    for ((batch, read), first) in input.batches.iter().zip(read).zip(firsts) {
        let text = lines.of(batch);
        let text = text.map_err(|lost| unreadable(&ColumnsError::Column(lost)))?;
        let mut claims = read
            .claims
            .rows
            .iter()
            .zip(&read.claims.fingerprints)
            .peekable();
        for (row, line) in text
            .split(|byte| *byte == b'\n')
            .take(batch.num_rows())
            .enumerate()
        {
            let fingerprint = claims
                .next_if(|(claimant, _)| **claimant == row)
                .and_then(|(_, fingerprint)| *fingerprint);
            let Ok(envelope) = Envelope::parse(line) else {
                continue;
            };
            let event = envelope.json_event().event();
            let evidence = Evidence {
                time_ms: envelope.time(TimeRange::Year9999).ms(),
                ..Evidence::of_line((first + row) as u64)
            };
            match settings.read(&event) {
                Ok(reading) => {
                    // A duplicate of an identity event does not count (AR-2).
                    let weighs = fingerprint.is_none_or(|fingerprint| weighed.insert(fingerprint));
                    let facts = reader.read(&event, &reading);
                    let added = lint.add(&facts, envelope.name(), weighs, evidence);
                    added.map_err(|error| engine_failed(&error))?;
                }
                Err(error) => lint.add_refused(&event, &error, evidence),
            }
        }
    }
    Ok(lint)
}
