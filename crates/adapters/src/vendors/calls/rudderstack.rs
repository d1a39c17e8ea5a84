//! What RudderStack's destination for Mixpanel sends for a call.

use crate::adapted::Adapted;
use crate::options::{Options, Target};
use crate::read::fields::{Member, find, members, values_of};
use crate::read::value::Value;
use crate::refusal::Refusal;
use crate::vendors::calls::call::{Call, Kind};
use crate::vendors::calls::traits;
use crate::write::draft::Names;
use crate::write::message::{self, identity_event, message, token};
use crate::write::object::Members;

/// How many characters of a message ID the `$insert_id` of a `track` call has.
const INSERT_ID_CHARS: usize = 36;

/// The keys that the destination writes last, so that a property of the caller does not override them.
const OWN_KEYS: [&str; 6] = [
    "\"$user_id\"",
    "\"$insert_id\"",
    "\"token\"",
    "\"distinct_id\"",
    "\"time\"",
    "\"$device_id\"",
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
    let (properties, super_traits) = (members(call.properties), members(super_traits));
    message::event(name, to, |object| {
        carry(kind, call, &properties, &super_traits, object);
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

/// Carries the properties and the super-traits of a call.
fn carry(
    kind: Kind,
    call: &Call<'_>,
    properties: &[Member<'_>],
    super_traits: &[Member<'_>],
    to: &mut Members<'_>,
) {
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
        if !OWN_KEYS.contains(&name) && !is_of_page {
            to.verbatim(member);
        }
    };
    let names = Names::of(last);
    first
        .iter()
        .filter(|member| !names.has(member.name_json()))
        .for_each(&mut carry);
    last.iter().for_each(&mut carry);
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
