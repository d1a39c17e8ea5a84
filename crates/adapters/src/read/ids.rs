//! The IDs of a record (ID-2 to ID-5, A-3).

use std::borrow::Cow;

use idmerge_core::{DEVICE_PREFIX, IdProperty, IdRules, InvalidEvent, InvalidEventReason, quote};

use crate::counts::Counts;
use crate::read::value::Value;
use crate::refusal::Refusal;

/// The ID of a user or of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    User,
    Device,
}

/// The text of the ID in a field. A blocked value (ID-4) is counted, and is then no ID.
///
/// # Errors
///
/// The value is neither absent nor an ID.
pub(crate) fn read_id<'r>(
    rules: &IdRules,
    side: Side,
    field: &str,
    value: Value<'r>,
    counts: &mut Counts,
) -> Result<Option<Cow<'r, str>>, Refusal> {
    if value.is_absent() {
        return Ok(None);
    }
    let Some(text) = value.id_text() else {
        let json = quote(value.as_str());
        let error = InvalidEvent::new(side.property(), InvalidEventReason::NotAnId { json });
        return Err(Refusal::invalid_id(field, &error));
    };
    match is_id(rules, side, &text) {
        Ok(true) => Ok(Some(text)),
        Ok(false) => {
            match side {
                Side::User => counts.blocked_user_ids += 1,
                Side::Device => counts.blocked_device_ids += 1,
            }
            Ok(None)
        }
        Err(error) => Err(Refusal::invalid_id(field, &error)),
    }
}

impl Side {
    fn property(self) -> IdProperty {
        match self {
            Self::User => IdProperty::UserId,
            Self::Device => IdProperty::DeviceId,
        }
    }
}

/// Whether a text is an ID, and no blocked value (ID-4).
///
/// # Errors
///
/// It is neither.
#[inline]
pub(crate) fn is_id(rules: &IdRules, side: Side, text: &str) -> Result<bool, InvalidEvent> {
    let id = text.strip_prefix(DEVICE_PREFIX).unwrap_or(text);
    match rules.id(side.property(), id) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.reason(), InvalidEventReason::Blocked { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
