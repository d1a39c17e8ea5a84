//! Days in UTC: their dates, and ranges of them.

use jiff::civil::{Date, date};
use jiff::{Span, Unit};

/// The length of a day in milliseconds.
pub const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

const EPOCH: Date = date(1970, 1, 1);

/// The first millisecond of the day with a date such as `2026-01-31`, since 1970. `None` if the text is not a
/// date.
///
/// ```
/// use idmerge_analysis::{date_text, day_ms};
///
/// let day = day_ms("2026-01-31");
/// assert_eq!(day, Some(1_769_817_600_000));
/// assert_eq!(day.map(date_text).as_deref(), Some("2026-01-31"));
/// assert_eq!(day_ms("2026-02-31"), None);
/// ```
pub fn day_ms(text: &str) -> Option<i64> {
    // The parser would also accept a time of day, and ignore it.
    if text.len() != 10 {
        return None;
    }
    let date: Date = text.parse().ok()?;
    // Not by a timestamp: the last one of jiff is before the last day of its calendar.
    let days = date.since((Unit::Day, EPOCH)).ok()?;
    Some(i64::from(days.get_days()) * DAY_MS)
}

/// The date of the day that has this time, in milliseconds since 1970.
pub fn date_text(time_ms: i64) -> String {
    let days = i32::try_from(time_ms.div_euclid(DAY_MS)).ok();
    let span = days.and_then(|days| Span::new().try_days(days).ok());
    let date = span.and_then(|span| EPOCH.checked_add(span).ok());
    // Years of more than four digits have no date.
    date.map_or_else(|| time_ms.to_string(), |date| date.to_string())
}

/// The range from the first millisecond of one day to the last of another: its start, and its end, which is not
/// part of it. `None` if the range ends before it begins.
///
/// ```
/// use idmerge_analysis::{DAY_MS, days_ms};
///
/// assert_eq!(days_ms(Some(0), Some(0)), Some((Some(0), Some(DAY_MS))));
/// assert_eq!(days_ms(Some(DAY_MS), Some(0)), None);
/// assert_eq!(days_ms(None, None), Some((None, None)));
/// ```
pub fn days_ms(first_ms: Option<i64>, last_ms: Option<i64>) -> Option<(Option<i64>, Option<i64>)> {
    let until_ms = last_ms.map(|last| last.saturating_add(DAY_MS));
    match (first_ms, until_ms) {
        (Some(from), Some(until)) if from >= until => None,
        range => Some(range),
    }
}

/// Whether a time is in a range. The end is not part of the range.
pub(crate) fn is_in_range(time_ms: i64, from_ms: Option<i64>, until_ms: Option<i64>) -> bool {
    from_ms.is_none_or(|from| time_ms >= from) && until_ms.is_none_or(|until| time_ms < until)
}
