//! The Parquet files that `resolve` reads by their columns.

use anyhow::Context;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use idmerge_columns::{Values, place_of, properties};
use idmerge_tables::TableFile;

use crate::stream::input::Input;

/// Files that have the same columns.
pub(super) struct Tables<'i> {
    pub(super) files: Vec<TableInput<'i>>,
    pub(super) groups: Vec<RowGroup>,
    pub(super) schema: SchemaRef,
}

/// A file is opened when it is read: there may be more files than a process may hold open.
pub(super) struct TableInput<'i> {
    pub(super) input: &'i Input,
    table: TableFile,
}

/// A row group of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowGroup {
    pub(super) file: usize,
    number: usize,
    /// How many rows of its file come before it.
    pub(super) rows_before: u64,
    pub(super) rows: u64,
}

impl<'i> Tables<'i> {
    /// `None` if an input is something else, or has other columns than the first.
    ///
    /// # Errors
    ///
    /// A file cannot be read.
    pub(super) fn open(inputs: &'i [Input]) -> anyhow::Result<Option<Self>> {
        let (mut files, mut groups): (Vec<TableInput<'_>>, _) = (Vec::new(), Vec::new());
        for (file, input) in inputs.iter().enumerate() {
            let Some(open) = input.open_table()? else {
                return Ok(None);
            };
            let table =
                TableFile::open(open).with_context(|| format!("cannot read {}", input.name))?;
            if files
                .iter()
                .any(|first| first.table.schema() != table.schema())
            {
                return Ok(None);
            }
            let mut rows_before = 0;
            for (number, rows) in table.group_rows().enumerate() {
                groups.push(RowGroup {
                    file,
                    number,
                    rows_before,
                    rows,
                });
                rows_before += rows;
            }
            files.push(TableInput { input, table });
        }
        let schema = files.first().map(|file| file.table.schema().clone());
        Ok(schema.map(|schema| Self {
            files,
            groups,
            schema,
        }))
    }

    pub(super) fn rows(&self) -> u64 {
        self.groups.iter().map(|group| group.rows).sum()
    }

    /// The name of the input of a row group.
    pub(super) fn name(&self, group: &RowGroup) -> &str {
        &self.files[group.file].input.name
    }

    /// The places of the columns that events are read from.
    pub(super) fn read_places(&self) -> Vec<usize> {
        let mut places: Vec<_> = properties()
            .filter_map(|name| place_of(&self.schema, name))
            .collect();
        places.sort_unstable();
        places
    }

    /// Calls `visit` with each batch of a row group, and the number of the rows of the group before it.
    pub(super) fn visit(
        &self,
        group: &RowGroup,
        places: Option<&[usize]>,
        mut visit: impl FnMut(RecordBatch, usize) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let failed = || format!("cannot read {}", self.name(group));
        let TableInput { input, table } = &self.files[group.file];
        let file = input.reopen_table()?;
        let batches = table.batches(file, group.number, places);
        let batches = batches.with_context(failed)?;
        let mut rows = 0;
        for batch in batches {
            let batch = batch.with_context(failed)?;
            let first = rows;
            rows += batch.num_rows();
            visit(batch, first)?;
        }
        Ok(())
    }

    /// Checks that no file has changed since it was found.
    pub(super) fn check_unchanged(&self) -> anyhow::Result<()> {
        let mut files = self.files.iter();
        files.try_for_each(|file| file.input.reopen_table().map(drop))
    }
}

/// What the files say about the columns of a schema, which are some of theirs.
pub(super) struct Known<'t> {
    pub(super) schema: &'t SchemaRef,
    pub(super) tables: &'t Tables<'t>,
}

impl Known<'_> {
    fn is_null(&self, path: &[&str]) -> bool {
        let mut files = self.tables.files.iter();
        files.all(|file| file.table.is_null(path))
    }

    fn name(&self, column: usize) -> &str {
        self.schema.fields()[column].name()
    }
}

impl Values for Known<'_> {
    fn is_empty(&self, column: usize) -> bool {
        self.is_null(&[self.name(column)])
    }

    fn is_member_empty(&self, column: usize, member: &str) -> bool {
        self.is_null(&[self.name(column), member])
    }
}
