//! [`Operator`]: the comparisons of conditions and filters.

use std::cmp::Ordering;

use crate::value::Value;

/// A comparison of two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Operator {
    /// The text of each. A text that begins with another one is before it.
    pub(crate) const TEXTS: [(&str, Self); 6] = [
        ("==", Self::Equal),
        ("!=", Self::NotEqual),
        ("<=", Self::LessOrEqual),
        (">=", Self::GreaterOrEqual),
        ("<", Self::Less),
        (">", Self::Greater),
    ];

    /// Whether the comparison holds. Values of different kinds are not equal and have no order (F-7).
    pub(crate) fn holds(self, value: &Value, other: &Value) -> bool {
        let order = value.compare(other);
        let is_equal = order == Some(Ordering::Equal) || value == other;
        match self {
            Self::Equal => is_equal,
            Self::NotEqual => !is_equal,
            Self::Less => order == Some(Ordering::Less),
            Self::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Self::Greater => order == Some(Ordering::Greater),
            Self::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        }
    }
}
