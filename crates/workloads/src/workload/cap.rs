//! `cap`: people who exceed the limit of 500 IDs for a cluster of Original ID Merge.
//!
//! Every second person logs in on a new device 600 to 800 times; the others stay far below the limit.
//! Every login sends `$identify` and an event with both IDs.

use crate::actor::World;
use crate::actor::household::{Habits, Household};

pub(crate) fn household(world: &mut World) -> Household {
    let visits = if world.rng.percent(50) {
        600 + world.rng.below(201)
    } else {
        1 + world.rng.below(20)
    };
    let habits = Habits {
        people: 1,
        visits,
        max_events_per_part: 1,
        login_percent: 100,
        reset_percent: 100,
        second_browser_percent: 0,
    };
    Household::new(world, habits)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::Workload::Cap;
    use crate::testing::{people, play, text};

    #[test]
    fn some_people_exceed_500_ids_in_20_000_events_and_some_do_not() {
        for seed in 0..10 {
            let people = people(Cap, 20_000, seed);
            let sizes: BTreeSet<_> = people.iter().map(|person| person.ids.len()).collect();
            assert!(
                sizes
                    .last()
                    .is_some_and(|&size| (501..=801).contains(&size)),
                "{sizes:?}"
            );
            assert!(sizes.first().is_some_and(|&size| size <= 21), "{sizes:?}");
        }
    }

    #[test]
    fn each_device_has_one_login() {
        let played = play(Cap, 20_000, 1);
        let mut devices = BTreeSet::new();
        for event in played
            .events
            .iter()
            .filter(|event| event["event"] == "$identify")
        {
            assert!(devices.insert(text(event, "$device_id").unwrap()));
        }
        assert!(devices.len() > 4_000, "{}", devices.len());
    }
}
