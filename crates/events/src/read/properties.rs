//! The scan of an event: the outer object, and `properties` in it.

use crate::json::{Lexeme, Scanner, Span, with_key_text};

use super::key::Key;

/// A collector of other parts of an event than its name and the properties of [`Key`].
pub(super) trait Extra {
    /// Passes the value of a member of the outer object, other than `event` and `properties`.
    fn outer_value(&mut self, scanner: &mut Scanner<'_>, key: Lexeme) -> Option<Lexeme>;

    /// `properties` begin, in place of what was read before (IN-2).
    fn start_properties(&mut self);

    /// Passes the value of a property.
    fn property_value(&mut self, scanner: &mut Scanner<'_>, key: Lexeme) -> Option<Lexeme>;
}

/// Collects nothing more, at no cost.
impl Extra for () {
    #[inline(always)]
    fn outer_value(&mut self, scanner: &mut Scanner<'_>, _: Lexeme) -> Option<Lexeme> {
        scanner.value()
    }

    #[inline(always)]
    fn start_properties(&mut self) {}

    #[inline(always)]
    fn property_value(&mut self, scanner: &mut Scanner<'_>, _: Lexeme) -> Option<Lexeme> {
        scanner.value()
    }
}

/// The keys of the outer object.
enum OuterKey {
    Event,
    Properties,
    Other,
}

impl OuterKey {
    #[inline(always)]
    fn with_text(text: &[u8]) -> Self {
        match text {
            b"event" => Self::Event,
            b"properties" => Self::Properties,
            _ => Self::Other,
        }
    }
}

/// The values of the outer object that matter. Of a key that occurs twice the last one counts,
/// whatever its type (IN-2), so the types are checked after the scan.
#[derive(Default)]
pub(super) struct Outer {
    pub(super) event: Option<Lexeme>,
    /// `Ok` if they are an object, which was read. Otherwise the value that is there instead.
    pub(super) properties: Option<Result<(), Span>>,
}

impl Outer {
    /// Passes an event. `None` if it is not a JSON object.
    #[inline(always)]
    pub(super) fn scan(
        scanner: &mut Scanner<'_>,
        properties: &mut Properties,
        extra: &mut impl Extra,
    ) -> Option<Self> {
        let mut outer = Self::default();
        let mut has_more = scanner.has_members()?;
        while has_more {
            let key = scanner.key()?;
            match with_key_text(scanner, key, OuterKey::with_text) {
                OuterKey::Event => outer.event = Some(scanner.value()?),
                OuterKey::Properties => {
                    outer.properties = Some(if scanner.peek() == b'{' {
                        properties.scan(scanner, extra)?;
                        Ok(())
                    } else {
                        Err(scanner.value()?.span)
                    });
                }
                OuterKey::Other => {
                    extra.outer_value(scanner, key)?;
                }
            }
            has_more = scanner.has_more_members()?;
        }
        Some(outer)
    }
}

/// The object `properties`: where it is, and where the values of the keys that matter are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Properties {
    /// From brace to brace.
    pub(crate) object: Span,
    pub(crate) is_empty: bool,
    /// Whether one of the keys occurs more than once.
    pub(crate) has_repeats: bool,
    /// Whether one of the keys of an earlier answer occurs.
    pub(crate) has_answer: bool,
    values: [Span; Key::COUNT],
}

impl Properties {
    /// Reads the object that begins here, in place of what was read before (IN-2).
    #[inline(always)]
    fn scan(&mut self, scanner: &mut Scanner<'_>, extra: &mut impl Extra) -> Option<()> {
        if !self.object.is_empty() {
            *self = Self::default();
        }
        extra.start_properties();
        let start = scanner.at();
        let mut has_more = scanner.has_members()?;
        self.is_empty = !has_more;
        while has_more {
            let key = scanner.key()?;
            let known = with_key_text(scanner, key, Key::with_text);
            let value = extra.property_value(scanner, key)?;
            if let Some(key) = known {
                // IN-2: a later one takes the place of an earlier one.
                let span = &mut self.values[key.index()];
                self.has_repeats |= !span.is_empty();
                self.has_answer |= key.is_answer();
                *span = value.span;
            }
            has_more = scanner.has_more_members()?;
        }
        self.object = scanner.since(start).span;
        Some(())
    }

    /// Sets where the value of a key is.
    #[inline]
    pub(super) fn set(&mut self, key: Key, value: Span) {
        self.values[key.index()] = value;
    }

    /// The position of the value of the key, if the event has the key.
    #[inline]
    pub(crate) fn non_empty_span(&self, key: Key) -> Option<Span> {
        let span = self.span(key);
        (!span.is_empty()).then_some(span)
    }

    /// The position of the value of the key, or the empty span.
    #[inline]
    pub(crate) fn span(&self, key: Key) -> Span {
        self.values[key.index()]
    }

    /// Whether all of it is within this text, and cuts no character.
    pub(super) fn is_within(&self, text: &str) -> bool {
        let is_within = |span: &Span| text.get(span.start..span.end).is_some();
        self.object
            .text_in(text)
            .is_some_and(|object| object.ends_with('}'))
            && self.values.iter().all(is_within)
    }
}
