//! Law 8: on clean streams both engines give the same partition of events into users, and it is the
//! true one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use idmerge_core::{Event, Value};
use idmerge_differential::{Answer, Attributed, engines, groups, play};
use idmerge_events::JsonEvent;
use idmerge_workloads::{Stream, Workload};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, json};

/// The default limit of the rule book.
const LIMIT: u32 = 500;

/// Gives the lines to both engines, and compares the users that they find with the truth: the real
/// owner of each line.
fn agree<L: Ord>(limit: u32, lines: &[String], truth: &[L]) -> Result<(), String> {
    let events: Vec<_> = lines
        .iter()
        .map(|line| JsonEvent::parse(line.as_bytes()).unwrap())
        .collect();
    let truth = groups(truth.iter().map(Some));
    let [simplified, original] = engines(limit).map(|mut engine| {
        let answers = play(&mut *engine, &events).unwrap();
        let found = groups(answers.iter().map(Answer::canonical));
        let first_wrong = (0..lines.len()).find(|&at| found[at] != truth[at]);
        let wrong = first_wrong.map(|at| {
            let book = engine.rule_book();
            let answer = &answers[at];
            format!("{book} puts line {at} with the wrong events: {answer}")
        });
        (found, wrong)
    });
    // The law comes first: if the truth is wrong, then for both engines.
    if simplified.0 != original.0 {
        let wrong = simplified.1.or(original.1).unwrap_or_default();
        return Err(format!("the engines disagree: {wrong}"));
    }
    simplified.1.map_or(Ok(()), Err)
}

/// Similar user IDs, one that JSON may have as a number, and one with the form of a device ID.
const USERS: [&str; 6] = [
    "ben",
    "Ben",
    "42",
    "Zo\u{eb} \"Z\" ",
    "5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e",
    "$Device:ben",
];

const DEVICES: usize = 4;

/// The device IDs of two neighbours differ in case only, which makes them two IDs (ID-1).
fn device_id(person: usize, device: usize) -> String {
    let id = format!("abcdef0{device}-0000-4000-8000-00000000000{}", person / 2);
    if person.is_multiple_of(2) {
        id
    } else {
        id.to_ascii_uppercase()
    }
}

/// What a person does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Action {
    /// Browses anonymously, before or after a login.
    Browse,
    /// Logs in: `$identify`, and an event with both IDs.
    LogIn,
    /// Comes back to a device on which the person is still logged in. On any other device this is
    /// browsing.
    Return,
}

/// How a sender spells its events. Browsers use the first variant and `false`.
#[derive(Clone, Copy, Debug)]
struct Spelling {
    /// `distinct_id` of an ordinary event with `$device_id`.
    distinct_id: DistinctId,
    /// `$device_id` with the prefix (ID-5).
    prefixed_device_id: bool,
    /// Only `distinct_id`, and `$user_id` if there is a user.
    no_device_id: bool,
    /// `$identify` as HTTP callers and Segment send it.
    http: bool,
    /// The anonymous ID without the prefix.
    bare_anon_id: bool,
    /// A user ID that can be a number is sent as a number.
    number: bool,
}

/// What `distinct_id` repeats: the user of a logged-in event, or the device.
#[derive(Clone, Copy, Debug)]
enum DistinctId {
    UserOrDevice,
    Device,
    BareDevice,
    Absent,
}

#[derive(Clone, Copy, Debug)]
struct Act {
    person: usize,
    device: usize,
    action: Action,
    spelling: Spelling,
    /// When its events come. Events of one turn come in the order of the acts.
    turns: [u8; 2],
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let distinct_id = select(&[
        DistinctId::UserOrDevice,
        DistinctId::Device,
        DistinctId::BareDevice,
        DistinctId::Absent,
    ]);
    let flag = any::<bool>;
    let spelling = (distinct_id, flag(), flag(), flag(), flag(), flag()).prop_map(
        |(distinct_id, prefixed_device_id, no_device_id, http, bare_anon_id, number)| Spelling {
            distinct_id,
            prefixed_device_id,
            no_device_id,
            http,
            bare_anon_id,
            number,
        },
    );
    let action = select(&[Action::Browse, Action::LogIn, Action::Return]);
    let act = (
        0..USERS.len(),
        0..DEVICES,
        action,
        spelling,
        any::<[u8; 2]>(),
    )
        .prop_map(|(person, device, action, spelling, turns)| Act {
            person,
            device,
            action,
            spelling,
            turns,
        });
    prop::collection::vec(act, 0..60)
}

/// The real owner of an event, as far as it can be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    User { person: usize },
    Visitor { person: usize, device: usize },
}

/// The events of the acts.
struct Traffic {
    lines: Vec<String>,
    truth: Vec<Owner>,
    /// The number of IDs of the person with most IDs. At this limit nothing is rejected.
    most_ids: u32,
}

impl Traffic {
    fn new(acts: &[Act]) -> Self {
        let logged_in: BTreeSet<_> = acts
            .iter()
            .filter(|act| act.action == Action::LogIn)
            .map(|act| (act.person, act.device))
            .collect();
        let ids_of = |person| 1 + logged_in.iter().filter(|login| login.0 == person).count();
        let most_ids = (0..USERS.len()).map(ids_of).max().unwrap();

        let mut events = Vec::new();
        for act in acts {
            let &Act { person, device, .. } = act;
            let user = Owner::User { person };
            let known = logged_in.contains(&(person, device));
            match act.action {
                Action::LogIn => {
                    events.push((act.turns[0], act.identify(), user));
                    events.push((act.turns[1], act.logged_in(true), user));
                }
                Action::Return if known || act.spelling.no_device_id => {
                    events.push((act.turns[0], act.logged_in(false), user));
                }
                Action::Browse | Action::Return => {
                    let visitor = Owner::Visitor { person, device };
                    let owner = if known { user } else { visitor };
                    events.push((act.turns[0], act.anonymous(), owner));
                }
            }
        }
        events.sort_by_key(|(turn, ..)| *turn);
        let (lines, truth) = events
            .into_iter()
            .map(|(_, line, owner)| (line, owner))
            .unzip();
        Self {
            lines,
            truth,
            most_ids: most_ids.try_into().unwrap(),
        }
    }
}

impl Act {
    fn user_id(&self) -> serde_json::Value {
        let text = USERS[self.person];
        match text.parse::<u64>() {
            Ok(number) if self.spelling.number => json!(number),
            _ => json!(text),
        }
    }

    fn device_id(&self) -> String {
        device_id(self.person, self.device)
    }

    fn prefixed(&self) -> String {
        format!("$device:{}", self.device_id())
    }

    /// An ordinary event of a device, or of a user on a device.
    fn ordinary(&self, name: &str, user_id: Option<serde_json::Value>) -> String {
        let distinct_id = match (self.spelling.distinct_id, &user_id) {
            (DistinctId::UserOrDevice, Some(user_id)) => user_id.clone(),
            (DistinctId::UserOrDevice, None) | (DistinctId::Device, _) => json!(self.prefixed()),
            (DistinctId::BareDevice, _) => json!(self.device_id()),
            (DistinctId::Absent, _) => json!(null),
        };
        let device_id = if self.spelling.prefixed_device_id {
            self.prefixed()
        } else {
            self.device_id()
        };
        let mut properties = Map::from_iter([
            ("distinct_id".to_owned(), distinct_id),
            ("$device_id".to_owned(), json!(device_id)),
        ]);
        properties.extend(user_id.map(|user_id| ("$user_id".to_owned(), user_id)));
        json!({ "event": name, "properties": properties }).to_string()
    }

    fn anonymous(&self) -> String {
        if self.spelling.no_device_id {
            let properties = json!({ "distinct_id": self.prefixed() });
            return json!({ "event": "Page View", "properties": properties }).to_string();
        }
        self.ordinary("Page View", None)
    }

    fn logged_in(&self, with_both_ids: bool) -> String {
        let user_id = self.user_id();
        if self.spelling.no_device_id && !with_both_ids {
            let properties = match self.spelling.distinct_id {
                DistinctId::Device => json!({ "distinct_id": user_id }),
                DistinctId::Absent => json!({ "$user_id": user_id }),
                _ => json!({ "distinct_id": user_id, "$user_id": user_id }),
            };
            return json!({ "event": "Order", "properties": properties }).to_string();
        }
        self.ordinary("Order", Some(user_id))
    }

    fn identify(&self) -> String {
        let user_id = self.user_id();
        let anon_id = if self.spelling.bare_anon_id {
            self.device_id()
        } else {
            self.prefixed()
        };
        let properties = match (self.spelling.http, self.spelling.distinct_id) {
            (false, _) => json!({
                "distinct_id": user_id,
                "$user_id": user_id,
                "$device_id": self.device_id(),
                "$anon_distinct_id": anon_id,
            }),
            (true, DistinctId::Device) => json!({
                "distinct_id": self.prefixed(),
                "$identified_id": user_id,
                "$anon_id": anon_id,
            }),
            (true, _) => json!({
                "distinct_id": user_id,
                "$identified_id": user_id,
                "$anon_id": anon_id,
            }),
        };
        json!({ "event": "$identify", "properties": properties }).to_string()
    }
}

proptest! {
    #[test]
    fn law_8_both_engines_find_the_real_users(acts in acts()) {
        let Traffic { lines, truth, most_ids } = Traffic::new(&acts);
        // Exactly at the limit: one more ID would be rejected.
        let agreed = agree(most_ids, &lines, &truth).and_then(|()| agree(LIMIT, &lines, &truth));
        prop_assert!(agreed.is_ok(), "{}\n{}", agreed.unwrap_err(), lines.join("\n"));
    }
}

/// A person who browses and logs in on each device, with the events of a browser SDK.
fn plain_acts() -> Vec<Act> {
    let spelling = Spelling {
        distinct_id: DistinctId::UserOrDevice,
        prefixed_device_id: false,
        no_device_id: false,
        http: false,
        bare_anon_id: false,
        number: false,
    };
    let acts = (0..DEVICES).flat_map(|device| {
        [Action::Browse, Action::LogIn].map(|action| Act {
            person: 0,
            device,
            action,
            spelling,
            turns: [0, 0],
        })
    });
    acts.collect()
}

#[test]
fn law_8_ends_at_the_limit() {
    let traffic = Traffic::new(&plain_acts());
    assert_eq!(traffic.most_ids, 5);
    assert_eq!(agree(5, &traffic.lines, &traffic.truth), Ok(()));
    let disagreement = agree(4, &traffic.lines, &traffic.truth).unwrap_err();
    assert!(
        disagreement.starts_with("the engines disagree: original puts line 9 "),
        "{disagreement}"
    );
}

#[test]
fn agreement_on_a_wrong_answer_is_noticed() {
    let mut traffic = Traffic::new(&plain_acts());
    traffic.truth[0] = Owner::User { person: 1 };
    let untrue = agree(LIMIT, &traffic.lines, &traffic.truth).unwrap_err();
    assert!(untrue.starts_with("simplified puts line 1 "), "{untrue}");
}

#[test]
fn law_8_needs_both_events_of_a_login() {
    let Traffic { lines, truth, .. } = Traffic::new(&plain_acts());
    for at in 0..lines.len() {
        let (mut fewer_lines, mut fewer_truth) = (lines.clone(), truth.clone());
        fewer_lines.remove(at);
        fewer_truth.remove(at);
        // Lines 0, 3, 6 and 9 are of visitors.
        assert_eq!(
            agree(LIMIT, &fewer_lines, &fewer_truth).is_ok(),
            at % 3 == 0,
            "without line {at}"
        );
    }
}

/// The lines of a stream and their owners, as far as they can be known: the person, and also the
/// device if no person ever logs in on it.
fn stream(
    workload: Workload,
    events: u64,
    seed: u64,
) -> (Vec<String>, Vec<(String, Option<String>)>) {
    let mut stream = Stream::new(workload, events, seed);
    let (mut lines, mut person_of) = (Vec::new(), BTreeMap::new());
    loop {
        let mut line = Vec::new();
        let more = stream.next_event(&mut line);
        for person in stream.finished() {
            let ids = person.ids.iter().cloned();
            person_of.extend(ids.map(|id| (id, person.name.clone())));
        }
        if !more {
            break;
        }
        lines.push(String::from_utf8(line).unwrap());
    }
    let ids_of = |line: &String| {
        let event = JsonEvent::parse(line.as_bytes()).unwrap();
        let Event {
            distinct_id,
            user_id,
            device_id,
            ..
        } = event.event();
        [distinct_id, user_id, device_id].map(|value| match value {
            Value::Text(text) => Some(text.to_owned()),
            _ => None,
        })
    };
    let ids: Vec<_> = lines.iter().map(ids_of).collect();
    let logged_in_on: BTreeSet<_> = ids
        .iter()
        .filter_map(|[_, user_id, device_id]| user_id.as_ref().and(device_id.as_ref()))
        .collect();
    let owner = |[distinct_id, _, device_id]: &[Option<String>; 3]| {
        let person: &String = &person_of[distinct_id.as_ref().unwrap()];
        let device = device_id.as_ref().filter(|id| !logged_in_on.contains(id));
        (person.clone(), device.cloned())
    };
    let truth = ids.iter().map(owner).collect();
    (lines, truth)
}

#[test]
fn law_8_on_web_login_wherever_the_stream_ends() {
    for events in 0..150 {
        let (lines, truth) = stream(Workload::WebLogin, events, 5);
        assert_eq!(agree(LIMIT, &lines, &truth), Ok(()), "{events} events");
    }
}

#[test]
fn law_8_on_web_login_with_several_seeds_and_lengths() {
    for seed in 0..4 {
        for events in [500, 2_000, 5_000] {
            let (lines, truth) = stream(Workload::WebLogin, events, seed);
            let agreed = agree(LIMIT, &lines, &truth);
            assert_eq!(agreed, Ok(()), "{events} events, seed {seed}");
        }
    }
}

/// The comparison is not empty: `web-login` has users whose events only a merge joins.
#[test]
fn web_login_has_people_to_be_merged() {
    let (lines, _) = stream(Workload::WebLogin, 2_000, 0);
    let events: Vec<_> = lines
        .iter()
        .map(|line| JsonEvent::parse(line.as_bytes()).unwrap())
        .collect();
    for mut engine in engines(LIMIT) {
        let answers = play(&mut *engine, &events).unwrap();
        let merges = answers
            .iter()
            .filter(|answer| answer.outcome.as_deref() == Some("merged"));
        assert!(merges.count() > 50);
        let retroactive = answers.iter().filter(
            |answer| matches!(&answer.attributed, Attributed::To { canonical, own } if canonical != own),
        );
        assert!(retroactive.count() > 200);
    }
}

/// `cap` satisfies law 8 in everything but the limit.
#[test]
fn law_8_on_cap_needs_a_limit_that_is_high_enough() {
    let (lines, truth) = stream(Workload::Cap, 12_000, 1);
    let disagreement = agree(LIMIT, &lines, &truth).unwrap_err();
    assert!(
        disagreement.starts_with("the engines disagree: original puts line "),
        "{disagreement}"
    );
    assert_eq!(agree(1_000, &lines, &truth), Ok(()));
}
