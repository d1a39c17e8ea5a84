//! [`Cell`]: a cell of a row of a table.

use idmerge_events::write_json_string;

/// A cell of a row of a table.
#[derive(Clone, Copy, Debug)]
pub enum Cell<'t> {
    /// It needs no escapes in JSON.
    Plain(&'t str),
    /// As it is between quotation marks, which are here; it needs no escapes in JSON.
    PlainQuoted(&'t str),
    /// Any text.
    Other(&'t str),
    /// The text between the enclosing quotation marks. Quotation marks within it are still doubled.
    OtherQuoted(&'t str),
}

impl<'t> Cell<'t> {
    /// Whether the cell has no text.
    #[inline]
    pub fn is_empty(self) -> bool {
        match self {
            Self::PlainQuoted(text) => text.len() == 2,
            Self::Plain(text) | Self::Other(text) | Self::OtherQuoted(text) => text.is_empty(),
        }
    }

    /// The text of the cell. `None` if the file has another one, because quotation marks in it are doubled.
    #[inline]
    pub fn text(self) -> Option<&'t str> {
        match self {
            Self::PlainQuoted(text) => text.get(1..text.len() - 1),
            Self::Plain(text) | Self::Other(text) => Some(text),
            Self::OtherQuoted(text) => (!text.contains('"')).then_some(text),
        }
    }

    /// Writes the cell as a JSON string.
    #[inline]
    pub fn write_json(self, out: &mut Vec<u8>) {
        match self {
            Self::PlainQuoted(text) => out.extend_from_slice(text.as_bytes()),
            Self::Plain(text) => {
                out.push(b'"');
                out.extend_from_slice(text.as_bytes());
                out.push(b'"');
            }
            Self::Other(text) => write_json_string(text, out),
            Self::OtherQuoted(text) => write_json_string(&text.replace("\"\"", "\""), out),
        }
    }
}
