//! Reads a JSON text from left to right, and goes into its containers.

use super::raw::{Pair, RawJson};
use super::scanner::{Lexeme, Scanner, Span};

/// Reads a JSON text in one scan, and goes into those objects and arrays that its caller wants the members and
/// elements of. `None` means that the text is not JSON, or that something else was asked for than what comes next.
///
/// ```
/// use idmerge_events::{JsonReader, ReadJson as _};
///
/// let mut reader = JsonReader::new(r#"{"a":1,"b":{"c":[2,3]}}"#);
/// let mut numbers = Vec::new();
/// let read = reader.members(|reader, key| match key.plain() {
///     Some(b"b") => reader.members(|reader, _| {
///         reader.elements(|reader| {
///             numbers.push(reader.value()?.as_str());
///             Some(())
///         })
///     }),
///     _ => reader.value().map(drop),
/// });
/// assert_eq!(read.and_then(|()| reader.end()), Some(()));
/// assert_eq!(numbers, ["2", "3"]);
/// ```
#[derive(Debug)]
pub struct JsonReader<'t>(Scanner<'t>);

/// The key of a member whose value was not read yet.
#[derive(Clone, Copy, Debug)]
pub struct Key<'t> {
    lexeme: Lexeme,
    /// The text that has the key.
    text: &'t str,
}

impl<'t> Key<'t> {
    /// The text of the key, if it is written without escapes.
    #[inline(always)]
    pub fn plain(&self) -> Option<&'t [u8]> {
        let Span { start, end } = self.lexeme.span;
        (!self.lexeme.is_escaped).then(|| &self.text.as_bytes()[start + 1..end - 1])
    }

    #[inline(always)]
    pub(super) fn new(text: &'t str, lexeme: Lexeme) -> Self {
        Self { lexeme, text }
    }

    #[inline(always)]
    pub(super) fn lexeme(self) -> Lexeme {
        self.lexeme
    }

    /// The key as it is written: a JSON string.
    #[inline]
    pub fn json(&self) -> RawJson<'t> {
        let Span { start, end } = self.lexeme.span;
        RawJson::new(&self.text[start..end])
    }
}

/// Reads a JSON text from left to right: [`JsonReader`] does by a scan, and [`ShapedReader`](super::ShapedReader) if the
/// shape of the text is known. `None` means that the text is not JSON, or that something else was asked for than what
/// comes next.
pub trait ReadJson<'t> {
    /// Whether an object comes next.
    fn is_at_object(&mut self) -> bool;

    /// Whether an array comes next.
    fn is_at_array(&mut self) -> bool;

    /// Reads an object. `visit` gets each key, and must read its value.
    fn members(&mut self, visit: impl FnMut(&mut Self, Key<'t>) -> Option<()>) -> Option<()>;

    /// Reads an array. `visit` must read each element.
    fn elements(&mut self, visit: impl FnMut(&mut Self) -> Option<()>) -> Option<()>;

    /// Reads a value of any kind.
    fn value(&mut self) -> Option<RawJson<'t>>;

    /// Reads the value of a key.
    fn pair(&mut self, key: Key<'t>) -> Option<Pair<'t>>;

    /// Reads a value with `read`, and returns the value as a whole.
    fn within(&mut self, read: impl FnOnce(&mut Self) -> Option<()>) -> Option<RawJson<'t>>;

    /// Checks that nothing but white space is left.
    fn end(&mut self) -> Option<()>;
}

impl<'t> JsonReader<'t> {
    /// Nothing is read yet.
    #[inline]
    pub fn new(text: &'t str) -> Self {
        Self(Scanner::new(text))
    }
}

impl<'t> ReadJson<'t> for JsonReader<'t> {
    #[inline(always)]
    fn is_at_object(&mut self) -> bool {
        self.0.peek() == b'{'
    }

    #[inline(always)]
    fn is_at_array(&mut self) -> bool {
        self.0.peek() == b'['
    }

    #[inline(always)]
    fn members(&mut self, mut visit: impl FnMut(&mut Self, Key<'t>) -> Option<()>) -> Option<()> {
        let mut has_more = self.0.has_members()?;
        while has_more {
            let lexeme = self.0.key()?;
            let text = self.0.whole_text();
            visit(self, Key::new(text, lexeme))?;
            has_more = self.0.has_more_members()?;
        }
        Some(())
    }

    #[inline(always)]
    fn elements(&mut self, mut visit: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        let mut has_more = self.0.has_elements()?;
        while has_more {
            visit(self)?;
            has_more = self.0.has_more_elements()?;
        }
        Some(())
    }

    #[inline(always)]
    fn value(&mut self) -> Option<RawJson<'t>> {
        let value = self.0.value()?;
        Some(RawJson::new(self.0.text(value.span)))
    }

    #[inline(always)]
    fn pair(&mut self, key: Key<'t>) -> Option<Pair<'t>> {
        let value = self.0.value()?;
        Some(Pair::new(self.0.whole_text(), key.lexeme, value.span))
    }

    #[inline(always)]
    fn within(&mut self, read: impl FnOnce(&mut Self) -> Option<()>) -> Option<RawJson<'t>> {
        self.0.peek();
        let start = self.0.at();
        read(self)?;
        Some(RawJson::new(self.0.text(self.0.since(start).span)))
    }

    #[inline]
    fn end(&mut self) -> Option<()> {
        self.0.is_at_end().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_read(text: &str) -> bool {
        let mut reader = JsonReader::new(text);
        let read = reader.members(|reader, _| match () {
            () if reader.is_at_object() => reader.members(|reader, key| reader.pair(key).map(drop)),
            () if reader.is_at_array() => reader.elements(|reader| reader.value().map(drop)),
            () => reader.value().map(drop),
        });
        read.and_then(|()| reader.end()).is_some()
    }

    #[test]
    fn containers_are_gone_into_as_they_are_passed() {
        let texts = [
            r#"{"a":{"b":1,"c":[]},"d":[1,{"e":2},[3]],"f":"g"}"#,
            " { \"a\" : [ ] , \"b\" : { } , \"c\" : [ 1 , 2 ] } ",
            "{}",
            r#"{"a":[1,]}"#,
            r#"{"a":[,1]}"#,
            r#"{"a":[1 2]}"#,
            r#"{"a":[1}"#,
            r#"{"a":{"b":1,}}"#,
            r#"{"a":{"b"}}"#,
            r#"{"a":[1]}]"#,
            r#"{"a":{"b":1}"#,
            r#"{"\u0061":["\n"]}"#,
            r#"{"\q":["\n"]}"#,
        ];
        let beginnings_of = |text: &&'static str| {
            let text = *text;
            (0..=text.len()).map(move |end| &text[..end])
        };
        for text in texts.iter().flat_map(beginnings_of) {
            let is_json = serde_json::from_str::<serde_json::Value>(text).is_ok();
            assert_eq!(is_read(text), is_json, "{text}");
        }
    }

    #[test]
    fn a_value_that_is_gone_into_is_known_as_a_whole() {
        let mut reader = JsonReader::new(r#" {"a" : {"b":"c"} , "d":1}"#);
        let (mut whole, mut pairs) = (Vec::new(), Vec::new());
        reader.members(|reader, key| {
            let inner = |reader: &mut JsonReader<'static>, key| {
                pairs.push(reader.pair(key)?);
                Some(())
            };
            match key.plain() {
                Some(b"a") => whole.push(reader.within(|reader| reader.members(inner))?.as_str()),
                _ => pairs.push(reader.pair(key)?),
            }
            Some(())
        });
        assert_eq!(whole, [r#"{"b":"c"}"#]);
        let compact: Vec<_> = pairs.iter().map(Pair::compact).collect();
        assert_eq!(compact, [Some(r#""b":"c""#), Some(r#""d":1"#)]);
    }
}
