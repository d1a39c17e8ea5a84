//! Dates in parameters. All are in UTC.

use crate::http::api_error::ApiError;

/// The first millisecond of a day such as `2026-01-31`, since 1970.
pub(crate) fn day_ms(name: &str, day: &str) -> Result<i64, ApiError> {
    idmerge_analysis::day_ms(day).ok_or_else(|| {
        ApiError::bad_request(format!(
            "{name} is {day:?}; give a date, such as 2026-01-31"
        ))
    })
}

/// The range from the first millisecond of `from` to the last of `to`: its start, and its end, which
/// is not part of it. Both in milliseconds since 1970.
pub(crate) fn days_ms(
    from: Option<&str>,
    to: Option<&str>,
) -> Result<(Option<i64>, Option<i64>), ApiError> {
    let from_ms = from.map(|day| day_ms("from_date", day)).transpose()?;
    let last_ms = to.map(|day| day_ms("to_date", day)).transpose()?;
    idmerge_analysis::days_ms(from_ms, last_ms)
        .ok_or_else(|| ApiError::bad_request("to_date is before from_date; swap them"))
}

#[cfg(test)]
mod tests {
    use idmerge_analysis::DAY_MS;

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
