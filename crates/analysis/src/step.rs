//! [`Step`]: an event of a funnel, with conditions on its properties (F-7).

mod parse;

use std::fmt;

use crate::operator::Operator;
use crate::value::{Value, Values};
pub use parse::NotConditions;

/// An event by its name, and conditions on its properties (F-7).
///
/// ```
/// use idmerge_analysis::Step;
///
/// let step = Step::parse(r#"Purchase[amount >= 20, coupon in ["A", "B"], $browser exists]"#);
/// assert_eq!(step.name(), "Purchase");
///
/// // Brackets without conditions belong to the name.
/// assert_eq!(Step::parse("Clicked [CTA]").name(), "Clicked [CTA]");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    text: String,
    name: String,
    conditions: Vec<Condition>,
    not_conditions: Option<NotConditions>,
}

/// A condition on a property.
#[derive(Clone, Debug, PartialEq)]
struct Condition {
    property: String,
    test: Test,
}

/// What the value of a property must be.
#[derive(Clone, Debug, PartialEq)]
enum Test {
    Exists,
    /// The value compared with this one, by the operator.
    Is(Operator, Value),
    In(Vec<Value>),
}

impl Step {
    /// Reads `Name` or `Name[property == "x", other != 2]`. White space before the bracket does not belong to
    /// the name. If what is in the brackets is not a list of conditions, all of the text is the name.
    pub fn parse(text: &str) -> Self {
        let (name, conditions, not_conditions) = match parse::conditions(text) {
            Ok(Some((name, conditions))) => (name, conditions, None),
            Ok(None) => (text, Vec::new(), None),
            Err(error) => (text, Vec::new(), Some(error)),
        };
        Self {
            text: text.to_owned(),
            name: name.to_owned(),
            conditions,
            not_conditions,
        }
    }

    /// An event by its name alone, whatever is in it.
    pub fn named(name: &str) -> Self {
        Self {
            text: name.to_owned(),
            name: name.to_owned(),
            conditions: Vec::new(),
            not_conditions: None,
        }
    }

    /// The text that the step was read from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The name of the event.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the step has conditions.
    pub fn has_conditions(&self) -> bool {
        !self.conditions.is_empty()
    }

    /// Why the brackets at the end of the text belong to the name. `None` if there are none, or if they hold
    /// conditions.
    pub fn not_conditions(&self) -> Option<&NotConditions> {
        self.not_conditions.as_ref()
    }

    /// The names of the properties that the conditions are about.
    pub(crate) fn properties(&self) -> impl Iterator<Item = &str> {
        self.conditions
            .iter()
            .map(|condition| condition.property.as_str())
    }

    /// Whether an event with this name and these properties is the step.
    pub(crate) fn is(&self, name: &str, values: &Values<'_>) -> bool {
        self.name == name
            && self
                .conditions
                .iter()
                .all(|condition| condition.test.holds(values.get(&condition.property)))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Test {
    /// F-7: a missing property fails all but `!=`.
    fn holds(&self, value: Option<&Value>) -> bool {
        let Some(value) = value else {
            return matches!(self, Self::Is(Operator::NotEqual, _));
        };
        match self {
            Self::Exists => true,
            Self::Is(operator, other) => operator.holds(value, other),
            Self::In(values) => values
                .iter()
                .any(|other| Operator::Equal.holds(value, other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use idmerge_events::JsonEvent;

    use super::*;
    use crate::value::Names;

    /// Whether an event A with these properties is the step `A[…]`.
    fn is(conditions: &str, properties: &str) -> bool {
        let step = Step::parse(&format!("A[{conditions}]"));
        assert_eq!(step.name(), "A", "{conditions}: {step:?}");
        let line = format!(r#"{{"event":"A","properties":{properties}}}"#);
        let event = JsonEvent::parse_text(&line).unwrap();
        let names: Names = step.properties().map(str::to_owned).collect();
        step.is("A", &Values::read(event.properties().as_str(), &names))
    }

    #[test]
    fn f_7_values_are_compared_by_their_kind() {
        for (conditions, properties, expected) in [
            (r#"p == "x""#, r#"{"p":"x"}"#, true),
            (r#"p == "x""#, r#"{"p":"y"}"#, false),
            (r#"p == "x""#, r#"{"p":"\u0078"}"#, true),
            (r#"p == "x""#, r#"{"p":"y","p":"x"}"#, true),
            ("p == 2", r#"{"p":2.0}"#, true),
            ("p == 2", r#"{"p":"2"}"#, false),
            ("p != 2", r#"{"p":"2"}"#, true),
            ("p == 9007199254740993", r#"{"p":9007199254740992}"#, false),
            ("p == 0.5", r#"{"p":5e-1}"#, true),
            ("p < 2", r#"{"p":1.5}"#, true),
            ("p < 2", r#"{"p":2}"#, false),
            ("p <= 2", r#"{"p":2}"#, true),
            ("p > 2", r#"{"p":10}"#, true),
            ("p > 2", r#"{"p":"10"}"#, false),
            ("p >= 2", r#"{"p":1}"#, false),
            (r#"p > "b""#, r#"{"p":"c"}"#, true),
            (r#"p > "b""#, r#"{"p":"a"}"#, false),
            ("p == true", r#"{"p":true}"#, true),
            ("p == true", r#"{"p":"true"}"#, false),
            ("p != false", r#"{"p":true}"#, true),
            ("p >= true", r#"{"p":true}"#, false),
            (r#"p in ["a", 2, true]"#, r#"{"p":2}"#, true),
            (r#"p in ["a", 2]"#, r#"{"p":"b"}"#, false),
            (r"p in []", r#"{"p":"b"}"#, false),
            ("p exists", r#"{"p":[]}"#, true),
            (r#"p == "a", q == 1"#, r#"{"p":"a","q":1}"#, true),
            (r#"p == "a", q == 1"#, r#"{"p":"a","q":2}"#, false),
            (
                r#"Item Name == "a]b, c""#,
                r#"{"Item Name":"a]b, c"}"#,
                true,
            ),
            (r#""a == b" == 1"#, r#"{"a == b":1}"#, true),
            (r#"$os=="🍎""#, r#"{"$os":"🍎"}"#, true),
        ] {
            assert_eq!(
                is(conditions, properties),
                expected,
                "{conditions} {properties}"
            );
        }
    }

    #[test]
    fn f_7_a_missing_property_fails_all_but_not_equal() {
        for properties in ["{}", r#"{"p":null}"#, r#"{"p":"x","p":null}"#] {
            for conditions in [
                r#"p == "x""#,
                "p < 1",
                "p <= 1",
                "p > 1",
                "p >= 1",
                r#"p in ["x"]"#,
                "p exists",
            ] {
                assert!(!is(conditions, properties), "{conditions}");
            }
            assert!(is(r#"p != "x""#, properties));
        }
    }

    #[test]
    fn f_7_brackets_that_hold_no_conditions_belong_to_the_name() {
        for (text, name) in [
            ("Page View", "Page View"),
            ("Page View [p == 1]", "Page View"),
            ("Clicked [CTA] [p exists]", "Clicked [CTA]"),
            ("", ""),
            ("[p == 1]", ""),
        ] {
            let step = Step::parse(text);
            assert_eq!((step.name(), step.not_conditions()), (name, None), "{text}");
            assert_eq!(step.text(), text);
        }
        for name in [
            "Clicked [CTA]",
            "A[]",
            "A[p = 1]",
            "A[p == x]",
            "A[p == ]",
            "A[p == 1,]",
            "A[, p == 1]",
            "A[p == 1 q == 2]",
            "A[p in 1]",
            "A[p in [1]",
            "A[p === 1]",
            "A[p == null]",
            "A[p == \"x]",
            "A[== 1]",
            "A[ exists]",
            "A[p == +1]",
        ] {
            let step = Step::parse(name);
            assert_eq!(step.name(), name);
            assert!(step.not_conditions().is_some(), "{name}");
        }
        for name in ["A]", "A[p == 1] ", "A[p == 1", "❤️"] {
            let step = Step::parse(name);
            assert_eq!((step.name(), step.not_conditions()), (name, None));
        }
    }

    #[test]
    fn f_7_the_reason_says_what_is_wrong() {
        let reason = |text| Step::parse(text).not_conditions().map(ToString::to_string);
        assert_eq!(
            reason("A[p = 1]").as_deref(),
            Some(r#""= 1" does not begin with ==, !=, <, <=, >, >=, in or exists"#)
        );
        assert_eq!(
            reason("A[p == x]").as_deref(),
            Some(r#""x" does not begin with a text in double quotes, a number, true or false"#)
        );
    }
}
