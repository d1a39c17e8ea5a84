//! Who is who: the IDs of the source, the claims about them, and the one user of each person.

pub(crate) mod arrivals;
pub(crate) mod earlier;
pub(crate) mod electing;
pub(crate) mod evidence;
pub(crate) mod gathering;
pub(crate) mod ids;
pub(crate) mod last_users;
