//! Rows of the tables that Segment and RudderStack write to a warehouse.

use crate::options::Options;
use crate::read::fields::Fields;
use crate::read::names::FieldNames;
use crate::read::value::Value;
use crate::refusal::Refusal;
use crate::vendors::calls::call::{Call, Kind};

static NAMES: FieldNames<'static, 11> = FieldNames::new([
    "id",
    "anonymous_id",
    "user_id",
    "timestamp",
    "original_timestamp",
    "sent_at",
    "received_at",
    "event_text",
    "event",
    "previous_id",
    "group_id",
]);

/// Whether a record is such a row: it has no `type`, and one of their columns.
pub(crate) fn is_row(call: &Call<'_>) -> bool {
    let is_column =
        |name: &str| matches!(name, "\"anonymous_id\"" | "\"user_id\"" | "\"received_at\"");
    call.kind == Value::Missing
        && call
            .rest
            .iter()
            .any(|member| is_column(member.name().as_str()))
}

/// A row as the call that it was.
///
/// # Errors
///
/// The row does not say what it is, and no table is named.
pub(crate) fn call_of<'r>(text: &'r str, options: &Options) -> Result<(Kind, Call<'r>), Refusal> {
    let Some(Fields { values, rest }) = Fields::of_object(text, &NAMES) else {
        return Err(Refusal::not_an_object(text));
    };
    let [
        id,
        device,
        user,
        timestamp,
        original,
        sent,
        received,
        event_text,
        event,
        previous,
        group,
    ] = values;
    let event = event_text.or(event);
    let kind = match options.table.as_deref() {
        Some("pages") => Kind::Page,
        Some("screens") => Kind::Screen,
        Some("identifies") => Kind::Identify,
        Some("groups") => Kind::Group,
        Some("aliases") => Kind::Alias,
        Some("users") => {
            return Err(Refusal::new(
                "A-2",
                "a row of the table users has the latest traits only and no anonymous_id, so it is not a record; \
             read the table identifies",
            ));
        }
        _ if !event.is_absent() => Kind::Track,
        None if !previous.is_absent() => Kind::Alias,
        _ => {
            return Err(Refusal::missing(
                "event",
                "name the table with --table, as in `--table pages`, if it is not tracks",
            ));
        }
    };
    let call = Call {
        event,
        user,
        device,
        previous,
        group,
        message_id: id,
        timestamp: timestamp.or(original).or(sent),
        original_timestamp: original,
        sent_at: sent,
        received_at: received,
        rest,
        ..Call::default()
    };
    Ok((kind, call))
}
