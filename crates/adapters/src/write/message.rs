//! Writes updates of profiles, and identity events as connectors send them.

use crate::adapted::{Adapted, LineKind};
use crate::read::value::Value;
use crate::write::object::{Members, write_text};

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
        members.object("$set", |set| set.any(name, value));
    });
}

/// Writes an object on a line of its own.
pub(crate) fn message(to: &mut Vec<u8>, write: impl FnOnce(&mut Members<'_>)) {
    to.push(b'{');
    write(&mut Members::new(to));
    to.extend_from_slice(b"}\n");
}

/// An identity event as a connector sends it: without a time and an `$insert_id`, and with the token last.
pub(crate) fn identity_event(
    name: &str,
    token: Option<&str>,
    to: &mut Adapted,
    write: impl FnOnce(&mut Members<'_>),
) {
    let out = &mut to.text;
    out.extend_from_slice(b"{\"event\":");
    write_text(name, out);
    out.extend_from_slice(b",\"properties\":{");
    let mut members = Members::new(out);
    write(&mut members);
    if let Some(token) = token {
        members.text("token", token);
    }
    out.extend_from_slice(b"}}");
    to.end_line(LineKind::Event(None));
}
