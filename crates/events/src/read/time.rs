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
