//! Records of one's own: the columns that `--map` names.

use std::borrow::Cow;

use idmerge_events::RawJson;

use crate::adapted::Adapted;
use crate::format::Format;
use crate::options::{Columns, EventName, Options};
use crate::read::fields::{Fields, Member};
use crate::read::time::{first_time, time_ms};
use crate::read::value::Value;
use crate::refusal::Refusal;
use crate::write::event::{Carried, Parts, ids};

pub(crate) fn adapt(options: &Options, text: &str, to: &mut Adapted) -> Result<(), Refusal> {
    let Fields { rest, .. } = Fields::of_record(text, &[])?;
    let map = &options.columns;
    let value = |column: &Option<String>| match column {
        Some(column) => find(&rest, column),
        None => Value::Missing,
    };
    let name = |column: &Option<String>| column.clone().unwrap_or_default();
    to.received(time_ms(value(&map.receipt)));
    let event = match &map.event {
        EventName::Always(name) => name.clone(),
        EventName::Column(column) => find(&rest, column)
            .text()
            .map(Cow::into_owned)
            .ok_or_else(|| Refusal::missing(column, "it has the name of the event, by --map"))?,
    };
    let (user_name, device_name) = (name(&map.user), name(&map.device));
    let (user, device) = ids(
        options,
        (&user_name, value(&map.user)),
        (&device_name, value(&map.device)),
        to,
    )?;
    let parts = Parts {
        format: Format::Csv,
        user,
        device,
        distinct_id: None,
        time_ms: first_time(&[(&name(&map.time), value(&map.time))])?,
        message_id: value(&map.id).text(),
    };
    let carried: Vec<_> = rest
        .iter()
        .copied()
        .filter(|(name, _)| !is_mapped(map, *name))
        .collect();
    parts.event(
        &event,
        Carried {
            named: &[],
            traits: &[],
            rest: &carried,
            properties: &[],
        },
        to,
    );
    Ok(())
}

fn find<'r>(members: &[Member<'r>], column: &str) -> Value<'r> {
    let mut members = members.iter().rev();
    let found = members.find(|(name, _)| name.string().as_deref() == Some(column));
    found.map_or(Value::Missing, |(_, value)| *value)
}

/// Whether the column has become something else. The time of receipt is carried as well.
fn is_mapped(map: &Columns, name: RawJson<'_>) -> bool {
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
    let name = name.string();
    columns
        .into_iter()
        .flatten()
        .any(|column| name.as_deref() == Some(column))
}
