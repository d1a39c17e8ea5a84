//! Events that are answered as they come.

use arrow_array::RecordBatch;
use idmerge_columns::{Outcomes, Read, State, arrive, parallel};

use super::rows::{GroupRead, Usable};
use super::tables::RowGroup;
use super::{Run, Written, new_group, windows};
use crate::output::refused::{NOTHING_WRITTEN, RefusedWriter};

impl Run<'_> {
    /// Answers each event by the claims that came before it (L-3).
    pub(super) fn answer_as_they_come(
        &self,
        refused: &mut RefusedWriter,
        written: &mut Written,
    ) -> anyhow::Result<Outcomes> {
        let tables = self.tables;
        self.progress.stage("writing");
        let mut state = State::new(self.settings);
        let mut outcomes = Outcomes::default();
        let mut usable = vec![Usable::default(); tables.files.len()];
        for (_, window) in windows(&tables.groups) {
            let read = parallel::map(window.len(), |number| self.read_whole(&window[number]));
            let mut arrived = Vec::new();
            for (group, read) in window.iter().zip(read) {
                let (of_group, batches) = read?;
                let answers = batches.iter();
                let answers = answers.map(|(_, read)| arrive(read, &mut state, &mut outcomes));
                let answers = answers.collect::<Result<Vec<_>, _>>()?;
                self.refuse(group, &of_group.refused, refused)?;
                usable[group.file].add(group, &of_group);
                arrived.push((batches, answers));
            }
            let (encoder, users) = (written.file.encoder(), &written.users);
            let answered = parallel::map(arrived.len(), |number| {
                let mut to = new_group(&encoder, users)?;
                let (batches, answers) = &arrived[number];
                for ((batch, read), (canonical, rejected)) in batches.iter().zip(answers) {
                    self.answer(batch, read, canonical.clone(), rejected, &mut to)?;
                }
                anyhow::Ok(to)
            });
            for answered in answered {
                written.add(answered?)?;
            }
        }
        self.must_be_usable(&usable)?;
        self.progress.suspended(|| refused.finish())?;
        refused.excess(NOTHING_WRITTEN)?;
        Ok(outcomes)
    }

    /// Reads a row group and keeps its rows.
    fn read_whole(
        &self,
        group: &RowGroup,
    ) -> anyhow::Result<(GroupRead, Vec<(RecordBatch, Read)>)> {
        let (mut of_group, mut batches) = (GroupRead::default(), Vec::new());
        self.tables.visit(group, None, |batch, first| {
            let read = self.read(&self.reader, group, &batch, first)?;
            of_group.add(&read, first);
            batches.push((batch, read));
            Ok(())
        })?;
        self.add_lines(group, &mut of_group.refused)?;
        Ok((of_group, batches))
    }
}
