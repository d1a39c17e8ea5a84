//! The answers of a state that stays as it is.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use foldhash::quality::RandomState;
use idmerge_columns::{Answers, Layout, Plain, Read, Rejected, canonical, parallel};
use idmerge_core::{Resolve, RuleBook};
use idmerge_engines::Settings;
use pyo3::prelude::*;

use super::users::{self, Seen};
use super::{Answered, Failed};
use crate::arrow::input::Input;
use crate::errors::{broken_stream, column_error};

/// Columns of the events that say why claims were rejected when they were weighed: the code and the description.
pub(crate) struct Failures([usize; 2]);

impl Failures {
    pub(crate) fn new(names: &(String, String), input: &Input) -> PyResult<Self> {
        let place = |name: &str| {
            input.column(name).ok_or_else(|| {
                column_error(format!(
                    "failures names the column {name}, which is not there: join the failures of Engine.fold to the events"
                ))
            })
        };
        Ok(Self([place(&names.0)?, place(&names.1)?]))
    }

    /// The reasons of the events of a batch that make claims.
    fn texts(&self, batch: &RecordBatch, read: &Read) -> PyResult<[ArrayRef; 2]> {
        let mut texts: [ArrayRef; 2] = [0, 1].map(|_| Arc::new(StringArray::new_null(0)) as _);
        for (texts, place) in texts.iter_mut().zip(self.0) {
            let column = Plain::Input
                .array(batch.column(place))
                .map_err(|error| broken_stream(&error))?;
            let Some(given) = column.as_string_opt::<i32>() else {
                return Err(column_error(format!(
                    "a column of failures is {}, but reasons are text",
                    column.data_type()
                )));
            };
            let mut kept = StringBuilder::new();
            let mut claimants = read.claims.rows.iter().peekable();
            for row in 0..given.len() {
                let makes_claim = claimants.next_if(|claimant| **claimant == row).is_some();
                let text = (makes_claim && given.is_valid(row)).then(|| given.value(row));
                kept.append_option(text);
            }
            *texts = Arc::new(kept.finish());
        }
        Ok(texts)
    }
}

/// Answers the events of a table as of now. Their claims are not weighed.
pub(crate) fn answer_now(
    input: &Input,
    read: &[Read],
    settings: &Settings,
    engine: &dyn Resolve,
    failures: Option<&Failures>,
) -> PyResult<Result<Answered, Failed>> {
    let rule_book = settings.rule_book();
    let layout = Layout::of(&input.schema);
    let schema = layout.schema(&input.schema);
    let key = RandomState::default();
    let answered = parallel::map(read.len(), |number| {
        let (batch, read) = (&input.batches[number], &read[number]);
        let canonical = canonical(&read.own, engine);
        let seen = Seen::new(&key, &read.own, &canonical);
        let rejected = rejected_by_state(read, settings, engine);
        let mut answers = Answers::new(rule_book, read, canonical, &rejected);
        if let Some(failures) = failures
            && rule_book != RuleBook::Simplified
        {
            let [code, description] = failures.texts(batch, read)?;
            answers = answers.with_failures(code, description);
        }
        let answered = layout.batch(batch, &answers, &schema);
        Ok(answered.map(|batch| (batch, seen)))
    });
    let answered = answered.into_iter().collect::<PyResult<Vec<_>>>()?;
    let answered: Result<(Vec<_>, Vec<_>), _> = answered.into_iter().collect();
    Ok(answered
        .map_err(Failed::from)
        .map(|(batches, seen)| Answered {
            schema,
            batches,
            users: users::count(&seen),
        }))
}

/// The claims of a batch that a state rejects for ever.
fn rejected_by_state(read: &Read, settings: &Settings, engine: &dyn Resolve) -> Vec<Rejected> {
    let claims = 0..read.claims.len();
    let rejected = claims.filter_map(|claim| {
        let rejection = settings.rejection_by_state(engine, read.claims.get(claim)?)?;
        Some(Rejected::of(claim, &rejection))
    });
    rejected.collect()
}
