//! Rule M-22: what an earlier migration has written is in the target already.

use idmerge_core::{Claim, DistinctId};
use idmerge_engines::Model;
use idmerge_events::JsonEvent;

use crate::people::gathering::{GatherError, Gathering};
use crate::people::ids::{Mark, Number};

impl Gathering {
    /// Takes a line of the links or the events that an earlier migration wrote: the target has its IDs in
    /// these roles, and keeps its link. A line that is not an event is passed over. Call it after all
    /// lines of the input, links first.
    ///
    /// # Errors
    ///
    /// There are too many IDs.
    pub fn add_earlier(&mut self, line: &[u8]) -> Result<(), GatherError> {
        let Ok(event) = JsonEvent::parse(line) else {
            return Ok(());
        };
        let target = &self.options.target;
        let Ok(reading) = target.read(&event.event()) else {
            return Ok(());
        };
        if target.model() == Model::Original {
            return self.add_earlier_claim(reading.claim);
        }
        if let Some(own) = reading.distinct_id {
            self.note_earlier(own)?;
        }
        if let Some(Claim::Link { device, user }) = reading.claim {
            let device = self.note_earlier(DistinctId::device(device))?;
            let user = self.note_earlier(DistinctId::plain(user))?;
            // The first link of a device stays (S-7).
            if self.ids.mark(device, Mark::LinkedEarlier) {
                self.ids.row_mut(device).first_user = user;
            }
        }
        Ok(())
    }

    /// M-23: a claim joins a member to the head of its cluster, which it names first.
    fn add_earlier_claim(&mut self, claim: Option<Claim<'_>>) -> Result<(), GatherError> {
        if let Some(claim) = claim {
            let [head, member] = claim.ids();
            let head = self.ids.enter(head.id())?;
            let member = self.ids.enter(member.id())?;
            self.ids.mark(head, Mark::HeadEarlier);
            self.ids.mark(member, Mark::LinkedEarlier);
        }
        Ok(())
    }

    fn note_earlier(&mut self, id: DistinctId<'_>) -> Result<Number, GatherError> {
        let number = self.ids.enter(id.id())?;
        let mark = match id.is_device() {
            true => Mark::DeviceEarlier,
            false => Mark::UserEarlier,
        };
        self.ids.mark(number, mark);
        Ok(number)
    }
}
