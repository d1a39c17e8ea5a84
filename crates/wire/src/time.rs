//! When an event happened.

/// From this number on a time is in milliseconds, below it in seconds: as seconds it would be the
/// year 5138, as milliseconds it is 1973.
const MILLISECONDS_FROM: f64 = 1e11;

/// The last millisecond of the year 9999.
const TIME_MAX_MS: f64 = 253_402_300_799_999.0;

/// The `time` of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Time {
    /// The event has none.
    Absent,
    /// Milliseconds since 1970.
    Ms(i64),
    /// It has one that is no time.
    Invalid,
}

impl Time {
    /// The milliseconds, where it is a time.
    pub fn ms(self) -> Option<i64> {
        match self {
            Self::Ms(ms) => Some(ms),
            Self::Absent | Self::Invalid => None,
        }
    }
}

/// The time that the JSON text of a value says: a number of seconds or milliseconds, whichever it
/// can be, with or without a fraction.
///
/// ```
/// use idmerge_wire::{Time, time_ms};
///
/// assert_eq!(time_ms("1700000000"), Time::Ms(1_700_000_000_000));
/// assert_eq!(time_ms("1700000000.5"), Time::Ms(1_700_000_000_500));
/// assert_eq!(time_ms("1700000000500"), Time::Ms(1_700_000_000_500));
/// assert_eq!(time_ms("null"), Time::Absent);
/// assert_eq!(time_ms("{}"), Time::Invalid);
/// ```
pub fn time_ms(json: &str) -> Time {
    if json == "null" {
        return Time::Absent;
    }
    // Rust reads words such as `inf` too; JSON's numbers begin like this.
    if !json.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return Time::Invalid;
    }
    let Ok(number) = json.parse::<f64>() else {
        return Time::Invalid;
    };
    let ms = if number.abs() < MILLISECONDS_FROM {
        number * 1_000.0
    } else {
        number
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is within the range of i64, and a part of a millisecond is cut off"
    )]
    if ms.abs() <= TIME_MAX_MS {
        Time::Ms(ms.round() as i64)
    } else {
        Time::Invalid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_milliseconds_are_told_apart() {
        assert_eq!(time_ms("0"), Time::Ms(0));
        assert_eq!(time_ms("-1"), Time::Ms(-1_000));
        assert_eq!(time_ms("99999999999"), Time::Ms(99_999_999_999_000));
        assert_eq!(time_ms("100000000000"), Time::Ms(100_000_000_000));
        assert_eq!(time_ms("1.7e9"), Time::Ms(1_700_000_000_000));
        assert_eq!(time_ms("1600000000.123"), Time::Ms(1_600_000_000_123));
        assert_eq!(time_ms("1600000000123.9"), Time::Ms(1_600_000_000_124));
    }

    #[test]
    fn what_is_no_time_is_invalid() {
        for json in [
            "{}",
            "[]",
            "\"1700000000\"",
            "true",
            "1e30",
            "-1e300",
            "1e999",
            "inf",
            "",
        ] {
            assert_eq!(time_ms(json), Time::Invalid, "{json}");
        }
    }
}
