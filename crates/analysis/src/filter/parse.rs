//! Reads the text of a filter.

use thiserror::Error;

use super::Expression;
use crate::operator::Operator;
use crate::value::{Number, Value};

/// Why a text is not a filter.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FilterError {
    /// From a place on, the text is not part of an expression.
    #[error("the expression cannot have {found} there; give {expected}")]
    Unexpected {
        /// The text from there on, shortened.
        found: String,
        /// What could be there.
        expected: &'static str,
    },
    /// Expressions are within each other too often.
    #[error("the expression has more than {max} expressions within each other; make it simpler")]
    TooDeep {
        /// The most.
        max: usize,
    },
}

/// Reading is recursive, so this bounds the stack.
const MAX_DEPTH: usize = 64;

/// How much of the text an error repeats.
const FOUND_CHARS: usize = 40;

const A_VALUE: &str = "a property such as properties[\"x\"], a text in quotes, a number, true, false, defined(…), \
     not, an expression in parentheses, or a list after `in`";

pub(super) fn expression(text: &str) -> Result<Expression, FilterError> {
    let mut reader = Reader {
        rest: text,
        depth: 0,
    };
    let expression = reader.or()?;
    match reader.rest.trim_start() {
        "" => Ok(expression),
        _ => Err(reader.unexpected("an operator, such as ==, in, and, or; or nothing")),
    }
}

struct Reader<'t> {
    rest: &'t str,
    depth: usize,
}

impl Reader<'_> {
    fn unexpected(&self, expected: &'static str) -> FilterError {
        let rest = self.rest.trim();
        let found = match rest.char_indices().nth(FOUND_CHARS) {
            _ if rest.is_empty() => "the end".to_owned(),
            Some((end, _)) => format!("`{}…`", &rest[..end]),
            None => format!("`{rest}`"),
        };
        FilterError::Unexpected { found, expected }
    }

    /// Passes white space and these characters, if they are next.
    fn pass(&mut self, text: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Passes white space and a word, if it is next and does not go on.
    fn pass_word(&mut self, word: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(word);
        let is_part = |next: char| next.is_alphanumeric() || next == '_';
        let rest = rest.filter(|rest| !rest.starts_with(is_part));
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, text: &str, expected: &'static str) -> Result<(), FilterError> {
        match self.pass(text) {
            true => Ok(()),
            false => Err(self.unexpected(expected)),
        }
    }

    fn or(&mut self) -> Result<Expression, FilterError> {
        self.joined("or", Self::and, Expression::Or)
    }

    fn and(&mut self) -> Result<Expression, FilterError> {
        self.joined("and", Self::not, Expression::And)
    }

    /// Expressions with a word between them.
    fn joined(
        &mut self,
        word: &str,
        read: fn(&mut Self) -> Result<Expression, FilterError>,
        join: fn(Vec<Expression>) -> Expression,
    ) -> Result<Expression, FilterError> {
        let first = read(self)?;
        if !self.pass_word(word) {
            return Ok(first);
        }
        let mut all = vec![first, read(self)?];
        while self.pass_word(word) {
            all.push(read(self)?);
        }
        Ok(join(all))
    }

    /// Reads what is within another expression.
    fn within<T>(
        &mut self,
        read: fn(&mut Self) -> Result<T, FilterError>,
    ) -> Result<T, FilterError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(FilterError::TooDeep { max: MAX_DEPTH });
        }
        let read = read(self)?;
        self.depth -= 1;
        Ok(read)
    }

    fn not(&mut self) -> Result<Expression, FilterError> {
        match self.pass_word("not") {
            true => Ok(Expression::Not(Box::new(self.within(Self::not)?))),
            false => self.comparison(),
        }
    }

    fn comparison(&mut self) -> Result<Expression, FilterError> {
        let left = self.operand()?;
        if self.pass_word("in") {
            if self.pass("[") {
                return Ok(Expression::InList(Box::new(left), self.list()?));
            }
            return Ok(Expression::In(Box::new(left), Box::new(self.operand()?)));
        }
        let operator = Operator::TEXTS.iter().find(|(text, _)| self.pass(text));
        Ok(match operator {
            Some((_, operator)) => {
                Expression::Is(Box::new(left), *operator, Box::new(self.operand()?))
            }
            None => left,
        })
    }

    fn operand(&mut self) -> Result<Expression, FilterError> {
        if self.pass("(") {
            let inner = self.within(Self::or)?;
            self.expect(")", "a closing parenthesis, or an operator")?;
            return Ok(inner);
        }
        if let Some(name) = self.property()? {
            return Ok(Expression::Property(name));
        }
        if self.pass_word("defined") {
            self.expect("(", "a property in parentheses")?;
            let name = self.property()?;
            let name =
                name.ok_or_else(|| self.unexpected("a property such as properties[\"x\"]"))?;
            self.expect(")", "a closing parenthesis")?;
            return Ok(Expression::Defined(name));
        }
        self.value(A_VALUE).map(Expression::Value)
    }

    /// The name of a property, if one is next.
    fn property(&mut self) -> Result<Option<String>, FilterError> {
        const NAME: &str =
            "the name of the property in brackets and quotes, as in properties[\"x\"]";
        if !self.pass_word("properties") && !self.pass_word("user") {
            return Ok(None);
        }
        self.expect("[", NAME)?;
        let name = self.text()?.ok_or_else(|| self.unexpected(NAME))?;
        self.expect("]", NAME)?;
        Ok(Some(name))
    }

    /// The values of a list, after its opening bracket.
    fn list(&mut self) -> Result<Vec<Value>, FilterError> {
        let mut values = Vec::new();
        if self.pass("]") {
            return Ok(values);
        }
        loop {
            values.push(self.value("a text in quotes, a number, true or false")?);
            if self.pass("]") {
                return Ok(values);
            }
            self.expect(",", "a comma, or a closing bracket")?;
        }
    }

    fn value(&mut self, expected: &'static str) -> Result<Value, FilterError> {
        if let Some(text) = self.text()? {
            return Ok(Value::Text(text));
        }
        for (word, is) in [("true", true), ("false", false)] {
            if self.pass_word(word) {
                return Ok(Value::Bool(is));
            }
        }
        let rest = self.rest.trim_start();
        let is_end = |next: char| !(next.is_ascii_alphanumeric() || "+-._".contains(next));
        let end = rest.find(is_end).unwrap_or(rest.len());
        let number = Number::read(&rest[..end]).ok_or_else(|| self.unexpected(expected))?;
        self.rest = &rest[end..];
        Ok(Value::Number(number))
    }

    /// A text in double or single quotes, if one is next. A backslash stands for the character after it; otherwise
    /// escapes are those of JSON.
    fn text(&mut self) -> Result<Option<String>, FilterError> {
        const TEXT: &str = "a text that ends with its quotation mark, with JSON's escapes";
        let rest = self.rest.trim_start();
        let Some(quote) = rest.chars().next().filter(|first| "\"'".contains(*first)) else {
            return Ok(None);
        };
        let mut json = String::from('"');
        let mut is_escaped = false;
        for (at, next) in rest[1..].char_indices() {
            match (is_escaped, next) {
                (false, '\\') => {
                    is_escaped = true;
                    continue;
                }
                (false, next) if next == quote => {
                    json.push('"');
                    let text = serde_json::from_str(&json).map_err(|_| self.unexpected(TEXT))?;
                    self.rest = &rest[at + 2..];
                    return Ok(Some(text));
                }
                (false, '"') => json.push_str("\\\""),
                (true, '\'') => json.push('\''),
                (true, next) => json.extend(['\\', next]),
                (false, next) => json.push(next),
            }
            is_escaped = false;
        }
        Err(self.unexpected(TEXT))
    }
}
