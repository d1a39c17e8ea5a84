//! [`Fingerprint`]: the fields in which a duplicate equals an event, and the kind of sender.

use crate::write::batch::Sender;

/// The bits of a fingerprint that depend on the sender too. Filters do not use them, so that the same
/// event from another sender has the same place in a filter. Earlier versions stored the hash itself,
/// which is the fingerprint of an event from anybody.
const SENDER_SHIFT: u32 = 60;

/// The fingerprint of an event that can have duplicates.
#[derive(Clone, Copy)]
pub(crate) struct Fingerprint {
    pub(crate) fields: u128,
    pub(crate) sender: Sender,
    pub(crate) is_merge: bool,
}

impl Fingerprint {
    /// From the hash of the fields in which a duplicate equals the event.
    pub(crate) fn new(fields: u128, sender: Sender, is_merge: bool) -> Self {
        // To send an event other than a `$merge`, the token is enough.
        let sender = match sender {
            Sender::TokenOnly if !is_merge => Sender::Anybody,
            sender => sender,
        };
        Self {
            fields,
            sender,
            is_merge,
        }
    }

    /// The fingerprint in the index of the same event from a sender.
    pub(crate) fn sent_by(self, sender: Sender) -> u128 {
        self.fields ^ (sender as u128) << SENDER_SHIFT
    }

    /// The senders of such an event, from the best known to the least.
    pub(crate) fn senders(self) -> &'static [Sender] {
        if self.is_merge {
            &[Sender::Credential, Sender::TokenOnly, Sender::Anybody]
        } else {
            &[Sender::Credential, Sender::Anybody]
        }
    }
}
