//! [`Number`]: a JSON number, exactly.

use std::cmp::Ordering;
use std::fmt;

/// A JSON number. As floating-point numbers, two large IDs could be equal, and `1e400` would be infinite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    is_negative: bool,
    /// They neither begin nor end with 0, so equal numbers are equal here. Zero has none, and exponent 0.
    digits: String,
    /// The number is `digits * 10^exponent`.
    exponent: i64,
}

impl Number {
    /// Reads a number. `None` if the text is none, or if its exponent does not fit.
    pub(crate) fn read(text: &str) -> Option<Self> {
        if !text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
            return None;
        }
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits = [whole, fraction].concat();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let all = digits.len();
        digits.truncate(digits.trim_end_matches('0').len());
        let zeros = i64::try_from(all - digits.len()).ok()?;
        let exponent = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
        let exponent = exponent.checked_add(zeros)?;
        digits.drain(..digits.len() - digits.trim_start_matches('0').len());
        Some(Self {
            is_negative: text.starts_with('-') && !digits.is_empty(),
            exponent: if digits.is_empty() { 0 } else { exponent },
            digits,
        })
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// How many digits are before the point; negative if zeros follow the point.
    fn whole_digits(&self) -> i128 {
        i128::from(self.exponent) + self.digits.len() as i128
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let size = |number: &Self| (!number.is_zero(), number.whole_digits());
        let sizes = size(self).cmp(&size(other));
        let sizes = sizes.then_with(|| self.digits.cmp(&other.digits));
        match (self.is_negative, other.is_negative) {
            (false, false) => sizes,
            (true, true) => sizes.reverse(),
            (is_negative, other) => other.cmp(&is_negative),
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// As JSON: up to 39 digits before the point or 6 zeros after it, and else with an exponent.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_negative {
            f.write_str("-")?;
        }
        let digits = &*self.digits;
        let whole_digits = self.whole_digits();
        match usize::try_from(whole_digits) {
            _ if self.is_zero() => f.write_str("0"),
            Ok(0) => write!(f, "0.{digits}"),
            Ok(whole) if whole <= 39 => match digits.split_at_checked(whole) {
                Some((whole, fraction)) if !fraction.is_empty() => write!(f, "{whole}.{fraction}"),
                _ => write!(f, "{digits:0<whole$}"),
            },
            Err(_) if whole_digits >= -6 => {
                let zeros = "0".repeat(usize::try_from(-whole_digits).unwrap_or_default());
                write!(f, "0.{zeros}{digits}")
            }
            _ => {
                let (first, rest) = digits.split_at(1);
                let point = if rest.is_empty() { "" } else { "." };
                write!(f, "{first}{point}{rest}e{}", whole_digits - 1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_in_one_spelling() {
        for (text, spelling) in [
            ("0", "0"),
            ("-0.00e7", "0"),
            ("1.0", "1"),
            ("-10e-1", "-1"),
            ("1e3", "1000"),
            ("1.50", "1.5"),
            ("0.5", "0.5"),
            ("0.00000012", "0.00000012"),
            ("0.000000012", "1.2e-8"),
            ("9007199254740993.0", "9007199254740993"),
            ("100e36", "100000000000000000000000000000000000000"),
            ("1e39", "1e39"),
            ("123.45e400", "1.2345e402"),
        ] {
            let number = Number::read(text).unwrap();
            assert_eq!(number.to_string(), spelling);
            assert_eq!(Number::read(spelling), Some(number));
        }
        for text in [
            "",
            "-",
            "+1",
            ".5",
            "x",
            "-inf",
            "1e",
            "1e9223372036854775808",
            "1 ",
        ] {
            assert_eq!(Number::read(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_are_ordered_by_their_values() {
        let numbers = [
            "-1e400",
            "-10",
            "-9",
            "-0.1",
            "0",
            "1e-400",
            "0.1",
            "0.11",
            "0.9",
            "1",
            "1.5",
            "9",
            "10",
            "9007199254740992",
            "9007199254740993",
            "1e400",
        ];
        let read = numbers.map(|text| Number::read(text).unwrap());
        for (at, a) in read.iter().enumerate() {
            for (other_at, b) in read.iter().enumerate() {
                assert_eq!(a.cmp(b), at.cmp(&other_at), "{a} and {b}");
            }
        }
    }
}
