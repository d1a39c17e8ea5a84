//! The second reading: events are answered by the claims that were weighed.

use std::hash::Hasher as _;

use anyhow::Context;
use idmerge_columns::{Outcomes, Rejected, canonical};
use idmerge_core::Resolve;
use twox_hash::XxHash3_64;

use super::each_group::each_group;
use super::rows::{GroupAnswered, add_to_hash};
use super::tables::RowGroup;
use super::weighing::Weighed;
use super::{Run, Written};
use crate::spill::TEMPORARY;
use crate::spill::rejections::BlockRejections;
use crate::stream::input::InputChanged;
use crate::stream::ordered::Ordered;
use crate::stream::pipeline::in_turn;

impl Run<'_> {
    pub(super) fn answer_all(
        &self,
        weighed: Weighed,
        written: Written,
    ) -> anyhow::Result<(Written, Outcomes)> {
        let Weighed {
            state,
            outcomes,
            rejections,
            hashes,
        } = weighed;
        self.progress.stage("writing");
        let groups = written.new_groups();
        let (rejections, written) = (Ordered::new(rejections), Ordered::new(written));
        each_group(&self.tables.groups, |number, group| {
            let (kept, ticket) = (rejections.ticket(number), written.ticket(number));
            let mut rejected = None;
            in_turn(kept, |rejections| {
                rejected = Some(rejections.read_block(number).context(TEMPORARY)?);
                Ok(())
            })?;
            let Some(rejected) = rejected else {
                return Ok(());
            };
            let to = groups.group()?;
            let (answered, hash) = self.answer_group(group, &*state.engine, &rejected, to)?;
            if usize::try_from(number)
                .ok()
                .and_then(|number| hashes.get(number))
                != Some(&hash)
            {
                return Err(InputChanged::content(self.tables.name(group)).into());
            }
            in_turn(ticket, |written| written.add(answered))
        })?;
        Ok((written.into_inner(), outcomes))
    }

    fn answer_group(
        &self,
        group: &RowGroup,
        engine: &dyn Resolve,
        rejections: &BlockRejections,
        mut to: GroupAnswered,
    ) -> anyhow::Result<(GroupAnswered, u64)> {
        let mut hasher = XxHash3_64::new();
        let mut rejections = rejections.iter().peekable();
        self.tables.visit(group, None, |batch, first| {
            let read = self.read(&self.reader, group, &batch, first)?;
            add_to_hash(&read, &mut hasher);
            let mut rejected = Vec::new();
            for (claim, row) in read.claims.rows.iter().enumerate() {
                if let Some(rejection) = rejections.next_if(|next| next.event == first + row) {
                    rejected.push(Rejected {
                        claim,
                        code: rejection.code.to_owned().into(),
                        description: rejection.description.to_owned(),
                    });
                }
            }
            let canonical = canonical(&read.own, engine);
            self.answer(&batch, &read, canonical, &rejected, &mut to)
        })?;
        Ok((to, hasher.finish()))
    }
}
