//! Writes updates of profiles, and events as connectors send them.

use crate::adapted::{Adapted, LineKind};
use crate::options::Options;
use crate::read::value::Value;
use crate::write::object::{Members, start_event};

/// An update that sets properties of a user's profile.
pub(crate) fn set(user: &str, properties: Value<'_>, to: &mut Adapted) {
    message(&mut to.profiles, |members| {
        members.text("$distinct_id", user);
        members.value("$set", properties);
    });
}

/// An update that sets one property of a user's profile.
pub(crate) fn set_one(user: &str, name: &str, value: Value<'_>, to: &mut Adapted) {
    message(&mut to.profiles, |members| {
        members.text("$distinct_id", user);
        members.object("$set", |set| {
            if value != Value::Missing {
                set.any(name, value.as_str());
            }
        });
    });
}

/// Writes an object on a line of its own.
pub(crate) fn message(to: &mut Vec<u8>, write: impl FnOnce(&mut Members<'_>)) {
    to.push(b'{');
    write(&mut Members::new(to));
    to.extend_from_slice(b"}\n");
}

/// The token of the project, if it is known.
pub(crate) fn token(key: &str, options: &Options, to: &mut Members<'_>) {
    if let Some(token) = &options.token {
        to.text(key, token);
    }
}

/// An event as a connector sends it. It has no fingerprint, since A-7 does not apply.
pub(crate) fn event(name: &str, to: &mut Adapted, write: impl FnOnce(&mut Members<'_>)) {
    write(&mut start_event(name, &mut to.text));
    to.text.extend_from_slice(b"}}");
    to.end_line(LineKind::Event(None), None);
}

/// An identity event as a connector sends it: without a time and an `$insert_id`, and with the token last.
pub(crate) fn identity_event(
    name: &str,
    options: &Options,
    to: &mut Adapted,
    write: impl FnOnce(&mut Members<'_>),
) {
    event(name, to, |members| {
        write(members);
        token("token", options, members);
    });
}
