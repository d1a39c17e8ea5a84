//! `shared-device`: several people use one browser.
//!
//! Some visits end with `reset`, which makes a new device ID. Without it, the next person logs in
//! during the open session: the device ID stays, and `$identify` names the previous user as
//! `$anon_distinct_id`. Rules S-7 and O-8 reject that.
//!
//! In the truth a device ID belongs to the first person who logged in on it. Without any login it
//! belongs to an anonymous person.

use crate::actor::World;
use crate::actor::household::{Habits, Household};

pub(crate) fn household(world: &mut World) -> Household {
    let habits = Habits {
        people: 2 + world.rng.below(4),
        visits: 4 + world.rng.below(8),
        max_events_per_part: 6,
        login_percent: 90,
        reset_percent: 50,
        second_browser_percent: 0,
    };
    Household::new(world, habits)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use crate::Workload::SharedDevice;
    use crate::testing::{play, text};

    #[test]
    fn users_follow_each_other_with_a_reset_and_without() {
        let played = play(SharedDevice, 20_000, 1);
        let mut users_of: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        let (mut from_device, mut from_user) = (0, 0);
        for event in &played.events {
            let device = text(event, "$device_id").unwrap();
            let users = users_of.entry(device).or_default();
            if let Some(anon) = text(event, "$anon_distinct_id") {
                if anon.starts_with("$device:") {
                    assert_eq!(anon, format!("$device:{device}"));
                    assert!(
                        users.is_empty(),
                        "a login that is not the first on its device"
                    );
                    from_device += 1;
                } else {
                    assert!(users.contains(anon), "no reset: the user before was here");
                    from_user += 1;
                }
            }
            users.extend(text(event, "$user_id"));
        }
        assert!(from_device > 300, "{from_device}");
        assert!(from_user > 300, "{from_user}");
        let most_users = users_of.values().map(BTreeSet::len).max();
        assert!((3..=5).contains(&most_users.unwrap()), "{most_users:?}");
    }

    #[test]
    fn a_device_belongs_to_the_first_person_who_logged_in_on_it() {
        let played = play(SharedDevice, 20_000, 1);
        let person_of = played.person_of_each_id();
        let mut owner_of = BTreeMap::new();
        for event in &played.events {
            let Some(user) = text(event, "$user_id") else {
                continue;
            };
            assert_eq!(person_of[user], user);
            owner_of
                .entry(text(event, "$device_id").unwrap())
                .or_insert(user);
        }
        let (mut owned, mut anonymous) = (0, 0);
        for (id, person) in person_of {
            let Some(device) = id.strip_prefix("$device:") else {
                continue;
            };
            match owner_of.get(device) {
                Some(owner) => {
                    assert_eq!(person, *owner);
                    owned += 1;
                }
                None => {
                    assert!(person.starts_with("anonymous-"), "{person}");
                    anonymous += 1;
                }
            }
        }
        assert!(owned > 300 && anonymous > 10, "{owned} {anonymous}");
    }
}
