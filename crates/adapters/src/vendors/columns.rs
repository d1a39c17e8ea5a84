//! Records of one's own: the columns that `--map` names.

pub(crate) mod rows;

use std::array;
use std::borrow::Cow;

use idmerge_core::quote;

use crate::adapted::Adapted;
use crate::counts::Counts;
use crate::format::Format;
use crate::options::{Columns, EventName, Options};
use crate::read::fields::{Fields, find};
use crate::read::names::FieldNames;
use crate::read::record::Record;
use crate::read::time::{first_time, time_ms};
use crate::read::value::Value;
use crate::refusal::Refusal;
use crate::write::event::{Carried, Parts, ids};

/// How many parts of an event a column can have, besides the time of receipt.
const PARTS: usize = 5;

pub(crate) fn adapt(options: &Options, text: &str, to: &mut Adapted) -> Result<(), Refusal> {
    let columns = columns_of(&options.columns);
    let names = FieldNames::of_some(columns);
    let Fields { mut values, rest } = Fields::of_record(Record::of_text(text), &names)?;
    // Several parts can come from one column.
    for part in 1..PARTS {
        if let Some(first) = columns[..part].iter().position(|it| *it == columns[part]) {
            values[part] = values[first];
        }
    }
    for (part, value) in values.iter().enumerate() {
        to.counts.found |= u8::from(*value != Value::Missing) << part;
    }
    if let Some(column) = options.columns.receipt.as_deref() {
        let part = columns.iter().position(|it| *it == Some(column));
        // This column stays in the row, so that it is carried as well.
        let receipt = part.map_or_else(|| find(&rest, column), |part| values[part]);
        to.counts.found |= u8::from(receipt != Value::Missing) << PARTS;
        to.received(time_ms(receipt));
    }
    let [user, device, event, time, id] =
        array::from_fn(|part| (columns[part].unwrap_or_default(), values[part]));
    let event = match &options.columns.event {
        EventName::Always(name) => Cow::Borrowed(&**name),
        EventName::Column(column) => event
            .1
            .text()
            .ok_or_else(|| Refusal::missing(column, "it has the name of the event, by --map"))?,
    };
    let (user, device) = ids(options, user, device, to)?;
    let parts = Parts {
        format: Format::Csv,
        user,
        device,
        distinct_id: None,
        time_ms: first_time(&[time])?,
        message_id: id.1.text(),
    };
    parts.event(
        &event,
        Carried {
            rest: Some(&rest),
            ..Carried::default()
        },
        to,
    );
    Ok(())
}

/// The warnings about columns that no record had.
pub(crate) fn unfound(map: &Columns, counts: &Counts) -> Vec<String> {
    let parts = map.parts().into_iter().enumerate();
    let unfound = parts.filter_map(|(index, (part, column))| {
        let column = column.filter(|_| counts.found >> index & 1 == 0)?;
        Some(format!(
            "no record has {}, which --map names for {part}; check its name",
            quote(column)
        ))
    });
    unfound.collect()
}

/// The columns that are mapped.
fn columns_of(map: &Columns) -> [Option<&str>; PARTS] {
    let [user, device, event, time, id, _] = map.parts();
    [user, device, event, time, id].map(|(_, column)| column)
}
