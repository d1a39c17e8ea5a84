//! The few bytes that are needed to write an answer onto an event later, without a second scan.

use idmerge_core::{DEVICE_PREFIX, DistinctId, Id, IdProperty};

use super::answer::has_text;
use super::resolved::Resolved;
use super::splice::{OtherSpans, SplicePoints};
use crate::json::Span;
use crate::read::{JsonEvent, Key};

/// The positions in the text of an event that an answer needs: those of its own distinct_id, and
/// those at which the answer is written.
///
/// A merge is retroactive, so a stream of events is resolved in two passes: one applies all claims,
/// one writes the answers. Between the two an outline is all that has to be kept of an event: 13
/// bytes for most.
///
/// ```
/// use idmerge_core::{DistinctId, Id, RuleBook};
/// use idmerge_events::{JsonEvent, Outline, Resolved};
///
/// let line = r#"{"event":"View","properties":{"$device_id":"D1"}}"#;
/// let own = Id::new("D1").map(DistinctId::device).ok();
/// let mut packed = Vec::new();
/// if let Some(outline) = JsonEvent::parse_text(line)?.outline(own) {
///     outline.pack(&mut packed);
/// }
///
/// let outline = Outline::unpack(&mut &packed[..]).ok_or("no outline")?;
/// let event = outline.of_text(line).ok_or("another text")?;
/// assert_eq!(event.own(), own);
/// let mut written = Vec::new();
/// event.write_resolved(
///     &Resolved { rule_book: RuleBook::Simplified, own, canonical: own, failure: None },
///     &mut written,
/// );
/// assert!(written.ends_with(br#","distinct_id":"$device:D1"}}"#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    text_bytes: usize,
    own: Option<OwnId>,
    distinct_id: Span,
    /// Boxed because few events have any.
    others: Option<Box<OtherSpans>>,
    closing_brace: usize,
    is_empty: bool,
    lacks_reserved_ids: bool,
}

/// The own distinct_id of an event in its text, without the prefix of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OwnId {
    span: Span,
    is_device: bool,
}

/// An event that was scanned before: its [`Outline`] and its text.
#[derive(Clone, Debug)]
pub struct OutlinedEvent<'t> {
    text: &'t str,
    outline: Outline,
}

/// The properties in which the own distinct_id is looked for, the most frequent one first.
const OWN_IDS: [Key; 5] = [
    Key::Id(IdProperty::UserId),
    Key::Id(IdProperty::DeviceId),
    Key::Id(IdProperty::DistinctId),
    Key::Id(IdProperty::IdentifiedId),
    Key::BeforeIdentity,
];

impl JsonEvent<'_> {
    /// The outline of the event, whose own distinct_id is `own`.
    ///
    /// `None` if an outline is not enough, so that the event has to be scanned again: if an ID is
    /// written with escapes, if a property of an earlier answer occurs twice, or if `own` is in none
    /// of the properties that usually hold it.
    pub fn outline(&self, own: Option<DistinctId<'_>>) -> Option<Outline> {
        if self.has_escaped_ids() || self.has_repeated_answers() {
            return None;
        }
        let own = match own {
            None => None,
            Some(own) => Some(OwnId {
                span: OWN_IDS
                    .iter()
                    .find_map(|&key| self.span_of(key, own.id()))?,
                is_device: own.is_device(),
            }),
        };
        let SplicePoints {
            distinct_id,
            closing_brace,
            is_empty,
            lacks_reserved_ids,
            ..
        } = self.splice_points();
        Some(Outline {
            text_bytes: self.text.len(),
            own,
            distinct_id,
            others: self.other_spans().map(Box::new),
            closing_brace,
            is_empty,
            lacks_reserved_ids,
        })
    }

    /// The position of the text of an ID in the value of this property, with or without the prefix
    /// before it.
    fn span_of(&self, key: Key, id: Id<'_>) -> Option<Span> {
        let mut span = self.properties.non_empty_span(key)?;
        if self.text.as_bytes()[span.start] == b'"' {
            span.start += 1;
            span.end -= 1;
        }
        let prefixed_bytes = id.text_bytes() + DEVICE_PREFIX.len();
        if span.end - span.start == prefixed_bytes {
            span.start += self.text[span.start..span.end]
                .strip_prefix(DEVICE_PREFIX)
                .map_or(0, |_| DEVICE_PREFIX.len());
        }
        has_text(id, &self.text[span.start..span.end]).then_some(span)
    }
}

/// The bits of the first byte of a packed outline.
mod flag {
    pub(super) const HAS_OWN: u8 = 1;
    pub(super) const OWN_IS_DEVICE: u8 = 2;
    pub(super) const IS_EMPTY: u8 = 4;
    pub(super) const LACKS_RESERVED_IDS: u8 = 8;
    /// The spans of the other keys follow.
    pub(super) const HAS_OTHERS: u8 = 16;
    /// Numbers have eight bytes instead of two.
    pub(super) const IS_LONG: u8 = 32;
}

/// How many numbers every outline has: the length of the text, the closing brace, and the spans of
/// the own ID and of `distinct_id`.
const NUMBERS: usize = 6;

impl Outline {
    /// The length of the event's text, in bytes.
    pub fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    /// Appends the outline to `out`: 13 bytes for most events.
    #[inline]
    pub fn pack(&self, out: &mut Vec<u8>) {
        let own = self.own.map(|own| own.span).unwrap_or_default();
        let numbers = [
            self.text_bytes,
            self.closing_brace,
            own.start,
            own.end,
            self.distinct_id.start,
            self.distinct_id.end,
        ];
        let flag = |is: bool, flag: u8| if is { flag } else { 0 };
        let flags = flag(self.own.is_some(), flag::HAS_OWN)
            | flag(
                self.own.is_some_and(|own| own.is_device),
                flag::OWN_IS_DEVICE,
            )
            | flag(self.is_empty, flag::IS_EMPTY)
            | flag(self.lacks_reserved_ids, flag::LACKS_RESERVED_IDS)
            | flag(self.others.is_some(), flag::HAS_OTHERS);
        if let Ok(text_bytes) = u16::try_from(self.text_bytes) {
            // All other numbers are at most the length of the text.
            let mut packed = [flags; 1 + NUMBERS * size_of::<u16>()];
            let (short, _) = packed[1..].as_chunks_mut();
            for (short, number) in short.iter_mut().zip(numbers) {
                *short = u16::try_from(number).unwrap_or(text_bytes).to_le_bytes();
            }
            out.extend_from_slice(&packed);
        } else {
            out.push(flags | flag::IS_LONG);
            push_long(&numbers, out);
        }
        for other in self.others.iter().flat_map(|others| others.iter()) {
            push_long(&[other.start, other.end], out);
        }
    }

    /// Reads the outline at the start of `packed`, which [`pack`](Self::pack) has written, and moves
    /// `packed` past it. `None` if `packed` is too short for one.
    #[inline]
    pub fn unpack(packed: &mut &[u8]) -> Option<Self> {
        let flags = *packed.split_off_first()?;
        let is = |flag| flags & flag != 0;
        let numbers: [usize; NUMBERS] = if is(flag::IS_LONG) {
            take_long(packed)?
        } else {
            let short = packed.split_off(..NUMBERS * size_of::<u16>())?;
            let (short, _) = short.as_chunks();
            std::array::from_fn(|at| usize::from(u16::from_le_bytes(short[at])))
        };
        let [text_bytes, closing_brace, own_start, own_end, start, end] = numbers;
        let mut outline = Self {
            text_bytes,
            own: is(flag::HAS_OWN).then_some(OwnId {
                span: Span {
                    start: own_start,
                    end: own_end,
                },
                is_device: is(flag::OWN_IS_DEVICE),
            }),
            distinct_id: Span { start, end },
            others: None,
            closing_brace,
            is_empty: is(flag::IS_EMPTY),
            lacks_reserved_ids: is(flag::LACKS_RESERVED_IDS),
        };
        if is(flag::HAS_OTHERS) {
            let others = outline.others.insert(Box::default());
            for other in others.iter_mut() {
                let [start, end] = take_long(packed)?;
                *other = Span { start, end };
            }
        }
        Some(outline)
    }

    /// The event with this text, which must be the one that was scanned. `None` if the text is
    /// obviously another one. A different text that fits the outline cannot be told apart, and gives
    /// a wrong answer.
    #[inline]
    pub fn of_text(self, text: &str) -> Option<OutlinedEvent<'_>> {
        let event = OutlinedEvent {
            text,
            outline: self,
        };
        let brace = event.outline.closing_brace;
        let fits = text.len() == event.outline.text_bytes
            && text.as_bytes().get(brace) == Some(&b'}')
            && event
                .own_text()
                .is_none_or(|text| text.is_some_and(|text| !text.is_empty()));
        fits.then_some(event)
    }
}

impl<'t> OutlinedEvent<'t> {
    /// The original text.
    pub fn text(&self) -> &'t str {
        self.text
    }

    /// The event's own distinct_id.
    #[inline]
    pub fn own(&self) -> Option<DistinctId<'t>> {
        let id = Id::new(self.own_text()??).ok()?;
        Some(if self.outline.own?.is_device {
            DistinctId::device(id)
        } else {
            DistinctId::plain(id)
        })
    }

    /// The text of the own distinct_id: `None` if there is none, `Some(None)` if its span is not in
    /// the text.
    #[inline]
    fn own_text(&self) -> Option<Option<&'t str>> {
        let OwnId { span, .. } = self.outline.own?;
        Some(self.text.get(span.start..span.end))
    }

    /// Appends the event to `out` with the answer, as [`JsonEvent::write_resolved`] does.
    pub fn write_resolved(&self, resolved: &Resolved<'_>, out: &mut Vec<u8>) {
        let outline = &self.outline;
        let points = SplicePoints {
            distinct_id: outline.distinct_id,
            others: outline.others.as_deref(),
            closing_brace: outline.closing_brace,
            is_empty: outline.is_empty,
            lacks_reserved_ids: outline.lacks_reserved_ids,
        };
        // An event with escapes in it has no outline.
        let distinct_id = points.distinct_id_string(self.text);
        points.write_resolved(self.text, distinct_id, resolved, out);
    }
}

fn push_long(numbers: &[usize], out: &mut Vec<u8>) {
    for number in numbers {
        out.extend_from_slice(&(*number as u64).to_le_bytes());
    }
}

fn take_long<const N: usize>(packed: &mut &[u8]) -> Option<[usize; N]> {
    let (long, _) = packed.split_off(..N * size_of::<u64>())?.as_chunks();
    let mut numbers = [0; N];
    for (number, long) in numbers.iter_mut().zip(long) {
        *number = u64::from_le_bytes(*long).try_into().ok()?;
    }
    Some(numbers)
}
