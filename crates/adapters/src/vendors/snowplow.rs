//! Enriched events of Snowplow.

pub(crate) mod atomic_columns;

use std::borrow::Cow;

use idmerge_core::IdProperty;

use crate::adapted::Adapted;
use crate::format::Format;
use crate::options::{Options, SnowplowDevice};
use crate::read::fields::{Fields, ObjectText, values_of};
use crate::read::names::FieldNames;
use crate::read::plan::Only;
use crate::read::record::Record;
use crate::read::rest::Rest;
use crate::read::time::{first_time, time_ms};
use crate::read::value::Value;
use crate::refusal::Refusal;
use crate::write::event::{Carried, Parts, ids};

static NAMES: FieldNames<'static, 8> = FieldNames::new([
    "domain_userid",
    "network_userid",
    "user_id",
    "event_name",
    "event",
    "derived_tstamp",
    "collector_tstamp",
    "event_id",
]);

/// The entity of mobile trackers that has the ID of the device.
const CLIENT_SESSION: &str = "com.snowplowanalytics.snowplow/client_session/";

/// The column that a loader makes of that entity begins with this.
const CLIENT_SESSION_COLUMN: &str = "\"contexts_com_snowplowanalytics_snowplow_client_session";

pub(crate) fn adapt(
    options: &Options,
    record: Record<'_>,
    to: &mut Adapted,
) -> Result<(), Refusal> {
    let Fields { values, mut rest } = Fields::of_record(record, &NAMES)?;
    let [
        domain,
        network,
        user,
        name,
        kind,
        derived,
        collector,
        event_id,
    ] = values;
    to.received(time_ms(collector));
    let name = name
        .or(kind)
        .text()
        .ok_or_else(|| Refusal::missing("event_name", "it is the name of the event"))?;
    let (device_name, device) = match options.snowplow_device {
        SnowplowDevice::Domain => ("domain_userid", domain),
        SnowplowDevice::Network => ("network_userid", network),
    };
    let (user, mut device) = ids(options, ("user_id", user), (device_name, device), to)?;
    if device.is_none() && options.snowplow_device == SnowplowDevice::Domain {
        device = client_session_user(&rest)
            .filter(|id| options.ids.id(IdProperty::DeviceId, id).is_ok());
    }
    let parts = Parts {
        format: Format::Snowplow,
        user,
        device,
        distinct_id: None,
        time_ms: first_time(&[("derived_tstamp", derived), ("collector_tstamp", collector)])?,
        message_id: event_id.text(),
    };
    let other_device = match options.snowplow_device {
        SnowplowDevice::Domain => ("network_userid", network),
        SnowplowDevice::Network => ("domain_userid", domain),
    };
    let named = [
        ("collector_tstamp", collector),
        ("event_type", kind),
        other_device,
    ];
    let named = named.map(|(name, value)| (name, value.or(Value::Missing)));
    rest.keep(Only::Present);
    parts.event(
        &name,
        Carried {
            named: &named,
            rest: Some(&rest),
            ..Carried::default()
        },
        to,
    );
    Ok(())
}

/// The `userId` of the entity `client_session`.
fn client_session_user<'r>(rest: &Rest<'r>) -> Option<Cow<'r, str>> {
    for member in rest.iter() {
        let (name, value) = (member.name(), member.value());
        if name.as_str().starts_with(CLIENT_SESSION_COLUMN) {
            let text = ObjectText::of(value);
            let first = text
                .as_value()
                .elements()
                .and_then(|mut all| all.next_value().ok()?);
            let entity = first.map_or(text.as_value(), Value::Json);
            return user_of(entity);
        }
        if name.as_str() == "\"contexts\"" {
            let text = ObjectText::of(value);
            let [data] = values_of(text.as_value(), ["data"]);
            let mut entities = data.elements()?;
            while let Ok(Some(entity)) = entities.next_value() {
                let entity = Value::Json(entity);
                let [schema, data] = values_of(entity, ["schema", "data"]);
                if schema
                    .text()
                    .is_some_and(|schema| schema.contains(CLIENT_SESSION))
                {
                    return user_of(data);
                }
            }
        }
    }
    None
}

fn user_of<'r>(entity: Value<'_>) -> Option<Cow<'r, str>> {
    let [id, other] = values_of(entity, ["userId", "user_id"]);
    Some(Cow::Owned(id.or(other).text()?.into_owned()))
}
