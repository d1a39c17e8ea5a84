//! What Segment's destination "Mixpanel (Actions)" sends for a call.

use std::borrow::Cow;

use crate::adapted::Adapted;
use crate::options::Options;
use crate::read::fields::{members, values_of};
use crate::read::value::Value;
use crate::refusal::Refusal;
use crate::vendors::calls::call::{Call, Kind};
use crate::vendors::calls::traits;
use crate::write::draft::has_plain;
use crate::write::message::{self, identity_event, message, token};
use crate::write::object::Members;

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
        Kind::Track => track(&call.event_name()?, call, to)?,
        Kind::Page | Kind::Screen => {
            let name = call.name.text().unwrap_or_default();
            track(&format!("Viewed {name}"), call, to)?;
        }
        Kind::Identify => identify(options, call, to),
        Kind::Alias => alias(options, call, to)?,
        Kind::Group => group(options, call, to),
        Kind::Other(kind) => to.counts.pass_over(kind),
    }
    Ok(())
}

/// Whether a field is there and not `null`; unlike elsewhere, an empty text counts.
fn exists(value: Value<'_>) -> bool {
    match value {
        Value::Missing => false,
        Value::Json(json) => !json.is_null(),
    }
}

/// The text of the user ID, or else of the device ID.
fn own_id<'r>(call: &Call<'r>) -> Cow<'r, str> {
    let id = match exists(call.user) {
        true => call.user,
        false => call.device,
    };
    id.text().unwrap_or_default()
}

fn id(members: &mut Members<'_>, key: &str, value: Value<'_>) {
    if exists(value) {
        members.text(key, &value.text().unwrap_or_default());
    }
}

fn track(name: &str, call: &Call<'_>, to: &mut Adapted) -> Result<(), Refusal> {
    let time_ms = call.time_ms()?;
    let [ip, library] = values_of(call.context, ["ip", "library"]);
    let [library] = values_of(library, ["name"]);
    let properties = members(call.properties);
    message::event(name, to, |object| {
        if let Some(ms) = time_ms {
            object.number("time", ms);
        }
        object.value("ip", ip);
        let own = own_id(call);
        object.text("id", &own);
        id(object, "$anon_id", call.device);
        object.text("distinct_id", &own);
        for (key, value) in [("$device_id", call.device), ("$identified_id", call.user)] {
            if !has_plain(&properties, key) {
                id(object, key, value);
            }
        }
        object.value("$insert_id", call.message_id);
        id(object, "$user_id", call.user);
        object.text("$source", "segment");
        if let Some(library) = library.text() {
            object.text("mp_lib", &format!("Segment Actions: {library}"));
        }
        for member in &properties {
            if !OWN_KEYS.contains(&member.name().as_str()) {
                object.verbatim(member);
            }
        }
    });
    Ok(())
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
    let [ip] = values_of(call.context, ["ip"]);
    message(&mut to.profiles, |object| {
        token("$token", options, object);
        object.text("$distinct_id", &own_id(call));
        object.value("$ip", ip);
        object.object("$set", |set| traits::renamed(&properties, set));
    });
}

fn alias(options: &Options, call: &Call<'_>, to: &mut Adapted) -> Result<(), Refusal> {
    if call.previous.is_absent() {
        let why = "the destination sends no alias without it";
        return Err(Refusal::missing("previousId", why));
    }
    identity_event("$create_alias", options, to, |object| {
        id(object, "distinct_id", call.previous);
        object.text("alias", &own_id(call));
    });
    Ok(())
}

fn group(options: &Options, call: &Call<'_>, to: &mut Adapted) {
    to.counts.pass_over("group");
    if !options.with_profiles {
        return;
    }
    message(&mut to.groups, |object| {
        token("$token", options, object);
        object.text("$group_key", "$group_id");
        id(object, "$group_id", call.group);
        object.value("$set", call.traits);
    });
}
