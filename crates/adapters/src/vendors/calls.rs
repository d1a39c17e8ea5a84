//! The calls that Segment and RudderStack have in common: `track`, `identify` and so on.

mod browser;
mod call;
mod context;
pub(crate) mod request;
mod rudderstack;
mod segment;
mod traits;
mod warehouse;

use idmerge_core::{IdProperty, UuidText};

use crate::adapted::Adapted;
use crate::format::Format;
use crate::options::{Options, Output};
use crate::read::fields::{members, values_of};
use crate::read::ids::{Side, read_id};
use crate::read::record::Record;
use crate::read::time::time_ms;
use crate::read::value::Value;
use crate::refusal::Refusal;
use crate::vendors::calls::call::{Call, Inherited, Kind};
use crate::write::event::{Carried, Parts, ids};
use crate::write::message;

/// Turns a call, or a batch of them, into events.
pub(crate) fn adapt(
    format: Format,
    options: &Options,
    record: Record<'_>,
    to: &mut Adapted,
) -> Result<(), Refusal> {
    let text = record.text;
    let call = Call::of_object(record).ok_or_else(|| Refusal::not_a_record(text))?;
    if options.output == Output::Direct && warehouse::is_row(&call) {
        let (kind, call) = warehouse::call_of(text, options)?;
        to.received(time_ms(call.received_at));
        return direct(format, options, kind, &call, to);
    }
    let elements = match call.kind {
        Value::Missing => call.batch.elements(),
        _ => None,
    };
    let Some(elements) = elements else {
        return adapt_call(format, options, &call, to);
    };
    let given = Inherited {
        sent_at: call.sent_at,
        context: call.context,
        received_at: call.received_at,
    };
    to.attempt_each("batch", elements, |to, element, _| {
        let text = element.as_str();
        let mut inner =
            Call::of_object(Record::of_text(text)).ok_or_else(|| Refusal::not_an_object(text))?;
        given.add_to(&mut inner);
        adapt_call(format, options, &inner, to)
    });
    Ok(())
}

fn adapt_call(
    format: Format,
    options: &Options,
    call: &Call<'_>,
    to: &mut Adapted,
) -> Result<(), Refusal> {
    to.received(time_ms(call.received_at));
    match (options.output, format) {
        (Output::Direct, _) => direct(format, options, Kind::of(call)?, call, to),
        (Output::Mixpanel, Format::RudderStack) => rudderstack::mixpanel(options, call, to),
        (Output::Mixpanel, _) => segment::mixpanel(options, call, to),
    }
}

/// Turns a call into events that say the same.
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
    let device = ("anonymousId", call.device);
    let (user, device) = ids(options, ("userId", call.user), device, to)?;
    let parts = Parts {
        format,
        user,
        device,
        distinct_id: None,
        time_ms: call.time_ms()?,
        message_id: call.message_id.text(),
    };
    let user_traits = traits_of(kind, call);
    let traits = members(user_traits);
    let carried = Carried {
        named: &[
            ("name", call.name),
            ("category", call.category),
            ("context", call.context),
            ("originalTimestamp", call.original_timestamp),
            ("sentAt", call.sent_at),
            ("receivedAt", call.received_at),
            ("group_id", call.group.or(Value::Missing)),
        ],
        traits: Some(&traits),
        rest: Some(&call.rest),
        properties: Some(&call.property_members),
        ..Carried::default()
    };
    match kind {
        Kind::Track => parts.event(&call.event_name()?, carried, to),
        Kind::Page => parts.event("Page", carried, to),
        Kind::Screen => parts.event("Screen", carried, to),
        Kind::Group => parts.event("Group", carried, to),
        Kind::Identify => {
            parts.identify(options.target, "Identify", carried, to);
            if let Some(user) = parts
                .user
                .filter(|_| options.with_profiles && !traits.is_empty())
            {
                message::set(&user, user_traits, to);
            }
        }
        Kind::Alias => alias(options, &parts, call.previous, carried, to)?,
        Kind::Other(_) => {}
    }
    Ok(())
}

/// The traits of a call. Those of an `identify` call of RudderStack's SDKs are in the context.
fn traits_of<'r>(kind: Kind, call: &Call<'r>) -> Value<'r> {
    match kind {
        Kind::Identify if call.traits.is_absent() => {
            let [traits] = values_of(call.context, ["traits"]);
            traits
        }
        _ => call.traits,
    }
}

/// Writes that the previous ID, or else the device, belongs to the user.
fn alias(
    options: &Options,
    parts: &Parts<'_>,
    previous: Value<'_>,
    carried: Carried<'_, '_>,
    to: &mut Adapted,
) -> Result<(), Refusal> {
    let Some(user) = parts.user.as_deref() else {
        let why = "an alias call says that its previousId belongs to this user";
        return Err(Refusal::missing("userId", why));
    };
    let (rules, counts) = (&options.ids, &mut to.counts);
    let previous = read_id(rules, Side::Device, "previousId", previous, counts)?;
    let device = parts.device.as_deref();
    let Some(previous) = previous.as_deref().or(device) else {
        parts.event("Alias", carried, to);
        return Ok(());
    };
    if options.target.has_links() {
        let is_device = device == Some(previous)
            || UuidText::new(previous).is_some_and(|uuid| uuid.version() == 4);
        if is_device {
            let ids = [(IdProperty::DeviceId, previous), (IdProperty::UserId, user)];
            parts.write("Alias", &ids, Some(user), carried, to);
        } else if !options.target.has_identity_events() {
            let conflict = parts.conflict("Alias", [previous, user]);
            return Err(Refusal::two_users(["previousId", "userId"], conflict));
        }
    }
    if options.target.has_identity_events() {
        parts.create_alias(previous, user, carried, to);
    }
    Ok(())
}
