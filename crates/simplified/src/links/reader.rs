//! [`LinksReader`]: rule S-9 on other threads, while claims are applied.

use idmerge_core::{ConcurrentReader, DistinctId};
use idmerge_state::{IdReader, pin};

/// Resolves IDs while another thread links devices.
///
/// A device is linked once, and its user never changes (S-7). So it is enough to see the link or not to see it: a link
/// becomes visible by one store of the hash table, after the user and the device have been stored.
#[derive(Debug)]
pub(super) struct LinksReader {
    pub(super) devices: IdReader,
    pub(super) users: IdReader,
}

impl ConcurrentReader for LinksReader {
    fn resolve(&self, id: &DistinctId<'_>, canonical: &mut dyn FnMut(&DistinctId<'_>)) {
        // S-9
        if !id.is_device() {
            return canonical(id);
        }
        let pin = pin();
        let Some(device) = self.devices.look(&pin, |devices| devices.find(id.id())) else {
            return canonical(id);
        };
        let user = self.users.look(&pin, |users| users.id(device.owner));
        canonical(&DistinctId::plain(user));
    }
}
