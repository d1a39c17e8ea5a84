//! Which values of properties are equal: a model of the last sentence of F-6 and of F-7.
//!
//! # Decided
//!
//! - V-1 Missing and `null` are one: no value (F-7). All that is not `null` is a value, also `""`, `[]`,
//!   `{}`, `0` and `false`.
//! - V-2 Values of different kinds are not equal (F-7): `1` and `"1"`, `true` and `"true"`, `0` and `false`.
//! - V-3 Numbers are equal if their mathematical values are, whatever their spelling: `1`, `1.0`, `10e-1`.
//!   The comparison is exact for every length. So IDs of orders beyond 2^53 stay apart, and numbers beyond
//!   the range of floats are values like others. `-0` is `0`.
//! - V-4 Texts are equal if their characters are, whatever their escapes. Case matters, nothing is trimmed
//!   and nothing is normalised (as ID-1).
//! - V-5 A list or an object is one value, and equals another with equal members. The order of a list
//!   matters, and that of the keys of an object does not. Inside them `null` is a value of its own kind. Of
//!   two equal keys the last counts (IN-2).

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// A value in one form: two values are equal by the rules if they are equal in Rust.
#[derive(Debug, PartialEq, Eq)]
enum Value {
    Null,
    Bool(bool),
    Number(Decimal),
    Text(String),
    List(Vec<Value>),
    Object(BTreeMap<String, Value>),
}

/// `digits * 10^exponent`. The digits neither begin nor end with 0; zero has none, and exponent 0.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    is_negative: bool,
    digits: String,
    exponent: i64,
}

/// A text that is the same for equal values and for no others. `None` is `null`.
pub fn canonical(json: &str) -> Option<String> {
    match read(json) {
        Value::Null => None,
        value => Some(format!("{value:?}")),
    }
}

fn read(json: &str) -> Value {
    let json = json.trim();
    match json.as_bytes()[0] {
        b'n' => Value::Null,
        b't' | b'f' => Value::Bool(json == "true"),
        b'"' => Value::Text(serde_json::from_str(json).unwrap()),
        b'[' => {
            let members: Vec<Box<RawValue>> = serde_json::from_str(json).unwrap();
            Value::List(members.iter().map(|member| read(member.get())).collect())
        }
        b'{' => {
            let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(json).unwrap();
            let read = |(key, member): (String, Box<RawValue>)| (key, read(member.get()));
            Value::Object(members.into_iter().map(read).collect())
        }
        _ => Value::Number(decimal(json)),
    }
}

fn decimal(json: &str) -> Decimal {
    let lower = json.to_lowercase();
    let (mantissa, exponent) = lower.split_once('e').unwrap_or((&lower, "0"));
    let mut exponent: i64 = exponent.parse().unwrap();
    let unsigned = mantissa.trim_start_matches('-');
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    exponent -= fraction.len() as i64;
    let all = format!("{whole}{fraction}");
    let digits = all.trim_end_matches('0');
    exponent += (all.len() - digits.len()) as i64;
    let digits = digits.trim_start_matches('0').to_owned();
    Decimal {
        is_negative: mantissa.starts_with('-') && !digits.is_empty(),
        exponent: if digits.is_empty() { 0 } else { exponent },
        digits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line is the spellings of one value, with ` = ` between them. No two lines are equal.
    const VALUES: &str = r#"
        null = null
        true
        false
        0 = -0 = 0.0 = 0e7 = -0.00E-3
        1 = 1.0 = 1e0 = 10e-1 = 0.1e+1 = 1.000
        -1 = -1.0 = -10E-1
        1000 = 1e3 = 1000.0 = 1E+3 = 10000e-1
        1.5 = 15e-1 = 0.15E1 = 1.50
        0.1
        0.1000000000000000055
        9007199254740992 = 9007199254740992.0
        9007199254740993 = 9007199254740993.0 = 9.007199254740993e15
        18446744073709551615
        18446744073709551616
        340282366920938463463374607431768211456
        1e400 = 10e399
        -1e400
        1e-400
        "" = ""
        "1"
        "1.0"
        "true"
        "null"
        "a" = "\u0061"
        "A"
        " a"
        "é" = "\u00e9" = "\u00E9"
        "e\u0301"
        "😀" = "\ud83d\ude00" = "\uD83D\uDE00"
        "/" = "\/"
        []
        {}
        [1] = [1.0] = [ 1e0 ]
        ["1"]
        [1,2] = [ 1, 2.0 ]
        [2,1]
        [null]
        [[1]]
        {"a":1,"b":2} = {"b":2.0, "a":1e0} = {"\u0061":1,"b":2} = {"a":7,"b":2,"a":1}
        {"a":1}
        {"a":1,"b":null}
        "[1]"
    "#;

    #[test]
    fn values_are_equal_within_a_line_and_different_between_lines() {
        let lines = VALUES
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty());
        let mut seen: BTreeMap<Option<String>, &str> = BTreeMap::new();
        for line in lines {
            let mut spellings = line.split(" = ");
            let first = canonical(spellings.next().unwrap());
            for other in spellings {
                assert_eq!(canonical(other), first, "{line}");
            }
            assert_eq!(seen.insert(first, line), None, "{line}");
        }
        assert_eq!(seen.get(&None), Some(&"null = null"));
    }
}
