//! Reads the values of arguments: times, dates and pairs of steps.

use idmerge_analysis::{DAY_MS, FunnelQuery, RetentionQuery, day_ms, days_ms};

use crate::report::wrong_usage;

/// The units of a time, in milliseconds.
const UNITS: [(&str, i64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60 * 1_000),
    ("h", 60 * 60 * 1_000),
    ("d", DAY_MS),
];

/// A time such as `500ms`, `2s`, `30m`, `12h` or `7d`, or `0`, in milliseconds.
fn time_ms(text: &str) -> Result<i64, String> {
    let wrong = || {
        "give a whole number with a unit, as in 500ms, 2s, 30m, 12h or 7d, or a bare 0 (F-8)"
            .to_owned()
    };
    let digits = text.trim_end_matches(|last: char| last.is_ascii_alphabetic());
    let unit = &text[digits.len()..];
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    // More digits than a number has are more than any limit.
    let number: i64 = digits.parse().unwrap_or(i64::MAX);
    if unit.is_empty() && number == 0 {
        return Ok(0);
    }
    let unit_ms = UNITS.iter().find(|(name, _)| *name == unit);
    let (_, unit_ms) = unit_ms.ok_or_else(wrong)?;
    Ok(number.saturating_mul(*unit_ms))
}

/// The value of `--window`.
pub(crate) fn window(text: &str) -> Result<i64, String> {
    let window_ms = time_ms(text)?;
    match window_ms {
        1..=FunnelQuery::MAX_WINDOW_MS => Ok(window_ms),
        _ => Err("a window is more than 0 and at most 366d (F-8)".to_owned()),
    }
}

/// The value of `--grace`.
pub(crate) fn grace(text: &str) -> Result<i64, String> {
    let grace_ms = time_ms(text)?;
    match grace_ms {
        0..=FunnelQuery::MAX_WINDOW_MS => Ok(grace_ms),
        _ => Err("a grace is at most 366d (F-5)".to_owned()),
    }
}

/// The value of `--between`.
pub(crate) fn between(text: &str) -> Result<(usize, usize), String> {
    let numbers = text.split_once(',').and_then(|(from, to)| {
        let number = |text: &str| text.trim().parse().ok();
        Some((number(from)?, number(to)?))
    });
    numbers.ok_or_else(|| "give the numbers of two steps, as in 2,3".to_owned())
}

/// The value of `--periods`.
pub(crate) fn count(text: &str) -> Result<usize, String> {
    let max = RetentionQuery::MAX_PERIODS;
    let number = text
        .parse()
        .ok()
        .filter(|number| (1..=max).contains(number));
    number.ok_or_else(|| format!("give a number from 1 to {max}"))
}

/// The first millisecond of a day, since 1970.
pub(crate) fn date(text: &str) -> Result<i64, String> {
    day_ms(text).ok_or_else(|| "give a date, as in 2026-01-31".to_owned())
}

/// The range from a day to another one, included: its start, and its end, which is not part of it.
pub(crate) fn range_ms(
    from: Option<i64>,
    to: Option<i64>,
) -> anyhow::Result<(Option<i64>, Option<i64>)> {
    days_ms(from, to)
        .ok_or_else(|| wrong_usage(format_args!("--to-date is before --from-date; swap them")))
}

#[cfg(test)]
mod tests {
    use idmerge_analysis::date_text;

    use super::*;

    #[test]
    fn f_8_a_time_has_a_unit() {
        for (text, ms) in [
            ("0", 0),
            ("0d", 0),
            ("1ms", 1),
            ("2s", 2_000),
            ("30m", 1_800_000),
            ("12h", 43_200_000),
            ("366d", FunnelQuery::MAX_WINDOW_MS),
        ] {
            assert_eq!(time_ms(text), Ok(ms), "{text}");
        }
        for wrong in [
            "", "7", "d", "-1d", "+1d", "1.5h", "7 d", "7D", "7w", "1e3s", "٧d", "7dd",
        ] {
            assert!(time_ms(wrong).is_err(), "{wrong}");
        }
        for wrong in [
            "0",
            "0s",
            "367d",
            "99999999999999999999d",
            "9223372036854775807d",
        ] {
            assert!(window(wrong).is_err(), "{wrong}");
        }
        assert!(grace("0").is_ok());
    }

    #[test]
    fn a_day_has_a_date() {
        for text in [
            "1969-12-31",
            "1970-01-01",
            "2026-02-28",
            "9999-12-31",
            "0000-01-01",
        ] {
            assert_eq!(date(text).map(date_text).as_deref(), Ok(text));
        }
        for wrong in ["", "2026-2-1", "2026-02-30", "2026-02-01T00:00Z", "today"] {
            assert!(date(wrong).is_err(), "{wrong}");
        }
    }
}
