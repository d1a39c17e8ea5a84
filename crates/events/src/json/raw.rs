//! The JSON text of one value.

use std::borrow::Cow;

use super::reader::{JsonReader, ReadJson as _};
use super::scanner::{Lexeme, Scanner, Span};
use super::special::is_plain;

/// The JSON text of one value, which a scan has found to be valid.
///
/// ```
/// use idmerge_events::JsonEvent;
/// use idmerge_core::IdProperty;
///
/// let event = JsonEvent::parse(br#"{"event":"A","properties":{"$user_id":"U\u0031"}}"#)?;
/// let user_id = event.property(IdProperty::UserId).ok_or("no user ID")?;
/// assert_eq!(user_id.as_str(), r#""U\u0031""#);
/// assert_eq!(user_id.string().as_deref(), Some("U1"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawJson<'t>(&'t str);

impl<'t> RawJson<'t> {
    /// The text must be one valid value without white space around it.
    pub(crate) fn new(valid: &'t str) -> Self {
        Self(valid)
    }

    /// The JSON text, with the quotation marks if it is a string.
    pub fn as_str(self) -> &'t str {
        self.0
    }

    /// Whether the value is `null`.
    pub fn is_null(self) -> bool {
        self.0 == "null"
    }

    /// The text of a string. `None` if the value is not a string, or if its escapes contain half
    /// of a surrogate pair, which no text can hold.
    pub fn string(self) -> Option<Cow<'t, str>> {
        let text = text_between_quotes(self.0)?;
        // In a valid string, nothing else is special but the escapes.
        if is_plain(text.as_bytes()) {
            Some(Cow::Borrowed(text))
        } else {
            unescaped(self.0).ok().map(Cow::Owned)
        }
    }

    /// The text of a string that is not empty, or the digits of a number.
    pub fn string_or_number(self) -> Option<Cow<'t, str>> {
        if self.0.starts_with('"') {
            return self.string().filter(|text| !text.is_empty());
        }
        self.is_number().then_some(Cow::Borrowed(self.0))
    }

    /// The decimal text of an integer that fits i64 or u64, the only numbers that are IDs (ID-3).
    pub fn integer(self) -> Option<&'t str> {
        match self.0 {
            "-0" => Some("0"),
            // The text of a JSON integer is its decimal text; a float has a point or an exponent.
            text => (text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok()).then_some(text),
        }
    }

    pub(crate) fn is_number(self) -> bool {
        self.0
            .starts_with(|first: char| first == '-' || first.is_ascii_digit())
    }

    /// Visits the members of an object, as [`visit_members`] does.
    ///
    /// Returns `None` without a visit if the value is not an object.
    pub fn visit_members(self, visit: impl FnMut(&[u8], RawJson<'t>)) -> Option<()> {
        visit_members(self.0, visit)
    }
}

/// Visits the members of the object that a text holds, in order: the text of each key, and its
/// value. A key whose escapes are not text is visited as the empty text. No value is built, so
/// nesting costs no stack.
///
/// Returns `None` if the text is not a JSON object; members up to the error are then visited.
///
/// ```
/// let mut members = Vec::new();
/// let visited = idmerge_events::visit_members(r#"{"a":[1,2],"b":"c"}"#, |key, value| {
///     members.push((key.to_vec(), value.as_str()));
/// });
/// assert_eq!(visited, Some(()));
/// assert_eq!(members, [(b"a".to_vec(), "[1,2]"), (b"b".to_vec(), r#""c""#)]);
/// ```
pub fn visit_members<'t>(text: &'t str, mut visit: impl FnMut(&[u8], RawJson<'t>)) -> Option<()> {
    visit_pairs(text, |pair| match pair.plain_key() {
        Some(key) => visit(key, pair.value()),
        None => find_escaped(pair.key().as_str(), |key| visit(key, pair.value())),
    })
}

/// A member of an object, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<'t> {
    /// The text that has the member. Parts are cut out only if they are needed.
    text: &'t str,
    key: Span,
    value: Span,
    has_escaped_key: bool,
}

impl<'t> Pair<'t> {
    #[inline(always)]
    pub(super) fn new(text: &'t str, key: Lexeme, value: Span) -> Self {
        Self {
            text,
            key: key.span,
            value,
            has_escaped_key: key.is_escaped,
        }
    }

    /// The key: a JSON string, which can be written into another object unchanged.
    #[inline]
    pub fn key(&self) -> RawJson<'t> {
        RawJson(&self.text[self.key.start..self.key.end])
    }

    /// The bytes of the key, with its quotation marks.
    #[inline]
    pub fn key_bytes(&self) -> &'t [u8] {
        &self.text.as_bytes()[self.key.start..self.key.end]
    }

    /// The text of the key, if it is written without escapes.
    #[inline]
    pub fn plain_key(&self) -> Option<&'t [u8]> {
        // Cutting text would also check where its characters begin.
        (!self.has_escaped_key).then(|| &self.text.as_bytes()[self.key.start + 1..self.key.end - 1])
    }

    /// The value.
    #[inline]
    pub fn value(&self) -> RawJson<'t> {
        RawJson(&self.text[self.value.start..self.value.end])
    }

    /// Whether there is nothing but a colon between the key and the value.
    #[inline]
    pub fn is_compact(&self) -> bool {
        self.value.start == self.key.end + 1
    }

    /// The key, a colon and the value. `None` if there is white space between them.
    #[inline]
    pub fn compact(&self) -> Option<&'t str> {
        self.is_compact().then(|| PairRun::of(self).as_str())
    }
}

/// Members that follow each other in a text, with nothing but a comma between.
///
/// ```
/// use idmerge_events::{PairRun, visit_pairs};
///
/// let mut runs: Vec<PairRun<'_>> = Vec::new();
/// visit_pairs(r#"{"a":1,"b":2, "c":3}"#, |pair| {
///     if !runs.last_mut().is_some_and(|run| run.extend(&pair)) {
///         runs.push(PairRun::of(&pair));
///     }
/// });
/// let runs: Vec<_> = runs.iter().map(PairRun::as_str).collect();
/// assert_eq!(runs, [r#""a":1,"b":2"#, r#""c":3"#]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PairRun<'t> {
    text: &'t str,
    span: Span,
}

impl<'t> PairRun<'t> {
    /// One member.
    #[inline]
    pub fn of(pair: &Pair<'t>) -> Self {
        Self {
            text: pair.text,
            span: Span {
                start: pair.key.start,
                end: pair.value.end,
            },
        }
    }

    /// Adds a member, if it follows. Otherwise `false`.
    #[inline]
    pub fn extend(&mut self, next: &Pair<'t>) -> bool {
        // In the same text, the only byte between two members is their comma.
        let follows = next.key.start == self.span.end + 1 && std::ptr::eq(self.text, next.text);
        if follows {
            self.span.end = next.value.end;
        }
        follows
    }

    /// The members as they are in the text.
    #[inline]
    pub fn as_str(&self) -> &'t str {
        &self.text[self.span.start..self.span.end]
    }
}

/// Visits the members of an object as [`visit_members`] does, but each as it is written.
///
/// Returns `None` if the text is not a JSON object; members up to the error are then visited.
///
/// ```
/// let mut keys = Vec::new();
/// idmerge_events::visit_pairs(r#"{"a":1,"\u0062":2}"#, |pair| {
///     keys.push((pair.key().as_str(), pair.plain_key()));
/// });
/// assert_eq!(keys, [(r#""a""#, Some(&b"a"[..])), (r#""\u0062""#, None)]);
/// ```
#[inline]
pub fn visit_pairs<'t>(text: &'t str, mut visit: impl FnMut(Pair<'t>)) -> Option<()> {
    let mut reader = JsonReader::new(text);
    reader.members(|reader, key| {
        visit(reader.pair(key)?);
        Some(())
    })?;
    reader.end()
}

/// What is between the quotation marks of a string, or `None` if the value is something else.
#[inline]
pub(crate) fn text_between_quotes(json: &str) -> Option<&str> {
    json.strip_prefix('"')?.strip_suffix('"')
}

/// The text of a JSON string. An error if its escapes are not text.
#[cold]
pub(crate) fn unescaped(json: &str) -> serde_json::Result<String> {
    serde_json::from_str(json)
}

/// Calls `find` with the text of a key, its escapes resolved (IN-2). A key whose escapes are not
/// text is empty, so it matches no key that is looked for.
///
/// A function that returned the text would have to drop it, which costs time in the loop over
/// members.
#[inline(always)]
pub(crate) fn with_key_text<T>(
    scanner: &Scanner<'_>,
    key: Lexeme,
    find: impl FnOnce(&[u8]) -> T,
) -> T {
    if key.is_escaped {
        find_escaped(scanner.text(key.span), find)
    } else {
        find(scanner.bytes_between_quotes(key.span))
    }
}

#[cold]
#[inline(never)]
fn find_escaped<T>(json: &str, find: impl FnOnce(&[u8]) -> T) -> T {
    find(unescaped(json).unwrap_or_default().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_numbers_have_a_text() {
        for (json, string, string_or_number) in [
            (r#""a""#, Some("a"), Some("a")),
            (r#""\u0061\n""#, Some("a\n"), Some("a\n")),
            (r#""""#, Some(""), None),
            (r#""\ud800""#, None, None),
            ("-1.50", None, Some("-1.50")),
            ("true", None, None),
            ("[\"a\"]", None, None),
        ] {
            let json = RawJson::new(json);
            assert_eq!(json.string().as_deref(), string, "{json:?}");
            assert_eq!(json.string_or_number().as_deref(), string_or_number);
        }
    }

    #[test]
    fn id_3_an_integer_of_64_bits_has_its_decimal_text() {
        for (json, integer) in [
            ("0", Some("0")),
            ("-0", Some("0")),
            ("-9223372036854775808", Some("-9223372036854775808")),
            ("18446744073709551615", Some("18446744073709551615")),
            ("18446744073709551616", None),
            ("1.0", None),
            ("1e3", None),
            ("\"1\"", None),
            ("null", None),
        ] {
            assert_eq!(RawJson::new(json).integer(), integer, "{json}");
        }
    }

    #[test]
    fn an_object_shows_its_members() {
        let object = RawJson::new(r#"{ "a" : [1, {"b":2}] , "\u0061":"c", "\ud800":null }"#);
        let mut members = Vec::new();
        let visited = object.visit_members(|key, value| {
            members.push((String::from_utf8_lossy(key).into_owned(), value.as_str()));
        });
        assert_eq!(visited, Some(()));
        let text = |key: &str, value| (key.to_owned(), value);
        assert_eq!(
            members,
            [
                text("a", r#"[1, {"b":2}]"#),
                text("a", r#""c""#),
                text("", "null")
            ]
        );
        for other in ["[{}]", "1", r#""{}""#] {
            let visited = RawJson::new(other).visit_members(|_, _| panic!("a member of {other}"));
            assert_eq!(visited, None);
        }
    }
}
