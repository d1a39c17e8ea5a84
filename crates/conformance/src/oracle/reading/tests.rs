use super::*;

fn settings() -> EngineSettings {
    EngineSettings::default()
}

/// The reading of an event in Simplified: `"<distinct_id>"`, followed by `" <device>-><user>"` if it
/// claims a link, or `"<property> <rule>"` if it is refused.
fn s(event: Event<'_>) -> String {
    shown(simplified(&settings(), &event))
}

/// The reading of an event in Original, in the same form.
fn o(event: Event<'_>) -> String {
    shown(original(&settings(), &event))
}

/// The reading of an event in Legacy, in the same form.
fn l(event: Event<'_>) -> String {
    shown(legacy(&settings(), &event))
}

fn shown(read: Result<Reading<'_>, InvalidEvent>) -> String {
    let reading = match read {
        Ok(reading) => reading,
        Err(refused) => return format!("{} {}", refused.property(), refused.rule()),
    };
    let distinct_id = reading
        .distinct_id
        .map_or("no user".to_owned(), |id| id.to_string());
    match reading.claim {
        None => distinct_id,
        Some(Claim::Link { device, user }) => format!("{distinct_id} {device}->{user}"),
        Some(Claim::Identify { identified, anon }) => {
            format!("{distinct_id} identify({identified}, {anon})")
        }
        Some(Claim::Alias {
            distinct_id: d,
            alias,
        }) => format!("{distinct_id} alias({d}, {alias})"),
        Some(Claim::Merge { first, second }) => format!("{distinct_id} merge({first}, {second})"),
        Some(other) => format!("{other:?}"),
    }
}

/// An ordinary event with `distinct_id`, `$user_id` and `$device_id`; empty text means absent.
fn ordinary(
    distinct_id: &'static str,
    user_id: &'static str,
    device_id: &'static str,
) -> Event<'static> {
    Event {
        distinct_id: distinct_id.into(),
        user_id: user_id.into(),
        device_id: device_id.into(),
        ..Event::named("E")
    }
}

fn identify(identified_id: &'static str, anon_id: &'static str) -> Event<'static> {
    Event {
        identified_id: identified_id.into(),
        anon_id: anon_id.into(),
        ..Event::named("$identify")
    }
}

fn create_alias(distinct_id: &'static str, alias: &'static str) -> Event<'static> {
    Event {
        distinct_id: distinct_id.into(),
        alias: alias.into(),
        ..Event::named("$create_alias")
    }
}

fn merge(first: Value<'static>, second: Value<'static>) -> Event<'static> {
    Event {
        distinct_ids: DistinctIds::Two([first, second]),
        ..Event::named("$merge")
    }
}

const FALSE: Value<'static> = Value::NotAnId("false");

fn user_id(value: Value<'_>) -> Event<'_> {
    Event {
        user_id: value,
        ..Event::named("E")
    }
}

mod ids;
mod legacy;
mod original;
mod simplified;
