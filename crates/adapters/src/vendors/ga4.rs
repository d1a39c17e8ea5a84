//! Events of Google Analytics 4, as its BigQuery export has them.

use idmerge_events::visit_pairs;

use crate::adapted::Adapted;
use crate::format::Format;
use crate::options::Options;
use crate::read::fields::{Fields, Member, ObjectText, values_of};
use crate::read::names::FieldNames;
use crate::read::time::micros_ms;
use crate::read::value::Value;
use crate::refusal::Refusal;
use crate::write::draft::insert_id_of;
use crate::write::event::{Carried, Parts, ids};

static NAMES: FieldNames<7> = FieldNames::new([
    "event_name",
    "user_pseudo_id",
    "user_id",
    "event_timestamp",
    "event_bundle_sequence_id",
    "batch_event_index",
    "event_params",
]);

pub(crate) fn adapt(options: &Options, text: &str, to: &mut Adapted) -> Result<(), Refusal> {
    let Fields { values, rest } = Fields::of_record(text, &NAMES)?;
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
    parts.event(
        &event,
        Carried {
            named: &[
                ("event_bundle_sequence_id", bundle),
                ("batch_event_index", index),
            ],
            rest: &rest,
            properties: &parameters(params.as_value()),
            ..Carried::default()
        },
        to,
    );
    Ok(())
}

/// The parameters of an event: each has a key and, under the name of its type, a value.
fn parameters(params: Value<'_>) -> Vec<Member<'_>> {
    let mut members = Vec::new();
    let Some(mut elements) = params.elements() else {
        return members;
    };
    while let Ok(Some(element)) = elements.next_value() {
        let [key, value] = values_of(Value::Json(element), ["key", "value"]);
        if let (Value::Json(key), Value::Json(value)) = (key, value) {
            let mut found = None;
            visit_pairs(value.as_str(), |pair| {
                if !pair.value().is_null() {
                    found = Some(pair.value());
                }
            });
            let is_text = key.as_str().starts_with('"');
            members.extend(
                found
                    .filter(|_| is_text)
                    .map(|value| Member::Parts { name: key, value }),
            );
        }
    }
    members
}
