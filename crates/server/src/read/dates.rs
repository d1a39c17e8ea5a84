//! Dates in parameters. All are in UTC.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::http::api_error::ApiError;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// The first millisecond of a day such as `2026-01-31`, since 1970.
pub(crate) fn day_ms(day: &str) -> Result<i64, ApiError> {
    let wrong = || ApiError::bad_request(format!("{day:?} is not a date; write it as 2026-01-31"));
    // The parser would also accept a time of day, and ignore it.
    if day.len() != 10 {
        return Err(wrong());
    }
    let date: Date = day.parse().map_err(|_| wrong())?;
    let start = TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0));
    Ok(start.map_err(|_| wrong())?.as_millisecond())
}

/// The range from the first millisecond of `from` to the last of `to`: its start, and its end, which
/// is not part of it. Both in milliseconds since 1970.
pub(crate) fn days_ms(
    from: Option<&str>,
    to: Option<&str>,
) -> Result<(Option<i64>, Option<i64>), ApiError> {
    let from_ms = from.map(day_ms).transpose()?;
    let until_ms = to.map(day_ms).transpose()?.map(|day| day + DAY_MS);
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
        assert_eq!(day_ms("1970-01-02").unwrap(), DAY_MS);
        assert_eq!(
            days_ms(Some("1970-01-01"), Some("1970-01-01")).unwrap(),
            (Some(0), Some(DAY_MS))
        );
        assert_eq!(days_ms(None, None).unwrap(), (None, None));
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
            assert!(day_ms(wrong).is_err(), "{wrong}");
        }
    }
}
