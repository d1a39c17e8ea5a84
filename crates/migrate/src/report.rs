//! Rule M-19: the figures of a migration.

use std::collections::BTreeMap;
use std::io;

use foldhash::HashMap;
use serde::Serialize;

use crate::comparing::Compared;
use crate::people::electing::People;
use crate::people::ids::{NONE, Number};
use crate::tally::Tally;

/// An event name with at least this many events, each of another user, has probably lost its identity.
const ONE_TO_ONE_EVENTS_MIN: u64 = 1_000;

/// How many of the users with the most devices are shown.
const TOP_USERS: usize = 10;

/// The figures of a migration, as `report.json` has them.
#[derive(Debug, Serialize)]
pub struct Report {
    from: &'static str,
    to: &'static str,
    events: Events,
    users: BeforeAfter,
    association_rate: f64,
    claims: Claims,
    links: u64,
    profiles: u64,
    contradicted_events: u64,
    conflicts: BTreeMap<&'static str, u64>,
    uniques: BTreeMap<String, Uniques>,
    one_event_per_user: Vec<String>,
    most_devices: Vec<UserDevices>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compare: Option<Compared>,
}

#[derive(Debug, Serialize)]
struct Events {
    /// Those of the next figures but `without_id`, which are some of the ones that are written.
    read: u64,
    written: u64,
    without_id: u64,
    duplicates: u64,
    identity_events: u64,
    /// With lines that are no events.
    refused: u64,
    /// Those that the target moves: the source put them under another ID when they arrived than today's state
    /// does, and the target joins the two. Only a source that attributes events at their arrival has such.
    #[serde(skip_serializing_if = "Option::is_none")]
    moved: Option<u64>,
    /// Those that name no user and that the product gives to another user of the device than the target. Only
    /// some products have such.
    #[serde(skip_serializing_if = "Option::is_none")]
    reattributed: Option<u64>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct BeforeAfter {
    before: u64,
    after: u64,
}

#[derive(Debug, Serialize)]
struct Claims {
    accepted: u64,
    rejected: u64,
    taken_beyond_limits: u64,
}

#[derive(Debug, Serialize)]
struct Uniques {
    events: u64,
    before: u64,
    after: u64,
}

#[derive(Debug, Serialize)]
struct UserDevices {
    user: String,
    devices: u64,
}

/// Figures that are counted elsewhere.
#[derive(Debug)]
pub struct Counted {
    /// How many lines link.
    pub links: u64,
    /// How many profiles were written.
    pub profiles: u64,
    /// How many cases there are of each kind.
    pub conflicts: BTreeMap<&'static str, u64>,
}

impl Report {
    /// Puts the figures together.
    ///
    /// # Errors
    ///
    /// A temporary file cannot be read.
    pub fn new(people: &People, tally: &mut Tally, counted: Counted) -> io::Result<Self> {
        let names = tally.by_name()?;
        let one_to_one = names
            .iter()
            .filter(|(_, it)| it.events >= ONE_TO_ONE_EVENTS_MIN && it.events == it.users_after);
        let one_event_per_user = one_to_one.map(|(name, _)| name.clone()).collect();
        let uniques = names.into_iter().map(|(name, it)| {
            let uniques = Uniques {
                events: it.events,
                before: it.users_before,
                after: it.users_after,
            };
            (name, uniques)
        });
        let [before, after] = tally.users();
        let counts = people.counts;
        let compare = match &people.options.compare {
            Some(field) => Some(std::mem::take(&mut tally.comparison).finish(field, people)?),
            None => None,
        };
        Ok(Self {
            from: people.options.source.model().name(),
            to: people.options.target.model().name(),
            events: Events {
                read: tally.written + tally.doubles + tally.identity_events + tally.refused,
                written: tally.written,
                without_id: tally.written - tally.with_id,
                duplicates: tally.doubles,
                identity_events: tally.identity_events,
                refused: tally.refused,
                moved: people.arrivals.is_some().then_some(tally.moved),
                reattributed: people.last_users.is_some().then_some(tally.reattributed),
            },
            users: BeforeAfter { before, after },
            association_rate: rate(tally.of_users, tally.with_id),
            claims: Claims {
                accepted: counts.accepted_claims,
                rejected: counts.rejected_claims,
                taken_beyond_limits: counts.claims_beyond_limits,
            },
            links: counted.links,
            profiles: counted.profiles,
            contradicted_events: tally.contradicted,
            conflicts: counted.conflicts,
            uniques: uniques.collect(),
            one_event_per_user,
            most_devices: people.most_devices(),
            compare,
        })
    }

    /// The share of the events with an ID that belong to a user in the target.
    pub fn association_rate(&self) -> f64 {
        self.association_rate
    }

    /// How many cases there are.
    pub fn conflicts(&self) -> u64 {
        self.conflicts.values().sum()
    }

    /// How many users the events have before and after.
    pub fn users(&self) -> [u64; 2] {
        [self.users.before, self.users.after]
    }

    /// How many events were written.
    pub fn events_written(&self) -> u64 {
        self.events.written
    }

    /// How many lines the target would refuse.
    pub fn events_refused(&self) -> u64 {
        self.events.refused
    }

    /// How many events the target moves to another user than the source gave them when they arrived; `None` if
    /// the source does not attribute events at their arrival.
    pub fn events_moved(&self) -> Option<u64> {
        self.events.moved
    }

    /// How many events name no user, and belong to another user of their device in the product that they come
    /// from; `None` if that is not known.
    pub fn events_reattributed(&self) -> Option<u64> {
        self.events.reattributed
    }

    /// How many events belong to another person than by the source's own count, if that was asked.
    pub fn events_elsewhere(&self) -> Option<u64> {
        self.compare.as_ref().map(Compared::events_elsewhere)
    }

    /// How many events have the property of `--compare`, if that was asked.
    pub fn events_compared(&self) -> Option<u64> {
        self.compare.as_ref().map(Compared::events)
    }

    /// How many lines link.
    pub fn links(&self) -> u64 {
        self.links
    }
}

/// A share, to four digits, so that it is the same on every machine.
#[expect(clippy::cast_precision_loss, reason = "a share needs no more digits")]
fn rate(part: u64, all: u64) -> f64 {
    match all {
        0 => 1.0,
        _ => (part as f64 / all as f64 * 10_000.0).round() / 10_000.0,
    }
}

impl People {
    fn most_devices(&self) -> Vec<UserDevices> {
        let mut devices: HashMap<Number, u64> = HashMap::default();
        for number in 0..self.ids.len() {
            let person = self.ids.row(number).person;
            if person != NONE && !self.ids.is_user(number) {
                *devices.entry(person).or_default() += 1;
            }
        }
        let mut devices: Vec<_> = devices.into_iter().collect();
        devices.sort_unstable_by_key(|&(user, count)| (std::cmp::Reverse(count), user));
        devices.truncate(TOP_USERS);
        let shown = devices.into_iter().map(|(user, devices)| UserDevices {
            user: self.ids.id(user).text().into_owned(),
            devices,
        });
        shown.collect()
    }
}
