//! A scanner of JSON that says where things stand and builds nothing.
//!
//! It checks the whole grammar of JSON, since a line that is not JSON is refused (IN-1), and it
//! does not recurse, so nesting costs no stack. `None` means that the text is not JSON; what is
//! wrong with it is for `serde_json` to say, which is slower and knows the words.

use crate::special::SpecialBytes;

/// A place in a text.
///
/// What is seldom done takes a copy and answers with it, so that in the loop over members the
/// scanner is in registers: what a call may change through a reference is in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scanner<'t> {
    text: &'t str,
    at: usize,
    special: SpecialBytes,
    has_escapes: bool,
}

/// Where a value or a key stands. It is not yet cut out, since most of them nobody reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) place: Place,
    /// Whether it is a string with an escape in it.
    pub(crate) is_escaped: bool,
}

/// Where a part of a text stands, in bytes. No part of JSON is empty, so what is nowhere is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Place {
    #[inline]
    pub(crate) fn is_nowhere(&self) -> bool {
        self.start == self.end
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

    /// The text there, with its quotation marks where it is a string.
    #[inline]
    pub(crate) fn text(&self, span: Span) -> &'t str {
        &self.text[span.place.start..span.place.end]
    }

    /// The bytes between the quotation marks of a string.
    #[inline]
    pub(crate) fn plain_text(&self, string: Span) -> &'t [u8] {
        &self.text.as_bytes()[string.place.start + 1..string.place.end - 1]
    }

    /// Whether any string that was passed has an escape.
    pub(crate) fn has_escapes(&self) -> bool {
        self.has_escapes
    }

    /// The byte that is next, or 0, which stands nowhere in JSON.
    #[inline(always)]
    fn byte(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    /// The next byte that is no white space, or 0. It is not passed.
    #[inline(always)]
    pub(crate) fn peek(&mut self) -> u8 {
        match self.byte() {
            // Most events have no white space, and nothing else below it may stand here.
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

    /// Whether nothing but white space is left.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.peek();
        self.at == self.text.len()
    }

    /// Where the next byte is.
    #[inline(always)]
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Passes the brace that begins an object. Answers whether there is a member: a
    /// [key](Self::key), a [value](Self::value), and whether there is
    /// [another](Self::has_more_members).
    #[inline(always)]
    pub(crate) fn has_members(&mut self) -> Option<bool> {
        self.pass(b'{')?;
        let is_empty = self.peek() == b'}';
        if is_empty {
            self.at += 1;
        }
        Some(!is_empty)
    }

    /// Passes what stands behind a member: a comma, or the brace that ends the object.
    #[inline(always)]
    pub(crate) fn has_more_members(&mut self) -> Option<bool> {
        let next = self.peek();
        self.at += 1;
        match next {
            b',' => Some(true),
            b'}' => Some(false),
            _ => None,
        }
    }

    /// Passes any value, and answers where it stands.
    #[inline(always)]
    pub(crate) fn value(&mut self) -> Option<Span> {
        let first = self.peek();
        if first == b'"' {
            return self.string();
        }
        let start = self.at;
        match first {
            b'{' | b'[' => *self = self.past_container()?,
            _ => self.scalar(first)?,
        }
        Some(self.span_from(start))
    }

    /// What was passed since.
    #[inline(always)]
    pub(crate) fn span_from(&self, start: usize) -> Span {
        Span {
            place: Place {
                start,
                end: self.at,
            },
            is_escaped: false,
        }
    }

    /// Passes an array or an object, with whatever is in it.
    #[inline(never)]
    fn past_container(mut self) -> Option<Self> {
        let mut nesting = Nesting::default();
        loop {
            match self.peek() {
                b'"' => {
                    self.string()?;
                }
                b'{' => {
                    self.at += 1;
                    if self.peek() != b'}' {
                        nesting.enter(Container::Object);
                        self.key()?;
                        continue;
                    }
                    self.at += 1;
                }
                b'[' => {
                    self.at += 1;
                    if self.peek() != b']' {
                        nesting.enter(Container::Array);
                        continue;
                    }
                    self.at += 1;
                }
                byte => self.scalar(byte)?,
            }
            // A value has ended, and perhaps the containers around it end with it.
            loop {
                let Some(container) = nesting.innermost() else {
                    return Some(self);
                };
                let next = self.peek();
                self.at += 1;
                match (next, container) {
                    (b',', Container::Array) => break,
                    (b',', Container::Object) => {
                        self.key()?;
                        break;
                    }
                    (b']', Container::Array) | (b'}', Container::Object) => nesting.leave(),
                    _ => return None,
                }
            }
        }
    }

    /// Passes a key and its colon, and answers where the key stands.
    #[inline(always)]
    pub(crate) fn key(&mut self) -> Option<Span> {
        if self.peek() != b'"' {
            return None;
        }
        let key = self.string()?;
        self.pass(b':')?;
        Some(key)
    }

    /// Passes the string that begins here.
    #[inline(always)]
    fn string(&mut self) -> Option<Span> {
        let start = self.at;
        self.at = self.special.next(self.text.as_bytes(), start + 1);
        let is_escaped = self.byte() != b'"';
        if is_escaped {
            *self = self.past_escapes()?;
        }
        self.at += 1;
        Some(Span {
            place: Place {
                start,
                end: self.at,
            },
            is_escaped,
        })
    }

    /// Passes the escapes of a string, and what is between them.
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

    /// Passes the number or literal that begins here, with this byte.
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

/// How many bytes the number has that a text begins with.
fn number_bytes(text: &[u8]) -> Option<usize> {
    let mut rest = text.strip_prefix(b"-").unwrap_or(text);
    rest = match rest.first()? {
        b'0' => &rest[1..],
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

/// What follows the digits that a text begins with; there must be one.
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

/// How many of these eight bytes are digits, from the lowest up to the first that is none.
#[inline(always)]
fn digits_of_eight(bytes: u64) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // A digit becomes 0 to 9, and no more than 0x7f with 0x76 added. A carry comes of no digit,
    // and so behind the first.
    let values = bytes ^ (EACH * 0x30);
    let is_none = (values | values.wrapping_add(EACH * 0x76)) & (EACH * 0x80);
    is_none.trailing_zeros() as usize / 8
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Container {
    Array,
    Object,
}

/// The containers around a place: a bit each, the innermost lowest. Memory is used past 64.
#[derive(Debug, Default)]
struct Nesting {
    depth: usize,
    inner: u64,
    outer: Vec<u64>,
}

impl Nesting {
    fn enter(&mut self, container: Container) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.inner);
        }
        self.depth += 1;
        self.inner = self.inner << 1 | u64::from(container == Container::Object);
    }

    fn leave(&mut self) {
        self.depth -= 1;
        self.inner >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.inner = self.outer.pop().unwrap_or_default();
        }
    }

    fn innermost(&self) -> Option<Container> {
        match (self.depth, self.inner & 1) {
            (0, _) => None,
            (_, 0) => Some(Container::Array),
            _ => Some(Container::Object),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    /// The text of the one value that a text has, if it is JSON.
    fn scanned(text: &str) -> Option<&str> {
        let mut scanner = Scanner::new(text);
        let value = scanner.value()?;
        let text = scanner.text(value);
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
        fn texts_of_json_pieces_are_json_to_both_or_to_none(
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
        fn json_stays_json_and_what_is_damaged_is_judged_alike(
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

        #[test]
        fn nesting_is_a_stack(steps in prop::collection::vec(prop::option::weighted(0.6, any::<bool>()), 0..400)) {
            let (mut nesting, mut stack) = (Nesting::default(), Vec::new());
            for step in steps {
                match step {
                    Some(object) => {
                        let container = if object { Container::Object } else { Container::Array };
                        nesting.enter(container);
                        stack.push(container);
                    }
                    None if !stack.is_empty() => {
                        nesting.leave();
                        stack.pop();
                    }
                    None => {}
                }
                prop_assert_eq!(nesting.innermost(), stack.last().copied());
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

    /// Passes an object, and answers with its text and with its members.
    fn object<'t>(scanner: &mut Scanner<'t>) -> Option<(&'t str, Vec<[&'t str; 2]>)> {
        let mut members = Vec::new();
        scanner.peek();
        let start = scanner.at();
        let mut has_more = scanner.has_members()?;
        while has_more {
            let (key, value) = (scanner.key()?, scanner.value()?);
            members.push([scanner.text(key), scanner.text(value)]);
            has_more = scanner.has_more_members()?;
        }
        Some((scanner.text(scanner.span_from(start)), members))
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
