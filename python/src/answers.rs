//! The answer to each event of a table: its canonical distinct_id, and why its claim was rejected.

mod now;
mod users;

use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, StringBuilder};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use foldhash::quality::RandomState;
use idmerge_core::{Attribution, DistinctId, EngineError, Resolve, RuleBook};
use idmerge_engines::Settings;

use crate::arrow::input::Input;
use crate::arrow::plain::Plain;
use crate::parallel;
use crate::reading::{Read, push_id};
use crate::state::{Outcomes, Rejected, State};
pub(crate) use now::{Failures, answer_now};
use users::Seen;
pub(crate) use users::Users;

/// The columns of an answer (W-1 to W-4).
const COLUMNS: [(&str, DataType); 6] = [
    ("distinct_id", DataType::Utf8),
    ("$distinct_id_before_identity", DataType::Utf8),
    ("$is_reshuffled", DataType::Boolean),
    ("$identity_failure_reason", DataType::Utf8),
    ("$failure_reason", DataType::Utf8),
    ("$failure_description", DataType::Utf8),
];

/// The answers to the events of a batch: the columns of [`COLUMNS`].
struct Answers([ArrayRef; COLUMNS.len()]);

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

/// An own ID, which was read before.
fn id(own: &StringArray, row: usize) -> Option<DistinctId<'_>> {
    let text = own.is_valid(row).then(|| own.value(row))?;
    DistinctId::try_from(text).ok()
}

/// The canonical ID of each ID, now.
pub(crate) fn canonical<'a>(own: &'a StringArray, engine: &'a dyn Resolve) -> StringArray {
    let mut canonical: Vec<_> = (0..own.len()).filter_map(|row| id(own, row)).collect();
    engine.resolve_batch(&mut canonical);
    let mut canonical = canonical.into_iter();
    let mut texts = StringBuilder::with_capacity(own.len(), own.values().len());
    for row in 0..own.len() {
        match id(own, row).and_then(|_| canonical.next()) {
            Some(id) => push_id(&mut texts, id),
            None => texts.append_null(),
        }
    }
    texts.finish()
}

/// Weighs each claim when its event comes, and attributes the event as of then (L-3). An event's own claim does not
/// change its root (L-4).
fn arrive(
    read: &Read,
    state: &mut State,
    outcomes: &mut Outcomes,
) -> Result<(StringArray, Vec<Rejected>), EngineError> {
    let mut texts = StringBuilder::with_capacity(read.own.len(), read.own.values().len());
    let mut rejected = Vec::new();
    let mut claims = read.claims.rows.iter().enumerate().peekable();
    for row in 0..read.own.len() {
        if let Some((claim, _)) = claims.next_if(|(_, claimant)| **claimant == row) {
            rejected.extend(state.fold_one(&read.claims, claim, outcomes)?);
        }
        match id(&read.own, row) {
            Some(own) => push_id(&mut texts, state.engine.resolve(own)),
            None => texts.append_null(),
        }
    }
    Ok((texts.finish(), rejected))
}

impl Answers {
    fn new(
        rule_book: RuleBook,
        read: &Read,
        canonical: StringArray,
        rejected: &[Rejected],
    ) -> Self {
        let rows = read.own.len();
        let (mut before, mut is_reshuffled) = (StringBuilder::new(), BooleanBuilder::new());
        for row in 0..rows {
            let own = read.own.is_valid(row).then(|| read.own.value(row));
            let own = own.filter(|own| *own != canonical.value(row));
            before.append_option(own);
            // In Legacy no event was moved (W-2).
            let is_moved = own.is_some() && rule_book != RuleBook::Legacy;
            is_reshuffled.append_option(is_moved.then_some(true));
        }
        let at = |rejected: &Rejected| read.claims.rows[rejected.claim];
        let texts = |is_written: bool, text: fn(&Rejected) -> &str| {
            if !is_written || rejected.is_empty() {
                return StringArray::new_null(rows);
            }
            let mut texts = StringBuilder::new();
            let mut rejected = rejected.iter().peekable();
            for row in 0..rows {
                let rejected = rejected.next_if(|rejected| at(rejected) == row);
                texts.append_option(rejected.map(text));
            }
            texts.finish()
        };
        let is_simplified = rule_book == RuleBook::Simplified;
        Self([
            Arc::new(canonical),
            Arc::new(before.finish()),
            Arc::new(is_reshuffled.finish()),
            Arc::new(texts(is_simplified, |rejected| rejected.code)),
            Arc::new(texts(!is_simplified, |rejected| rejected.code)),
            Arc::new(texts(!is_simplified, |rejected| &rejected.description)),
        ])
    }
}

/// Where the columns of the output come from.
struct Layout(Vec<Source>);

enum Source {
    Given(usize),
    Answer(usize),
}

impl Layout {
    /// All columns, in their order. Those of an earlier answer are replaced (IN-5, W-6), and new ones come last.
    fn of(schema: &Schema) -> Self {
        let of_answer = |name: &str| COLUMNS.iter().position(|(column, _)| *column == name);
        let mut sources = Vec::new();
        let mut is_placed = [false; COLUMNS.len()];
        for (place, field) in schema.fields().iter().enumerate() {
            match of_answer(field.name()) {
                Some(answer) if is_placed[answer] => {}
                Some(answer) => {
                    is_placed[answer] = true;
                    sources.push(Source::Answer(answer));
                }
                None if idmerge_events::is_answer(field.name().as_bytes()) => {}
                None => sources.push(Source::Given(place)),
            }
        }
        let new = (0..COLUMNS.len()).filter(|answer| !is_placed[*answer]);
        sources.extend(new.map(Source::Answer));
        Self(sources)
    }

    fn schema(&self, schema: &Schema) -> SchemaRef {
        let fields = self.0.iter().map(|source| match source {
            Source::Given(place) => Plain::Output.field(&schema.fields()[*place]),
            Source::Answer(answer) => {
                let (name, kind) = &COLUMNS[*answer];
                Arc::new(Field::new(*name, kind.clone(), true))
            }
        });
        // The metadata of pandas and others describes columns as they were.
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    fn batch(
        &self,
        batch: &RecordBatch,
        answers: &Answers,
        schema: &SchemaRef,
    ) -> Result<RecordBatch, ArrowError> {
        let columns = self.0.iter().map(|source| match source {
            Source::Given(place) => Plain::Output.array(batch.column(*place)),
            Source::Answer(answer) => Ok(answers.0[*answer].clone()),
        });
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let columns = columns.collect::<Result<_, _>>()?;
        RecordBatch::try_new_with_options(schema.clone(), columns, &options)
    }
}
