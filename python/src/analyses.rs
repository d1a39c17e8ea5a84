//! Folds the events of a table under their users (F-1).

use arrow_array::{Array as _, RecordBatch};
use idmerge_analysis::{Analysis, ResolvedEvent};
use idmerge_columns::{
    ColumnsError, Lines, Outcomes, Read, State, arrive, canonical, id_in, parallel,
};
use idmerge_core::Attribution;
use idmerge_engines::Settings;
use idmerge_events::{Envelope, TimeRange};
use pyo3::PyResult;

use crate::arrow::input::Input;
use crate::errors::{engine_failed, unreadable};

/// So many batches are read at once.
const WINDOW_BATCHES: usize = 8;

/// What was found in the events.
pub(crate) struct Folded<F> {
    pub(crate) fold: F,
    /// These belong to no user.
    pub(crate) events_without_id: u64,
}

/// Adds each event to the analysis under its user, in the order of arrival.
pub(crate) fn fold<A: Analysis>(
    input: &Input,
    read: &[Read],
    lines: &Lines,
    settings: &Settings,
    analysis: &A,
) -> PyResult<Folded<A::Fold>> {
    let mut state = State::new(settings);
    let mut outcomes = Outcomes::default();
    let is_retroactive = settings.attribution() == Attribution::Retroactive;
    if is_retroactive {
        for read in read {
            let rejected = state.fold(&read.claims, &mut outcomes);
            rejected.map_err(|error| engine_failed(&error))?;
        }
    }
    let mut folded = Folded {
        fold: analysis.fold(),
        events_without_id: 0,
    };
    let windows = input.batches.chunks(WINDOW_BATCHES);
    for (batches, read) in windows.zip(read.chunks(WINDOW_BATCHES)) {
        let found = parallel::map(batches.len(), |number| {
            let found = found(&batches[number], &read[number], lines, analysis)?;
            let users = is_retroactive.then(|| canonical(&read[number].own, &*state.engine));
            Ok((found, users))
        });
        for (found, read) in found.into_iter().zip(read) {
            let (found, users) = found.map_err(|error: ColumnsError| unreadable(&error))?;
            let users = match users {
                Some(users) => users,
                None => {
                    let arrived = arrive(read, &mut state, &mut outcomes);
                    arrived.map_err(|error| engine_failed(&error))?.0
                }
            };
            for (row, found) in found {
                if let (Some(user), Some(own)) = (id_in(&users, row), id_in(&read.own, row)) {
                    analysis.add(&mut folded.fold, user, own, found);
                }
            }
            let without = read.own.null_count() - read.refused.len();
            folded.events_without_id += without as u64;
        }
    }
    Ok(folded)
}

/// What the analysis needs of the events of a batch, with their rows.
fn found<A: Analysis>(
    batch: &RecordBatch,
    read: &Read,
    lines: &Lines,
    analysis: &A,
) -> Result<Vec<(usize, A::Found)>, ColumnsError> {
    let rows = (0..batch.num_rows()).filter(|row| read.own.is_valid(*row));
    let rows: Vec<_> = rows.collect();
    let text = lines.of_rows(batch, rows.iter().copied());
    let text = text.map_err(ColumnsError::Column)?;
    let mut found = Vec::new();
    for (row, line) in rows.into_iter().zip(text.split(|byte| *byte == b'\n')) {
        let Ok(envelope) = Envelope::parse(line) else {
            continue;
        };
        let event = ResolvedEvent {
            name: envelope.name(),
            time_ms: envelope.time(TimeRange::Year9999).ms(),
            properties: envelope.json_event().properties(),
        };
        found.extend(analysis.read(&event).map(|found| (row, found)));
    }
    Ok(found)
}
