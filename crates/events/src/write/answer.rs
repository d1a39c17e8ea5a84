//! The properties that an answer sets: rules W-1 to W-5 and W-7.

use idmerge_core::{DEVICE_PREFIX, DistinctId, Id, IdBuffer, IdProperty, RuleBook};

use super::resolved::Resolved;
use super::value::NewValue;
use crate::read::Key;

/// The most properties that one answer sets: W-1, W-2 twice, W-4 twice, W-5.
pub(super) const MAX_NEW_PROPERTIES: usize = 6;

/// Properties to set, in the order in which they are added to an event.
#[derive(Default)]
pub(super) struct NewProperties<'a> {
    slots: [Option<(Key, NewValue<'a>)>; MAX_NEW_PROPERTIES],
    count: usize,
}

impl<'a> NewProperties<'a> {
    /// Adds the properties that an answer sets on an event. `distinct_id` is the text of the event's
    /// property, if that is a string. `lacks_reserved_ids` says that the event has no `$user_id`
    /// and no `$device_id`.
    #[inline(always)]
    pub(super) fn set_answer(
        &mut self,
        resolved: &Resolved<'a>,
        distinct_id: Option<&str>,
        lacks_reserved_ids: bool,
    ) {
        self.set_distinct_ids(resolved, distinct_id);
        self.set_failure(resolved);
        // W-5
        if resolved.rule_book == RuleBook::Simplified
            && let Some(own) = resolved.own
            && lacks_reserved_ids
        {
            self.set_reserved_id(own);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(Key, NewValue<'a>)> {
        self.slots.iter().flatten()
    }

    pub(super) fn set(&mut self, key: Key, value: NewValue<'a>) {
        self.slots[self.count] = Some((key, value));
        self.count += 1;
    }

    #[inline(always)]
    fn set_distinct_ids(&mut self, resolved: &Resolved<'a>, distinct_id: Option<&str>) {
        // W-1, W-6, W-7. The empty text can be spelled in only one way, so it is always written.
        let is_up_to_date = match (distinct_id, resolved.canonical) {
            (Some(text), Some(canonical)) => has_distinct_id_text(canonical, text),
            _ => false,
        };
        if !is_up_to_date {
            let canonical = resolved
                .canonical
                .map_or(NewValue::Text(""), NewValue::DistinctId);
            self.set(Key::Id(IdProperty::DistinctId), canonical);
        }
        // W-2
        if let Some(id) = resolved.own
            && resolved.own != resolved.canonical
        {
            self.set(Key::BeforeIdentity, NewValue::DistinctId(id));
            // In Legacy no event was moved.
            if resolved.rule_book != RuleBook::Legacy {
                self.set(Key::IsReshuffled, NewValue::True);
            }
        }
    }

    #[inline(always)]
    fn set_failure(&mut self, resolved: &Resolved<'a>) {
        match (resolved.rule_book, &resolved.failure) {
            // W-3
            (RuleBook::Simplified, Some(failure)) => {
                self.set(Key::IdentityFailureReason, NewValue::Text(failure.reason));
            }
            // W-4
            (_, Some(failure)) => {
                self.set(Key::FailureReason, NewValue::Text(failure.reason));
                let description = NewValue::Display(failure.description);
                self.set(Key::FailureDescription, description);
            }
            (_, None) => {}
        }
    }

    /// W-5
    #[inline(always)]
    fn set_reserved_id(&mut self, own: DistinctId<'a>) {
        let id = own.id();
        let (property, value) = if !own.is_device() {
            (IdProperty::UserId, NewValue::Id(id))
        } else if id.text_in(&mut IdBuffer::new()).starts_with(DEVICE_PREFIX) {
            // A reader of the event removes one prefix. Write one more, so that it does not remove
            // a part of the ID.
            (IdProperty::DeviceId, NewValue::DistinctId(own))
        } else {
            (IdProperty::DeviceId, NewValue::Id(id))
        };
        self.set(Key::Id(property), value);
    }
}

fn has_distinct_id_text(id: DistinctId<'_>, text: &str) -> bool {
    match text.strip_prefix(DEVICE_PREFIX) {
        Some(rest) if id.is_device() => has_text(id.id(), rest),
        _ => !id.is_device() && has_text(id.id(), text),
    }
}

/// Whether the ID has this text. Reading the text as an ID is much cheaper than writing the ID as
/// text.
pub(super) fn has_text(id: Id<'_>, text: &str) -> bool {
    id.text_bytes() == text.len() && Id::new(text) == Ok(id)
}
