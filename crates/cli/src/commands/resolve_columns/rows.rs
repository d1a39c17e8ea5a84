//! What is known of the rows of a row group.

use std::hash::Hasher;

use arrow_array::{Array as _, RecordBatch, RecordBatchOptions};
use idmerge_columns::{Claims, Read, chosen};
use idmerge_tables::Group;

use super::tables::RowGroup;
use crate::output::users::UserBatch;

/// What was read of a row group.
#[derive(Default)]
pub(super) struct GroupRead {
    /// The claims of each batch, and how many rows of the group are before it.
    pub(super) claims: Vec<(usize, Claims)>,
    pub(super) refused: Vec<RefusedRow>,
    events: u64,
    with_id: u64,
}

/// A row that is no valid event.
pub(super) struct RefusedRow {
    /// In its group.
    pub(super) row: usize,
    pub(super) rule: &'static str,
    pub(super) error: String,
    /// The row as JSON.
    pub(super) line: Vec<u8>,
}

/// A row group that is answered.
pub(super) struct GroupAnswered {
    pub(super) group: Group,
    pub(super) users: UserBatch,
    pub(super) events: u64,
}

impl GroupRead {
    /// Adds what was read of a batch; `first` rows of the group are before it.
    pub(super) fn add(&mut self, read: &Read, first: usize) {
        let refused = read.refused.iter().map(|refused| RefusedRow {
            row: first + refused.row,
            rule: refused.rule,
            error: refused.error.clone(),
            line: Vec::new(),
        });
        self.refused.extend(refused);
        self.events += (read.own.len() - read.refused.len()) as u64;
        self.with_id += (read.own.len() - read.own.null_count()) as u64;
    }
}

/// The events of a file that can be used.
#[derive(Clone, Debug, Default)]
pub(super) struct Usable {
    pub(super) events: u64,
    pub(super) with_id: u64,
    /// The first refused row, and why it is refused.
    pub(super) first_error: Option<String>,
}

impl Usable {
    pub(super) fn add(&mut self, group: &RowGroup, read: &GroupRead) {
        self.events += read.events;
        self.with_id += read.with_id;
        if let (None, Some(first)) = (&self.first_error, read.refused.first()) {
            let line = group.rows_before + first.row as u64 + 1;
            self.first_error = Some(format!("line {line}: {}", first.error));
        }
    }
}

/// The answers and the claims of a batch depend on nothing else.
pub(super) fn add_to_hash(read: &Read, hasher: &mut impl Hasher) {
    for texts in [&read.own].into_iter().chain(&read.claims.ids) {
        for text in texts {
            hasher.write(text.unwrap_or_default().as_bytes());
            hasher.write_u8(0xff);
        }
    }
}

/// The answered batch without the rows that are refused.
pub(super) fn without_refused(batch: &RecordBatch, read: &Read) -> anyhow::Result<RecordBatch> {
    let mut refused = read.refused.iter().map(|refused| refused.row).peekable();
    let kept = (0..batch.num_rows()).filter(|row| refused.next_if_eq(row).is_none());
    let kept: Vec<_> = kept.collect();
    let columns = batch.columns().iter();
    let columns = columns.map(|column| chosen(column, kept.iter().copied().map(Some)));
    let options = RecordBatchOptions::new().with_row_count(Some(kept.len()));
    let columns = columns.collect::<Result<_, _>>()?;
    Ok(RecordBatch::try_new_with_options(
        batch.schema(),
        columns,
        &options,
    )?)
}
