//! A plain model of rules M-5 to M-13 with `as-was` and `direct`, written from the rules: clusters are
//! sets of texts, and every answer is computed from all lines.

use std::collections::{BTreeMap, BTreeSet};

use idmerge_conformance::EngineSettings;
use idmerge_conformance::oracle::OriginalOracle;
use idmerge_core::{IdentityResolver, IdentityResolverExt, Outcome, RuleBook};
use idmerge_events::JsonEvent;
use serde_json::Value;

/// The person of each event that is no identity event: a user, or a device with its prefix.
pub(crate) fn persons(lines: &[String]) -> Vec<Option<String>> {
    let mut oracle = OriginalOracle::new(EngineSettings::default());
    persons_of(&mut oracle, lines)
}

/// The same, where this engine says which claims of the source are accepted.
pub(crate) fn persons_of(
    oracle: &mut dyn IdentityResolver,
    lines: &[String],
) -> Vec<Option<String>> {
    let events: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut model = Model::default();
    for (line, event) in lines.iter().zip(&events) {
        model.claim(oracle, line);
        model.roles(event);
    }
    model.find_users(&events, oracle);
    model.join_rank_0(&events);
    let persons = model.elect(&events);
    let ordinary = events
        .iter()
        .zip(lines)
        .filter(|(event, _)| !is_identity(event));
    ordinary
        .map(|(event, line)| model.person(event, own(oracle, line), &persons))
        .collect()
}

fn is_identity(event: &Value) -> bool {
    let name = event["event"].as_str().unwrap();
    ["$identify", "$create_alias", "$merge"].contains(&name)
}

fn own(oracle: &dyn IdentityResolver, line: &str) -> Option<String> {
    let event = JsonEvent::parse_text(line).unwrap();
    let own = oracle.read(&event.event()).unwrap().distinct_id;
    own.map(|own| own.to_string())
}

fn text(event: &Value, key: &str) -> Option<String> {
    let text = event["properties"][key].as_str()?;
    Some(text.to_owned())
}

fn bare(text: &str) -> String {
    text.trim_start_matches("$device:").to_owned()
}

fn user(event: &Value) -> Option<String> {
    text(event, "$user_id").filter(|id| !id.starts_with("$device:"))
}

fn device(event: &Value) -> Option<String> {
    text(event, "$device_id").map(|id| bare(&id))
}

#[derive(Default)]
struct Model {
    clusters: Vec<BTreeSet<String>>,
    identified: BTreeSet<String>,
    /// The accepted claims, in order.
    claims: Vec<[String; 2]>,
    devices: BTreeSet<String>,
    users: BTreeSet<String>,
}

impl Model {
    fn cluster(&self, id: &str) -> BTreeSet<String> {
        let found = self.clusters.iter().find(|cluster| cluster.contains(id));
        found
            .cloned()
            .unwrap_or_else(|| BTreeSet::from([id.to_owned()]))
    }

    fn join(&mut self, a: &str, b: &str) {
        let joined: BTreeSet<_> = self.cluster(a).union(&self.cluster(b)).cloned().collect();
        self.clusters.retain(|cluster| cluster.is_disjoint(&joined));
        self.clusters.push(joined);
    }

    fn users_of(&self, id: &str) -> BTreeSet<String> {
        self.cluster(id)
            .intersection(&self.users)
            .cloned()
            .collect()
    }

    /// M-5: only accepted claims count.
    fn claim(&mut self, oracle: &mut dyn IdentityResolver, line: &str) {
        let is_legacy = oracle.rule_book() == RuleBook::Legacy;
        let event = JsonEvent::parse_text(line).unwrap();
        let (reading, outcome) = oracle.apply_event(&event.event()).unwrap();
        if is_legacy && event.event().name == "$identify" {
            let own = reading.distinct_id.map(|own| own.to_string());
            self.identified.extend(own);
        }
        if let (Some(claim), Some(Outcome::Merged | Outcome::AlreadyMerged)) =
            (reading.claim, outcome)
        {
            let ids = claim.ids().map(|id| id.to_string());
            self.join(&ids[0], &ids[1]);
            if claim.kind().name() == "identify" {
                self.identified.insert(ids[0].clone());
            }
            if is_legacy {
                self.identified.insert(ids[1].clone());
            }
            self.claims.push(ids);
        }
    }

    fn roles(&mut self, event: &Value) {
        for key in ["$device_id", "$anon_id", "$anon_distinct_id"] {
            self.devices.extend(text(event, key).map(|id| bare(&id)));
        }
        let properties = event["properties"].as_object().unwrap();
        let pair = properties.get("$distinct_ids").and_then(Value::as_array);
        let values = properties.values().chain(pair.into_iter().flatten());
        for value in values.filter_map(Value::as_str) {
            if value.starts_with("$device:") {
                self.devices.insert(bare(value));
            }
        }
    }

    /// M-7
    fn find_users(&mut self, events: &[Value], oracle: &dyn IdentityResolver) {
        let mut ids: BTreeSet<String> = self.clusters.iter().flatten().cloned().collect();
        for event in events {
            ids.extend(own(oracle, &event.to_string()));
            ids.extend(user(event));
            self.users.extend(user(event));
        }
        self.users.extend(self.identified.iter().cloned());
        for id in ids {
            let hyphens = id.matches('-').count();
            if hyphens < 4 && !self.devices.contains(&id) {
                self.users.insert(id);
            }
        }
    }

    /// M-6: a line with both IDs joins them if the device's cluster has no user.
    fn join_rank_0(&mut self, events: &[Value]) {
        for event in events {
            if let (Some(user), Some(device)) = (user(event), device(event))
                && !self.users.contains(&device)
                && self.users_of(&device).is_empty()
            {
                self.join(&user, &device);
            }
        }
    }

    /// M-8, M-9, and the last row but one of M-13: the user of each device that has one.
    fn elect(&self, events: &[Value]) -> BTreeMap<String, String> {
        let mut persons = BTreeMap::new();
        for cluster in &self.clusters {
            let users: Vec<&String> = cluster.intersection(&self.users).collect();
            for device in cluster.difference(&self.users) {
                let person = match users[..] {
                    [] => None,
                    [user] => Some(user.clone()),
                    _ => self.direct(device, cluster, events),
                };
                persons.extend(person.map(|person| (device.clone(), person)));
            }
        }
        let oracle = OriginalOracle::new(EngineSettings::default());
        for event in events.iter().filter(|event| !is_identity(event)) {
            let (own, device) = (own(&oracle, &event.to_string()), device(event));
            if let (None, Some(own), Some(device)) = (user(event), own, device)
                && own != device
                && !self.users.contains(&own)
                && !self.users.contains(&device)
                && self.users_of(&device).is_empty()
                && !persons.contains_key(&device)
                && let Some(person) = persons.get(&own).cloned()
            {
                persons.insert(device, person);
            }
        }
        persons
    }

    /// The user of the first line with both, or else of the first claim.
    fn direct(&self, id: &str, cluster: &BTreeSet<String>, events: &[Value]) -> Option<String> {
        let is_user = |id: &String| self.users.contains(id) && cluster.contains(id);
        let of_lines = events
            .iter()
            .filter(|event| device(event).as_deref() == Some(id))
            .filter_map(user);
        let of_claims = self.claims.iter().filter_map(|[a, b]| match () {
            () if a == id => Some(b.clone()),
            () if b == id => Some(a.clone()),
            () => None,
        });
        of_lines
            .filter(is_user)
            .chain(of_claims.filter(is_user))
            .next()
    }

    /// M-13
    fn person(
        &self,
        event: &Value,
        own: Option<String>,
        persons: &BTreeMap<String, String>,
    ) -> Option<String> {
        let of_device = |device: &str| match persons.get(device) {
            Some(user) => user.clone(),
            None => format!("$device:{device}"),
        };
        if let Some(user) = user(event)
            && own.as_ref().is_none_or(|own| {
                *own == user
                    || Some(own) == device(event).as_ref()
                    || self.cluster(&user).contains(own)
            })
        {
            return Some(user);
        }
        let own = own?;
        match self.users.contains(&own) {
            true => Some(own),
            false => Some(of_device(&own)),
        }
    }
}
