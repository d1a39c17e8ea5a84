//! Events of Google Analytics 4, as its BigQuery export has them.

use idmerge_events::JsonReader;

use crate::adapted::Adapted;
use crate::format::Format;
use crate::options::Options;
use crate::read::fields::{Fields, Member, ObjectText, is_key};
use crate::read::names::FieldNames;
use crate::read::time::micros_ms;
use crate::read::value::Value;
use crate::refusal::Refusal;
use crate::write::draft::insert_id_of;
use crate::write::event::{Carried, Parts, ids};

static NAMES: FieldNames<'static, 7> = FieldNames::new([
    "event_name",
    "user_pseudo_id",
    "user_id",
    "event_timestamp",
    "event_bundle_sequence_id",
    "batch_event_index",
    "event_params",
]);

/// The place of `event_params` among the names.
const PARAMETERS_AT: usize = 6;

pub(crate) fn adapt(options: &Options, text: &str, to: &mut Adapted) -> Result<(), Refusal> {
    let mut parameters = Vec::new();
    let Fields { values, rest } =
        Fields::of_object_entering(text, &NAMES, PARAMETERS_AT, |reader| {
            read_parameters(reader, &mut parameters)
        })
        .ok_or_else(|| Refusal::not_a_record(text))?;
    let [name, device, user, time, bundle, index, params] = values;
    let time_ms = micros_ms("event_timestamp", time)?;
    let event = name
        .text()
        .ok_or_else(|| Refusal::missing("event_name", "it is the name of the event"))?;
    // The export has no ID of an event. The parameters tell events of one moment apart.
    let parts = [name, device, bundle, time, index, params].map(Value::as_str);
    let message_id = insert_id_of(&parts.join("\n"));
    let (user, device) = ids(options, ("user_id", user), ("user_pseudo_id", device), to)?;
    let parts = Parts {
        format: Format::Ga4,
        user,
        device,
        distinct_id: None,
        time_ms,
        message_id: Some(message_id.into()),
    };
    let params = ObjectText::of(params);
    // Text that is no JSON has none.
    if let (ObjectText::Text(_), Value::Json(json)) = (&params, params.as_value()) {
        read_parameters(&mut JsonReader::new(json.as_str()), &mut parameters);
    }
    parts.event(
        &event,
        Carried {
            named: &[
                ("event_bundle_sequence_id", bundle),
                ("batch_event_index", index),
            ],
            rest: &rest,
            properties: &parameters,
            ..Carried::default()
        },
        to,
    );
    Ok(())
}

/// Reads the parameters of an event: each has a key and, under the name of its type, a value.
fn read_parameters<'r>(
    reader: &mut JsonReader<'r>,
    parameters: &mut Vec<Member<'r>>,
) -> Option<()> {
    parameters.clear();
    if !reader.is_at_array() {
        return reader.value().map(drop);
    }
    reader.elements(|reader| {
        parameters.extend(parameter(reader)?);
        Some(())
    })
}

fn parameter<'r>(reader: &mut JsonReader<'r>) -> Option<Option<Member<'r>>> {
    let (mut name, mut found) = (None, None);
    if !reader.is_at_object() {
        reader.value()?;
        return Some(None);
    }
    reader.members(|reader, key| {
        if is_key(key, "key") {
            name = Some(reader.value()?);
        } else if is_key(key, "value") {
            found = None;
            if !reader.is_at_object() {
                return reader.value().map(drop);
            }
            return reader.members(|reader, _| {
                let value = reader.value()?;
                if !value.is_null() {
                    found = Some(value);
                }
                Some(())
            });
        } else {
            reader.value()?;
        }
        Some(())
    })?;
    let name = name.filter(|name| name.as_str().starts_with('"'));
    let member = |(name, value)| Member::Parts { name, value };
    Some(name.zip(found).map(member))
}
