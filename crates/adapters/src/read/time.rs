//! Times of records, in text and in numbers.

use idmerge_events::{Time, TimeRange};
use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::read::value::Value;
use crate::refusal::Refusal;

/// The end of the year 9999.
const TIME_MS_MAX: i64 = 253_402_300_799_999;

/// The time in the first of these fields that is not absent, in milliseconds.
///
/// # Errors
///
/// That field has no time.
pub(crate) fn first_time(fields: &[(&str, Value<'_>)]) -> Result<Option<i64>, Refusal> {
    let Some((name, value)) = fields.iter().find(|(_, value)| !value.is_absent()) else {
        return Ok(None);
    };
    match time_ms(*value) {
        Some(ms) => Ok(Some(ms)),
        None => Err(Refusal::not_a_time(name, *value)),
    }
}

/// The time that a value says: text by ISO 8601, or a number of seconds or milliseconds.
pub(crate) fn time_ms(value: Value<'_>) -> Option<i64> {
    let text = value.text()?;
    time_of_text(&text).or_else(|| number_ms(&text))
}

/// The time that a field has in microseconds since 1970, in milliseconds.
///
/// # Errors
///
/// The field is not absent and has no time.
pub(crate) fn micros_ms(name: &str, value: Value<'_>) -> Result<Option<i64>, Refusal> {
    let Some(text) = value.text() else {
        return first_time(&[(name, value)]);
    };
    let micros: Option<i64> = text.parse().ok();
    let ms = micros.map(|micros| micros.div_euclid(1_000));
    let ms = ms.filter(|ms| ms.abs() <= TIME_MS_MAX);
    ms.map(Some).ok_or_else(|| Refusal::not_a_time(name, value))
}

fn number_ms(text: &str) -> Option<i64> {
    let is_number =
        |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'e' | b'E' | b'+');
    if !text.bytes().all(is_number) {
        return None;
    }
    Time::of_number(text.parse().ok()?, TimeRange::Year9999).ms()
}

/// Reads `2024-05-01T12:30:00.250Z`, also with a space in place of the `T`, and with `UTC`, an offset
/// or nothing in place of the `Z`. Without a zone it is UTC.
/// The result is in milliseconds since 1970.
pub fn time_of_text(text: &str) -> Option<i64> {
    let text = text.trim_ascii();
    if text.len() < 10 || text.as_bytes()[4] != b'-' {
        return None;
    }
    let (civil, offset_s) = without_zone(text)?;
    let time = usual_form(civil).or_else(|| civil.parse().ok())?;
    let ms = Offset::UTC.to_timestamp(time).ok()?.as_millisecond();
    let ms = ms - offset_s * 1_000;
    (ms.abs() <= TIME_MS_MAX).then_some(ms)
}

/// Reads the form that nearly all senders write, `2024-05-01T12:30:00.250`, in a fraction of the time.
fn usual_form(civil: &str) -> Option<DateTime> {
    let text = civil.as_bytes();
    let number = |part: &[u8]| {
        let is_digits = part.iter().all(u8::is_ascii_digit);
        let digits = part.iter().map(|byte| i32::from(byte - b'0'));
        is_digits.then(|| digits.fold(0, |number, digit| number * 10 + digit))
    };
    let (time, fraction) = text.split_at_checked(19)?;
    let separators = [time[4], time[7], time[10], time[13], time[16]];
    if !matches!(separators, [b'-', b'-', b'T' | b' ', b':', b':']) {
        return None;
    }
    let nanosecond = match fraction {
        [] => 0,
        [b'.', digits @ ..] if (1..=9).contains(&digits.len()) => {
            let missing = 9 - u32::try_from(digits.len()).ok()?;
            number(digits)? * 10_i32.pow(missing)
        }
        _ => return None,
    };
    let two = |at: usize| i8::try_from(number(&time[at..at + 2])?).ok();
    let year = i16::try_from(number(&time[..4])?).ok()?;
    DateTime::new(
        year,
        two(5)?,
        two(8)?,
        two(11)?,
        two(14)?,
        two(17)?,
        nanosecond,
    )
    .ok()
}

/// The text without its zone, and the offset of the zone in seconds.
fn without_zone(text: &str) -> Option<(&str, i64)> {
    for utc in ["Z", "z", "UTC"] {
        if let Some(civil) = text.strip_suffix(utc) {
            return Some((civil.trim_ascii_end(), 0));
        }
    }
    // A hyphen further to the front belongs to the date.
    let Some(at) = text.get(10..)?.rfind(['+', '-']) else {
        return Some((text, 0));
    };
    let (civil, zone) = text.split_at(at + 10);
    let digits = zone[1..].replace(':', "");
    let is_offset = digits.bytes().all(|byte| byte.is_ascii_digit());
    let (hours, minutes) = match digits.len() {
        2 if is_offset => (digits.parse::<i64>().ok()?, 0),
        4 if is_offset => (digits[..2].parse().ok()?, digits[2..].parse().ok()?),
        _ => return None,
    };
    let seconds = hours * 3_600 + minutes * 60;
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    (hours <= 23 && minutes <= 59).then_some((civil.trim_ascii_end(), sign * seconds))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_2_the_usual_form_is_read_as_jiff_reads_it(
            text in r"[0-2][0-9]{3}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{0,11})?",
        ) {
            if let Some(time) = usual_form(&text) {
                prop_assert_eq!(text.parse::<DateTime>().ok(), Some(time));
            }
        }
    }

    #[test]
    fn a_2_times_are_read_as_the_senders_write_them() {
        for (text, ms) in [
            ("2024-05-01T12:30:00.250Z", Some(1_714_566_600_250)),
            ("2024-05-01T12:30:00Z", Some(1_714_566_600_000)),
            ("2024-05-01 12:30:00.250000", Some(1_714_566_600_250)),
            ("2024-05-01 12:30:00 UTC", Some(1_714_566_600_000)),
            ("2024-05-01T14:30:00.250+02:00", Some(1_714_566_600_250)),
            ("2024-05-01T10:00:00.250-0230", Some(1_714_566_600_250)),
            ("2024-05-01 12:30:00.25+00", Some(1_714_566_600_250)),
            ("2024-05-01T12:30", Some(1_714_566_600_000)),
            ("2024-05-01", Some(1_714_521_600_000)),
            ("1714566600", Some(1_714_566_600_000)),
            ("1714566600250", Some(1_714_566_600_250)),
            ("1969-12-31T23:59:59.999Z", Some(-1)),
            ("2024-13-01T12:30:00Z", None),
            ("2024-05-01T12:30:00+99:00", None),
            ("2024-05-01T12:30:00 CET", None),
            ("yesterday", None),
            ("nan", None),
            ("inf", None),
            ("12:30", None),
            ("é024-05-01", None),
            ("", None),
        ] {
            assert_eq!(time_of_text(text).or_else(|| number_ms(text)), ms, "{text}");
        }
    }
}
