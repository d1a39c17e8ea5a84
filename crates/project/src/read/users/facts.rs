//! What single events say about their users.

use std::collections::{BTreeMap, BTreeSet};

use idmerge_core::DEVICE_PREFIX;
use idmerge_events::JsonEvent;

use super::device::{Label, Traits};
use super::view::View;
use crate::archive::block::{NOT_AN_EVENT, StoredEvent};
use crate::error::ProjectError;

/// The most characters of the name of a place.
const MAX_PLACE_CHARS: usize = 100;

/// What an event says about its user and its device.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) time_ms: i64,
    /// The device that sent it, without the prefix `$device:`.
    pub(crate) device_id: Option<String>,
    /// Whether it names a user.
    pub(crate) has_user_id: bool,
    /// Whether its distinct_id has the prefix of a device.
    has_device_prefix: bool,
    /// What the device is.
    pub(crate) label: Option<Label>,
    /// Where it was sent from.
    pub(crate) place: Option<String>,
}

impl Facts {
    pub(crate) fn of(stored: &StoredEvent<'_>) -> Result<Self, ProjectError> {
        let event = JsonEvent::parse_text(stored.text)
            .map_err(|_| ProjectError::damaged(stored.number, NOT_AN_EVENT))?;
        let mut traits = Traits::default();
        let (mut device_id, mut distinct_id) = (None, None);
        let mut has_user_id = false;
        let (mut city, mut country) = (None, None);
        event.properties().visit_members(|key, value| {
            traits.read(key, value);
            match key {
                b"$device_id" => device_id = value.string(),
                b"distinct_id" => distinct_id = value.string(),
                b"$user_id" => has_user_id = !value.is_null() && value.as_str() != r#""""#,
                b"$city" => city = value.string(),
                b"mp_country_code" => country = value.string(),
                _ => {}
            }
        });
        let place = [city, country].map(|part| part.filter(|part| !part.trim().is_empty()));
        let place: Vec<_> = place.into_iter().flatten().collect();
        let place: String = place.join(", ").chars().take(MAX_PLACE_CHARS).collect();
        let without_prefix = |id: &str| id.strip_prefix(DEVICE_PREFIX).unwrap_or(id).to_owned();
        Ok(Self {
            time_ms: stored.time_ms,
            has_device_prefix: distinct_id.is_some_and(|id| id.starts_with(DEVICE_PREFIX)),
            device_id: device_id.map(|id| without_prefix(&id)),
            has_user_id,
            label: traits.label(),
            place: Some(place).filter(|place| !place.is_empty()),
        })
    }

    /// Whether the event, which was sent under this ID, says that the ID is that of a device. Needed where
    /// devices and users have one namespace.
    pub(crate) fn says_device(&self, own: &str) -> bool {
        !self.has_user_id && (self.has_device_prefix || self.device_id.as_deref() == Some(own))
    }
}

impl View<'_> {
    /// What some events say, by their numbers. Each block is read once.
    pub(super) fn facts(
        &self,
        numbers: &BTreeSet<u64>,
    ) -> Result<BTreeMap<u64, Facts>, ProjectError> {
        let mut facts = BTreeMap::new();
        let mut wanted = numbers
            .iter()
            .copied()
            .filter(|number| *number > 0)
            .peekable();
        let archive = self.archive()?;
        while let Some(&first) = wanted.peek()
            && let Some(head) = self.block_from(first)
        {
            self.check()?;
            let block = archive.shown_block(&head, self.last)?;
            block.each(&mut |stored| {
                while wanted.next_if(|number| *number < stored.number).is_some() {}
                if wanted.next_if_eq(&stored.number).is_some() {
                    facts.insert(stored.number, Facts::of(&stored)?);
                }
                Ok(wanted.peek().is_some_and(|number| *number <= head.last))
            })?;
            while wanted.next_if(|number| *number <= head.last).is_some() {}
        }
        Ok(facts)
    }
}
