//! Dates in parameters. All are in UTC.

use jiff::Unit;
use jiff::civil::{Date, date};

use crate::http::api_error::ApiError;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

const EPOCH: Date = date(1970, 1, 1);

/// The first millisecond of a day such as `2026-01-31`, since 1970.
pub(crate) fn day_ms(name: &str, day: &str) -> Result<i64, ApiError> {
    let wrong = || {
        ApiError::bad_request(format!(
            "{name} is {day:?}; give a date, such as 2026-01-31"
        ))
    };
    // The parser would also accept a time of day, and ignore it.
    if day.len() != 10 {
        return Err(wrong());
    }
    let date: Date = day.parse().map_err(|_| wrong())?;
    // Not by a timestamp: the last one of jiff is before the last day of its calendar.
    let days = date.since((Unit::Day, EPOCH)).map_err(|_| wrong())?;
    Ok(i64::from(days.get_days()) * DAY_MS)
}

/// The range from the first millisecond of `from` to the last of `to`: its start, and its end, which
/// is not part of it. Both in milliseconds since 1970.
pub(crate) fn days_ms(
    from: Option<&str>,
    to: Option<&str>,
) -> Result<(Option<i64>, Option<i64>), ApiError> {
    let from_ms = from.map(|day| day_ms("from_date", day)).transpose()?;
    let last_ms = to.map(|day| day_ms("to_date", day)).transpose()?;
    let until_ms = last_ms.map(|day| day + DAY_MS);
    match (from_ms, until_ms) {
        (Some(from), Some(until)) if from >= until => Err(ApiError::bad_request(
            "to_date is before from_date; swap them",
        )),
        days => Ok(days),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_includes_its_last_day() {
        assert_eq!(day_ms("to_date", "1970-01-02").unwrap(), DAY_MS);
        assert_eq!(
            days_ms(Some("1970-01-01"), Some("1970-01-01")).unwrap(),
            (Some(0), Some(DAY_MS))
        );
        assert_eq!(days_ms(None, None).unwrap(), (None, None));
        // 2,932,896 and -719,528 days from 1970, by any calendar.
        assert_eq!(
            days_ms(Some("0000-01-01"), Some("9999-12-31")).unwrap(),
            (Some(-719_528 * DAY_MS), Some(2_932_897 * DAY_MS))
        );
        assert!(days_ms(Some("1970-01-02"), Some("1970-01-01")).is_err());
        for wrong in [
            "",
            "1970-1-1",
            "1970-13-01",
            "1970-02-30",
            "today",
            "1970-01-01T",
            "19700101aa",
        ] {
            assert!(day_ms("to_date", wrong).is_err(), "{wrong}");
        }
    }
}
