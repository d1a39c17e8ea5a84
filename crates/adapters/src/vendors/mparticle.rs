//! Batches of mParticle: those of its outputs, and those that were sent to it.

use std::borrow::Cow;

use idmerge_core::quote;
use idmerge_events::{JsonReader, visit_pairs};

use crate::adapted::Adapted;
use crate::counts::Counts;
use crate::format::Format;
use crate::options::Options;
use crate::read::fields::{Fields, NO_NAMES, values_of};
use crate::read::ids::{Side, read_id};
use crate::read::names::FieldNames;
use crate::read::plan::{Only, Planned, ReaderByPlans, RecordReader};
use crate::read::record::{Read, Record};
use crate::read::rest::Rest;
use crate::read::time::first_time;
use crate::read::value::Value;
use crate::refusal::Refusal;
use crate::write::draft::insert_id_of;
use crate::write::event::{Carried, Parts};
use crate::write::message;

static NAMES: FieldNames<'static, 8> = FieldNames::new([
    "events",
    "user_identities",
    "mpid",
    "mp_deviceid",
    "device_info",
    "batch_id",
    "user_attributes",
    "deleted_user_attributes",
]);

/// The places of `events` and of `user_identities` among the names.
const EVENTS_AT: usize = 0;
const IDENTITIES_AT: usize = 1;

/// The names of an event.
static EVENT: FieldNames<'static, 2> = FieldNames::new(["event_type", "data"]);

/// The number of names in [`DATA`].
const DATA_NAMES: usize = 11;

static DATA: FieldNames<'static, DATA_NAMES> = FieldNames::new([
    "timestamp_unixtime_ms",
    "event_id",
    "source_message_id",
    "event_name",
    "custom_attributes",
    "screen_name",
    "new",
    "old",
    "profile_event_type",
    "previous_mpid",
    "current_mpid",
]);

/// The place of `custom_attributes` among the names.
const ATTRIBUTES_AT: usize = 4;

/// The name of the event of a changed identity.
const IDENTITY_CHANGE: &str = "Identity Change";

/// What the events of a batch have in common: a batch is one person.
struct Batch<'b> {
    options: &'b Options,
    user: Option<Cow<'b, str>>,
    device: Option<Cow<'b, str>>,
    id: Option<Cow<'b, str>>,
    mpid: Value<'b>,
    rest: Rest<'b>,
}

pub(crate) fn adapt(
    options: &Options,
    record: Record<'_>,
    to: &mut Adapted,
) -> Result<(), Refusal> {
    let mut read = ReadEvents::default();
    let Fields { values, mut rest } =
        Fields::of_object_entering(record, &NAMES, EVENTS_AT, &mut read)
            .ok_or_else(|| Refusal::not_a_record(record.text))?;
    let [events, identities, mpid, device, device_info, batch_id, ..] = values;
    let events = match events {
        Value::Json(events) if events.as_str().starts_with('[') => events.as_str(),
        _ => {
            let why = "a batch has its events in an array";
            return Err(Refusal::missing("events", why));
        }
    };
    let kind = &*options.user_identity;
    let user = match kind {
        "mpid" => mpid,
        kind => record
            .value_in(&NAMES, IDENTITIES_AT, kind)
            .unwrap_or_else(|| identity_of(identities, kind)),
    };
    match user {
        Value::Missing => each_type(identities, |kind| to.counts.other_identity(kind)),
        _ => to.counts.found = 1,
    }
    let mut id = |side, name, value| read_id(&options.ids, side, name, value, &mut to.counts);
    let user = id(Side::User, kind, user)?;
    let device = match id(Side::Device, "mp_deviceid", device)? {
        Some(device) => Some(device),
        None => device_of_system(device_info, |name, value| id(Side::Device, name, value))?,
    };
    rest.keep(Only::Scalars);
    let batch = Batch {
        options,
        user,
        device,
        id: batch_id.text(),
        mpid,
        rest,
    };
    let mut index = 0;
    let take = |event: BatchEvent<'_>| {
        to.attempt_element("events", index, |to| batch.event(event, index, to));
        index += 1;
    };
    match read {
        ReadEvents::All(events) => events.into_iter().for_each(take),
        ReadEvents::AtHand(reader) => BatchEvent::each_of(reader, take),
        ReadEvents::TooMany => BatchEvent::each_of(JsonReader::new(events), take),
    }
    Ok(())
}

/// How many events of a batch are read in the scan of the batch. They take memory, and a sender chooses how many
/// there are.
const EVENTS_MAX: usize = 32;

/// The events of a batch.
enum ReadEvents<'e> {
    All(Vec<BatchEvent<'e>>),
    /// They are to be read one by one, and need no scan.
    AtHand(ReaderByPlans<'e>),
    /// They are to be read one by one.
    TooMany,
}

impl Default for ReadEvents<'_> {
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

impl<'e> Read<'e> for ReadEvents<'e> {
    /// Reads the value that comes next, in place of what was read before (IN-2).
    fn read(&mut self, reader: &mut impl RecordReader<'e>) -> Option<()> {
        *self = Self::default();
        if !reader.is_at_array() {
            return reader.value().map(drop);
        }
        if let Some(at_hand) = reader.by_plans() {
            *self = Self::AtHand(at_hand);
            return reader.value().map(drop);
        }
        reader.elements(|reader| {
            match self {
                Self::All(events) if events.len() < EVENTS_MAX => {
                    let event = BatchEvent::read(reader)?;
                    if events.is_empty() {
                        // Many batches have one, for which allocators have memory at hand.
                        events.reserve_exact(1);
                    }
                    events.push(event);
                }
                _ => {
                    *self = Self::TooMany;
                    reader.value()?;
                }
            }
            Some(())
        })
    }
}

/// The ID of the device by its system. `id` reads an ID.
fn device_of_system<'r>(
    device_info: Value<'r>,
    mut id: impl FnMut(&'static str, Value<'r>) -> Result<Option<Cow<'r, str>>, Refusal>,
) -> Result<Option<Cow<'r, str>>, Refusal> {
    let [android, ios] = values_of(device_info, ["android_uuid", "ios_idfv"]);
    let vendor = match id("android_uuid", android)? {
        Some(id) => Some(id),
        None => id("ios_idfv", ios)?,
    };
    // The systems disagree about the case.
    Ok(vendor.map(|id| Cow::Owned(id.to_ascii_lowercase())))
}

/// The identity of a type: a member of an object, or an element of a list.
fn identity_of<'r>(identities: Value<'r>, kind: &str) -> Value<'r> {
    let Some(mut elements) = identities.elements() else {
        return values_of(identities, [kind])[0];
    };
    while let Ok(Some(element)) = elements.next_value() {
        let (this, identity) = identity(Value::Json(element));
        if this.as_deref() == Some(kind) {
            return identity;
        }
    }
    Value::Missing
}

/// Visits the type of each identity of a batch.
fn each_type(identities: Value<'_>, mut visit: impl FnMut(&str)) {
    match identities.elements() {
        Some(mut elements) => {
            while let Ok(Some(element)) = elements.next_value() {
                if let (Some(kind), _) = identity(Value::Json(element)) {
                    visit(&kind);
                }
            }
        }
        None => {
            if let Value::Json(object) = identities {
                visit_pairs(object.as_str(), |pair| {
                    if let Some(kind) = pair.key().string() {
                        visit(&kind);
                    }
                });
            }
        }
    }
}

/// The warning if no batch had the identity that is the user ID.
pub(crate) fn unfound(options: &Options, counts: &Counts) -> Option<String> {
    let kind = &*options.user_identity;
    let others = &counts.other_identities;
    // Visitors who never log in have no identity, and nothing is wrong.
    if counts.found > 0 || others.is_empty() && kind == Options::CUSTOMER_ID {
        return None;
    }
    let others: Vec<_> = others.iter().map(|kind| quote(kind)).collect();
    Some(match &others[..] {
        [] => format!(
            "no batch has an identity of the type {}, so no event has a user ID",
            quote(kind)
        ),
        others => format!(
            "no batch has an identity of the type {}, so no event has a user ID. The batches have {}; name the one \
             that is the user ID with --user-identity",
            quote(kind),
            others.join(", ")
        ),
    })
}

/// The type and the text of an identity.
fn identity(value: Value<'_>) -> (Option<Cow<'_, str>>, Value<'_>) {
    let [kind, identity] = values_of(value, ["identity_type", "identity"]);
    (kind.text(), identity)
}

/// An event of a batch.
struct BatchEvent<'e> {
    kind: Value<'e>,
    data: Value<'e>,
    /// The fields of `data`.
    fields: Fields<'e, DATA_NAMES>,
    /// The members of `custom_attributes`.
    attributes: Fields<'e, 0>,
}

impl<'e> BatchEvent<'e> {
    /// Reads the events of the list that comes next, one by one.
    fn each_of(mut reader: impl RecordReader<'e>, mut take: impl FnMut(Self)) {
        reader.elements(|reader| {
            take(Self::read(reader)?);
            Some(())
        });
    }

    /// Reads the event that comes next.
    fn read(reader: &mut impl RecordReader<'e>) -> Option<Self> {
        let mut event = Self {
            kind: Value::Missing,
            data: Value::Missing,
            fields: Fields::none(),
            attributes: Fields::none(),
        };
        if let Some(planned) = Planned::at(reader, &EVENT) {
            let [kind, data] = [0, 1].map(|index| planned.number_of(index));
            if let Some(kind) = kind {
                event.kind = Value::Json(planned.value(kind)?);
            }
            if let Some(data) = data {
                reader.go_to(data);
                event.read_data(reader)?;
            }
            planned.pass(reader);
            return Some(event);
        }
        if !reader.is_at_object() {
            reader.value()?;
            return Some(event);
        }
        reader.members(|reader, key| {
            match EVENT.of_key(key) {
                Some(0) => event.kind = Value::Json(reader.value()?),
                Some(_) => {
                    // IN-2: the last one counts.
                    (event.fields, event.attributes) = (Fields::none(), Fields::none());
                    event.read_data(reader)?;
                }
                None => drop(reader.value()?),
            }
            Some(())
        })?;
        Some(event)
    }

    fn read_data(&mut self, reader: &mut impl RecordReader<'e>) -> Option<()> {
        let (fields, attributes) = (&mut self.fields, &mut self.attributes);
        self.data = Value::Json(reader.within(|reader| {
            if !reader.is_at_object() {
                return reader.value().map(drop);
            }
            fields.read_entering(reader, &DATA, ATTRIBUTES_AT, |reader| {
                attributes.read_object(reader, &NO_NAMES)
            })
        })?);
        Some(())
    }
}

impl Batch<'_> {
    fn event(&self, event: BatchEvent<'_>, index: u64, to: &mut Adapted) -> Result<(), Refusal> {
        let Some(kind) = event.kind.text() else {
            return Err(Refusal::missing("event_type", "it says what the event is"));
        };
        let Fields { values, rest } = event.fields;
        let [time, event_id, source_id, _, _, screen, ..] = values;
        let place = || {
            Some(Cow::Owned(insert_id_of(&format!(
                "{}\n{index}",
                self.id.as_deref()?
            ))))
        };
        let parts = Parts {
            format: Format::MParticle,
            user: self.user.clone(),
            device: self.device.clone(),
            distinct_id: None,
            time_ms: first_time(&[("timestamp_unixtime_ms", time)])?,
            message_id: event_id.or(source_id).text().or_else(place),
        };
        let carried = Carried {
            named: &[("mpid", self.mpid), ("screen_name", screen)],
            rest: Some(&rest),
            shared: Some(&self.rest),
            properties: Some(&event.attributes.rest),
            ..Carried::default()
        };
        if kind == "user_attribute_change" {
            self.attribute_change(event.data, to);
            return Ok(());
        }
        self.write(&kind, &values, parts, carried, to)
    }

    /// Writes what an event of this kind becomes. `values` are those of [`DATA`].
    fn write(
        &self,
        kind: &str,
        values: &[Value<'_>; DATA_NAMES],
        parts: Parts<'_>,
        carried: Carried<'_, '_>,
        to: &mut Adapted,
    ) -> Result<(), Refusal> {
        let [.., new, old, profile, previous_mpid, current_mpid] = *values;
        let [_, _, _, name, ..] = *values;
        match kind {
            "custom_event" => {
                let why = "a custom event needs a name";
                let name = name
                    .text()
                    .ok_or_else(|| Refusal::missing("event_name", why))?;
                parts.event(&name, carried, to);
            }
            "screen_view" => parts.event("Screen", carried, to),
            "user_identity_change" => self.identity_change(parts, (new, old), carried, to)?,
            "profile" => {
                if previous_mpid.text() != current_mpid.text() && !previous_mpid.is_absent() {
                    to.counts.notice("changes of mpid");
                }
                let profile = profile.text();
                let name = match profile.as_deref() {
                    None | Some("login") => "Login",
                    Some("logout") => "Logout",
                    Some("signup") => "Signup",
                    Some(other) => other,
                };
                parts.event(name, carried, to);
            }
            kind => parts.event(kind, carried, to),
        }
        Ok(())
    }

    /// The person got another user ID, or the first one.
    fn identity_change(
        &self,
        mut parts: Parts<'_>,
        (new, old): (Value<'_>, Value<'_>),
        carried: Carried<'_, '_>,
        to: &mut Adapted,
    ) -> Result<(), Refusal> {
        let target = self.options.target;
        let kind = Some(&*self.options.user_identity);
        let ((new_kind, new), (old_kind, old)) = (identity(new), identity(old));
        if new_kind.as_deref() != kind {
            parts.event(IDENTITY_CHANGE, carried, to);
            return Ok(());
        }
        let mut read = |name, value| {
            let read = read_id(&self.options.ids, Side::User, name, value, &mut to.counts)?;
            Ok::<_, Refusal>(read.map(Cow::into_owned))
        };
        parts.user = read("new", new)?.map(Cow::Owned);
        let old = match old_kind.as_deref() == kind {
            true => read("old", old)?,
            false => None,
        };
        match (old, &parts.user) {
            (Some(old), Some(user)) if old != **user => {
                to.counts.notice("changes of the user ID");
                if !target.has_identity_events() {
                    to.add_conflict(parts.conflict(IDENTITY_CHANGE, [&old, user]));
                }
                if target.has_links() {
                    parts.event(IDENTITY_CHANGE, carried, to);
                }
                if target.has_identity_events() {
                    parts.create_alias(&old, user, carried, to);
                }
            }
            _ => parts.identify(target, IDENTITY_CHANGE, carried, to),
        }
        Ok(())
    }

    /// A property of the user's profile.
    fn attribute_change(&self, data: Value<'_>, to: &mut Adapted) {
        to.counts.pass_over("user_attribute_change");
        let names = ["user_attribute_name", "new"];
        let [name, new] = values_of(data, names);
        if let (Some(user), Some(name)) = (&self.user, name.text())
            && self.options.with_profiles
        {
            message::set_one(user, &name, new, to);
        }
    }
}
