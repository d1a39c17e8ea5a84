//! A scanner of JSON that reports where values are and builds nothing.
//!
//! It checks the whole grammar of JSON, since a line that is not JSON is refused (IN-1), and it
//! does not recurse, so nesting costs no stack. `None` means that the text is not JSON. `serde_json`
//! then says what is wrong: it is slower, but it has the error messages.

use super::containers::{Container, Nesting, Observer};
use super::special::SpecialBytes;

/// A position in a text.
///
/// Rarely used methods take a copy and return it. A method that takes a reference would force the
/// scanner into memory, and in the loop over members it must stay in registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scanner<'t> {
    text: &'t str,
    at: usize,
    special: SpecialBytes,
    has_escapes: bool,
}

/// A value or a key that was passed. Its text is cut out only if it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lexeme {
    pub(crate) span: Span,
    /// Whether it is a string with an escape in it.
    pub(crate) is_escaped: bool,
}

/// A part of a text, in bytes. No part of JSON is empty, so the empty span means "not there".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The text there, or `None` if the span is empty or not within this text.
    pub(crate) fn text_in<'t>(&self, text: &'t str) -> Option<&'t str> {
        text.get(self.start..self.end)
            .filter(|text| !text.is_empty())
    }
}

impl<'t> Scanner<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            special: SpecialBytes::new(text.as_bytes()),
            has_escapes: false,
        }
    }

    /// The text there, with the quotation marks if it is a string.
    #[inline]
    pub(crate) fn text(&self, span: Span) -> &'t str {
        &self.text[span.start..span.end]
    }

    /// The text that is scanned.
    #[inline(always)]
    pub(crate) fn whole_text(&self) -> &'t str {
        self.text
    }

    /// The bytes between the quotation marks of a string.
    #[inline]
    pub(crate) fn bytes_between_quotes(&self, string: Span) -> &'t [u8] {
        &self.text.as_bytes()[string.start + 1..string.end - 1]
    }

    /// Whether any string that was passed has an escape.
    pub(crate) fn has_escapes(&self) -> bool {
        self.has_escapes
    }

    /// The next byte, or 0 at the end: JSON contains no 0.
    #[inline(always)]
    fn byte(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    /// Passes white space, and returns the next byte, or 0 at the end.
    #[inline(always)]
    pub(crate) fn peek(&mut self) -> u8 {
        match self.byte() {
            // Most events have no white space. Everything else down here is invalid.
            0..=b' ' => {
                self.at = self.past_white_space();
                self.byte()
            }
            byte => byte,
        }
    }

    #[cold]
    fn past_white_space(mut self) -> usize {
        while let b' ' | b'\t' | b'\n' | b'\r' = self.byte() {
            self.at += 1;
        }
        self.at
    }

    /// Passes this byte, and white space before it.
    #[inline(always)]
    pub(crate) fn pass(&mut self, byte: u8) -> Option<()> {
        (self.peek() == byte).then(|| self.at += 1)
    }

    /// Whether only white space is left.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.peek();
        self.at == self.text.len()
    }

    /// The offset of the next byte.
    #[inline(always)]
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Passes the brace that begins an object, and returns whether it has a member. A member is
    /// passed with [`key`](Self::key) and [`value`](Self::value), and
    /// [`has_more_members`](Self::has_more_members) returns whether another one follows.
    #[inline(always)]
    pub(crate) fn has_members(&mut self) -> Option<bool> {
        self.has_any(b'{', b'}')
    }

    /// Passes the comma after a member, or the brace that ends the object.
    #[inline(always)]
    pub(crate) fn has_more_members(&mut self) -> Option<bool> {
        self.has_more(b'}')
    }

    /// As [`has_members`](Self::has_members), for the elements of an array.
    #[inline(always)]
    pub(crate) fn has_elements(&mut self) -> Option<bool> {
        self.has_any(b'[', b']')
    }

    /// As [`has_more_members`](Self::has_more_members), for the elements of an array.
    #[inline(always)]
    pub(crate) fn has_more_elements(&mut self) -> Option<bool> {
        self.has_more(b']')
    }

    #[inline(always)]
    fn has_any(&mut self, start: u8, end: u8) -> Option<bool> {
        self.pass(start)?;
        let is_empty = self.peek() == end;
        if is_empty {
            self.at += 1;
        }
        Some(!is_empty)
    }

    #[inline(always)]
    fn has_more(&mut self, end: u8) -> Option<bool> {
        let next = self.peek();
        self.at += 1;
        match next {
            b',' => Some(true),
            _ => (next == end).then_some(false),
        }
    }

    /// Passes any value, and returns where it is.
    #[inline(always)]
    pub(crate) fn value(&mut self) -> Option<Lexeme> {
        self.observed_value(&mut ())
    }

    /// Passes any value, and tells the observer about each container in it.
    #[inline(always)]
    pub(crate) fn observed_value(&mut self, observer: &mut impl Observer) -> Option<Lexeme> {
        let first = self.peek();
        if first == b'"' {
            return self.string();
        }
        let start = self.at;
        match first {
            b'{' | b'[' => *self = self.past_container(observer)?,
            _ => self.scalar(first)?,
        }
        Some(self.since(start))
    }

    /// What was passed since `start`, which is not a string.
    #[inline(always)]
    pub(crate) fn since(&self, start: usize) -> Lexeme {
        Lexeme {
            span: Span {
                start,
                end: self.at,
            },
            is_escaped: false,
        }
    }

    /// Passes an array or an object with everything in it.
    #[inline(never)]
    fn past_container(mut self, observer: &mut impl Observer) -> Option<Self> {
        let mut nesting = Nesting::default();
        loop {
            match self.peek() {
                b'"' => {
                    self.string()?;
                }
                b'{' => {
                    self.at += 1;
                    observer.enter();
                    if self.peek() != b'}' {
                        nesting.enter(Container::Object);
                        self.key()?;
                        observer.member();
                        continue;
                    }
                    self.at += 1;
                    observer.leave();
                }
                b'[' => {
                    self.at += 1;
                    observer.enter();
                    if self.peek() != b']' {
                        nesting.enter(Container::Array);
                        continue;
                    }
                    self.at += 1;
                    observer.leave();
                }
                byte => self.scalar(byte)?,
            }
            // A value has ended, and the containers around it may end with it.
            loop {
                let Some(container) = nesting.innermost() else {
                    return Some(self);
                };
                if container == Container::Array {
                    observer.member();
                }
                let next = self.peek();
                self.at += 1;
                match (next, container) {
                    (b',', Container::Array) => break,
                    (b',', Container::Object) => {
                        self.key()?;
                        observer.member();
                        break;
                    }
                    (b']', Container::Array) | (b'}', Container::Object) => {
                        nesting.leave();
                        observer.leave();
                    }
                    _ => return None,
                }
            }
        }
    }

    /// Passes a key and its colon, and returns where the key is.
    #[inline(always)]
    pub(crate) fn key(&mut self) -> Option<Lexeme> {
        if self.peek() != b'"' {
            return None;
        }
        let key = self.string()?;
        self.pass(b':')?;
        Some(key)
    }

    /// Passes the string that begins here.
    #[inline(always)]
    fn string(&mut self) -> Option<Lexeme> {
        let start = self.at;
        self.at = self.special.next(self.text.as_bytes(), start + 1);
        let is_escaped = self.byte() != b'"';
        if is_escaped {
            *self = self.past_escapes()?;
        }
        self.at += 1;
        Some(Lexeme {
            span: Span {
                start,
                end: self.at,
            },
            is_escaped,
        })
    }

    /// Passes the escapes of a string, and the text between them.
    #[cold]
    fn past_escapes(mut self) -> Option<Self> {
        self.has_escapes = true;
        let bytes = self.text.as_bytes();
        while self.byte() != b'"' {
            // A control character must be escaped.
            let escape = bytes[self.at..].strip_prefix(b"\\")?;
            self.at += match escape.first()? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
                b'u' if escape.get(1..5)?.iter().all(u8::is_ascii_hexdigit) => 6,
                _ => return None,
            };
            self.at = self.special.next(bytes, self.at);
        }
        Some(self)
    }

    /// Passes the number or literal that begins here with the byte `first`.
    #[inline(always)]
    fn scalar(&mut self, first: u8) -> Option<()> {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += match first {
            b'-' | b'0'..=b'9' => number_bytes(rest)?,
            b't' if rest.starts_with(b"true") => 4,
            b'f' if rest.starts_with(b"false") => 5,
            b'n' if rest.starts_with(b"null") => 4,
            _ => return None,
        };
        Some(())
    }
}

/// The length of the number at the start of a text.
fn number_bytes(text: &[u8]) -> Option<usize> {
    let mut rest = text.strip_prefix(b"-").unwrap_or(text);
    rest = match rest.first()? {
        b'0' if rest.get(1).is_some_and(u8::is_ascii_digit) => return None,
        _ => after_digits(rest)?,
    };
    if let Some(fraction) = rest.strip_prefix(b".") {
        rest = after_digits(fraction)?;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let digits = match exponent {
            [b'+' | b'-', digits @ ..] => digits,
            digits => digits,
        };
        rest = after_digits(digits)?;
    }
    Some(text.len() - rest.len())
}

/// The text after the digits at its start. `None` if there is no digit.
#[inline(always)]
fn after_digits(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text;
    while let Some(eight) = rest.first_chunk() {
        let digits = digits_of_eight(u64::from_le_bytes(*eight));
        rest = &rest[digits..];
        if digits < 8 {
            return (rest.len() < text.len()).then_some(rest);
        }
    }
    while let [b'0'..=b'9', after @ ..] = rest {
        rest = after;
    }
    (rest.len() < text.len()).then_some(rest)
}

/// The number of digits at the start (the lowest bytes) of these eight bytes.
#[inline(always)]
fn digits_of_eight(bytes: u64) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // A digit becomes 0 to 9, which is at most 0x7f with 0x76 added. Only a byte that is not a digit
    // carries, so a carry changes only bytes after the first of these.
    let values = bytes ^ (EACH * 0x30);
    let is_other = (values | values.wrapping_add(EACH * 0x76)) & (EACH * 0x80);
    is_other.trailing_zeros() as usize / 8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    /// The text of the only value of a text, if it is JSON.
    fn scanned(text: &str) -> Option<&str> {
        let mut scanner = Scanner::new(text);
        let value = scanner.value()?;
        let text = scanner.text(value.span);
        assert_eq!(
            value.is_escaped,
            text.starts_with('"') && text.contains('\\')
        );
        scanner.is_at_end().then_some(text)
    }

    fn by_serde(text: &str) -> Option<&str> {
        serde_json::from_str::<&RawValue>(text)
            .ok()
            .map(RawValue::get)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn pieces_of_json_are_valid_as_serde_json_says(
            pieces in prop::collection::vec(
                prop::sample::select(&[
                    "{", "}", "[", "]", ",", ":", "\"", "\"a\"", "\"a\":", "\\", "\\u00fC", "\\u00",
                    "\\n", "\\x", "0", "1", "-", ".", "5", "e", "E+", "true", "false", "null", "nul",
                    " ", "\n", "\t", "\u{1}", "ü", "long text without anything special",
                ]),
                0..12,
            )
        ) {
            let text = pieces.concat();
            prop_assert_eq!(scanned(&text), by_serde(&text));
        }

        #[test]
        fn json_and_damaged_json_are_valid_as_serde_json_says(
            value in any_json(), at in any::<prop::sample::Index>(), byte in 0..0x80_u8,
        ) {
            let text = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(scanned(&text), Some(&*text));
            let mut damaged = text.into_bytes();
            *at.get_mut(&mut damaged) = byte;
            if let Ok(damaged) = String::from_utf8(damaged) {
                prop_assert_eq!(scanned(&damaged), by_serde(&damaged));
            }
        }
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            "\\PC{0,20}|[\"\\\\\n\u{1}]{1,3}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 30, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
                prop::collection::hash_map("[a-c\"]{0,2}", inner, 0..5)
                    .prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    /// Passes an object, and returns its text and its members.
    fn object<'t>(scanner: &mut Scanner<'t>) -> Option<(&'t str, Vec<[&'t str; 2]>)> {
        let mut members = Vec::new();
        scanner.peek();
        let start = scanner.at();
        let mut has_more = scanner.has_members()?;
        while has_more {
            let (key, value) = (scanner.key()?, scanner.value()?);
            members.push([scanner.text(key.span), scanner.text(value.span)]);
            has_more = scanner.has_more_members()?;
        }
        Some((scanner.text(scanner.since(start).span), members))
    }

    #[test]
    fn an_object_gives_its_members() {
        let text = r#" {"a" : [1, {"x":2}] ,"\u0062":"c"} "#;
        let mut scanner = Scanner::new(text);
        let members = vec![[r#""a""#, r#"[1, {"x":2}]"#], [r#""\u0062""#, r#""c""#]];
        assert_eq!(object(&mut scanner), Some((text.trim(), members)));
        assert!(scanner.is_at_end());
        assert_eq!(object(&mut Scanner::new("{ }")), Some(("{ }", vec![])));
        for wrong in ["", "[]", "{", "{\"a\"}", "{\"a\":1", "{\"a\":1,}", "{a:1}"] {
            assert_eq!(object(&mut Scanner::new(wrong)), None, "{wrong}");
        }
    }
}
