//! Events of Google Analytics 4, as its BigQuery export has them.

use idmerge_events::{JsonReader, RawJson};

use crate::adapted::Adapted;
use crate::format::Format;
use crate::options::Options;
use crate::read::fields::{Fields, ObjectText};
use crate::read::member::Member;
use crate::read::names::FieldNames;
use crate::read::plan::{Planned, RecordReader};
use crate::read::record::{Read, Record};
use crate::read::rest::Rest;
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

pub(crate) fn adapt(
    options: &Options,
    record: Record<'_>,
    to: &mut Adapted,
) -> Result<(), Refusal> {
    let mut parameters = Parameters::default();
    let Fields { values, rest } =
        Fields::of_object_entering(record, &NAMES, PARAMETERS_AT, &mut parameters)
            .ok_or_else(|| Refusal::not_a_record(record.text))?;
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
        parameters.read(&mut JsonReader::new(json.as_str()));
    }
    parts.event(
        &event,
        Carried {
            named: &[
                ("event_bundle_sequence_id", bundle),
                ("batch_event_index", index),
            ],
            rest: Some(&rest),
            properties: Some(&parameters.0),
            ..Carried::default()
        },
        to,
    );
    Ok(())
}

/// The parameters of an event: each has a key and, under the name of its type, a value.
#[derive(Default)]
struct Parameters<'r>(Rest<'r>);

impl<'r> Read<'r> for Parameters<'r> {
    fn read(&mut self, reader: &mut impl RecordReader<'r>) -> Option<()> {
        self.0.clear();
        if !reader.is_at_array() {
            return reader.value().map(drop);
        }
        reader.elements(|reader| {
            self.0.extend(parameter(reader)?);
            Some(())
        })
    }
}

static PARAMETER: FieldNames<'static, 2> = FieldNames::new(["key", "value"]);

fn parameter<'r>(reader: &mut impl RecordReader<'r>) -> Option<Option<Member<'r>>> {
    let (mut name, mut found) = (None, None);
    if let Some(planned) = Planned::at(reader, &PARAMETER) {
        if let Some(key) = planned.number_of(0) {
            name = Some(planned.value(key)?);
        }
        if let Some(value) = planned.number_of(1) {
            reader.go_to(value);
            found = typed_value(reader)?;
        }
        planned.pass(reader);
    } else if reader.is_at_object() {
        reader.members(|reader, key| {
            match PARAMETER.of_key(key) {
                Some(0) => name = Some(reader.value()?),
                Some(_) => found = typed_value(reader)?,
                None => drop(reader.value()?),
            }
            Some(())
        })?;
    } else {
        reader.value()?;
        return Some(None);
    }
    let name = name.filter(|name| name.as_str().starts_with('"'));
    let member = |(name, value)| Member::Parts { name, value };
    Some(name.zip(found).map(member))
}

/// The value of a parameter, which is in an object with a field for each type: the last one that is not `null`.
fn typed_value<'r>(reader: &mut impl RecordReader<'r>) -> Option<Option<RawJson<'r>>> {
    let mut found = None;
    if !reader.is_at_object() {
        reader.value()?;
        return Some(None);
    }
    reader.members(|reader, _| {
        let value = reader.value()?;
        if !value.is_null() {
            found = Some(value);
        }
        Some(())
    })?;
    Some(found)
}
