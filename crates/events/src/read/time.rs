//! The time of an event.

use crate::json::RawJson;

/// Numbers from here on are milliseconds, smaller ones seconds. As seconds this is the year 5138,
/// as milliseconds it is 1973.
const MILLISECONDS_FROM: f64 = 1e11;

/// The `time` of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Time {
    /// The event has none, or it is `null`.
    Absent,
    /// Milliseconds since 1970.
    Ms(i64),
    /// The value is not a number, or not a time in the range.
    Invalid,
}

/// The times that are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeRange {
    /// Up to the end of the year 9999, and as long before 1970. The HTTP endpoints take these.
    Year9999,
    /// Less than 9·10¹⁵ milliseconds from 1970, which a floating-point number holds exactly.
    /// `idmerge ingest` logs these.
    Exact,
}

impl TimeRange {
    fn contains(self, ms: f64) -> bool {
        match self {
            Self::Year9999 => ms.abs() <= 253_402_300_799_999.0,
            Self::Exact => ms.abs() < 9e15,
        }
    }
}

impl Time {
    /// The milliseconds, if it is a time.
    pub fn ms(self) -> Option<i64> {
        match self {
            Self::Ms(ms) => Some(ms),
            Self::Absent | Self::Invalid => None,
        }
    }

    /// Reads the time of an event from its `time` property, and from the `$idmerge_time_ms` of an
    /// export, which has the milliseconds that `time` lacks (AR-4). The latter counts only if it says
    /// the same second: otherwise somebody has changed `time` since the export.
    pub(super) fn read_exact(
        json: Option<RawJson<'_>>,
        exact: Option<RawJson<'_>>,
        range: TimeRange,
    ) -> Self {
        let time = Self::read(json, range);
        let number = |json: Option<RawJson<'_>>| json?.as_str().parse::<i64>().ok();
        match (number(json), number(exact)) {
            #[expect(clippy::cast_precision_loss, reason = "a time out of range stays so")]
            (Some(written), Some(ms))
                if (written == ms || written == ms.div_euclid(1_000))
                    && range.contains(ms as f64) =>
            {
                Self::Ms(ms)
            }
            _ => time,
        }
    }

    /// Reads the value of a `time` property: a number of seconds or of milliseconds, with or without
    /// a fraction. SDKs send both, and the size of the number says which it is.
    pub(super) fn read(json: Option<RawJson<'_>>, range: TimeRange) -> Self {
        let Some(json) = json.filter(|json| !json.is_null()) else {
            return Self::Absent;
        };
        // Rust also parses words such as `inf`.
        let number = json.is_number().then(|| json.as_str().parse::<f64>());
        let Some(Ok(number)) = number else {
            return Self::Invalid;
        };
        Self::of_number(number, range)
    }

    /// The time that this number means as the value of a `time` property.
    pub fn of_number(number: f64, range: TimeRange) -> Self {
        let ms = if number.abs() < MILLISECONDS_FROM {
            number * 1_000.0
        } else {
            number
        };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it is a whole number in the range of i64"
        )]
        if range.contains(ms) {
            Self::Ms(ms.round() as i64)
        } else {
            Self::Invalid
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str, range: TimeRange) -> Time {
        Time::read(Some(RawJson::new(json)), range)
    }

    #[test]
    fn seconds_and_milliseconds_are_told_apart() {
        for (json, ms) in [
            ("0", 0),
            ("-1", -1_000),
            ("99999999999", 99_999_999_999_000),
            ("100000000000", 100_000_000_000),
            ("1700000000", 1_700_000_000_000),
            ("1.7e9", 1_700_000_000_000),
            ("1700000000.5", 1_700_000_000_500),
            ("1600000000.123", 1_600_000_000_123),
            ("1600000000123.9", 1_600_000_000_124),
        ] {
            for range in [TimeRange::Year9999, TimeRange::Exact] {
                assert_eq!(read(json, range), Time::Ms(ms), "{json}");
            }
        }
    }

    #[test]
    fn a_value_that_is_not_a_time_is_invalid() {
        for json in [
            "{}",
            "[]",
            "\"1700000000\"",
            "true",
            "1e30",
            "-1e300",
            "1e999",
            "9e15",
        ] {
            for range in [TimeRange::Year9999, TimeRange::Exact] {
                assert_eq!(read(json, range), Time::Invalid, "{json}");
            }
        }
        assert_eq!(Time::read(None, TimeRange::Exact), Time::Absent);
        assert_eq!(read("null", TimeRange::Exact), Time::Absent);
    }

    #[test]
    fn ar_4_the_milliseconds_of_an_export_count_if_the_second_is_the_same() {
        let read = |time: &str, exact: &str| {
            let [time, exact] = [time, exact].map(|json| Some(RawJson::new(json)));
            Time::read_exact(time, exact, TimeRange::Year9999)
        };
        for (time, exact, ms) in [
            ("1700000000", "1700000000500", 1_700_000_000_500),
            ("1700000000500", "1700000000500", 1_700_000_000_500),
            ("-1", "-1", -1),
            ("-1", "-999", -999),
            ("5", "5", 5),
            ("253402300799", "253402300799000", 253_402_300_799_000),
            // They do not agree.
            ("1700000001", "1700000000500", 1_700_000_001_000),
            ("1700003600", "1700000000500", 1_700_003_600_000),
            // It is not a time.
            ("1700000000", "\"1700000000500\"", 1_700_000_000_000),
            ("1700000000", "1700000000500.5", 1_700_000_000_000),
            ("1700000000", "null", 1_700_000_000_000),
        ] {
            assert_eq!(read(time, exact), Time::Ms(ms), "{time}, {exact}");
        }
        assert_eq!(read("null", "1700000000500"), Time::Absent);
        // Out of range, so only `time` counts, which is milliseconds by its size.
        let beyond = read("253402300800", "253402300800000");
        assert_eq!(beyond, Time::Ms(253_402_300_800));
    }

    #[test]
    fn the_ranges_end_on_both_sides() {
        let last = 253_402_300_799_999;
        for sign in [1, -1] {
            let [inside, outside] = [last, last + 1].map(|ms| (ms * sign).to_string());
            assert_eq!(read(&inside, TimeRange::Year9999), Time::Ms(last * sign));
            assert_eq!(read(&outside, TimeRange::Year9999), Time::Invalid);
            let exact = 9_000_000_000_000_000 - 1;
            let [inside, outside] = [exact, exact + 1].map(|ms| (ms * sign).to_string());
            assert_eq!(read(&inside, TimeRange::Exact), Time::Ms(exact * sign));
            assert_eq!(read(&outside, TimeRange::Exact), Time::Invalid);
        }
    }
}
