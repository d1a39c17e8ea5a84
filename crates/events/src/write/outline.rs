//! What is left of an event once it was read: a few bytes by which the answer is written onto its
//! text later, without reading it again.

use idmerge_core::{DEVICE_PREFIX, DistinctId, Id, IdProperty};

use super::{Others, Places, Resolved, has_text};
use crate::json::Span;
use crate::read::{JsonEvent, Key};

/// What is known of an event whose own distinct_id is known: where that stands in the text, and
/// where an answer goes.
///
/// Whoever resolves a stream reads each event, and writes it when all are read, since a merge is
/// retroactive. In between an outline is all that has to be kept of an event: 13 bytes of most.
///
/// ```
/// use idmerge_core::{DistinctId, Id, RuleBook};
/// use idmerge_events::{JsonEvent, Outline, Resolved};
///
/// let line = r#"{"event":"View","properties":{"$device_id":"D1"}}"#;
/// let own = Id::new("D1").map(DistinctId::device).ok();
/// let mut notes = Vec::new();
/// if let Some(outline) = JsonEvent::parse_text(line)?.outline(own) {
///     outline.pack(&mut notes);
/// }
///
/// let outline = Outline::unpack(&mut &notes[..]).ok_or("no outline")?;
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
    /// Seldom any, so they are kept apart.
    others: Option<Box<Others>>,
    closing_brace: usize,
    is_empty: bool,
    is_nobodys: bool,
}

/// Where the own distinct_id of an event stands, without a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OwnId {
    place: Span,
    is_device: bool,
}

/// An event that was read before, by its [`Outline`] and its text.
#[derive(Clone, Debug)]
pub struct OutlinedEvent<'t> {
    text: &'t str,
    outline: Outline,
}

/// Where the text of an own distinct_id is looked for. The first one has it most often.
const OWN_IDS: [IdProperty; 4] = [
    IdProperty::UserId,
    IdProperty::DeviceId,
    IdProperty::DistinctId,
    IdProperty::IdentifiedId,
];

impl JsonEvent<'_> {
    /// What has to be kept of the event to write it later, if this is its own distinct_id.
    ///
    /// `None` where that is not enough: where an id is spelled with escapes, or stands in no
    /// property that most events have it in. Such an event has to be read again.
    pub fn outline(&self, own: Option<DistinctId<'_>>) -> Option<Outline> {
        if self.has_escaped_ids() {
            return None;
        }
        let own = match own {
            None => None,
            Some(own) => Some(OwnId {
                place: OWN_IDS.iter().find_map(|&id| self.place_of(id, own.id()))?,
                is_device: own.is_device(),
            }),
        };
        let Places {
            distinct_id,
            closing_brace,
            is_empty,
            is_nobodys,
            ..
        } = self.places();
        Some(Outline {
            text_bytes: self.text.len(),
            own,
            distinct_id,
            others: self.others().map(Box::new),
            closing_brace,
            is_empty,
            is_nobodys,
        })
    }

    /// Where the text of an id stands in the value of this property, behind a mark or without one.
    fn place_of(&self, property: IdProperty, id: Id<'_>) -> Option<Span> {
        let mut place =
            Some(self.properties.span(Key::Id(property))).filter(|span| !span.is_empty())?;
        if self.text.as_bytes()[place.start] == b'"' {
            place.start += 1;
            place.end -= 1;
        }
        let marked_bytes = id.text_bytes() + DEVICE_PREFIX.len();
        if place.end - place.start == marked_bytes {
            place.start += self.text[place.start..place.end]
                .strip_prefix(DEVICE_PREFIX)
                .map_or(0, |_| DEVICE_PREFIX.len());
        }
        has_text(id, &self.text[place.start..place.end]).then_some(place)
    }
}

/// What stands first in a packed outline, a bit each.
mod flag {
    pub(super) const HAS_OWN: u8 = 1;
    pub(super) const OWN_IS_DEVICE: u8 = 2;
    pub(super) const IS_EMPTY: u8 = 4;
    pub(super) const IS_NOBODYS: u8 = 8;
    /// Places of values that few events have follow.
    pub(super) const HAS_OTHERS: u8 = 16;
    /// Numbers have eight bytes, not two.
    pub(super) const IS_LONG: u8 = 32;
}

/// The numbers of every outline: the length of the text, the closing brace, the own id and the
/// `distinct_id`.
const NUMBERS: usize = 6;

impl Outline {
    /// How many bytes the text has that it is of.
    pub fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    /// Appends it to `out`: 13 bytes of most events.
    #[inline]
    pub fn pack(&self, out: &mut Vec<u8>) {
        let own = self.own.map(|own| own.place).unwrap_or_default();
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
            | flag(self.is_nobodys, flag::IS_NOBODYS)
            | flag(self.others.is_some(), flag::HAS_OTHERS);
        if let Ok(text_bytes) = u16::try_from(self.text_bytes) {
            // All the others are in the text.
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

    /// Takes an outline from the start of what was [packed](Self::pack). `None` where there is none.
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
                place: Span {
                    start: own_start,
                    end: own_end,
                },
                is_device: is(flag::OWN_IS_DEVICE),
            }),
            distinct_id: Span { start, end },
            others: None,
            closing_brace,
            is_empty: is(flag::IS_EMPTY),
            is_nobodys: is(flag::IS_NOBODYS),
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

    /// The event with this text. The text must be the one that the outline is of: of another one
    /// something is written that is no answer, or `None` is said where that shows.
    #[inline]
    pub fn of_text(self, text: &str) -> Option<OutlinedEvent<'_>> {
        let event = OutlinedEvent {
            text,
            outline: self,
        };
        let brace = event.outline.closing_brace;
        let is_of_it = text.len() == event.outline.text_bytes
            && text.as_bytes().get(brace) == Some(&b'}')
            && event
                .own_text()
                .is_none_or(|text| text.is_some_and(|text| !text.is_empty()));
        is_of_it.then_some(event)
    }
}

impl<'t> OutlinedEvent<'t> {
    /// The whole of it, as it came.
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

    /// The text of the own distinct_id, if there is one and if its place is in the text.
    #[inline]
    fn own_text(&self) -> Option<Option<&'t str>> {
        let OwnId { place, .. } = self.outline.own?;
        Some(self.text.get(place.start..place.end))
    }

    /// As [`JsonEvent::write_resolved`].
    pub fn write_resolved(&self, resolved: &Resolved<'_>, out: &mut Vec<u8>) {
        let outline = &self.outline;
        let places = Places {
            distinct_id: outline.distinct_id,
            others: outline.others.as_deref(),
            closing_brace: outline.closing_brace,
            is_empty: outline.is_empty,
            is_nobodys: outline.is_nobodys,
        };
        // An escaped one would be read again.
        let distinct_id = places.distinct_id_string(self.text);
        places.write_resolved(self.text, distinct_id, resolved, out);
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
