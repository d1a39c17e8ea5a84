//! Events of Amplitude's export, and of its tables in a warehouse.

use crate::adapted::Adapted;
use crate::format::Format;
use crate::options::Options;
use crate::read::fields::{Fields, NO_NAMES, ObjectText};
use crate::read::names::FieldNames;
use crate::read::record::Record;
use crate::read::time::{first_time, time_ms};
use crate::refusal::Refusal;
use crate::write::event::{Carried, Parts, ids};

static NAMES: FieldNames<'static, 12> = FieldNames::new([
    "event_type",
    "user_id",
    "device_id",
    "event_time",
    "client_event_time",
    "server_received_time",
    "server_upload_time",
    "$insert_id",
    "insert_id",
    "uuid",
    "amplitude_id",
    "event_properties",
]);

/// The place of `event_properties` among the names.
const PROPERTIES_AT: usize = 11;

pub(crate) fn adapt(
    options: &Options,
    record: Record<'_>,
    to: &mut Adapted,
) -> Result<(), Refusal> {
    let (Fields { values, rest }, inner) =
        Fields::of_record_and_inner(record, &NAMES, PROPERTIES_AT, &NO_NAMES)?;
    let [
        name,
        user,
        device,
        time,
        client_time,
        received,
        uploaded,
        ..,
    ] = values;
    let [.., insert_id, other_insert_id, uuid, person, properties] = values;
    to.received(time_ms(received.or(uploaded)));
    let name = name
        .text()
        .ok_or_else(|| Refusal::missing("event_type", "it is the name of the event"))?;
    let (user, device) = ids(options, ("user_id", user), ("device_id", device), to)?;
    let parts = Parts {
        format: Format::Amplitude,
        user,
        device,
        distinct_id: None,
        time_ms: first_time(&[("event_time", time), ("client_event_time", client_time)])?,
        message_id: insert_id.or(other_insert_id).or(uuid).text(),
    };
    let properties = ObjectText::of(properties);
    // A change of properties, which makes no claim.
    let name = if name == "$identify" {
        "Identify"
    } else {
        &*name
    };
    parts.event(
        name,
        Carried {
            named: &[
                ("source_person", person),
                ("server_received_time", received),
                ("server_upload_time", uploaded),
            ],
            rest: Some(&rest),
            properties: Some(&properties.members_or(inner.rest)),
            ..Carried::default()
        },
        to,
    );
    Ok(())
}
