//! The calls that Segment and RudderStack have in common: `track`, `identify` and so on.

mod call;
mod rudderstack;
mod segment;
mod traits;
mod warehouse;

use std::borrow::Cow;

use idmerge_core::UuidText;

use crate::adapted::Adapted;
use crate::format::Format;
use crate::options::{Options, Output};
use crate::read::fields::members;
use crate::read::ids::{Side, read_id};
use crate::read::time::time_ms;
use crate::read::value::Value;
use crate::refusal::Refusal;
use crate::vendors::calls::call::{Call, Kind};
use crate::write::draft::{Draft, Head, has};

/// Turns a call, or a batch of them, into events.
pub(crate) fn adapt(format: Format, options: &Options, text: &str, to: &mut Adapted) {
    let Some(call) = Call::of_object(text) else {
        to.refuse_part(Refusal::not_a_record(text));
        return;
    };
    if options.output == Output::Direct && warehouse::is_row(&call) {
        adapt_row(format, options, text, to);
        return;
    }
    let elements = match call.kind {
        Value::Missing => call.batch.elements(),
        _ => None,
    };
    let Some(mut elements) = elements else {
        adapt_call(format, options, &call, to, &|refusal| refusal);
        return;
    };
    let mut index = 0_u64;
    while let Ok(Some(element)) = elements.next_value() {
        let within = |refusal: Refusal| refusal.within(format_args!("\"batch\"[{index}]"));
        match Call::of_object(element.as_str()) {
            None => to.refuse_part(within(Refusal::not_an_object(element.as_str()))),
            Some(mut inner) => {
                inner.sent_at = inner.sent_at.or(call.sent_at);
                inner.context = inner.context.or(call.context);
                inner.received_at = inner.received_at.or(call.received_at);
                adapt_call(format, options, &inner, to, &within);
            }
        }
        index += 1;
    }
}

/// Turns a row of a table in a warehouse into events.
fn adapt_row(format: Format, options: &Options, text: &str, to: &mut Adapted) {
    let lines = to.lines().len();
    let adapted = warehouse::call_of(text, options).and_then(|(kind, call)| {
        to.received(time_ms(call.received_at));
        direct(format, options, kind, &call, to)
    });
    if let Err(refusal) = adapted {
        to.roll_back(lines);
        to.refuse_part(refusal);
    }
}

fn adapt_call(
    format: Format,
    options: &Options,
    call: &Call<'_>,
    to: &mut Adapted,
    within: &dyn Fn(Refusal) -> Refusal,
) {
    let lines = to.lines().len();
    to.received(time_ms(call.received_at));
    let adapted = match (options.output, format) {
        (Output::Direct, _) => {
            Kind::of(call).and_then(|kind| direct(format, options, kind, call, to))
        }
        (Output::Mixpanel, Format::RudderStack) => rudderstack::mixpanel(options, call, to),
        (Output::Mixpanel, _) => segment::mixpanel(options, call, to),
    };
    if let Err(refusal) = adapted {
        to.roll_back(lines);
        to.refuse_part(within(refusal));
    }
}

/// The call as an event that says the same.
struct DirectCall<'c> {
    call: &'c Call<'c>,
    source: &'static str,
    user: Option<Cow<'c, str>>,
    device: Option<Cow<'c, str>>,
    time_ms: Option<i64>,
    message_id: Option<Cow<'c, str>>,
}

fn direct(
    format: Format,
    options: &Options,
    kind: Kind,
    call: &Call<'_>,
    to: &mut Adapted,
) -> Result<(), Refusal> {
    if let Kind::Other(kind) = kind {
        to.counts.pass_over(kind);
        return Ok(());
    }
    let mut id = |side, name, value| read_id(&options.ids, side, name, value, &mut to.counts);
    let call = DirectCall {
        call,
        source: format.name(),
        user: id(Side::User, "userId", call.user)?,
        device: id(Side::Device, "anonymousId", call.device)?,
        time_ms: call.time_ms()?,
        message_id: call.message_id.text(),
    };
    let target = options.target;
    match kind {
        Kind::Track => {
            let name = call.call.event_name()?;
            call.event(&name, to);
        }
        Kind::Page => call.event("Page", to),
        Kind::Screen => call.event("Screen", to),
        Kind::Group => call.event("Group", to),
        Kind::Identify => match (&call.user, &call.device) {
            (Some(user), Some(device)) if target.has_identity_events() => {
                if target.has_links() {
                    call.event("Identify", to);
                }
                let ids = [("$identified_id", &**user), ("$anon_id", &**device)];
                call.write("$identify", &ids, Some(user), to);
            }
            _ => call.event("Identify", to),
        },
        Kind::Alias => call.alias(options, to)?,
        Kind::Other(_) => {}
    }
    if options.with_profiles && kind == Kind::Identify {
        call.profile(to);
    }
    Ok(())
}

impl DirectCall<'_> {
    /// Writes an event with the IDs of the call.
    fn event(&self, name: &str, to: &mut Adapted) {
        let (user, device) = (self.user.as_deref(), self.device.as_deref());
        let ids = [
            device.map(|id| ("$device_id", id)),
            user.map(|id| ("$user_id", id)),
        ];
        let ids: Vec<_> = ids.into_iter().flatten().collect();
        self.write(name, &ids, user.or(device), to);
    }

    fn write(&self, name: &str, ids: &[(&str, &str)], own: Option<&str>, to: &mut Adapted) {
        let call = self.call;
        let mut draft = Draft::start(
            to,
            &Head {
                name,
                ids,
                own,
                time_ms: self.time_ms,
                message_id: self.message_id.as_deref(),
                source: self.source,
            },
        );
        let properties = members(call.properties);
        let others = [
            ("\"name\"", call.name),
            ("\"category\"", call.category),
            ("\"context\"", call.context),
            ("\"originalTimestamp\"", call.original_timestamp),
            ("\"sentAt\"", call.sent_at),
            ("\"receivedAt\"", call.received_at),
        ];
        for (name, value) in others {
            if !has(&properties, name) {
                draft.value(name.trim_matches('"'), value);
            }
        }
        if !call.group.is_absent() && !has(&properties, "\"group_id\"") {
            draft.value("group_id", call.group);
        }
        draft.carry("traits_", &members(call.traits));
        draft.carry_unless_in(&call.rest, &properties);
        draft.carry("", &properties);
        draft.end();
    }

    fn alias(&self, options: &Options, to: &mut Adapted) -> Result<(), Refusal> {
        let Some(user) = &self.user else {
            let why = "an alias call says that its previousId belongs to this user";
            return Err(Refusal::missing("userId", why));
        };
        let previous = self.call.previous;
        let previous = read_id(
            &options.ids,
            Side::Device,
            "previousId",
            previous,
            &mut to.counts,
        )?;
        let Some(previous) = previous.or_else(|| self.device.clone()) else {
            self.event("Alias", to);
            return Ok(());
        };
        if options.target.has_links() {
            let is_device = self.device.as_ref() == Some(&previous)
                || UuidText::new(&previous).is_some_and(|uuid| uuid.version() == 4);
            if is_device {
                let ids = [("$device_id", &*previous), ("$user_id", &**user)];
                self.write("Alias", &ids, Some(user), to);
            } else if !options.target.has_identity_events() {
                return Err(Refusal::new(
                    "S-9",
                    "\"previousId\" is a user ID, and two users cannot be one in Simplified; decide which \
                     of them the person is, and send that one from now on",
                ));
            }
        }
        if options.target.has_identity_events() {
            let ids = [("distinct_id", &*previous), ("alias", &**user)];
            self.write("$create_alias", &ids, Some(&previous), to);
        }
        Ok(())
    }

    /// The traits, as an update of the user's profile.
    fn profile(&self, to: &mut Adapted) {
        let Some(user) = &self.user else {
            return;
        };
        let traits = self.call.traits;
        if members(traits).is_empty() {
            return;
        }
        crate::write::message::set(user, traits, to);
    }
}
