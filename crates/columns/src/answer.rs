//! The answer to each event of a batch: its canonical distinct_id, and why its claim was rejected.

use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, StringBuilder};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use idmerge_core::{DistinctId, EngineError, Resolve, RuleBook};
use idmerge_engines::Outcomes;

use crate::plain::Plain;
use crate::read::{Read, push_id};
use crate::state::{Rejected, State};

/// The columns of an answer (W-1 to W-4).
const COLUMNS: [(&str, DataType); 6] = [
    ("distinct_id", DataType::Utf8),
    ("$distinct_id_before_identity", DataType::Utf8),
    ("$is_reshuffled", DataType::Boolean),
    ("$identity_failure_reason", DataType::Utf8),
    ("$failure_reason", DataType::Utf8),
    ("$failure_description", DataType::Utf8),
];

/// The answers to the events of a batch, as columns (W-1 to W-4).
#[derive(Debug)]
pub struct Answers([ArrayRef; COLUMNS.len()]);

/// An own ID or a canonical one, which was read before. `None` if the row has none.
pub fn id_in(own: &StringArray, row: usize) -> Option<DistinctId<'_>> {
    let text = own.is_valid(row).then(|| own.value(row))?;
    DistinctId::try_from(text).ok()
}

/// The canonical ID of each ID, now.
pub fn canonical<'a>(own: &'a StringArray, engine: &'a dyn Resolve) -> StringArray {
    let mut canonical: Vec<_> = (0..own.len()).filter_map(|row| id_in(own, row)).collect();
    engine.resolve_batch(&mut canonical);
    let mut canonical = canonical.into_iter();
    let mut texts = StringBuilder::with_capacity(own.len(), own.values().len());
    for row in 0..own.len() {
        // A valid row has an ID, which was read before.
        match own.is_valid(row).then(|| canonical.next()).flatten() {
            Some(id) => push_id(&mut texts, id),
            None => texts.append_null(),
        }
    }
    texts.finish()
}

/// Weighs each claim when its event comes, and attributes the event as of then (L-3). An event's own claim does not
/// change its root (L-4).
///
/// # Errors
///
/// The engine has no room for more IDs.
pub fn arrive(
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
        match id_in(&read.own, row) {
            Some(own) => push_id(&mut texts, state.engine.resolve(own)),
            None => texts.append_null(),
        }
    }
    Ok((texts.finish(), rejected))
}

impl Answers {
    /// The reasons why claims were rejected, in place of those that [`new`](Self::new) was given. Simplified has a
    /// column of its own, which stays.
    #[must_use]
    pub fn with_failures(mut self, code: ArrayRef, description: ArrayRef) -> Self {
        self.0[4] = code;
        self.0[5] = description;
        self
    }

    /// The answers to the events of a batch, from their canonical IDs and the claims that were rejected.
    pub fn new(
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
            Arc::new(texts(is_simplified, |rejected| &rejected.code)),
            Arc::new(texts(!is_simplified, |rejected| &rejected.code)),
            Arc::new(texts(!is_simplified, |rejected| &rejected.description)),
        ])
    }
}

/// Where the columns of the output come from.
#[derive(Debug)]
pub struct Layout(Vec<Source>);

#[derive(Debug)]
enum Source {
    Given(usize),
    Answer(usize),
}

impl Layout {
    /// All columns, in their order. Those of an earlier answer are replaced (IN-5, W-6), and new ones come last.
    pub fn of(schema: &Schema) -> Self {
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

    /// The schema of the batches with the answers.
    pub fn schema(&self, schema: &Schema) -> SchemaRef {
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

    /// The batch with its answers. `schema` is that of [`schema`](Self::schema).
    ///
    /// # Errors
    ///
    /// The batch breaks the format of Arrow, or has another schema.
    pub fn batch(
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
