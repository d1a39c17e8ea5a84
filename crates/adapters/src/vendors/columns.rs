//! Records of one's own: the columns that `--map` names.

use std::array;
use std::borrow::Cow;

use crate::adapted::Adapted;
use crate::format::Format;
use crate::options::{Columns, EventName, Options};
use crate::read::fields::{Fields, Member, NO_NAMES};
use crate::read::time::{first_time, time_ms};
use crate::read::value::Value;
use crate::refusal::Refusal;
use crate::write::draft::length_bit;
use crate::write::event::{Carried, Parts, ids};

/// How many parts of an event a column can have.
const PARTS: usize = 6;

pub(crate) fn adapt(options: &Options, text: &str, to: &mut Adapted) -> Result<(), Refusal> {
    let Fields { mut rest, .. } = Fields::of_record(text, &NO_NAMES)?;
    let columns = columns_of(&options.columns);
    let values = take(&columns, &mut rest);
    let [user, device, event, time, id, receipt] =
        array::from_fn(|part| (columns[part].unwrap_or_default(), values[part]));
    to.received(time_ms(receipt.1));
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
            rest: &rest,
            ..Carried::default()
        },
        to,
    );
    Ok(())
}

/// The columns that are mapped, that of receipt last.
fn columns_of(map: &Columns) -> [Option<&str>; PARTS] {
    let event = match &map.event {
        EventName::Column(column) => Some(column),
        EventName::Always(_) => None,
    };
    [
        map.user.as_ref(),
        map.device.as_ref(),
        event,
        map.time.as_ref(),
        map.id.as_ref(),
        map.receipt.as_ref(),
    ]
    .map(|column| column.map(String::as_str))
}

/// Takes the values of these columns out of a row. Several parts can come from one column. The column of receipt stays in
/// the row, so that it is carried as well.
fn take<'r>(columns: &[Option<&str>; PARTS], row: &mut Vec<Member<'r>>) -> [Value<'r>; PARTS] {
    let mut values = [Value::Missing; PARTS];
    let lengths = columns
        .iter()
        .flatten()
        .fold(0, |lengths, column| lengths | length_bit(column.as_bytes()));
    row.retain(|member| {
        let mut is_carried = true;
        let Some(name) = member.name_text() else {
            return is_carried;
        };
        if lengths & length_bit(&name) == 0 {
            return is_carried;
        }
        for (part, column) in columns.iter().enumerate() {
            if column.is_some_and(|column| column.as_bytes() == &*name) {
                // IN-2: the last one counts.
                values[part] = member.value();
                is_carried &= part == PARTS - 1;
            }
        }
        is_carried
    });
    values
}
