//! What Segment's destination "Mixpanel (Actions)" sends for a call.

use crate::adapted::{Adapted, LineKind};
use crate::options::Options;
use crate::read::fields::{Fields, members};
use crate::read::value::Value;
use crate::refusal::Refusal;
use crate::vendors::calls::call::{Call, Kind};
use crate::vendors::calls::traits;
use crate::write::draft::has;
use crate::write::message::message;
use crate::write::object::{Members, write_text};

/// The keys that a property of the caller does not override.
const OWN_KEYS: [&str; 7] = [
    "\"time\"",
    "\"id\"",
    "\"$anon_id\"",
    "\"distinct_id\"",
    "\"$group_id\"",
    "\"$insert_id\"",
    "\"$user_id\"",
];

pub(crate) fn mixpanel(
    options: &Options,
    call: &Call<'_>,
    to: &mut Adapted,
) -> Result<(), Refusal> {
    match Kind::of(call)? {
        Kind::Track => {
            let name = call.event_name()?;
            track(&name, call, to)
        }
        Kind::Page | Kind::Screen => {
            let name = call.name.text().unwrap_or_default();
            track(&format!("Viewed {name}"), call, to)
        }
        Kind::Identify => {
            identify(options, call, to);
            Ok(())
        }
        Kind::Alias => alias(options, call, to),
        Kind::Group => {
            group(options, call, to);
            Ok(())
        }
        Kind::Other(kind) => {
            to.counts.pass_over(kind);
            Ok(())
        }
    }
}

/// Whether a field is there and not `null`; unlike elsewhere, an empty text counts.
fn exists(value: Value<'_>) -> bool {
    match value {
        Value::Missing => false,
        Value::Json(json) => !json.is_null(),
    }
}

fn first(one: Value<'_>, other: Value<'_>) -> Option<String> {
    let id = [one, other].into_iter().find(|value| exists(*value))?;
    Some(id.text().unwrap_or_default().into_owned())
}

fn id(members: &mut Members<'_>, key: &str, value: Value<'_>) {
    if exists(value) {
        members.text(key, &value.text().unwrap_or_default());
    }
}

fn track(name: &str, call: &Call<'_>, to: &mut Adapted) -> Result<(), Refusal> {
    let time_ms = call.time_ms()?;
    let [ip, library] = Fields::of_value(call.context, &["ip", "library"]).values;
    let [library] = Fields::of_value(library, &["name"]).values;
    let properties = members(call.properties);
    let out = &mut to.text;
    out.extend_from_slice(b"{\"event\":");
    write_text(name, out);
    out.extend_from_slice(b",\"properties\":{");
    let mut object = Members::new(out);
    if let Some(ms) = time_ms {
        object.number("time", ms);
    }
    object.value("ip", ip);
    let own = first(call.user, call.device).unwrap_or_default();
    object.text("id", &own);
    id(&mut object, "$anon_id", call.device);
    object.text("distinct_id", &own);
    for (key, value) in [("$device_id", call.device), ("$identified_id", call.user)] {
        if !has(&properties, &format!("\"{key}\"")) {
            id(&mut object, key, value);
        }
    }
    object.value("$insert_id", call.message_id);
    id(&mut object, "$user_id", call.user);
    object.text("$source", "segment");
    if let Some(library) = library.text() {
        object.text("mp_lib", &format!("Segment Actions: {library}"));
    }
    for (name, value) in properties {
        if !OWN_KEYS.contains(&name.as_str()) {
            object.verbatim((name, value));
        }
    }
    out.extend_from_slice(b"}}");
    to.end_line(LineKind::Event(None));
    Ok(())
}

fn identity_event(
    name: &str,
    options: &Options,
    to: &mut Adapted,
    write: impl FnOnce(&mut Members<'_>),
) {
    crate::write::message::identity_event(name, options.token.as_deref(), to, write);
}

fn identify(options: &Options, call: &Call<'_>, to: &mut Adapted) {
    if exists(call.device) {
        identity_event("$identify", options, to, |object| {
            if exists(call.user) {
                id(object, "$identified_id", call.user);
            } else {
                object.value("$identified_id", call.user);
            }
            id(object, "$anon_id", call.device);
        });
    }
    let properties = members(call.traits);
    if properties.is_empty() || !options.with_profiles {
        return;
    }
    let [ip] = Fields::of_value(call.context, &["ip"]).values;
    message(&mut to.profiles, |object| {
        if let Some(token) = &options.token {
            object.text("$token", token);
        }
        let own = first(call.user, call.device).unwrap_or_default();
        object.text("$distinct_id", &own);
        object.value("$ip", ip);
        object.object("$set", |set| {
            traits::renamed(&properties, set);
        });
    });
}

fn alias(options: &Options, call: &Call<'_>, to: &mut Adapted) -> Result<(), Refusal> {
    if call.previous.is_absent() {
        let why = "the destination sends no alias without it";
        return Err(Refusal::missing("previousId", why));
    }
    identity_event("$create_alias", options, to, |object| {
        id(object, "distinct_id", call.previous);
        let alias = first(call.user, call.device).unwrap_or_default();
        object.text("alias", &alias);
    });
    Ok(())
}

fn group(options: &Options, call: &Call<'_>, to: &mut Adapted) {
    to.counts.pass_over("group");
    if !options.with_profiles {
        return;
    }
    message(&mut to.groups, |object| {
        if let Some(token) = &options.token {
            object.text("$token", token);
        }
        object.text("$group_key", "$group_id");
        id(object, "$group_id", call.group);
        object.value("$set", call.traits);
    });
}
