//! What plain engines give over the lines that `inspect` reads: the truth of its figures.

use std::collections::{BTreeMap, BTreeSet};

use idmerge::events::JsonEvent;
use idmerge::{
    AnonIdFormat, Attribution, Claim, DistinctId, DistinctIdBuf, Engine, IdentityResolver, Model,
    Outcome, Resolve, Settings,
};
use serde_json::{Value, json};

/// Compares the figures of each model with those of its plain engine.
#[track_caller]
pub(crate) fn check_models(report: &Value, lines: &str) {
    let parsed = Lines::new(lines);
    for model in Model::ALL {
        let expected = parsed.plain(&Settings::of(model));
        assert_eq!(report["models"][model.name()], expected, "{model}\n{lines}");
    }
}

/// An event with an ID.
struct Attributed {
    own: DistinctIdBuf,
    /// The user at the arrival of the event.
    at_arrival: String,
    has_user_id: bool,
}

/// What a plain engine gives over these lines.
pub(crate) fn plain(settings: &Settings, lines: &str) -> Value {
    Lines::new(lines).plain(settings)
}

/// The lines, their values, and the IDs that are anonymous by all of them.
struct Lines<'l> {
    lines: Vec<(&'l str, Value)>,
    anonymous: BTreeSet<String>,
}

impl<'l> Lines<'l> {
    fn new(lines: &'l str) -> Self {
        let value = |line| (line, serde_json::from_str(line).unwrap_or_default());
        let lines: Vec<_> = lines.lines().map(value).collect();
        let anonymous = anonymous_ids(&lines);
        Self { lines, anonymous }
    }

    fn plain(&self, settings: &Settings) -> Value {
        let mut engine: Engine = settings.engine();
        let mut events: Vec<Attributed> = Vec::new();
        let (mut without_id, mut merges) = (0, 0);
        let mut seen = BTreeSet::new();
        let mut rejections: BTreeMap<&str, u64> = BTreeMap::new();
        let mut refused: BTreeMap<&str, u64> = BTreeMap::new();
        for (line, value) in &self.lines {
            let Ok(event) = JsonEvent::parse(line.as_bytes()) else {
                continue;
            };
            let reading = match settings.read(&event.event()) {
                Ok(reading) => reading,
                Err(error) => {
                    *refused.entry(error.rule()).or_default() += 1;
                    continue;
                }
            };
            match reading.distinct_id {
                Some(id) => events.push(Attributed {
                    own: id.to_buf(),
                    at_arrival: engine.resolve(id).to_string(),
                    has_user_id: user_id(&value["properties"]).is_some(),
                }),
                None => without_id += 1,
            }
            if let Some(claim) = reading
                .claim
                .filter(|_| !is_copy(value, settings, reading.distinct_id, &mut seen))
            {
                match engine.apply(claim).unwrap() {
                    Outcome::Merged => merges += 1,
                    Outcome::Rejected(why) => *rejections.entry(why.code()).or_default() += 1,
                    _ => {}
                }
            }
        }
        let largest = engine.clusters().map(|cluster| cluster.members.len()).max();
        let mut figures = json!({
            "events": events.len() + without_id,
            "without_id": without_id,
            "largest_cluster": largest.unwrap_or(0),
            "explained_moves": explained_moves(&engine, &self.lines),
            "merges": merges,
            "rejections": rejections,
            "refused": refused,
        });
        add_users(&mut figures, &engine, &events, &self.anonymous);
        figures
    }
}

/// The users before and after, and those whose first event is anonymous and another one is not.
fn add_users(
    figures: &mut Value,
    engine: &Engine,
    events: &[Attributed],
    anonymous: &BTreeSet<String>,
) {
    let is_at_arrival = engine.attribution() == Attribution::AtArrival;
    let mut joined = 0;
    let [mut before, mut after]: [BTreeMap<String, Vec<bool>>; 2] = Default::default();
    for event in events {
        let own = event.own.as_id();
        let user = match is_at_arrival {
            true => event.at_arrival.clone(),
            false => engine.resolve(own).to_string(),
        };
        let is_joined = user != own.to_string();
        let is_anonymous =
            !event.has_user_id && (own.is_device() || anonymous.contains(&own.id().to_string()));
        joined += u64::from(is_joined);
        before
            .entry(own.to_string())
            .or_default()
            .push(is_anonymous);
        // What arrives under an alias is a user's.
        let is_anonymous = is_anonymous && !(is_at_arrival && is_joined);
        after.entry(user).or_default().push(is_anonymous);
    }
    let converted = |users: &BTreeMap<String, Vec<bool>>| {
        let users = users.values();
        users
            .filter(|events| events[0] && events.contains(&false))
            .count()
    };
    let [converted_before, converted] = [&before, &after].map(converted);
    figures["users_before"] = before.len().into();
    figures["users"] = after.len().into();
    figures["joined_events"] = joined.into();
    let gain = i64::try_from(converted).unwrap() - i64::try_from(converted_before).unwrap();
    figures["funnel"] =
        json!({"converted_before": converted_before, "converted": converted, "gain": gain});
}

/// AR-2. In Simplified, copies change nothing and are counted.
fn is_copy(
    event: &Value,
    settings: &Settings,
    own: Option<DistinctId<'_>>,
    seen: &mut BTreeSet<String>,
) -> bool {
    let properties = &event["properties"];
    let insert_id = &properties["$insert_id"];
    if settings.model() == Model::Simplified || insert_id.is_null() {
        return false;
    }
    let own = own.map(|id| id.to_string());
    !seen.insert(json!([event["event"], properties["time"], own, insert_id]).to_string())
}

/// The moved IDs of an export that share a cluster with the ID that they were moved to, each with the last.
fn explained_moves(engine: &Engine, lines: &[(&str, Value)]) -> usize {
    let mut moves = BTreeMap::new();
    for properties in lines.iter().map(|(_, value)| &value["properties"]) {
        let before = id(&properties["$distinct_id_before_identity"]);
        if let (Some(before), Some(after)) = (before, id(&properties["distinct_id"]))
            && before.1 != after.1
        {
            moves.insert(before.1, after.1);
        }
    }
    let mut cluster_of = BTreeMap::new();
    for (number, cluster) in engine.clusters().enumerate() {
        for member in cluster.members {
            cluster_of.insert(member.id().to_string(), number);
        }
    }
    let of = |id: &String| cluster_of.get(id);
    let explained = moves
        .iter()
        .filter(|(before, after)| of(before).is_some() && of(before) == of(after));
    explained.count()
}

/// The IDs that no event names as a user, and that one names as a device, or that look like an SDK's.
fn anonymous_ids(lines: &[(&str, Value)]) -> BTreeSet<String> {
    let [mut users, mut devices, mut aliases, mut all]: [BTreeSet<String>; 4] = Default::default();
    let original = Settings::of(Model::Original);
    for (line, value) in lines {
        let properties = &value["properties"];
        users.extend(user_id(properties));
        for key in [
            "$device_id",
            "$user_id",
            "distinct_id",
            "$distinct_id_before_identity",
        ] {
            let Some((is_prefixed, id)) = id(&properties[key]) else {
                continue;
            };
            if is_prefixed || key == "$device_id" {
                devices.insert(id.clone());
            }
            all.insert(id);
        }
        // A claim says the rest, if it is one: the events of these tests have valid IDs.
        let event = JsonEvent::parse(line.as_bytes());
        let reading = event
            .as_ref()
            .ok()
            .map(|event| original.read(&event.event()));
        match reading
            .and_then(Result::ok)
            .and_then(|reading| reading.claim)
        {
            Some(Claim::Identify { identified, anon }) => {
                devices.insert(anon.to_string());
                if identified != anon {
                    users.insert(identified.to_string());
                }
            }
            Some(Claim::Alias { alias, .. }) => {
                aliases.insert(alias.to_string());
            }
            _ => {}
        }
        if value["event"] == "$identify"
            && properties["$anon_id"].is_null()
            && properties["$anon_distinct_id"].is_null()
        {
            let identified = id(&properties["$identified_id"]);
            users.extend(
                identified
                    .or(id(&properties["distinct_id"]))
                    .map(|(_, id)| id),
            );
        }
    }
    let looks_like_one = |id: &&String| AnonIdFormat::Sdk.accepts(id) && !aliases.contains(*id);
    let anonymous = devices.iter().chain(all.iter().filter(looks_like_one));
    anonymous
        .filter(|id| !users.contains(*id))
        .cloned()
        .collect()
}

/// The user ID of an event (S-0).
fn user_id(properties: &Value) -> Option<String> {
    let (is_prefixed, user) = id(&properties["$user_id"])?;
    (!is_prefixed).then_some(user)
}

/// Whether an ID has the prefix of a device, and the ID without it.
fn id(value: &Value) -> Option<(bool, String)> {
    let text = match value {
        Value::String(text) if !text.is_empty() => text.clone(),
        Value::Number(number) if !number.is_f64() => number.to_string(),
        _ => return None,
    };
    match text.strip_prefix("$device:") {
        Some(id) => Some((true, id.to_owned())),
        None => Some((false, text)),
    }
}
