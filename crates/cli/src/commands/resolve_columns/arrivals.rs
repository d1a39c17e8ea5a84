//! Events that are answered as they come, in one reading.

use arrow_array::{RecordBatch, StringArray};
use idmerge_columns::{Outcomes, Read, Rejected, State, arrive};

use super::each_group::each_group;
use super::rows::{GroupRead, Usable};
use super::tables::RowGroup;
use super::{Run, Written};
use crate::output::refused::{NOTHING_WRITTEN, RefusedWriter};
use crate::stream::ordered::Ordered;
use crate::stream::pipeline::in_turn;

/// What the answers of the next row group depend on.
struct Arriving<'a> {
    state: State,
    outcomes: Outcomes,
    /// Of each file.
    usable: Vec<Usable>,
    refused: &'a mut RefusedWriter,
}

/// A row group with all its rows.
struct WholeGroup {
    read: GroupRead,
    batches: Vec<(RecordBatch, Read)>,
}

/// The canonical IDs of the events of a batch, and the claims that were rejected.
type Arrived = (StringArray, Vec<Rejected>);

impl Run<'_> {
    /// Answers each event by the claims that came before it (L-3).
    pub(super) fn answer_as_they_come(
        &self,
        refused: &mut RefusedWriter,
        written: Written,
    ) -> anyhow::Result<(Written, Outcomes)> {
        self.progress.stage("writing");
        let groups = written.new_groups();
        let arriving = Ordered::new(Arriving {
            state: State::new(self.settings),
            outcomes: Outcomes::default(),
            usable: vec![Usable::default(); self.tables.files.len()],
            refused,
        });
        let written = Ordered::new(written);
        each_group(&self.tables.groups, |number, group| {
            let (arrives, ticket) = (arriving.ticket(number), written.ticket(number));
            let whole = self.read_whole(group)?;
            let mut arrived = None;
            in_turn(arrives, |arriving| {
                arrived = Some(self.arrive(group, &whole, arriving)?);
                Ok(())
            })?;
            let Some(arrived) = arrived else {
                return Ok(());
            };
            let mut to = groups.group()?;
            for ((batch, read), (canonical, rejected)) in whole.batches.iter().zip(arrived) {
                self.answer(batch, read, canonical, &rejected, &mut to)?;
            }
            in_turn(ticket, |written| written.add(to))
        })?;
        let Arriving {
            outcomes,
            usable,
            refused,
            ..
        } = arriving.into_inner();
        self.must_be_usable(&usable)?;
        self.progress.suspended(|| refused.finish())?;
        refused.excess(NOTHING_WRITTEN)?;
        Ok((written.into_inner(), outcomes))
    }

    fn read_whole(&self, group: &RowGroup) -> anyhow::Result<WholeGroup> {
        let (mut of_group, mut batches) = (GroupRead::default(), Vec::new());
        self.tables.visit(group, None, |batch, first| {
            let read = self.read(&self.reader, group, &batch, first)?;
            of_group.add(&read, first);
            batches.push((batch, read));
            Ok(())
        })?;
        self.add_lines(group, &mut of_group.refused)?;
        Ok(WholeGroup {
            read: of_group,
            batches,
        })
    }

    fn arrive(
        &self,
        group: &RowGroup,
        whole: &WholeGroup,
        to: &mut Arriving<'_>,
    ) -> anyhow::Result<Vec<Arrived>> {
        let mut arrived = Vec::new();
        for (_, read) in &whole.batches {
            arrived.push(arrive(read, &mut to.state, &mut to.outcomes)?);
        }
        to.usable[group.file].add(group, &whole.read);
        self.refuse(group, &whole.read.refused, to.refused)?;
        Ok(arrived)
    }
}
