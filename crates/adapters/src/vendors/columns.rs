//! Records of one's own: the columns that `--map` names.

use std::borrow::Cow;

use crate::adapted::Adapted;
use crate::format::Format;
use crate::options::{Columns, EventName, Options};
use crate::read::fields::{Fields, Member, find};
use crate::read::names::FieldNames;
use crate::read::time::{first_time, time_ms};
use crate::read::value::Value;
use crate::refusal::Refusal;
use crate::write::event::{Carried, Parts, ids};

/// Every column is looked for by the arguments.
static NO_NAMES: FieldNames<0> = FieldNames::new([]);

pub(crate) fn adapt(options: &Options, text: &str, to: &mut Adapted) -> Result<(), Refusal> {
    let Fields { rest, .. } = Fields::of_record(text, &NO_NAMES)?;
    let map = &options.columns;
    let named = |column| named(&rest, column);
    to.received(time_ms(named(&map.receipt).1));
    let event = match &map.event {
        EventName::Always(name) => Cow::Borrowed(&**name),
        EventName::Column(column) => find(&rest, column)
            .text()
            .ok_or_else(|| Refusal::missing(column, "it has the name of the event, by --map"))?,
    };
    let (user, device) = ids(options, named(&map.user), named(&map.device), to)?;
    let parts = Parts {
        format: Format::Csv,
        user,
        device,
        distinct_id: None,
        time_ms: first_time(&[named(&map.time)])?,
        message_id: named(&map.id).1.text(),
    };
    let carried: Vec<_> = rest
        .iter()
        .copied()
        .filter(|column| !is_mapped(map, column))
        .collect();
    parts.event(
        &event,
        Carried {
            rest: &carried,
            ..Carried::default()
        },
        to,
    );
    Ok(())
}

/// The name and the value of a column, if it is given.
fn named<'c, 'r>(row: &[Member<'r>], column: &'c Option<String>) -> (&'c str, Value<'r>) {
    match column {
        Some(column) => (column, find(row, column)),
        None => ("", Value::Missing),
    }
}

/// Whether the column has become something else. The time of receipt is carried as well.
fn is_mapped(map: &Columns, column: &Member<'_>) -> bool {
    let event = match &map.event {
        EventName::Column(column) => Some(column),
        EventName::Always(_) => None,
    };
    let columns = [
        map.user.as_ref(),
        map.device.as_ref(),
        event,
        map.time.as_ref(),
        map.id.as_ref(),
    ];
    columns
        .into_iter()
        .flatten()
        .any(|name| column.is_named(name))
}
