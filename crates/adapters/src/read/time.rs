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
    // A text of the usual form has no escapes.
    if let Value::Json(json) = value
        && let [b'"', text @ .., b'"'] = json.as_str().as_bytes()
        && let Some(ms) = usual_form(without_usual_zone(text))
    {
        return Some(ms);
    }
    if let Value::Json(json) = value
        && json
            .as_str()
            .starts_with(|first: char| first.is_ascii_digit())
    {
        return number_ms(json.as_str());
    }
    time_of_any_text(&value.text()?)
}

/// The time that a text says: by ISO 8601, or a number of seconds or milliseconds.
pub(crate) fn time_of_any_text(text: &str) -> Option<i64> {
    time_of_text(text).or_else(|| number_ms(text))
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

/// The text without the zone that nearly all senders write.
#[inline]
fn without_usual_zone(text: &[u8]) -> &[u8] {
    match text {
        [civil @ .., b'Z'] => civil,
        [civil @ .., b'+', b'0', b'0', b':', b'0', b'0'] => civil,
        civil => civil,
    }
}

/// How many digits of an integer a float has at least.
const EXACT_DIGITS: usize = 15;

fn number_ms(text: &str) -> Option<i64> {
    if text.len() <= EXACT_DIGITS
        && let Ok(integer) = text.parse::<i64>()
    {
        #[expect(clippy::cast_precision_loss, reason = "a float has all of its digits")]
        return Time::of_number(integer as f64, TimeRange::Year9999).ms();
    }
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
    let utc = text.strip_suffix('Z').unwrap_or(text);
    if let Some(ms) = usual_form(utc.as_bytes()) {
        return Some(ms);
    }
    let text = text.trim_ascii();
    if text.len() < 10 || text.as_bytes()[4] != b'-' {
        return None;
    }
    let (civil, offset_s) = without_zone(text)?;
    let ms = usual_form(civil.as_bytes()).or_else(|| by_jiff(civil))?;
    let ms = ms - offset_s * 1_000;
    (ms.abs() <= TIME_MS_MAX).then_some(ms)
}

/// Reads every form of a date and a time in UTC.
fn by_jiff(civil: &str) -> Option<i64> {
    let time: DateTime = civil.parse().ok()?;
    Some(Offset::UTC.to_timestamp(time).ok()?.as_millisecond())
}

/// Reads the form that nearly all senders write, `2024-05-01T12:30:00.250`, in a fraction of the time that jiff
/// takes.
fn usual_form(text: &[u8]) -> Option<i64> {
    let (time, fraction) = text.split_first_chunk::<19>()?;
    let date = digits_of(time.first_chunk()?, *b"0000-00-")?;
    let clock = digits_of(time.last_chunk()?, *b"00:00:00")?;
    let day = digits_of(
        &[time[8], time[9], b'0', b'0', b'0', b'0', b'0', b'0'],
        [b'0'; 8],
    )?;
    if !matches!(time[10], b'T' | b' ') {
        return None;
    }
    let two = |digits: &[u8; 8], at: usize| i64::from(digits[at]) * 10 + i64::from(digits[at + 1]);
    let (year, month, day) = (
        two(&date, 0) * 100 + two(&date, 2),
        two(&date, 5),
        two(&day, 0),
    );
    let [hour, minute, second] = [0, 3, 6].map(|at| two(&clock, at));
    let nanosecond = match fraction {
        [] => 0,
        [b'.', fraction @ ..] if (1..=9).contains(&fraction.len()) => nanosecond(fraction)?,
        _ => return None,
    };
    // The last day of the year 9999 is no time for jiff.
    if year == 9999
        || !(1..=12).contains(&month)
        || !(1..=days_of_month(year, month)).contains(&day)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    let day_number = days_since_1970(year, month, day);
    let seconds = ((day_number * 24 + hour) * 60 + minute) * 60 + second;
    let (ms, rest) = (nanosecond / 1_000_000, nanosecond % 1_000_000);
    // Before 1970 too, the part of a millisecond is cut off towards 1970.
    Some(seconds * 1_000 + ms + i64::from(seconds < 0 && rest > 0))
}

/// The digits of a text of this form, with 0 in place of what is between them. `None` if the text has another form.
#[inline(always)]
fn digits_of(text: &[u8; 8], form: [u8; 8]) -> Option<[u8; 8]> {
    const HIGHEST_BITS: u64 = 0x8080_8080_8080_8080;
    // Each byte is now 0, or a digit that is 0 to 9 in place of the 0 of the form.
    let values = u64::from_le_bytes(*text) ^ u64::from_le_bytes(form);
    // With this added, a greater value reaches the highest bit.
    let most = u64::from_le_bytes(form.map(|byte| if byte == b'0' { 0x76 } else { 0x7f }));
    ((values | values.wrapping_add(most)) & HIGHEST_BITS == 0).then(|| values.to_le_bytes())
}

/// The nanosecond that up to nine digits of a fraction say.
#[inline]
fn nanosecond(fraction: &[u8]) -> Option<i64> {
    let mut nanosecond = 0;
    for digit in fraction {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        nanosecond = nanosecond * 10 + i64::from(digit);
    }
    let scale = [
        1,
        10,
        100,
        1_000,
        10_000,
        100_000,
        1_000_000,
        10_000_000,
        100_000_000,
    ];
    scale
        .get(9 - fraction.len())
        .map(|scale| nanosecond * scale)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// How many days after 1970-01-01 a day of the Gregorian calendar is.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    // A year that begins in March ends with the leap day.
    let (year, month) = match month {
        1 | 2 => (year - 1, month + 9),
        _ => (year, month - 3),
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    365 * year + leap_days + day_of_year - 719_468
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
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn a_2_the_usual_form_is_read_as_jiff_reads_it(
            text in r"[0-9]{4}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{0,11})?",
        ) {
            if let Some(ms) = usual_form(text.as_bytes()) {
                prop_assert_eq!(by_jiff(&text), Some(ms));
            }
        }
    }

    #[test]
    fn a_2_every_day_is_read_as_jiff_reads_it() {
        for year in [
            0, 1, 4, 100, 400, 1582, 1900, 1969, 1970, 1999, 2000, 2023, 2024, 2100, 9999,
        ] {
            for (month, day) in (1..=13).flat_map(|month| (0..=32).map(move |day| (month, day))) {
                let text = format!("{year:04}-{month:02}-{day:02}T23:59:59.9995");
                let usual = usual_form(text.as_bytes());
                assert!(
                    usual == by_jiff(&text) || year == 9999 && usual.is_none(),
                    "{text}"
                );
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
