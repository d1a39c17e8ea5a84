//! What Segment's destination "Mixpanel (Actions)" sends for a call.

use std::borrow::Cow;

use crate::adapted::Adapted;
use crate::options::Options;
use crate::read::fields::{members, values_of};
use crate::read::value::Value;
use crate::refusal::Refusal;
use crate::vendors::calls::call::{Call, Kind};
use crate::vendors::calls::context::{Derived, derive, from};
use crate::vendors::calls::{browser, traits};
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

/// What it derives from the context. A property of the caller goes before it.
const DERIVED: &[Derived] = &[
    from("", "ip", "ip"),
    from("", "groupId", "$group_id"),
    from("", "locale", "$locale"),
    from("", "timezone", "timezone"),
    from("app", "build", "$app_build_number"),
    from("app", "version", "$app_version_string"),
    from("app", "namespace", "$app_namespace"),
    from("app", "name", "$app_name"),
    from("app", "platform", "app_platform"),
    from("campaign", "source", "utm_source"),
    from("campaign", "medium", "utm_medium"),
    from("campaign", "name", "utm_campaign"),
    from("campaign", "term", "utm_term"),
    from("campaign", "content", "utm_content"),
    from("device", "name", "$device"),
    from("device", "name", "$device_name"),
    from("device", "type", "$device_type"),
    from("device", "advertisingId", "$ios_ifa"),
    from("device", "idfa", "$ios_ifa"),
    from("device", "manufacturer", "$manufacturer"),
    from("device", "model", "$model"),
    from("device", "advertisingId", "advertising_id"),
    from("device", "adTrackingEnabled", "ad_tracking_enabled"),
    from("library", "version", "$lib_version"),
    from("location", "country", "mp_country_code"),
    from("network", "bluetooth", "$bluetooth_enabled"),
    from("network", "cellular", "$cellular_enabled"),
    from("network", "carrier", "$carrier"),
    from("network", "wifi", "$wifi_enabled"),
    from("os", "name", "$os"),
    from("os", "version", "$os_version"),
    from("page", "url", "$current_url"),
    from("page", "referrer", "$referrer"),
    from("screen", "height", "$screen_height"),
    from("screen", "width", "$screen_width"),
    from("screen", "density", "$screen_density"),
    from("userAgentData", "mobile", "$mobile"),
    from("userAgentData", "platform", "$platform"),
    from("userAgentData", "bitness", "$bitness"),
    from("userAgentData", "platformVersion", "$platformVersion"),
    from("userAgentData", "uaFullVersion", "$uaFullVersion"),
    from("userAgentData", "wow64", "$wow64"),
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
    let [library, agent, integration] =
        values_of(call.context, ["library", "userAgent", "integration"]);
    let [library] = values_of(library, ["name"]);
    let [integration] = values_of(integration, ["name"]);
    let source = match integration.text().as_deref() {
        Some("Iterable") => "Iterable",
        _ => "segment",
    };
    let properties = &call.property_members;
    let is_callers = |key: &str| !is_own(key) && has_plain(properties, key);
    message::event(name, to, |object| {
        if let Some(ms) = time_ms {
            object.number("time", ms);
        }
        let own = own_id(call);
        object.text("id", &own);
        id(object, "$anon_id", call.device);
        object.text("distinct_id", &own);
        for (key, value) in [("$device_id", call.device), ("$identified_id", call.user)] {
            if !is_callers(key) {
                id(object, key, value);
            }
        }
        for (key, value) in derive(call.context, DERIVED) {
            if !is_callers(key) {
                object.value(key, value);
            }
        }
        if let Some(agent) = agent.text() {
            browser_of(&agent, &is_callers, object);
        }
        object.value("$insert_id", call.message_id);
        id(object, "$user_id", call.user);
        if !is_callers("$source") {
            object.text("$source", source);
        }
        if let Some(library) = library.text().filter(|_| !is_callers("mp_lib")) {
            object.text("mp_lib", &format!("Segment Actions: {library}"));
        }
        for member in properties.iter() {
            if !OWN_KEYS.contains(&member.name().as_str()) {
                object.verbatim(&member);
            }
        }
    });
    Ok(())
}

/// Whether no property of the caller overrides this one.
fn is_own(key: &str) -> bool {
    OWN_KEYS.iter().any(|own| own.trim_matches('"') == key)
}

/// Writes the browser of a user agent.
fn browser_of(agent: &str, is_callers: &dyn Fn(&str) -> bool, object: &mut Members<'_>) {
    let browser = browser::name(agent);
    if !is_callers("$browser") {
        object.text("$browser", browser);
    }
    if let Some(version) = browser::version(browser, agent)
        && !is_callers("$browser_version")
    {
        object.text("$browser_version", version);
    }
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
