//! Replaces, removes and adds members of an object in its text.

use super::answer::NewProperties;
use super::value::{NewValue, push_key};
use crate::json::Span;

/// A change to a member of an object.
#[derive(Clone, Copy)]
pub(super) enum Edit<'a> {
    /// Writes another value.
    Replace(NewValue<'a>),
    /// Leaves the member out, with one comma.
    Remove,
}

/// Appends `text` with these edits, each at the position of a value. They are in order and in one
/// object, which ends with the brace at `closing_brace`. `added` go at its end. `is_empty` says that
/// the object has no members.
///
/// The spans of a scanned event are in its text and do not overlap. Those of an outline with the
/// wrong text may not be, and must not panic.
#[inline]
pub(super) fn push_edited(
    text: &[u8],
    edits: &[(Span, Edit<'_>)],
    added: &NewProperties<'_>,
    closing_brace: usize,
    is_empty: bool,
    out: &mut Vec<u8>,
) {
    let between = |start, end| text.get(start..end).unwrap_or_default();
    let mut copied = 0;
    let mut is_empty = is_empty;
    for (value, edit) in edits {
        match edit {
            Edit::Replace(new) => {
                out.extend_from_slice(between(copied, value.start));
                new.push(out);
                copied = value.end;
            }
            Edit::Remove => {
                let cut = cut(text, *value, copied);
                out.extend_from_slice(between(copied, cut.span.start));
                copied = cut.span.end;
                is_empty |= cut.leaves_none;
            }
        }
    }
    out.extend_from_slice(between(copied, closing_brace));
    for (key, value) in added.iter() {
        if !is_empty {
            out.push(b',');
        }
        is_empty = false;
        push_key(key.text(), out);
        value.push(out);
    }
    out.extend_from_slice(between(closing_brace.max(copied), text.len()));
}

/// The text to leave out so that a member is removed.
struct Cut {
    span: Span,
    /// Whether no member is left before it, and none follows.
    leaves_none: bool,
}

/// The cut that removes the member with this value: with the comma before it, or, if no member before
/// it is left, with the comma after it. What is before `copied` is written or cut already.
#[cold]
fn cut(text: &[u8], value: Span, copied: usize) -> Cut {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let before = text.get(..key_start(text, value)).unwrap_or_default();
    let spaces_before = before
        .iter()
        .rev()
        .take_while(|byte| is_space(byte))
        .count();
    let before = &before[..before.len() - spaces_before];
    let comma = before.len().saturating_sub(1);
    if before.last() == Some(&b',') && comma >= copied {
        return Cut {
            span: Span {
                start: comma,
                end: value.end,
            },
            leaves_none: false,
        };
    }
    let after = text.get(value.end..).unwrap_or_default();
    let spaces_after = after.iter().take_while(|byte| is_space(byte)).count();
    let has_comma = after.get(spaces_after) == Some(&b',');
    Cut {
        span: Span {
            start: before.len().max(copied),
            end: value.end + if has_comma { spaces_after + 1 } else { 0 },
        },
        leaves_none: !has_comma,
    }
}

/// Where the key before a value starts. No key that is removed contains a quotation mark, so the
/// first one is found by going back from the last one.
fn key_start(text: &[u8], value: Span) -> usize {
    let quote_before = |end: usize| {
        let text = text.get(..end).unwrap_or_default();
        text.iter().rposition(|&byte| byte == b'"').unwrap_or(0)
    };
    quote_before(quote_before(value.start))
}
