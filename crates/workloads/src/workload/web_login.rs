//! `web-login`: people who browse and log in, with the events of a browser SDK.
//!
//! Each user has one user ID, each device ID is used by one person, and each login sends `$identify`
//! and then an event with both IDs. The two are adjacent, and the stream never ends between them. So
//! law 8 holds on every such stream, whatever its length: both models give the same users. (It does
//! not hold on every prefix of a stream: between the two lines of a login the models differ.)

use crate::actor::World;
use crate::actor::household::{Habits, Household};

pub(crate) fn household(world: &mut World) -> Household {
    let habits = Habits {
        people: 1,
        visits: 1 + world.rng.below(6),
        max_events_per_part: 10,
        login_percent: if world.rng.percent(30) { 0 } else { 75 },
        reset_percent: 30,
        second_browser_percent: 25,
    };
    Household::new(world, habits)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use crate::Workload::WebLogin;
    use crate::testing::{people, play, text};

    fn is_lower_case_uuid_v4(id: &str) -> bool {
        id.len() == 36
            && id.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                14 => byte == b'4',
                19 => b"89ab".contains(&byte),
                _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
            })
    }

    #[test]
    fn a_line_has_about_300_bytes() {
        let played = play(WebLogin, 20_000, 1);
        let bytes: usize = played.lines.iter().map(|line| line.len() + 1).sum();
        assert!(
            (280..=330).contains(&(bytes / 20_000)),
            "{}",
            bytes / 20_000
        );
    }

    #[test]
    fn a_device_id_is_a_uuid_v4_of_one_person() {
        let played = play(WebLogin, 20_000, 1);
        let person_of = played.person_of_each_id();
        let mut person_of_device = BTreeMap::new();
        for event in &played.events {
            let device_id = text(event, "$device_id").unwrap();
            assert!(is_lower_case_uuid_v4(device_id), "{device_id}");
            let person = person_of[text(event, "distinct_id").unwrap()];
            assert_eq!(*person_of_device.entry(device_id).or_insert(person), person);
        }
        assert!(person_of_device.len() > 500);
    }

    #[test]
    fn an_event_has_the_properties_of_the_sdk() {
        let mut anonymous = 0;
        for event in &play(WebLogin, 5_000, 1).events {
            let device = format!("$device:{}", text(event, "$device_id").unwrap());
            let user_id = text(event, "$user_id");
            assert_eq!(text(event, "distinct_id"), Some(user_id.unwrap_or(&device)));
            let is_identify = event["event"] == "$identify";
            assert_eq!(
                text(event, "$anon_distinct_id"),
                is_identify.then_some(&*device)
            );
            assert!(!is_identify || user_id.is_some());
            assert!(event["properties"]["time"].is_f64());
            assert_eq!(text(event, "$insert_id").unwrap().len(), 16);
            for key in ["token", "$current_url", "mp_lib", "$lib_version"] {
                assert!(text(event, key).is_some(), "{key}");
            }
            assert!(text(event, "$os").or(text(event, "$browser")).is_some());
            anonymous += usize::from(user_id.is_none());
        }
        assert!((1_000..4_000).contains(&anonymous), "{anonymous}");
    }

    #[test]
    fn three_in_ten_never_log_in_and_some_have_several_devices() {
        let people = people(WebLogin, 100_000, 1);
        let anonymous = people
            .iter()
            .filter(|person| person.name.starts_with("anonymous-"));
        let percent = anonymous.count() * 100 / people.len();
        assert!((25..=35).contains(&percent), "{percent}");
        assert!(people.iter().any(|person| person.ids.len() > 3));
    }

    #[test]
    fn people_log_out_return_and_change_browsers() {
        let played = play(WebLogin, 20_000, 1);
        let mut devices_of: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        let mut switches = 0;
        let mut last_device_of = BTreeMap::new();
        for event in &played.events {
            let Some(user) = text(event, "$user_id") else {
                continue;
            };
            let device = text(event, "$device_id").unwrap();
            let devices = devices_of.entry(user).or_default();
            let is_known = !devices.insert(device);
            let last = last_device_of.insert(user, device);
            switches += usize::from(is_known && last != Some(device));
        }
        assert!(devices_of.values().any(|devices| devices.len() > 2));
        assert!(
            switches > 10,
            "nobody goes back and forth between two browsers"
        );
    }

    /// Law 8 without an engine: the links of each model are pairs of user and device, and both sets
    /// are equal wherever the stream ends.
    #[test]
    fn law_8_both_models_learn_the_same_links_wherever_the_stream_ends() {
        let mut links = 0;
        for events in 0..300 {
            let played = play(WebLogin, events, 5);
            let (mut simplified, mut original) = (BTreeSet::new(), BTreeSet::new());
            for event in &played.events {
                let device = text(event, "$device_id");
                match (text(event, "$user_id"), event["event"] == "$identify") {
                    (Some(user), true) => original.insert((user, device)),
                    (Some(user), false) => simplified.insert((user, device)),
                    (None, _) => false,
                };
            }
            assert_eq!(simplified, original, "{events}");
            links = original.len();
        }
        assert!(links > 10, "{links}");
    }
}
