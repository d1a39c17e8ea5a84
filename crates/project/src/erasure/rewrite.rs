//! Writes events without the IDs that are erased.

use idmerge_core::{DistinctId, IdProperty};
use idmerge_engines::Settings;
use idmerge_events::{JsonEvent, RawJson, visit_members, write_json_string};
use idmerge_store::NamedIds;

use crate::archive::block::StoredEvent;
#[cfg(test)]
use crate::simulation::hooks::{Mistake, makes};

/// The properties that name the event itself, or another ID of it.
const ALSO_IDS: [&str; 2] = ["$distinct_id_before_identity", "$preshuffle_distinct_id"];
/// Further properties that an anonymous event does not keep: with them its ID could be guessed from the index of
/// duplicates.
const MARKS: [&str; 2] = ["$insert_id", "$mp_metadata"];

/// In the place of what a rejection said.
const DESCRIPTION: &str = "an ID that was erased";

/// Writes events without the IDs that are erased.
pub(super) struct Rewriter<'r> {
    pub(super) settings: &'r Settings,
    pub(super) named: &'r NamedIds,
}

/// An event of other people without an erased ID.
pub(super) struct Rewritten {
    pub(super) text: String,
    /// What its rejection says from now on.
    pub(super) description: Option<&'static str>,
}

/// What becomes of a property.
enum Fate {
    Stays,
    Goes,
    /// It gets this JSON.
    Becomes(String),
}

impl Rewriter<'_> {
    /// The event under no ID (E-4).
    pub(super) fn anonymous(&self, event: &JsonEvent<'_>) -> String {
        self.write(event, &|key, value| {
            let is_id = IdProperty::with_key(key).is_some() || ALSO_IDS.contains(&key);
            match is_id || MARKS.contains(&key) || self.mentions(value) {
                true => Fate::Goes,
                false => Fate::Stays,
            }
        })
    }

    /// An event that stays, without the erased IDs that it names; `None` if it names none. `own` is its own ID, and
    /// `under` the one that it is stored under.
    pub(super) fn of_others(
        &self,
        event: &JsonEvent<'_>,
        own: Option<DistinctId<'_>>,
        under: Option<DistinctId<'_>>,
        stored: &StoredEvent<'_>,
    ) -> Option<Rewritten> {
        #[cfg(test)]
        if makes(Mistake::LeavesTraces) {
            return None;
        }
        let is_described =
            (stored.failure).is_some_and(|[_, description]| self.is_named_in_quotes(description));
        // The text can be that of a device that is erased, and of a user who is not.
        let is_own = |key: &str, value: RawJson<'_>| {
            key == IdProperty::DistinctId.key()
                && own.is_some_and(|own| !self.named.has(own) && is_text_of(own, value))
        };
        let is_named = |key: &str, value: RawJson<'_>| {
            is_id(key) && self.is_named(key, value) && !is_own(key, value)
        };
        let mut names = false;
        let _is_object = visit_members(event.properties().as_str(), |key, value| {
            names |= is_named(str::from_utf8(key).unwrap_or_default(), value);
        });
        if !names && !is_described {
            return None;
        }
        // An ID that is not erased: the event's own, or in Legacy the one that it was attributed to (L-3).
        let other = own.filter(|own| !self.named.has(*own)).or(under);
        let in_its_place = other.map(|id| json_of(&id.to_string()));
        let is_identity_event = event.event().is_identity_event();
        let text = self.write(event, &|key, value| {
            if !is_named(key, value) {
                return Fate::Stays;
            }
            let is_own_erased = own.is_some_and(|own| self.named.has(own));
            match &in_its_place {
                Some(other) if key == IdProperty::DistinctIds.key() => {
                    Fate::Becomes(self.without_named(value, other))
                }
                // The claim is rejected wherever the event is read again: both IDs are one.
                Some(other) if is_identity_event || is_own_erased => Fate::Becomes(other.clone()),
                _ => Fate::Goes,
            }
        });
        Some(Rewritten {
            text,
            description: is_described.then_some(DESCRIPTION),
        })
    }

    /// Whether the value of a property names an erased ID.
    fn is_named(&self, key: &str, value: RawJson<'_>) -> bool {
        if key == IdProperty::DistinctIds.key() {
            return elements(value)
                .iter()
                .any(|(_, id)| self.is_id_named(key, id));
        }
        let text = value.string_or_number();
        text.is_some_and(|text| self.is_id_named(key, &text))
    }

    /// Which ID a text is depends on the property, where users and devices are not in one namespace.
    fn is_id_named(&self, key: &str, text: &str) -> bool {
        let Ok(id) = DistinctId::try_from(text) else {
            return false;
        };
        let [plain, device] = [DistinctId::plain(id.id()), DistinctId::device(id.id())];
        if !self.settings.rule_book().has_device_namespace() {
            return self.named.has(plain);
        }
        match key {
            "$user_id" => self.named.has(id),
            "$device_id" => self.named.has(device),
            // The model does not read it, or its claim.
            _ => self.named.has(plain) || self.named.has(device),
        }
    }

    /// The JSON of an array of IDs with another ID in the place of each erased one.
    fn without_named(&self, array: RawJson<'_>, other: &str) -> String {
        let key = IdProperty::DistinctIds.key();
        let elements = elements(array);
        let new = elements
            .iter()
            .map(|(json, id)| match self.is_id_named(key, id) {
                true => other,
                false => json,
            });
        format!("[{}]", new.collect::<Vec<_>>().join(","))
    }

    /// Whether a value has the text of an erased ID in it, in any case.
    fn mentions(&self, value: RawJson<'_>) -> bool {
        let text = match value.string() {
            Some(text) => text.to_lowercase(),
            // Escapes inside of an array or an object are read, so that they hide nothing.
            None => serde_json::from_str::<serde_json::Value>(value.as_str())
                .map_or_else(|_| value.as_str().to_owned(), |value| value.to_string())
                .to_lowercase(),
        };
        self.named
            .iter()
            .any(|id| text.contains(&id.id().text().to_lowercase()))
    }

    /// Whether a text of an engine quotes an erased ID.
    fn is_named_in_quotes(&self, text: &str) -> bool {
        self.named
            .iter()
            .any(|id| text.contains(&format!("{:?}", id.id())))
    }

    /// The event with other properties.
    fn write(&self, event: &JsonEvent<'_>, fate: &dyn Fn(&str, RawJson<'_>) -> Fate) -> String {
        let properties = event.properties().as_str();
        let mut new = String::from("{");
        let _is_object = visit_members(properties, |key, value| {
            let key = str::from_utf8(key).unwrap_or_default();
            let value = match fate(key, value) {
                Fate::Stays => value.as_str().to_owned(),
                Fate::Goes => return,
                Fate::Becomes(json) => json,
            };
            if new.len() > 1 {
                new.push(',');
            }
            new += &json_of(key);
            new.push(':');
            new += &value;
        });
        new.push('}');
        let text = event.text();
        let start = properties.as_ptr().addr() - text.as_ptr().addr();
        let end = start + properties.len();
        format!("{}{new}{}", &text[..start], &text[end..])
    }
}

/// Whether the value of a property is the text of an ID.
fn is_text_of(id: DistinctId<'_>, value: RawJson<'_>) -> bool {
    let text = value.string_or_number();
    text.is_some_and(|text| DistinctId::try_from(&*text).is_ok_and(|other| other == id))
}

fn is_id(key: &str) -> bool {
    IdProperty::with_key(key).is_some() || ALSO_IDS.contains(&key)
}

/// The elements of an array, each as JSON and as the text of an ID. None if it is no array.
fn elements<'t>(array: RawJson<'t>) -> Vec<(&'t str, String)> {
    let elements: Vec<&'t serde_json::value::RawValue> =
        serde_json::from_str(array.as_str()).unwrap_or_default();
    let with_id = |element: &'t serde_json::value::RawValue| {
        let json = element.get();
        let id = serde_json::from_str(json).unwrap_or_else(|_| json.to_owned());
        (json, id)
    };
    elements.into_iter().map(with_id).collect()
}

fn json_of(text: &str) -> String {
    let mut json = Vec::new();
    write_json_string(text, &mut json);
    String::from_utf8(json).unwrap_or_default()
}
