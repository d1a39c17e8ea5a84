//! [`Member`]: a field of an object.

use std::borrow::Cow;

use idmerge_events::{Pair, RawJson};

use crate::read::value::Value;

/// A field: its name as JSON, and its value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Member<'r> {
    /// As it is in the record.
    Whole(Pair<'r>),
    /// A name, which is a JSON string, and a value that are in different places of the record.
    Parts {
        name: RawJson<'r>,
        value: RawJson<'r>,
    },
}

impl<'r> Member<'r> {
    /// The name, with its quotation marks.
    pub(crate) fn name(&self) -> RawJson<'r> {
        match self {
            Self::Whole(pair) => pair.key(),
            Self::Parts { name, .. } => *name,
        }
    }

    /// The bytes of the name, with its quotation marks.
    #[inline]
    pub(crate) fn name_json(&self) -> &'r [u8] {
        match self {
            Self::Whole(pair) => pair.key_bytes(),
            Self::Parts { name, .. } => name.as_str().as_bytes(),
        }
    }

    pub(crate) fn value(&self) -> Value<'r> {
        Value::Json(match self {
            Self::Whole(pair) => pair.value(),
            Self::Parts { value, .. } => *value,
        })
    }

    /// The text of the name, and the member, if the name has no escapes and only a colon is between it and the value.
    /// Most members are so.
    #[inline]
    pub(crate) fn usual(&self) -> Option<(&'r [u8], &Pair<'r>)> {
        match self {
            Self::Whole(pair) if pair.is_compact() => Some((pair.plain_key()?, pair)),
            _ => None,
        }
    }

    /// The text of the name. `None` if its escapes are no text.
    #[inline]
    pub(crate) fn name_text(&self) -> Option<Cow<'r, [u8]>> {
        if let Self::Whole(pair) = self
            && let Some(name) = pair.plain_key()
        {
            return Some(Cow::Borrowed(name));
        }
        Some(match self.name().string()? {
            Cow::Borrowed(name) => Cow::Borrowed(name.as_bytes()),
            Cow::Owned(name) => Cow::Owned(name.into_bytes()),
        })
    }

    /// Whether this is the text of the name.
    pub(crate) fn is_named(&self, text: &str) -> bool {
        self.name_text().as_deref() == Some(text.as_bytes())
    }

    /// The name, a colon and the value, if the record has them so.
    #[inline]
    pub(crate) fn compact(&self) -> Option<&'r str> {
        match self {
            Self::Whole(pair) => pair.compact(),
            Self::Parts { .. } => None,
        }
    }
}
