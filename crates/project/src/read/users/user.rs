//! [`User`]: a user, as a list shows it.

use super::device::Device;

/// A user, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The canonical ID.
    pub distinct_id: String,
    /// The name in the profile.
    pub name: Option<String>,
    /// The e-mail address in the profile.
    pub email: Option<String>,
    /// Whether somebody is known; if not, the user is a device on which nobody has logged in.
    pub has_user_id: bool,
    /// How many IDs the user has.
    pub ids: usize,
    /// How many events are stored under all IDs. `None` if the user has more IDs than are counted (10,000).
    pub events: Option<u64>,
    /// The time of the event that arrived first, in milliseconds since 1970. `None` as for
    /// [`events`](Self::events), and if there is no event.
    pub first_seen_ms: Option<i64>,
    /// The time of the event that arrived last; `None` if there is no event.
    pub last_seen_ms: Option<i64>,
    /// Where that event was sent from, or the place in the profile.
    pub place: Option<String>,
    /// The devices with the most events, at most 8.
    pub devices: Vec<Device>,
}
