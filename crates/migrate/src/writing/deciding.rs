//! Rule M-13: which user and which device an event gets.

use crate::people::ids::{Ids, Number};
use crate::reading::Facts;

/// The IDs that an event is written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A user alone.
    User(Number),
    /// A device alone.
    Device(Number),
    /// Both: the event links them in Simplified.
    Both { user: Number, device: Number },
    /// No ID at all.
    NoId,
}

/// The answer for one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) role: Role,
    /// Whether its device belongs to another user than its `$user_id`.
    pub(crate) is_contradicted: bool,
    /// The user of the event, if the elected user is written instead (M-11).
    pub(crate) rewritten: Option<Number>,
}

/// The numbers of the IDs of an event. The first pass has entered all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers {
    pub(crate) own: Option<Number>,
    pub(crate) user: Option<Number>,
    pub(crate) device: Option<Number>,
}

impl Numbers {
    pub(crate) fn of(ids: &Ids, facts: &Facts<'_>) -> Self {
        let number = |id: Option<_>| id.and_then(|id| ids.number(id));
        Self {
            own: number(facts.own),
            user: number(facts.user).filter(|&user| ids.is_user(user)),
            device: number(facts.device),
        }
    }
}

/// The first row of M-13 that fits.
pub(crate) fn decide(ids: &Ids, numbers: Numbers) -> Decision {
    let Numbers { own, user, device } = numbers;
    // If the own distinct_id belongs to another person than the `$user_id`, it decides alone.
    let agrees = |user: Number| {
        own.is_none_or(|own| own == user || Some(own) == device || ids.same_cluster(own, user))
    };
    let user = user.filter(|&user| agrees(user));
    let (role, is_contradicted) = match (user, device, own) {
        // M-10
        (Some(user), Some(device), _) if ids.is_user(device) => (Role::User(user), false),
        (Some(user), Some(device), _) => match is_elsewhere(ids, device, user) {
            false => (Role::Both { user, device }, false),
            true => (Role::User(user), true),
        },
        (Some(user), None, _) => (Role::User(user), false),
        (None, _, Some(own)) if ids.is_user(own) => (Role::User(own), false),
        (None, _, Some(own)) => (Role::Device(own), false),
        (None, Some(device), None) => (Role::Device(device), false),
        (None, None, None) => (Role::NoId, false),
    };
    // M-11
    let mut rewritten = None;
    let mut elected = |user| {
        let person = ids.person(user);
        rewritten = (person != user).then_some(user);
        person
    };
    let role = match role {
        Role::User(user) => Role::User(elected(user)),
        Role::Both { user, device } => Role::Both {
            user: elected(user),
            device,
        },
        Role::Device(_) | Role::NoId => role,
    };
    Decision {
        role,
        is_contradicted,
        rewritten,
    }
}

/// Whether a device belongs to another user than this one, or to none because a conflict is only
/// reported (M-9).
fn is_elsewhere(ids: &Ids, device: Number, user: Number) -> bool {
    let person = ids.person(device);
    match person == device {
        true => ids.is_conflict(device),
        false => person != ids.person(user),
    }
}

/// The person that an event with these IDs belongs to, by the election alone.
pub(crate) fn expected(ids: &Ids, role: Role) -> Option<Number> {
    match role {
        Role::User(user) | Role::Both { user, .. } => Some(user),
        Role::Device(device) => Some(ids.person(device)),
        Role::NoId => None,
    }
}
