//! [`Id`]: a text that names something.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use thiserror::Error;

use super::uuid_text::UuidText;

/// An identifier: 1 to 65,535 bytes of UTF-8, compared byte for byte (rule ID-1).
///
/// An `Id` promises no more than that. Which texts a project accepts as IDs is a setting; text
/// from outside becomes an `Id` through [`IdRules`](crate::IdRules), which checks it (rules ID-2
/// to ID-5).
///
/// The type does not promise how the text is stored: a UUID is stored as 16 bytes. So there is no
/// `as_str`. Print the ID, compare it with a `str`, or take its [`text`](Id::text), which does not
/// allocate if you pass a [buffer](Id::text_in).
///
/// ```
/// use idmerge_core::Id;
///
/// let id = Id::new("U1")?;
/// assert_eq!(id, "U1");
/// assert_ne!(id, "u1"); // case counts
/// assert!(Id::new("").is_err());
/// # Ok::<(), idmerge_core::InvalidId>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id<'a>(IdForm<'a>);

/// How the text of an [`Id`] is stored. Each text has one form, so equal IDs have equal forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IdForm<'a> {
    /// A UUID as 16 bytes.
    Uuid(UuidText),
    /// Any other text.
    Text(&'a str),
}

/// A text that no setting accepts as an ID.
///
/// What to do: refuse the value that the text comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidId {
    /// The text is empty.
    #[error("the text is empty; an ID has 1 to 65,535 bytes")]
    Empty,
    /// The text has more than [`Id::CEILING_BYTES`].
    #[error("the text is too long; an ID has 1 to 65,535 bytes")]
    TooLong,
}

impl<'a> Id<'a> {
    /// The most bytes that any ID can have, whatever the settings: 65,535.
    pub const CEILING_BYTES: usize = u16::MAX as usize;

    /// The ID with this text. Checks no setting: for text from outside, use
    /// [`IdRules`](crate::IdRules).
    ///
    /// # Errors
    ///
    /// [`InvalidId`] if the text is empty or has more than [`CEILING_BYTES`](Id::CEILING_BYTES).
    pub fn new(text: &'a str) -> Result<Self, InvalidId> {
        match text.len() {
            0 => Err(InvalidId::Empty),
            UuidText::TEXT_BYTES => {
                Ok(UuidText::new(text).map_or(Self(IdForm::Text(text)), Self::from))
            }
            1..=Self::CEILING_BYTES => Ok(Self(IdForm::Text(text))),
            _ => Err(InvalidId::TooLong),
        }
    }

    /// An ID that was checked when its form was taken.
    pub(crate) fn from_form(form: IdForm<'a>) -> Self {
        Self(form)
    }

    /// How the text is stored, for code that stores IDs itself.
    pub fn form(&self) -> IdForm<'a> {
        self.0
    }

    /// The text of the ID. Borrowed unless the ID is stored as a UUID.
    pub fn text(&self) -> Cow<'a, str> {
        match self.0 {
            IdForm::Uuid(uuid) => Cow::Owned(uuid.to_string()),
            IdForm::Text(text) => Cow::Borrowed(text),
        }
    }

    /// The text of the ID without an allocation: the text of a UUID is written into the buffer.
    ///
    /// ```
    /// use idmerge_core::{Id, IdBuffer};
    ///
    /// let id = Id::new("U1")?;
    /// assert_eq!(id.text_in(&mut IdBuffer::new()), "U1");
    /// # Ok::<(), idmerge_core::InvalidId>(())
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

    /// The length of the text in bytes.
    pub fn text_bytes(&self) -> usize {
        match self.0 {
            IdForm::Uuid(_) => UuidText::TEXT_BYTES,
            IdForm::Text(text) => text.len(),
        }
    }
}

/// A buffer for the text of an [`Id`] that is stored as a UUID; see [`Id::text_in`].
#[derive(Clone, Debug)]
pub struct IdBuffer {
    uuid: [u8; UuidText::TEXT_BYTES],
}

impl IdBuffer {
    /// A buffer for any ID.
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

/// The same as [`Id::new`].
impl<'a> TryFrom<&'a str> for Id<'a> {
    type Error = InvalidId;

    fn try_from(text: &'a str) -> Result<Self, InvalidId> {
        Self::new(text)
    }
}

/// Compares the texts, byte for byte.
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

impl PartialEq<&str> for Id<'_> {
    fn eq(&self, text: &&str) -> bool {
        *self == **text
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
        assert_eq!(Id::new(""), Err(InvalidId::Empty));
        assert!(Id::new("a").is_ok());
        let longest = "a".repeat(65_535);
        assert!(Id::new(&longest).is_ok());
        assert_eq!(Id::try_from(&*(longest + "a")), Err(InvalidId::TooLong));
    }

    #[test]
    fn ids_are_ordered_by_their_texts_however_they_are_stored() {
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
            assert_eq!(id, text);
            let other = text.to_ascii_uppercase().replace('5', "6");
            assert_ne!(id, &*other);
            assert_eq!(id.text_bytes(), text.len());
            assert_eq!(
                (&*id.text(), format!("{id:?}")),
                (text, format!("{text:?}"))
            );
        }
    }
}
