//! The kinds of cases, and what settles each.

use crate::conflicts::line::ConflictKind;
use crate::people::ids::Number;

/// A case: its kind, and the ID that it is about. For a cluster that is its first member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Case {
    pub(super) kind: ConflictKind,
    pub(super) id: Number,
}

impl ConflictKind {
    /// The rule that decided the case.
    pub(super) fn rule(self) -> &'static str {
        match self {
            Self::TwoUsers => "M-9",
            Self::Anonymous => "M-8",
            Self::DeviceIsUser => "M-10",
            Self::Contradicted => "M-6",
            Self::Profile => "M-16",
            Self::OverCap | Self::NonUuid | Self::RefusedAlias | Self::Loop => "M-5",
            Self::Changed => "M-22",
        }
    }

    pub(super) fn is_about_a_cluster(self) -> bool {
        matches!(self, Self::TwoUsers | Self::Anonymous)
    }

    pub(super) fn what_would_settle_it(self) -> &'static str {
        match self {
            Self::TwoUsers => {
                "Decide which of the users is the person. If one of them is not a user, name it in \
                 --not-users FILE. If all are one person, --on-conflict oldest --rewrite-users gives the \
                 events of the others to one of them; live traffic under the other IDs must stop."
            }
            Self::Anonymous => {
                "An event with one of these IDs as $device_id and the person's $user_id links it. If one \
                 of the IDs is a user, name its form with --user-id REGEX. A mapping file (--mapping) \
                 that names the user settles it too."
            }
            Self::DeviceIsUser => {
                "If the ID is a device, name it in --not-users FILE. If it is a user, the sender should \
                 not send it as $device_id, and should call reset() when a user logs out."
            }
            Self::Contradicted => {
                "The device stays with the user in chosen, who had it first. If it is the other user's \
                 device, withdraw the evidence in the source. A shared device needs a call of reset() \
                 when a user logs out."
            }
            Self::Profile => {
                "Compare the two profiles in the source, and set the properties that are right on the \
                 user in chosen."
            }
            Self::OverCap => {
                "--source-rules beyond-limits takes the claims that the limit of the source turned down."
            }
            Self::NonUuid => {
                "--source-rules beyond-limits takes the claims whose anonymous ID is not a UUID."
            }
            Self::RefusedAlias => {
                "The alias belongs to the ID of its first $create_alias. If that was a mistake, name the \
                 right ID in a mapping file (--mapping)."
            }
            Self::Loop => {
                "The line names one ID twice. An export can replace the other ID by it. A mapping file \
                 (--mapping) that has both IDs settles it."
            }
            Self::Changed => {
                "The target keeps the first link and the first role of an ID. To change them, migrate into \
                 a new project, with an empty folder."
            }
        }
    }
}
