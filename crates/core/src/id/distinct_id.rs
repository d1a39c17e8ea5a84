//! [`DistinctId`]: an ID in the role that events are attributed to.

use std::borrow::Cow;
use std::fmt;

use super::plain::{Id, InvalidId};

/// The prefix of a device ID that is used as a distinct_id (rule ID-5).
pub const DEVICE_PREFIX: &str = "$device:";

/// An identifier in the role that events are attributed to: a plain ID, or a device ID with the
/// prefix [`$device:`](DEVICE_PREFIX).
///
/// The prefix is kept apart from the ID, so a device `+65…` and a user `+65…` are two
/// distinct_ids, and comparing them does not look at the prefix as text.
///
/// ```
/// use idmerge_core::{DistinctId, Id};
///
/// let id = Id::new("D1")?;
/// assert_eq!(DistinctId::device(id), "$device:D1");
/// assert_eq!(DistinctId::plain(id), "D1");
/// assert_ne!(DistinctId::device(id), DistinctId::plain(id));
/// # Ok::<(), idmerge_core::InvalidId>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DistinctId<'a> {
    device: bool,
    id: Id<'a>,
}

impl<'a> DistinctId<'a> {
    /// The ID without a prefix.
    pub fn plain(id: Id<'a>) -> Self {
        Self { device: false, id }
    }

    /// The device ID: its text is `$device:` followed by the ID, literally.
    pub fn device(id: Id<'a>) -> Self {
        Self { device: true, id }
    }

    /// Whether the ID has the prefix `$device:`.
    pub fn is_device(&self) -> bool {
        self.device
    }

    /// The ID without the prefix.
    pub fn id(&self) -> Id<'a> {
        self.id
    }

    /// The text with the prefix, if there is one. Borrowed, unless the ID has the prefix or is
    /// stored as a UUID.
    pub fn text(&self) -> Cow<'a, str> {
        if self.device {
            Cow::Owned(self.to_string())
        } else {
            self.id.text()
        }
    }
}

/// The distinct_id with this text. One leading `$device:` is the prefix of a device. Checks no
/// setting and no rule book: to read an ID as events carry it, use the settings of an engine.
impl<'a> TryFrom<&'a str> for DistinctId<'a> {
    type Error = InvalidId;

    fn try_from(text: &'a str) -> Result<Self, InvalidId> {
        match text.strip_prefix(DEVICE_PREFIX) {
            Some(rest) => Id::new(rest).map(Self::device),
            None => Id::new(text).map(Self::plain),
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

impl PartialEq<&str> for DistinctId<'_> {
    fn eq(&self, text: &&str) -> bool {
        *self == **text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_and_a_plain_id_of_one_text_differ() {
        let id = Id::new("x").unwrap();
        let (device, plain) = (DistinctId::device(id), DistinctId::plain(id));
        assert_ne!(device, plain);
        assert!(device == *"$device:x" && device != *"x" && device != *"$device:y");
        assert!(plain == "x" && plain != "$device:x");
        assert_eq!(device.text(), "$device:x");
        assert_eq!(format!("{device:?} {plain:?}"), r#""$device:x" "x""#);
        assert_eq!((device.id(), device.is_device()), (id, true));
        assert_eq!((plain.id(), plain.is_device()), (id, false));
    }

    #[test]
    fn one_leading_prefix_of_a_text_makes_a_device() {
        let id = DistinctId::try_from("$device:$device:x").unwrap();
        assert!(id.is_device());
        assert_eq!(id.id(), "$device:x");
        assert!(!DistinctId::try_from("$Device:x").unwrap().is_device());
        assert!(DistinctId::try_from("$device:").is_err());
        assert!(DistinctId::try_from("").is_err());
    }
}
