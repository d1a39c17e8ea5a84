//! Identifiers: [`Id`], a text that names something, and [`DistinctId`], an id in the role that
//! events are attributed to.

use std::borrow::Cow;
use std::fmt;

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
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id<'a>(&'a str);

impl<'a> Id<'a> {
    /// The most bytes that any id can have, whatever the settings: 65,535.
    pub const CEILING_BYTES: usize = u16::MAX as usize;

    /// The id with this text, or `None` where the text is empty or has more than
    /// [`CEILING_BYTES`](Id::CEILING_BYTES). Checks no setting: for what comes from outside, use
    /// [`IdRules`](crate::IdRules).
    pub fn new(text: &'a str) -> Option<Self> {
        (1..=Self::CEILING_BYTES)
            .contains(&text.len())
            .then_some(Self(text))
    }

    /// The text of the id. Borrowed wherever the id is kept as text.
    pub fn text(&self) -> Cow<'a, str> {
        Cow::Borrowed(self.0)
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
    pub fn text_in<'b>(&self, _buffer: &'b mut IdBuffer) -> &'b str
    where
        'a: 'b,
    {
        self.0
    }
}

/// Room for the text of an [`Id`] that is not kept as text; see [`Id::text_in`].
#[derive(Clone, Debug, Default)]
pub struct IdBuffer {}

impl IdBuffer {
    /// A buffer for any id.
    pub fn new() -> Self {
        Self {}
    }
}

impl fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

impl fmt::Debug for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

impl PartialEq<str> for Id<'_> {
    fn eq(&self, text: &str) -> bool {
        self.0 == text
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

    /// The text with the mark, if there is one. Borrowed where there is none.
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
