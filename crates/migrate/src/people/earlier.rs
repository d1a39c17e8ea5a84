//! Rule M-22: what an earlier migration has written is in the target already.

use idmerge_core::{Claim, DistinctId};
use idmerge_engines::Model;
use idmerge_events::JsonEvent;

use crate::people::gathering::{GatherError, Gathering};
use crate::people::ids::{Mark, Number};

impl Gathering {
    /// Takes a line of the links that an earlier migration wrote, which stay. Call it after all lines of
    /// the input, and before the earlier events. A line that is not an event is passed over.
    ///
    /// # Errors
    ///
    /// There are too many IDs.
    pub fn add_earlier_link(&mut self, line: &[u8]) -> Result<(), GatherError> {
        if let Some(linked) = self.add_earlier(line)? {
            self.ids.mark(linked, Mark::HasLink);
        }
        Ok(())
    }

    /// Takes a line of the events that an earlier migration wrote. Call it after the earlier links. A line
    /// that is not an event is passed over.
    ///
    /// # Errors
    ///
    /// There are too many IDs.
    pub fn add_earlier_event(&mut self, line: &[u8]) -> Result<(), GatherError> {
        self.add_earlier(line).map(|_linked| ())
    }

    /// The target has the IDs of the line in these roles, and keeps its link. Returns the ID that the line
    /// links.
    fn add_earlier(&mut self, line: &[u8]) -> Result<Option<Number>, GatherError> {
        let Ok(event) = JsonEvent::parse(line) else {
            return Ok(None);
        };
        let target = &self.options.target;
        let Ok(reading) = target.read(&event.event()) else {
            return Ok(None);
        };
        if target.model() == Model::Original {
            return self.add_earlier_claim(reading.claim);
        }
        if let Some(own) = reading.distinct_id {
            self.note_earlier(own)?;
        }
        let Some(Claim::Link { device, user }) = reading.claim else {
            return Ok(None);
        };
        let device = self.note_earlier(DistinctId::device(device))?;
        let user = self.note_earlier(DistinctId::plain(user))?;
        // The first link of a device stays (S-7).
        if self.ids.mark(device, Mark::LinkedEarlier) {
            self.ids.row_mut(device).first_user = user;
        }
        Ok(Some(device))
    }

    /// M-23: a claim joins a member to the head of its cluster, which it names first.
    fn add_earlier_claim(
        &mut self,
        claim: Option<Claim<'_>>,
    ) -> Result<Option<Number>, GatherError> {
        let Some(claim) = claim else {
            return Ok(None);
        };
        let [head, member] = claim.ids();
        let head = self.ids.enter(head.id())?;
        self.ids.mark(head, Mark::HeadEarlier);
        Ok(Some(self.ids.enter(member.id())?))
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
