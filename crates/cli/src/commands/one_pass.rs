//! The output of a `resolve` that reads its input once, and writes as it goes.

use crate::output::destination::Output;
use crate::output::refused::{NOTHING_WRITTEN, RefusedWriter};
use crate::output::summary::{Outcomes, Refused, Summary};
use crate::output::users::UserCount;
use crate::stream::block::Block;
use crate::stream::pipeline::Sink;

/// Counts of the output so far.
pub(crate) struct Written {
    output: Output,
    pub(crate) refused: RefusedWriter,
    is_all_or_nothing: bool,
    pub(crate) events: u64,
    pub(crate) outcomes: Outcomes,
}

impl Sink for Written {}

impl Written {
    /// Nothing is written yet. If the output is all or nothing, it is held until everything has been
    /// read.
    pub(crate) fn new(output: Output, refused: RefusedWriter, is_all_or_nothing: bool) -> Self {
        Self {
            output,
            refused,
            is_all_or_nothing,
            events: 0,
            outcomes: Outcomes::default(),
        }
    }

    /// Writes the lines of a block. Those of an input are held until one of its events has an ID, because
    /// an input without such an event may turn out to be unusable (IN-6).
    pub(crate) fn write(
        &mut self,
        lines: &[u8],
        block: &Block,
        with_id: u64,
    ) -> anyhow::Result<()> {
        if block.starts_input {
            self.output.hold();
        }
        if with_id > 0 && !self.is_all_or_nothing {
            self.output.release()?;
        }
        self.output.write(lines)
    }

    /// Finishes the output. There is none if too many lines were refused.
    pub(crate) fn finish(mut self, users: UserCount) -> anyhow::Result<Summary> {
        let refused = Refused::of(&self.refused);
        self.refused.finish()?;
        self.refused.excess(NOTHING_WRITTEN)?;
        self.output.finish()?;
        Ok(Summary {
            events: self.events,
            users,
            outcomes: self.outcomes,
            refused,
            adapted: None,
            is_of_now: false,
        })
    }
}
