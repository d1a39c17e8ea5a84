//! Identifiers: [`Id`], a text that names something, and [`DistinctId`], an id in the role that
//! events are attributed to.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use crate::UuidText;

/// What marks a device id where it stands as a distinct_id (rule ID-5).
pub const DEVICE_PREFIX: &str = "$device:";

/// An identifier: 1 to 65,535 bytes of UTF-8, compared byte for byte (rule ID-1).
///
/// An `Id` promises no more than that. Which texts a project takes for an id is a setting; a text
/// becomes an `Id` by way of [`IdRules`](crate::IdRules), which checks it (rules ID-2 to ID-5).
///
/// How the text is kept is not part of the type: an engine may keep a UUID as 16 bytes. So there
/// is no `as_str`; print the id, compare it with a `str`, or take its [`text`](Id::text), which
/// costs no allocation with a [`buffer`](Id::text_in).
///
/// ```
/// use idmerge_core::Id;
///
/// let id = Id::new("U1").unwrap();
/// assert_eq!(id, *"U1");
/// assert_ne!(id, *"u1"); // case counts
/// assert!(Id::new("").is_none());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id<'a>(IdForm<'a>);

/// How the text of an [`Id`] is kept. Each text has one form, so that equal ids have equal forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IdForm<'a> {
    /// A UUID as 16 bytes.
    Uuid(UuidText),
    /// Any other text.
    Text(&'a str),
}

impl<'a> Id<'a> {
    /// The most bytes that any id can have, whatever the settings: 65,535.
    pub const CEILING_BYTES: usize = u16::MAX as usize;

    /// The id with this text, or `None` where the text is empty or has more than
    /// [`CEILING_BYTES`](Id::CEILING_BYTES). Checks no setting: for what comes from outside, use
    /// [`IdRules`](crate::IdRules).
    pub fn new(text: &'a str) -> Option<Self> {
        if let Some(uuid) = UuidText::new(text) {
            return Some(Self::from(uuid));
        }
        (1..=Self::CEILING_BYTES)
            .contains(&text.len())
            .then_some(Self(IdForm::Text(text)))
    }

    /// How the text is kept, for who keeps ids in turn.
    pub fn form(&self) -> IdForm<'a> {
        self.0
    }

    /// The text of the id. Borrowed wherever the id is kept as text.
    pub fn text(&self) -> Cow<'a, str> {
        match self.0 {
            IdForm::Uuid(uuid) => Cow::Owned(uuid.to_string()),
            IdForm::Text(text) => Cow::Borrowed(text),
        }
    }

    /// The text of the id, without an allocation: where the id is not kept as text, its text is
    /// put into the buffer.
    ///
    /// ```
    /// use idmerge_core::{Id, IdBuffer};
    ///
    /// let id = Id::new("U1").unwrap();
    /// assert_eq!(id.text_in(&mut IdBuffer::new()), "U1");
    /// ```
    pub fn text_in<'b>(&self, buffer: &'b mut IdBuffer) -> &'b str
    where
        'a: 'b,
    {
        match self.0 {
            IdForm::Uuid(uuid) => uuid.text_in(&mut buffer.uuid),
            IdForm::Text(text) => text,
        }
    }

    /// How many bytes the text has.
    pub fn text_bytes(&self) -> usize {
        match self.0 {
            IdForm::Uuid(_) => UuidText::TEXT_BYTES,
            IdForm::Text(text) => text.len(),
        }
    }
}

/// Room for the text of an [`Id`] that is not kept as text; see [`Id::text_in`].
#[derive(Clone, Debug)]
pub struct IdBuffer {
    uuid: [u8; UuidText::TEXT_BYTES],
}

impl IdBuffer {
    /// A buffer for any id.
    pub fn new() -> Self {
        Self {
            uuid: [0; UuidText::TEXT_BYTES],
        }
    }
}

impl Default for IdBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl From<UuidText> for Id<'_> {
    fn from(uuid: UuidText) -> Self {
        Self(IdForm::Uuid(uuid))
    }
}

/// By their texts, byte for byte.
impl Ord for Id<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (&mut IdBuffer::new(), &mut IdBuffer::new());
        self.text_in(a).cmp(other.text_in(b))
    }
}

impl PartialOrd for Id<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text_in(&mut IdBuffer::new()))
    }
}

impl fmt::Debug for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.text_in(&mut IdBuffer::new()), f)
    }
}

impl PartialEq<str> for Id<'_> {
    fn eq(&self, text: &str) -> bool {
        self.text_bytes() == text.len() && self.text_in(&mut IdBuffer::new()) == text
    }
}

/// An identifier in the role that events are attributed to: either an id as it stands, or a
/// device id marked with the prefix [`$device:`](DEVICE_PREFIX).
///
/// The mark is kept apart from the id, so that a device `+65…` and a user `+65…` are two
/// distinct_ids without anybody having to look at text.
///
/// ```
/// use idmerge_core::{DistinctId, Id};
///
/// let id = Id::new("D1").unwrap();
/// assert_eq!(DistinctId::device(id).to_string(), "$device:D1");
/// assert_eq!(DistinctId::plain(id).to_string(), "D1");
/// assert_ne!(DistinctId::device(id), DistinctId::plain(id));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DistinctId<'a> {
    device: bool,
    id: Id<'a>,
}

impl<'a> DistinctId<'a> {
    /// The id as it stands.
    pub fn plain(id: Id<'a>) -> Self {
        Self { device: false, id }
    }

    /// The device id marked as such: its text is `$device:` followed by the id, literally.
    pub fn device(id: Id<'a>) -> Self {
        Self { device: true, id }
    }

    /// Whether the mark `$device:` stands before the id.
    pub fn is_device(&self) -> bool {
        self.device
    }

    /// The id without the mark.
    pub fn id(&self) -> Id<'a> {
        self.id
    }

    /// The text with the mark, if there is one. Borrowed where there is none and the id is kept as
    /// text.
    pub fn text(&self) -> Cow<'a, str> {
        if self.device {
            Cow::Owned(self.to_string())
        } else {
            self.id.text()
        }
    }
}

impl fmt::Display for DistinctId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.device {
            f.write_str(DEVICE_PREFIX)?;
        }
        fmt::Display::fmt(&self.id, f)
    }
}

impl fmt::Debug for DistinctId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.text(), f)
    }
}

impl PartialEq<str> for DistinctId<'_> {
    fn eq(&self, text: &str) -> bool {
        match text.strip_prefix(DEVICE_PREFIX) {
            Some(rest) if self.device => self.id == *rest,
            _ => !self.device && self.id == *text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_1_ids_are_compared_byte_for_byte() {
        let id = Id::new("Ü1 ").unwrap();
        assert_eq!(id, *"Ü1 ");
        for other in ["ü1 ", "Ü1", "U\u{308}1 ", " Ü1"] {
            assert_ne!(id, Id::new(other).unwrap(), "{other:?}");
        }
    }

    #[test]
    fn an_id_has_1_to_65535_bytes() {
        assert!(Id::new("").is_none());
        assert!(Id::new("a").is_some());
        let longest = "a".repeat(65_535);
        assert!(Id::new(&longest).is_some());
        assert!(Id::new(&(longest + "a")).is_none());
    }

    #[test]
    fn ids_are_ordered_by_their_texts_however_kept() {
        let mut texts = [
            "5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e",
            "5C7F0E7C-6A52-4B26-9FB8-6C5A9F0F4C1E",
            "5C7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e",
            "ac7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e",
            "5d",
            "5C",
            "z",
        ];
        let mut ids = texts.map(|text| Id::new(text).unwrap());
        texts.sort_unstable();
        ids.sort_unstable();
        assert_eq!(ids.map(|id| id.to_string()), texts);
        for (id, text) in ids.into_iter().zip(texts) {
            assert_eq!(id, *text);
            assert_ne!(
                id,
                *text
                    .to_ascii_uppercase()
                    .as_str()
                    .replace('5', "6")
                    .as_str()
            );
            assert_eq!(id.text_bytes(), text.len());
            assert_eq!(
                (&*id.text(), format!("{id:?}")),
                (text, format!("{text:?}"))
            );
        }
    }

    #[test]
    fn a_marked_and_a_plain_id_of_one_text_differ() {
        let id = Id::new("x").unwrap();
        let (device, plain) = (DistinctId::device(id), DistinctId::plain(id));
        assert_ne!(device, plain);
        assert!(device == *"$device:x" && device != *"x" && device != *"$device:y");
        assert!(plain == *"x" && plain != *"$device:x");
        assert_eq!(device.text(), "$device:x");
        assert_eq!(format!("{device:?} {plain:?}"), r#""$device:x" "x""#);
        assert_eq!((device.id(), device.is_device()), (id, true));
        assert_eq!((plain.id(), plain.is_device()), (id, false));
    }
}
