//! What RudderStack's destination for Mixpanel sends for a call.

use std::borrow::Cow;

use serde_json::Value as Json;

use crate::adapted::Adapted;
use crate::options::{Options, Target};
use crate::read::fields::{find, members, values_of};
use crate::read::member::Member;
use crate::read::rest::Rest;
use crate::read::value::Value;
use crate::refusal::Refusal;
use crate::vendors::calls::call::{Call, Kind};
use crate::vendors::calls::context::{Derived, derive, from};
use crate::vendors::calls::traits;
use crate::write::draft::Names;
use crate::write::message::{self, identity_event, message, token};
use crate::write::object::Members;

/// How many characters of a message ID the `$insert_id` of a `track` call has.
const INSERT_ID_CHARS: usize = 36;

/// How many members of a campaign are read: each is looked for among all properties.
const CAMPAIGN_MEMBERS_MAX: usize = 32;

/// The keys that the destination writes last, so that a property of the caller does not override them.
const OWN_KEYS: [&str; 6] = [
    "\"$user_id\"",
    "\"$insert_id\"",
    "\"token\"",
    "\"distinct_id\"",
    "\"time\"",
    "\"$device_id\"",
];

/// What it derives from the context. This goes before the properties and super-traits of the caller.
const DERIVED: &[Derived] = &[
    from("", "ip", "ip"),
    from("", "sessionId", "$session_id"),
    from("app", "build", "$app_build_number"),
    from("app", "version", "$app_version_string"),
    from("app", "name", "$app_name"),
    from("app", "namespace", "$app_namespace"),
    from("campaign", "name", "campaign_id"),
    from("device", "name", "$device"),
    from("device", "manufacturer", "$manufacturer"),
    from("device", "model", "$model"),
    from("device", "model", "mp_device_model"),
    from("library", "name", "mp_lib"),
    from("network", "carrier", "$carrier"),
    from("network", "wifi", "$wifi"),
    from("network", "bluetooth", "$bluetooth_enabled"),
    from("os", "name", "$os"),
    from("os", "version", "$os_version"),
    from("page", "url", "$current_url"),
    from("page", "referrer", "$referrer"),
    from("page", "initialReferrer", "$initial_referrer"),
    from("page", "initial_referrer", "$initial_referrer"),
    from(
        "page",
        "initialReferringDomain",
        "$initial_referring_domain",
    ),
    from(
        "page",
        "initial_referring_domain",
        "$initial_referring_domain",
    ),
    from("screen", "height", "$screen_height"),
    from("screen", "width", "$screen_width"),
    from("screen", "density", "$screen_dpi"),
];

/// What it derives from the caller's properties, in the same way.
const OF_PROPERTIES: &[Derived] = &[
    from("", "appBuildNumber", "$app_build_number"),
    from("", "appVersionString", "$app_version_string"),
    from("", "bluetoothVersion", "$bluetooth_version"),
    from("", "brand", "$brand"),
    from("", "radio", "$radio"),
    from("", "libVersion", "$lib_version"),
    from("", "searchEngine", "$search_engine"),
    from("", "mpKeyword", "mp_keyword"),
    from("", "mpProcessingTimeMs", "mp_processing_time_ms"),
    from("", "hasNfc", "$has_nfc"),
    from("", "hasTelephone", "$has_telephone"),
    from("", "googlePlayServices", "$google_play_services"),
];

pub(crate) fn mixpanel(
    options: &Options,
    call: &Call<'_>,
    to: &mut Adapted,
) -> Result<(), Refusal> {
    match Kind::of(call)? {
        Kind::Track => event(&call.event_name()?, Kind::Track, options, call, to)?,
        Kind::Page => event("Loaded a Page", Kind::Page, options, call, to)?,
        Kind::Screen => event("Loaded a Screen", Kind::Screen, options, call, to)?,
        Kind::Identify => identify(options, call, to)?,
        Kind::Alias => alias(options, call, to)?,
        Kind::Group => group(options, call, to)?,
        Kind::Other(kind) => to.counts.pass_over(kind),
    }
    Ok(())
}

fn is_simplified(options: &Options) -> bool {
    options.target == Target::Simplified
}

/// The distinct_id: in Simplified a device has its prefix, also if there is none.
fn own_id(options: &Options, call: &Call<'_>) -> String {
    let (user, device) = (call.user.text(), call.device.text());
    match (user, device, is_simplified(options)) {
        (Some(user), _, _) => user.into_owned(),
        (None, Some(device), true) => format!("$device:{device}"),
        (None, Some(device), false) => device.into_owned(),
        (None, None, true) => "$device:undefined".to_owned(),
        (None, None, false) => String::new(),
    }
}

fn event(
    name: &str,
    kind: Kind,
    options: &Options,
    call: &Call<'_>,
    to: &mut Adapted,
) -> Result<(), Refusal> {
    let time_ms = call.time_ms()?;
    let [super_traits] = values_of(call.context, ["traits"]);
    let (properties, super_traits) = (&call.property_members, members(super_traits));
    let derived = derived(call);
    message::event(name, to, |object| {
        carry(kind, call, properties, &super_traits, &derived, object);
        for (key, value) in &derived {
            match key.as_ref() {
                // It is made a text.
                "$session_id" => object.any(key, &quoted(*value)),
                key => object.any(key, value.as_str()),
            }
        }
        if let Some(user) = call.user.text() {
            object.text("$user_id", &user);
        }
        if let Some(id) = call.message_id.text() {
            let chars = match kind {
                Kind::Track => id.chars().count().saturating_sub(INSERT_ID_CHARS),
                _ => 0,
            };
            let last: String = id.chars().skip(chars).collect();
            object.text("$insert_id", &last);
        }
        token("token", options, object);
        object.text("distinct_id", &own_id(options, call));
        if let Some(ms) = time_ms {
            object.number("time", ms);
        }
        if is_simplified(options)
            && let Some(device) = call.device.text()
        {
            object.text("$device_id", &device);
        }
        if kind != Kind::Track {
            for (key, value) in [("name", call.name), ("category", call.category)] {
                object.value(key, value.or(Value::Missing));
            }
        }
    });
    Ok(())
}

/// The properties that the destination derives from the context, and from the caller's properties.
fn derived<'r>(call: &Call<'r>) -> Vec<(Cow<'static, str>, Value<'r>)> {
    let mut derived = Vec::new();
    let mut add = |key: Cow<'static, str>, value: Value<'r>| {
        let is_new = |(other, _): &(Cow<'_, str>, _)| *other != key;
        if !value.is_absent() && derived.iter().all(is_new) {
            derived.push((key, value));
        }
    };
    // The session of the call goes before that of the context.
    add("$session_id".into(), find(&call.rest, "session_id"));
    for (key, value) in derive(call.properties, OF_PROPERTIES) {
        add(key.into(), value);
    }
    for (key, value) in derive(call.context, DERIVED) {
        add(key.into(), value);
    }
    add("ip".into(), find(&call.rest, "request_ip"));
    let [campaign] = values_of(call.context, ["campaign"]);
    for member in members(campaign).iter().take(CAMPAIGN_MEMBERS_MAX) {
        if let Some(name) = member.name().string() {
            let name = match &*name {
                "name" => "campaign",
                name => name,
            };
            add(format!("utm_{name}").into(), member.value());
        }
    }
    derived
}

/// The value as JSON text.
fn quoted(value: Value<'_>) -> String {
    match value.as_str() {
        text if text.starts_with('"') => text.to_owned(),
        other => Json::from(other).to_string(),
    }
}

/// Carries the properties and the super-traits of a call.
fn carry(
    kind: Kind,
    call: &Call<'_>,
    properties: &Rest<'_>,
    super_traits: &Rest<'_>,
    derived: &[(Cow<'_, str>, Value<'_>)],
    to: &mut Members<'_>,
) {
    let is_derived = |member: &Member<'_>| {
        let name = member.name_text();
        let is = |(key, _): &(Cow<'_, str>, _)| name.as_deref() == Some(key.as_bytes());
        derived.iter().any(is)
    };
    // Of a track call the super-traits go before the properties, of a page the other way around.
    let (first, last) = match kind {
        Kind::Track => (properties, super_traits),
        _ => (super_traits, properties),
    };
    let mut carry = |member: &Member<'_>| {
        let name = member.name().as_str();
        let is_page = kind != Kind::Track;
        let is_of_page = is_page
            && (name == "\"name\"" && !call.name.is_absent()
                || name == "\"category\"" && !call.category.is_absent());
        if !OWN_KEYS.contains(&name) && !is_of_page && !is_derived(member) {
            to.verbatim(member);
        }
    };
    let names = Names::of(Some(last));
    let first = first.iter();
    first
        .filter(|member| !names.has(member.name_json()))
        .for_each(|member| carry(&member));
    last.iter().for_each(|member| carry(&member));
}

fn identify(options: &Options, call: &Call<'_>, to: &mut Adapted) -> Result<(), Refusal> {
    if options.with_profiles {
        let time_ms = call.time_ms()?;
        let [ip, super_traits] = values_of(call.context, ["ip", "traits"]);
        let properties = members(call.traits.or(super_traits));
        message(&mut to.profiles, |object| {
            object.object("$set", |set| traits::renamed(&properties, set));
            token("$token", options, object);
            object.text("$distinct_id", &own_id(options, call));
            object.value("$ip", ip);
            if let Some(ms) = time_ms {
                object.number("$time", ms);
            }
        });
    }
    match (call.user.text(), call.device.text()) {
        (Some(user), Some(device)) if !is_simplified(options) => {
            identity_event("$merge", options, to, |object| {
                object.texts("$distinct_ids", &[&user, &device]);
            });
        }
        _ => to.counts.pass_over("identify"),
    }
    Ok(())
}

fn alias(options: &Options, call: &Call<'_>, to: &mut Adapted) -> Result<(), Refusal> {
    if is_simplified(options) {
        return Err(Refusal::new(
            "A-4",
            "RudderStack sends no alias to a Simplified project; use `--as direct` for what the call says",
        ));
    }
    let Some(previous) = call.previous.or(call.device).text() else {
        let why = "RudderStack sends no alias without previousId or anonymousId";
        return Err(Refusal::missing("previousId", why));
    };
    let Some(user) = call.user.text().filter(|user| *user != previous) else {
        return Err(Refusal::new(
            "A-4",
            "\"userId\" is missing or the same as \"previousId\", and RudderStack sends no such alias",
        ));
    };
    identity_event("$create_alias", options, to, |object| {
        object.text("distinct_id", &previous);
        object.text("alias", &user);
    });
    Ok(())
}

fn group(options: &Options, call: &Call<'_>, to: &mut Adapted) -> Result<(), Refusal> {
    to.counts.pass_over("group");
    if !options.with_profiles {
        return Ok(());
    }
    if options.group_keys.is_empty() {
        return Err(Refusal::new(
            "A-4",
            "RudderStack sends no group unless its settings name the trait that is the group's key",
        ));
    }
    let traits = members(call.traits);
    let [ip] = values_of(call.context, ["ip"]);
    for key in &options.group_keys {
        let value = match &**key {
            "groupId" => call.group,
            key => find(&traits, key),
        };
        if value.is_absent() {
            continue;
        }
        message(&mut to.profiles, |object| {
            token("$token", options, object);
            object.text("$distinct_id", &own_id(options, call));
            object.object("$set", |set| match value.elements() {
                Some(_) => set.any(key, value.as_str()),
                None => set.any(key, &format!("[{}]", value.as_str())),
            });
            object.value("$ip", ip);
        });
        let mut each = |id: Value<'_>| {
            message(&mut to.groups, |object| {
                token("$token", options, object);
                object.text("$group_key", key);
                object.value("$group_id", id);
                object.value("$set", call.traits);
            });
        };
        match value.elements() {
            None => each(value),
            Some(mut elements) => {
                while let Ok(Some(id)) = elements.next_value() {
                    each(Value::Json(id));
                }
            }
        }
    }
    Ok(())
}
