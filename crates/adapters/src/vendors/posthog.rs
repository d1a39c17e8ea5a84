//! Events of PostHog's batch export.

use std::borrow::Cow;

use idmerge_core::UuidText;

use crate::adapted::Adapted;
use crate::format::Format;
use crate::options::Options;
use crate::read::fields::{Fields, ObjectText};
use crate::read::ids::{Side, read_id};
use crate::read::names::FieldNames;
use crate::read::record::Record;
use crate::read::time::{first_time, time_ms};
use crate::read::value::Value;
use crate::refusal::Refusal;
use crate::write::event::{Carried, Parts};

static NAMES: FieldNames<'static, 7> = FieldNames::new([
    "event",
    "timestamp",
    "created_at",
    "uuid",
    "distinct_id",
    "person_id",
    "properties",
]);

/// The place of `properties` among the names.
const PROPERTIES_AT: usize = 6;

static PROPERTIES: FieldNames<'static, 4> =
    FieldNames::new(["$device_id", "$is_identified", "$anon_distinct_id", "alias"]);

/// The event that joins any two IDs.
const MERGE: &str = "$merge_dangerously";

pub(crate) fn adapt(
    options: &Options,
    record: Record<'_>,
    to: &mut Adapted,
) -> Result<(), Refusal> {
    let (Fields { values, rest }, inner) =
        Fields::of_record_and_inner(record, &NAMES, PROPERTIES_AT, &PROPERTIES)?;
    let [name, time, created, uuid, own, person, properties] = values;
    to.received(time_ms(created));
    let properties = ObjectText::of(properties);
    let Fields {
        values: [device, is_identified, anon, alias],
        rest: properties,
    } = match properties {
        ObjectText::Json(_) => inner,
        ObjectText::Text(_) => Fields::of_value(properties.as_value(), &PROPERTIES),
    };
    let name = name
        .text()
        .ok_or_else(|| Refusal::missing("event", "it is the name of the event"))?;
    let mut id = |side, field, value| read_id(&options.ids, side, field, value, &mut to.counts);
    let own = id(Side::User, "distinct_id", own)?;
    let id_of_device = id(Side::Device, "$device_id", device)?;
    let anon = id(Side::Device, "$anon_distinct_id", anon)?;
    let other = id(Side::User, "alias", alias)?;
    let ids = match &*name {
        "$identify" => Ids::of_user(own.clone(), anon),
        "$create_alias" | MERGE => Ids::default(),
        _ => Ids::of_event(own.clone(), id_of_device.clone(), is_identified),
    };
    let other_device = Some(device).filter(|_| ids.device != id_of_device);
    let mut event = PosthogEvent {
        options,
        parts: Parts {
            format: Format::PostHog,
            user: ids.user,
            device: ids.device,
            distinct_id: ids.distinct_id,
            time_ms: first_time(&[("timestamp", time)])?,
            message_id: uuid.text(),
        },
        carried: Carried {
            named: &[
                ("source_person", person),
                ("created_at", created),
                ("source_$device_id", other_device.unwrap_or_default()),
            ],
            rest: Some(&rest),
            properties: Some(&properties),
            ..Carried::default()
        },
    };
    event.write(&name, own, other, to)
}

/// The IDs that an event is written with.
#[derive(Default)]
struct Ids<'e> {
    user: Option<Cow<'e, str>>,
    device: Option<Cow<'e, str>>,
    distinct_id: Option<Cow<'e, str>>,
}

impl<'e> Ids<'e> {
    fn of_user(user: Option<Cow<'e, str>>, device: Option<Cow<'e, str>>) -> Self {
        Self {
            user,
            device,
            distinct_id: None,
        }
    }

    /// In PostHog an event belongs to its `distinct_id`, whatever its device. After a `reset()` the device is the same
    /// and the `distinct_id` is a new anonymous one, so the device may be that of somebody who has logged out.
    fn of_event(
        own: Option<Cow<'e, str>>,
        device: Option<Cow<'e, str>>,
        is_identified: Value<'_>,
    ) -> Self {
        match is_identified.as_str() {
            "true" | "\"true\"" => Self::of_user(own, device),
            // `$identify` then names this ID as the anonymous one.
            "false" | "\"false\"" => Self::of_user(None, own.or(device)),
            _ if own.is_none() || own == device => Self::of_user(None, device),
            // An SDK of a server, or an old one: it may be a user.
            _ => Self {
                distinct_id: own,
                ..Self::default()
            },
        }
    }
}

struct PosthogEvent<'e> {
    options: &'e Options,
    parts: Parts<'e>,
    carried: Carried<'e, 'e>,
}

impl<'e> PosthogEvent<'e> {
    /// Writes what an event of this name becomes.
    fn write(
        &mut self,
        name: &str,
        own: Option<Cow<'e, str>>,
        other: Option<Cow<'e, str>>,
        to: &mut Adapted,
    ) -> Result<(), Refusal> {
        let (target, carried) = (self.options.target, self.carried);
        match name {
            "$identify" => self.parts.identify(target, "Identify", carried, to),
            "$create_alias" => self.alias("$create_alias", own, other, to)?,
            MERGE => self.alias("$merge", own, other, to)?,
            "$groupidentify" => to.counts.pass_over("$groupidentify"),
            "$set" => to.counts.pass_over("$set"),
            name => self.parts.event(name, carried, to),
        }
        Ok(())
    }

    /// Two IDs that are one person: by `$create_alias`, or by `$merge`.
    fn alias(
        &mut self,
        name: &str,
        own: Option<Cow<'e, str>>,
        other: Option<Cow<'e, str>>,
        to: &mut Adapted,
    ) -> Result<(), Refusal> {
        let why = "the event says that two IDs are one person";
        let own = own.ok_or_else(|| Refusal::missing("distinct_id", why))?;
        let other = other.ok_or_else(|| Refusal::missing("alias", why))?;
        let target = self.options.target;
        if target.has_links() {
            let is_merge = name == "$merge";
            let (device, user) = match () {
                () if is_uuid(&other) => (other.clone(), own.clone()),
                () if is_merge && is_uuid(&own) => (own.clone(), other.clone()),
                () if target.has_identity_events() => {
                    self.claim(name, &own, &other, to);
                    return Ok(());
                }
                () => {
                    let name = if is_merge { MERGE } else { name };
                    let conflict = self.parts.conflict(name, [&other, &own]);
                    return Err(Refusal::two_users(["alias", "distinct_id"], conflict));
                }
            };
            (self.parts.user, self.parts.device) = (Some(user), Some(device));
            let name = if is_merge { "Merge" } else { "Alias" };
            self.parts.event(name, self.carried, to);
        }
        if target.has_identity_events() {
            self.claim(name, &own, &other, to);
        }
        Ok(())
    }

    fn claim(&self, name: &str, own: &str, other: &str, to: &mut Adapted) {
        match name {
            "$merge" => self.parts.merge([own, other], self.carried, to),
            _ => self.parts.create_alias(own, other, self.carried, to),
        }
    }
}

fn is_uuid(id: &str) -> bool {
    UuidText::new(id).is_some()
}
