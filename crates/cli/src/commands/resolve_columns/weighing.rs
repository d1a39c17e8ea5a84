//! The first reading: the claims of all events are weighed.

use std::hash::Hasher as _;
use std::sync::Arc;

use anyhow::Context;
use arrow_schema::{Schema, SchemaRef};
use idmerge_columns::{Outcomes, Reader, State};
use twox_hash::XxHash3_64;

use super::each_group::each_group;
use super::rows::{GroupRead, Usable, add_to_hash};
use super::tables::{Known, RowGroup};
use super::{Run, reader};
use crate::output::refused::{NOTHING_WRITTEN, RefusedWriter};
use crate::spill::TEMPORARY;
use crate::spill::rejections::{RejectionsReader, RejectionsWriter};
use crate::stream::ordered::Ordered;
use crate::stream::pipeline::in_turn;

/// The results of the first reading, for the second.
pub(super) struct Weighed {
    pub(super) state: State,
    pub(super) outcomes: Outcomes,
    pub(super) rejections: RejectionsReader,
    /// Of each row group.
    pub(super) hashes: Vec<u64>,
}

/// What the next row group depends on.
struct Weighing<'w> {
    state: State,
    outcomes: Outcomes,
    rejections: RejectionsWriter,
    hashes: Vec<u64>,
    /// Of each file.
    usable: Vec<Usable>,
    refused: &'w mut RefusedWriter,
}

impl Run<'_> {
    pub(super) fn weigh(&self, refused: &mut RefusedWriter) -> anyhow::Result<Weighed> {
        let tables = self.tables;
        self.progress.stage("reading");
        let places = tables.read_places();
        let fields = places
            .iter()
            .map(|place| tables.schema.field(*place).clone());
        let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let schema = &schema;
        let reader = reader(self.settings, &Known { schema, tables })?;
        let weighing = Ordered::new(Weighing {
            state: State::new(self.settings),
            outcomes: Outcomes::default(),
            rejections: RejectionsWriter::new(),
            hashes: Vec::new(),
            usable: vec![Usable::default(); tables.files.len()],
            refused,
        });
        each_group(&tables.groups, |number, group| {
            let ticket = weighing.ticket(number);
            let (read, hash) = self.read_group(group, &reader, &places)?;
            in_turn(ticket, |weighing| {
                weighing.hashes.push(hash);
                self.weigh_group(number, group, &read, weighing)
            })
        })?;
        let Weighing {
            state,
            outcomes,
            rejections,
            hashes,
            usable,
            refused,
        } = weighing.into_inner();
        self.must_be_usable(&usable)?;
        // Before anything is written.
        tables.check_unchanged()?;
        self.progress.suspended(|| refused.finish())?;
        refused.excess(NOTHING_WRITTEN)?;
        Ok(Weighed {
            state,
            outcomes,
            rejections: rejections.read().context(TEMPORARY)?,
            hashes,
        })
    }

    /// Reads the rows of a group from the columns that decide the answers.
    fn read_group(
        &self,
        group: &RowGroup,
        reader: &Reader<'_>,
        places: &[usize],
    ) -> anyhow::Result<(GroupRead, u64)> {
        let mut hasher = XxHash3_64::new();
        let mut of_group = GroupRead::default();
        self.tables.visit(group, Some(places), |batch, first| {
            let read = self.read(reader, group, &batch, first)?;
            add_to_hash(&read, &mut hasher);
            of_group.add(&read, first);
            of_group.claims.push((first, read.claims));
            self.progress.advance(batch.num_rows() as u64);
            Ok(())
        })?;
        self.add_lines(group, &mut of_group.refused)?;
        Ok((of_group, hasher.finish()))
    }

    fn weigh_group(
        &self,
        number: u64,
        group: &RowGroup,
        read: &GroupRead,
        to: &mut Weighing<'_>,
    ) -> anyhow::Result<()> {
        for (first, claims) in &read.claims {
            for rejected in to.state.fold(claims, &mut to.outcomes)? {
                let row = first + claims.rows[rejected.claim];
                let (code, description) = (&rejected.code, &rejected.description);
                let added = to.rejections.add_text(number, row, code, description);
                added.context(TEMPORARY)?;
            }
        }
        to.usable[group.file].add(group, read);
        self.refuse(group, &read.refused, to.refused)
    }
}
