//! A scanner of JSON that says where things stand and builds nothing.
//!
//! It checks the whole grammar of JSON, since a line that is not JSON is refused (IN-1), and it
//! does not recurse, so nesting costs no stack. `None` means that the text is not JSON; what is
//! wrong with it is for `serde_json` to say, which is slower and knows the words.

/// A place in a text.
#[derive(Clone, Debug)]
pub(crate) struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scanner<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    /// The next byte that is no white space, which is not passed.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    /// Whether nothing but white space is left.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// Passes an object, and answers with its text. `member` gets each key, with its quotation
    /// marks, and must pass the value.
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &'t str) -> Option<()>,
    ) -> Option<&'t str> {
        self.pass(b'{')?;
        let start = self.at - 1;
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(&self.text[start..self.at]);
        }
        loop {
            let key = self.key()?;
            member(self, key)?;
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Some(&self.text[start..self.at]);
                }
                _ => return None,
            }
        }
    }

    /// Passes any value, and answers with its text.
    pub(crate) fn value(&mut self) -> Option<&'t str> {
        self.peek()?;
        let start = self.at;
        let mut nesting = Nesting::default();
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                }
                b'{' => {
                    self.at += 1;
                    if self.peek()? != b'}' {
                        nesting.enter(Container::Object);
                        self.key()?;
                        continue;
                    }
                    self.at += 1;
                }
                b'[' => {
                    self.at += 1;
                    if self.peek()? != b']' {
                        nesting.enter(Container::Array);
                        continue;
                    }
                    self.at += 1;
                }
                b'-' | b'0'..=b'9' => self.number()?,
                b't' => self.literal("true")?,
                b'f' => self.literal("false")?,
                b'n' => self.literal("null")?,
                _ => return None,
            }
            // A value has ended, and perhaps the containers around it end with it.
            loop {
                let Some(container) = nesting.innermost() else {
                    return Some(&self.text[start..self.at]);
                };
                let next = self.peek()?;
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

    /// Passes a key and its colon, and answers with the key.
    fn key(&mut self) -> Option<&'t str> {
        if self.peek()? != b'"' {
            return None;
        }
        let key = self.string()?;
        self.pass(b':')?;
        Some(key)
    }

    /// Passes this byte, and white space before it.
    pub(crate) fn pass(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Passes the string that begins here, and answers with it and its quotation marks.
    fn string(&mut self) -> Option<&'t str> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        self.at += 1;
        loop {
            self.at += length_of_plain_text(&bytes[self.at..]);
            match bytes.get(self.at)? {
                b'"' => {
                    self.at += 1;
                    return Some(&self.text[start..self.at]);
                }
                b'\\' => self.escape()?,
                // A control character must be escaped.
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += match rest.get(1)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
            b'u' if rest.get(2..6)?.iter().all(u8::is_ascii_hexdigit) => 6,
            _ => return None,
        };
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        let bytes = self.text.as_bytes();
        if bytes[self.at] == b'-' {
            self.at += 1;
        }
        match bytes.get(self.at)? {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits(),
            _ => return None,
        }
        if bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = bytes.get(self.at) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Some(())
    }

    fn some_digits(&mut self) -> Option<()> {
        let before = self.at;
        self.digits();
        (self.at > before).then_some(())
    }

    fn digits(&mut self) {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
    }

    fn literal(&mut self, literal: &str) -> Option<()> {
        self.text[self.at..]
            .starts_with(literal)
            .then(|| self.at += literal.len())
    }
}

/// How many bytes there are before the first quotation mark, backslash or control character.
fn length_of_plain_text(bytes: &[u8]) -> usize {
    const WORD: usize = size_of::<u64>();
    let mut length = 0;
    while let Some(word) = bytes[length..].first_chunk::<WORD>() {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return length + special.trailing_zeros() as usize / 8;
        }
        length += WORD;
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    let rest = &bytes[length..];
    length + rest.iter().position(is_special).unwrap_or(rest.len())
}

/// The highest bit of each byte that is a quotation mark, a backslash or a control character; and
/// perhaps that of bytes above the lowest such byte, but of none below it.
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let zero_bytes = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let quotation_marks = zero_bytes(word ^ (ONES * b'"' as u64));
    let backslashes = zero_bytes(word ^ (ONES * b'\\' as u64));
    let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
    quotation_marks | backslashes | controls
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
        scanner.is_at_end().then_some(value)
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
        fn plain_text_ends_at_the_first_special_byte(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let expected = bytes.iter().position(|&b| b == b'"' || b == b'\\' || b < 0x20);
            prop_assert_eq!(length_of_plain_text(&bytes), expected.unwrap_or(bytes.len()));
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

    #[test]
    fn an_object_gives_its_members() {
        let text = r#" {"a" : [1, {"x":2}] ,"\u0062":"c"} "#;
        let mut members = Vec::new();
        let mut scanner = Scanner::new(text);
        let object = scanner.object(|scanner, key| {
            members.push((key, scanner.value()?));
            Some(())
        });
        assert_eq!(object, Some(text.trim()));
        assert_eq!(
            members,
            [(r#""a""#, r#"[1, {"x":2}]"#), (r#""\u0062""#, r#""c""#)]
        );
        assert!(scanner.is_at_end());
        assert_eq!(Scanner::new("{ }").object(|_, _| None), Some("{ }"));
        for wrong in ["", "[]", "{", "{\"a\"}", "{\"a\":1", "{\"a\":1,}", "{a:1}"] {
            let object = Scanner::new(wrong).object(|scanner, _| scanner.value().map(|_| ()));
            assert_eq!(object, None, "{wrong}");
        }
    }
}
