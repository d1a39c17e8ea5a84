//! `identify`: the traffic of Original ID Merge.
//!
//! `$identify` in the forms of browser SDKs and HTTP callers, `$create_alias`, `$merge`, repeats of all
//! of them, and some that a guardrail rejects. In between, ordinary events under any ID of a person.
//!
//! The truth follows rules O-2 and O-6. Every ID of a person belongs to that person, whether or not
//! events say so. The claim of a rejected event about another person's ID is not true.

use crate::actor::customer::{Customer, Kind};
use crate::actor::{Actor, Next, World};
use crate::person::Person;

/// Two people. The rejected events of each claim IDs of the other.
#[derive(Debug)]
pub(crate) struct Neighbours([Customer; 2]);

impl Neighbours {
    pub(crate) fn new(world: &mut World) -> Self {
        Self([Customer::new(world), Customer::new(world)])
    }
}

impl Actor for Neighbours {
    fn act(&mut self, world: &mut World, _lines_left: u64, line: &mut Vec<u8>) -> Next {
        let [first, second] = &mut self.0;
        let (customer, other) = match (first.events_left, second.events_left) {
            (0, _) => (second, first),
            (_, 0) => (first, second),
            _ if world.rng.percent(50) => (first, second),
            _ => (second, first),
        };
        customer.act(other, world, line);
        customer.events_left = customer.events_left.saturating_sub(1);
        if customer.events_left + other.events_left == 0 {
            Next::Done
        } else {
            Next::Anyone
        }
    }

    fn leave(self: Box<Self>, world: &mut World, people: &mut Vec<Person>) {
        for Customer { user_id, known, .. } in self.0 {
            if known.is_empty() {
                continue;
            }
            let is_user = known.iter().any(|id| id.kind == Kind::User);
            let name = if is_user {
                user_id
            } else {
                world.new_anonymous_name()
            };
            let ids = known.into_iter().map(|id| id.text).collect();
            people.push(Person { name, ids });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use crate::Workload::Identify;
    use crate::testing::{play, text};

    #[test]
    fn each_form_of_each_identity_event_comes_and_is_repeated() {
        let played = play(Identify, 20_000, 1);
        let mut times: BTreeMap<_, u32> = BTreeMap::new();
        let mut repeats: BTreeMap<_, u32> = BTreeMap::new();
        let mut insert_ids = BTreeSet::new();
        for event in &played.events {
            let shape = match event["event"].as_str().unwrap() {
                "$identify" if text(event, "$identified_id").is_some() => {
                    assert_eq!(text(event, "distinct_id"), None);
                    assert!(!text(event, "$anon_id").unwrap().starts_with("$device:"));
                    "http"
                }
                "$identify" => {
                    let device = format!("$device:{}", text(event, "$device_id").unwrap());
                    assert_eq!(text(event, "$anon_distinct_id"), Some(&*device));
                    "sdk"
                }
                "$create_alias" => "alias",
                "$merge" => {
                    let ids = event["properties"]["$distinct_ids"].as_array().unwrap();
                    assert!(ids.len() == 2 && ids.iter().all(serde_json::Value::is_string));
                    "merge"
                }
                _ => "ordinary",
            };
            *times.entry(shape).or_default() += 1;
            if !insert_ids.insert(text(event, "$insert_id").unwrap()) {
                *repeats.entry(shape).or_default() += 1;
            }
        }
        for shape in ["http", "sdk", "alias", "merge"] {
            assert!((400..5_000).contains(&times[shape]), "{times:?}");
            assert!((50..2_000).contains(&repeats[shape]), "{repeats:?}");
        }
        assert!((11_000..16_000).contains(&times["ordinary"]), "{times:?}");
        assert!(!repeats.contains_key("ordinary"));
    }

    #[test]
    fn each_guardrail_has_something_to_reject() {
        let played = play(Identify, 20_000, 1);
        let person_of = played.person_of_each_id();
        let mut times: BTreeMap<_, u32> = BTreeMap::new();
        let (mut identified, mut aliased) = (BTreeSet::new(), BTreeSet::new());
        for event in &played.events {
            let own = text(event, "distinct_id").or(text(event, "$identified_id"));
            let anon = text(event, "$anon_distinct_id").or(text(event, "$anon_id"));
            let pair = &event["properties"]["$distinct_ids"];
            let reason = match (own, anon, text(event, "alias")) {
                (Some(own), Some(anon), _) if event["event"] == "$identify" => {
                    let bare = anon.trim_start_matches("$device:");
                    if own == anon {
                        "O-7 $identify"
                    } else if bare.len() != 36 || bare.as_bytes()[14] != b'4' {
                        "O-8"
                    } else if person_of[own] == person_of[anon] {
                        identified.insert(anon);
                        "accepted"
                    } else {
                        assert!(
                            identified.contains(anon),
                            "nobody has identified {anon} yet"
                        );
                        "O-11"
                    }
                }
                (Some(own), _, Some(alias)) => {
                    if person_of[own] == person_of[alias] {
                        aliased.insert(alias);
                        "accepted"
                    } else {
                        assert!(aliased.contains(alias), "{alias} is no alias yet");
                        "O-9"
                    }
                }
                (None, None, None) if pair[0] == pair[1] => "O-7 $merge",
                (None, None, None) => {
                    let [a, b] = [0, 1].map(|at| person_of[pair[at].as_str().unwrap()]);
                    assert_eq!(a, b);
                    "accepted"
                }
                _ => continue,
            };
            *times.entry(reason).or_default() += 1;
        }
        for reason in ["O-7 $identify", "O-7 $merge", "O-8", "O-9", "O-11"] {
            assert!((20..500).contains(&times[reason]), "{times:?}");
        }
        assert!(times["accepted"] > 4_000, "{times:?}");
    }

    #[test]
    fn an_ordinary_event_can_be_under_any_id_of_its_person() {
        let played = play(Identify, 20_000, 1);
        let ordinary =
            |event: &&serde_json::Value| !event["event"].as_str().unwrap().starts_with('$');
        let own: BTreeSet<_> = played
            .events
            .iter()
            .filter(ordinary)
            .filter_map(|event| text(event, "distinct_id"))
            .collect();
        for fit in [
            |id: &str| id.ends_with("@mail.example"),
            |id: &str| id.starts_with("user-") && !id.contains('@'),
            |id: &str| id.starts_with("$device:") && id.len() == 44,
            |id: &str| id.starts_with("$device:") && id.len() != 44,
            |id: &str| !id.starts_with("$device:") && id.len() == 36,
        ] {
            assert!(own.iter().filter(|id| fit(id)).count() > 50);
        }
    }

    #[test]
    fn a_line_has_about_300_bytes() {
        let played = play(Identify, 20_000, 1);
        let bytes: usize = played.lines.iter().map(|line| line.len() + 1).sum();
        assert!(
            (250..=330).contains(&(bytes / 20_000)),
            "{}",
            bytes / 20_000
        );
    }
}
