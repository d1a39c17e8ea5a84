//! [`Filter`]: the vendor's expressions that select profiles and events.

mod parse;

use idmerge_events::{RawJson, visit_members};

use crate::operator::Operator;
use crate::value::{Names, Value, Values};
pub use parse::FilterError;

/// An expression about the properties of a profile or an event, as in the parameter `where` of the vendor's query
/// and export APIs.
///
/// It has properties, `properties["plan"]` or `user["plan"]`; texts in quotes, numbers, `true` and `false`; the
/// operators `==`, `!=`, `<`, `<=`, `>`, `>=`, `in`, `and`, `or` and `not` (`or` binds the least); after `in` also a
/// list `[1, 2]`; `defined(…)`; and parentheses. Values are compared as in the conditions of a
/// [`Step`](crate::Step): by their kind, and a missing property fails every comparison but `!=`.
/// `"a" in properties["p"]` holds if the list or the text in the property has it. A value alone counts as true unless
/// it is missing, `false`, `"false"`, `0`, or an empty text.
///
/// ```
/// use idmerge_analysis::Filter;
///
/// let filter = Filter::parse(r#"properties["plan"] in ["pro", "team"] and not defined(properties["churned"])"#)?;
/// assert!(filter.selects(r#"{"plan":"pro"}"#));
/// assert!(!filter.selects(r#"{"plan":"free"}"#));
/// assert!(!filter.selects(r#"{"plan":"pro","churned":"2026-01-31"}"#));
///
/// let error = Filter::parse(r#"properties["plan"] = "pro""#).unwrap_err();
/// assert!(error.to_string().contains("`= \"pro\"`"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    expression: Expression,
    /// The names of all properties in it.
    properties: Names,
}

#[derive(Clone, Debug, PartialEq)]
enum Expression {
    Value(Value),
    Property(String),
    Defined(String),
    Is(Box<Expression>, Operator, Box<Expression>),
    In(Box<Expression>, Box<Expression>),
    InList(Box<Expression>, Vec<Value>),
    Not(Box<Expression>),
    And(Vec<Expression>),
    Or(Vec<Expression>),
}

impl Filter {
    /// Reads an expression.
    ///
    /// # Errors
    ///
    /// [`FilterError`] with the place from which on the text is not an expression, and what could be there.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let expression = parse::expression(text)?;
        let mut properties = Vec::new();
        expression.properties(&mut properties);
        Ok(Self {
            expression,
            properties: properties.into_iter().collect(),
        })
    }

    /// Whether it selects a profile with these properties, a JSON object.
    pub fn selects(&self, properties: &str) -> bool {
        let values = Values::read(properties, &self.properties);
        self.expression.is_true(&values)
    }

    /// Whether it selects an event, a JSON object with `properties`.
    pub fn selects_event(&self, event: &str) -> bool {
        let mut properties = None;
        visit_members(event, |key, value| {
            if key == b"properties" {
                properties = Some(value);
            }
        });
        self.selects(properties.map_or("{}", RawJson::as_str))
    }
}

impl Expression {
    fn properties(&self, names: &mut Vec<String>) {
        match self {
            Self::Value(_) => {}
            Self::Property(name) | Self::Defined(name) => names.push(name.clone()),
            Self::Is(left, _, right) | Self::In(left, right) => {
                left.properties(names);
                right.properties(names);
            }
            Self::InList(inner, _) | Self::Not(inner) => inner.properties(names),
            Self::And(all) | Self::Or(all) => all.iter().for_each(|one| one.properties(names)),
        }
    }

    fn is_true(&self, values: &Values<'_>) -> bool {
        match self {
            Self::Value(_) | Self::Property(_) => self.value(values).is_some_and(|value| {
                value != Value::Bool(false)
                    && !matches!(&value, Value::Number(number) if number.is_zero())
                    && !matches!(&value, Value::Text(text) if text.is_empty() || text == "false")
            }),
            Self::Defined(name) => values.get(name).is_some(),
            Self::Is(left, operator, right) => match (left.value(values), right.value(values)) {
                (Some(left), Some(right)) => operator.holds(&left, &right),
                (None, None) => *operator == Operator::Equal,
                _ => *operator == Operator::NotEqual,
            },
            Self::In(left, right) => left
                .value(values)
                .is_some_and(|left| right.contains(&left, values)),
            Self::InList(left, list) => left
                .value(values)
                .is_some_and(|left| list.iter().any(|one| Operator::Equal.holds(one, &left))),
            Self::Not(inner) => !inner.is_true(values),
            Self::And(all) => all.iter().all(|one| one.is_true(values)),
            Self::Or(all) => all.iter().any(|one| one.is_true(values)),
        }
    }

    /// The value of an expression; `None` if it is a property that is missing.
    fn value(&self, values: &Values<'_>) -> Option<Value> {
        match self {
            Self::Value(value) => Some(value.clone()),
            Self::Property(name) => values.get(name).cloned(),
            _ => Some(Value::Bool(self.is_true(values))),
        }
    }

    /// Whether the list in a property has an element, or a text another text.
    fn contains(&self, element: &Value, values: &Values<'_>) -> bool {
        match self.value(values) {
            Some(Value::Text(text)) => {
                matches!(element, Value::Text(part) if text.contains(part.as_str()))
            }
            Some(list) => {
                let mut elements = list.elements().into_iter();
                elements.any(|other| Operator::Equal.holds(&other, element))
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PROFILE: &str = r#"{"plan":"pro","seats":3,"rate":0.5,"is_admin":true,"is_new":false,"tags":["a",2,"ü"],"none":null,"empty":"","zero":0,"$last_seen":"2026-01-31T10:00:00","a \"b\"":1}"#;

    #[track_caller]
    fn selects(text: &str) -> bool {
        Filter::parse(text).unwrap().selects(PROFILE)
    }

    #[test]
    fn comparisons_hold_for_values_of_a_kind() {
        for (text, wanted) in [
            (r#"properties["plan"] == "pro""#, true),
            (r#"user["plan"] == 'pro'"#, true),
            (r#"(properties["plan"]) == ("pro")"#, true),
            (r#""pro" == properties["plan"]"#, true),
            (r#"properties["plan"]!="pro""#, false),
            (r#"properties["seats"] > 2"#, true),
            (r#"properties["seats"] >= 3"#, true),
            (r#"properties["seats"] < 3"#, false),
            (r#"properties["seats"] <= 3"#, true),
            (r#"2 < properties["seats"]"#, true),
            (r#"properties["seats"] == 3.0"#, true),
            (r#"properties["seats"] == "3""#, false),
            (r#"properties["rate"] == 0.5"#, true),
            (r#"properties["rate"] > -1"#, true),
            (r#"properties["is_admin"] == true"#, true),
            (r#"properties["is_new"] == false"#, true),
            (r#"properties["$last_seen"] >= "2026-01-01""#, true),
            (
                r#"properties["$last_seen"] >= "2026-02-01T00:00:00""#,
                false,
            ),
            (r#"properties["a \"b\""] == 1"#, true),
            // A property that is missing, or null.
            (r#"properties["x"] == "pro""#, false),
            (r#"properties["x"] != "pro""#, true),
            (r#"properties["none"] != "pro""#, true),
            (r#"properties["x"] < 1"#, false),
            (r#"properties["x"] == properties["none"]"#, true),
        ] {
            assert_eq!(selects(text), wanted, "{text}");
        }
    }

    #[test]
    fn in_looks_into_lists_and_texts() {
        for (text, wanted) in [
            (r#"properties["plan"] in ["free", "pro"]"#, true),
            (r#"properties["seats"] in [1,2]"#, false),
            (r#"properties["seats"] in [3]"#, true),
            (r#"properties["plan"] in []"#, false),
            (r#"properties["x"] in ["x"]"#, false),
            (r#""a" in properties["tags"]"#, true),
            (r#"2 in properties["tags"]"#, true),
            (r#""ü" in properties["tags"]"#, true),
            (r#""2" in properties["tags"]"#, false),
            (r#""ro" in properties["plan"]"#, true),
            (r#""x" in properties["plan"]"#, false),
            (r#""a" in properties["x"]"#, false),
            (r#"properties["plan"] in "a pro""#, true),
            (r#"3 in properties["seats"]"#, false),
            (r#"not "a" in properties["tags"]"#, false),
        ] {
            assert_eq!(selects(text), wanted, "{text}");
        }
    }

    #[test]
    fn or_binds_less_than_and_and_and_less_than_not() {
        for (text, wanted) in [
            ("true or true and false", true),
            ("(true or true) and false", false),
            ("false and true or true", true),
            ("not false and false", false),
            ("not (false and false)", true),
            ("not not true", true),
            (r#"not properties["seats"] == 3"#, false),
            (r#"not properties["seats"] == 3 or true"#, true),
            (r#"defined(properties["plan"])"#, true),
            (r#"defined( user["x"] )"#, false),
            (r#"defined(properties["none"])"#, false),
            (
                r#"defined (properties["empty"]) and not properties["empty"]"#,
                true,
            ),
            (r#"properties["is_admin"]"#, true),
            (r#"properties["is_new"]"#, false),
            (r#"properties["zero"]"#, false),
            (r#"properties["x"]"#, false),
            (r#"properties["plan"]"#, true),
            (r#"defined(properties["plan"]) == true"#, true),
            // Words are words only as a whole.
            (r#"true or"x" == "x""#, true),
        ] {
            assert_eq!(selects(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_expression_says_where() {
        for (text, at) in [
            ("", "the end"),
            (r#"properties["plan"] = "pro""#, r#"`= "pro"`"#),
            (r#"properties["plan"] =="#, "the end"),
            (r#"properties["plan"] == pro"#, "`pro`"),
            (r#"properties.plan == "pro""#, r#"`.plan == "pro"`"#),
            (r"properties[plan]", "`plan]`"),
            (r#"properties["plan""#, "the end"),
            (r#""pro"#, r#"`"pro`"#),
            ("true true", "`true`"),
            ("(true", "the end"),
            ("true)", "`)`"),
            ("not", "the end"),
            ("truex", "`truex`"),
            ("1 in [1, properties[\"x\"]]", "`properties[\"x\"]]`"),
            ("1 in [1", "the end"),
            ("1 < 2 < 3", "`< 3`"),
            ("defined(1)", "`1)`"),
            (r#"string(properties["x"]) == "1""#, "`string("),
            (r#"properties["x"] + 1 == 2"#, "`+ 1 == 2`"),
            // A list is compared with nothing: it would be equal to no property.
            (r#"properties["tags"] == ["a"]"#, r#"`["a"]`"#),
            (r#"properties["tags"] != ["a"]"#, r#"`["a"]`"#),
            ("[1] == 1", "`[1] == 1`"),
            ("not []", "`[]`"),
            ("+1", "`+1`"),
            ("-", "`-`"),
        ] {
            let error = Filter::parse(text).unwrap_err().to_string();
            assert!(error.contains(at), "{text}: {error}");
        }
    }

    #[test]
    fn an_expression_within_too_many_others_is_refused() {
        let nested = |depth: usize| format!("{}true{}", "(".repeat(depth), ")".repeat(depth));
        assert!(Filter::parse(&nested(50)).is_ok());
        let error = Filter::parse(&nested(100_000)).unwrap_err();
        assert!(error.to_string().contains("64"), "{error}");
        assert!(Filter::parse(&"not ".repeat(100_000)).is_err());
        assert!(Filter::parse(&format!("{}true", "true and ".repeat(50_000))).is_ok());
    }

    #[test]
    fn the_properties_of_an_event_are_in_it() {
        let filter = Filter::parse(r#"properties["plan"] == "pro""#).unwrap();
        assert!(filter.selects_event(r#"{"event":"A","properties":{"plan":"pro"}}"#));
        assert!(!filter.selects_event(r#"{"event":"A","properties":{},"plan":"pro"}"#));
        assert!(!filter.selects_event(r#"{"event":"A"}"#));
    }

    proptest! {
        #[test]
        fn any_text_is_a_filter_or_an_error(
            tokens in prop::collection::vec(
                prop::sample::select(&[
                    "properties", "user", "[", "]", "(", ")", "\"", "'", "\\", "ü", "x", "==", "<", "in", "and", "or",
                    "not", "defined", "true", "1", "-", ".", ",", " ", "\\u",
                ][..]),
                0..20,
            ),
        ) {
            let text = tokens.concat();
            if let Ok(filter) = Filter::parse(&text) {
                let _is_selected = filter.selects(PROFILE);
            }
        }
    }
}
