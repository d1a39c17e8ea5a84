//! The answers to the events of a table.

mod now;
mod users;

use arrow_array::{RecordBatch, StringArray};
use arrow_schema::{ArrowError, SchemaRef};
use foldhash::quality::RandomState;
use idmerge_columns::{
    Answers, Layout, Outcomes, Read, Rejected, State, arrive, canonical, parallel,
};
use idmerge_core::{Attribution, EngineError};
use idmerge_engines::Settings;

use crate::arrow::input::Input;
pub(crate) use now::{Failures, answer_now};
use users::Seen;
pub(crate) use users::Users;

/// A table with the answers to its events.
pub(crate) struct Answered {
    pub(crate) schema: SchemaRef,
    pub(crate) batches: Vec<RecordBatch>,
    pub(crate) users: Users,
}

/// Why the events could not be answered.
pub(crate) enum Failed {
    Engine(EngineError),
    Arrow(ArrowError),
}

impl From<EngineError> for Failed {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl From<ArrowError> for Failed {
    fn from(error: ArrowError) -> Self {
        Self::Arrow(error)
    }
}

/// Weighs all claims of a table, and answers its events.
pub(crate) fn answer(
    input: &Input,
    read: &[Read],
    settings: &Settings,
    state: &mut State,
    outcomes: &mut Outcomes,
) -> Result<Answered, Failed> {
    let rule_book = settings.rule_book();
    let layout = Layout::of(&input.schema);
    let schema = layout.schema(&input.schema);
    let key = RandomState::default();
    let finish = |number: usize, canonical: StringArray, rejected: &[Rejected]| {
        let (batch, read) = (&input.batches[number], &read[number]);
        let seen = Seen::new(&key, &read.own, &canonical);
        let answers = Answers::new(rule_book, read, canonical, rejected);
        Ok((layout.batch(batch, &answers, &schema)?, seen))
    };
    let answered: Vec<Result<_, ArrowError>> = match settings.attribution() {
        // No answer depends on another one, once all claims are weighed.
        Attribution::Retroactive => {
            let rejected = read.iter().map(|read| state.fold(&read.claims, outcomes));
            let rejected = rejected.collect::<Result<Vec<_>, _>>()?;
            parallel::map(read.len(), |number| {
                let canonical = canonical(&read[number].own, &*state.engine);
                finish(number, canonical, &rejected[number])
            })
        }
        Attribution::AtArrival => {
            let arrived = read.iter().map(|read| arrive(read, state, outcomes));
            let arrived = arrived.collect::<Result<Vec<_>, _>>()?;
            parallel::map(read.len(), |number| {
                let (canonical, rejected) = &arrived[number];
                finish(number, canonical.clone(), rejected)
            })
        }
    };
    let answered = answered.into_iter().collect::<Result<Vec<_>, _>>()?;
    let (batches, seen): (Vec<_>, Vec<_>) = answered.into_iter().unzip();
    Ok(Answered {
        batches,
        schema,
        users: users::count(&seen),
    })
}
