//! [`Draft`]: an event that is being written.

use idmerge_core::IdRules;
use idmerge_events::DedupKey;
use twox_hash::XxHash3_128;

use crate::adapted::{Adapted, LineKind};
use crate::read::fields::Member;
use crate::read::value::Value;
use crate::write::object::{Members, start_event};

/// The longest `$insert_id` that the vendor takes, in bytes.
const INSERT_ID_BYTES_MAX: usize = 36;

/// The parts of an event that every adapter writes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Head<'h> {
    pub(crate) name: &'h str,
    /// The IDs, in the order in which they are written.
    pub(crate) ids: &'h [(&'h str, &'h str)],
    /// The ID that the event is attributed to, for its fingerprint.
    pub(crate) own: Option<&'h str>,
    pub(crate) time_ms: Option<i64>,
    /// The unique ID that the sender gave the record.
    pub(crate) message_id: Option<&'h str>,
    pub(crate) source: &'h str,
}

/// An event that is being written. It ends with [`end`](Self::end).
pub(crate) struct Draft<'a> {
    adapted: &'a mut Adapted,
    fingerprint: Option<u128>,
}

impl<'a> Draft<'a> {
    /// Writes the head of an event.
    pub(crate) fn start(adapted: &'a mut Adapted, head: &Head<'_>) -> Self {
        let mut members = start_event(head.name, &mut adapted.text);
        members.text("$source", head.source);
        for (key, id) in head.ids {
            members.text(key, id);
        }
        if let Some(ms) = head.time_ms {
            members.number("time", ms);
        }
        let mut fingerprint = None;
        if let Some(message_id) = head.message_id {
            let is_valid = is_insert_id(message_id);
            let hash = (!is_valid).then(|| insert_id_of(message_id));
            let insert_id = hash.as_deref().unwrap_or(message_id);
            members.text("$insert_id", insert_id);
            if !is_valid {
                members.text("source_message_id", message_id);
            }
            let key = DedupKey {
                name: head.name,
                time_ms: head.time_ms,
                distinct_id: head.own,
                insert_id,
            };
            fingerprint = Some(key.fingerprint(&mut adapted.scratch));
        }
        Self {
            adapted,
            fingerprint,
        }
    }

    /// The object of properties, to add members to.
    fn members(&mut self) -> Members<'_> {
        Members::continued(&mut self.adapted.text)
    }

    pub(crate) fn value(&mut self, key: &str, value: Value<'_>) {
        self.members().value(key, value);
    }

    /// A property whose JSON is written already.
    pub(crate) fn json(&mut self, key: &str, json: &str) {
        self.members().json(key, json);
    }

    /// Carries properties, each under its own name with a prefix.
    pub(crate) fn carry(&mut self, prefix: &str, properties: &[Member<'_>]) {
        let mut members = self.members();
        for property in properties {
            members.carried(prefix, *property);
        }
    }

    /// Carries properties whose names are not among these others.
    pub(crate) fn carry_unless_in(&mut self, properties: &[Member<'_>], others: &[Member<'_>]) {
        let others = Names::of(others);
        let mut members = self.members();
        for property in properties {
            if !others.has(property.0.as_str()) {
                members.carried("", *property);
            }
        }
    }

    pub(crate) fn end(self) {
        self.adapted.text.extend_from_slice(b"}}");
        self.adapted.end_line(LineKind::Event(self.fingerprint));
    }
}

/// Whether one of these has this name, which needs no escapes.
pub(crate) fn has_plain(members: &[Member<'_>], name: &str) -> bool {
    members.iter().any(|(other, _)| {
        let other = other.as_str();
        other.len() == name.len() + 2 && &other[1..=name.len()] == name
    })
}

/// Whether one of these has this name, which is JSON.
pub(crate) fn has(members: &[Member<'_>], name: &str) -> bool {
    members.iter().any(|(other, _)| other.as_str() == name)
}

/// The names of some members, as JSON. Looking all names of one object up among those of another takes time
/// for both, and not for their product: a sender chooses how many there are.
pub(crate) struct Names<'m, 'r> {
    members: &'m [Member<'r>],
    /// Sorted, if there are many.
    sorted: Vec<&'r str>,
}

/// How many names are compared one by one.
const FEW_NAMES: usize = 32;

impl<'m, 'r> Names<'m, 'r> {
    pub(crate) fn of(members: &'m [Member<'r>]) -> Self {
        let mut sorted = Vec::new();
        if members.len() > FEW_NAMES {
            sorted.extend(members.iter().map(|(name, _)| name.as_str()));
            sorted.sort_unstable();
        }
        Self { members, sorted }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        match self.sorted.is_empty() {
            true => has(self.members, name),
            false => self.sorted.binary_search(&name).is_ok(),
        }
    }
}

/// Whether the vendor takes this `$insert_id`.
fn is_insert_id(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_blocked = |blocked: &&str| text.eq_ignore_ascii_case(blocked);
    (1..=INSERT_ID_BYTES_MAX).contains(&text.len())
        && text.bytes().all(is_allowed)
        && !IdRules::DEFAULT_BLOCKED_VALUES.iter().any(is_blocked)
}

/// 32 hexadecimal digits: the XXH3 hash of a text, 128 bits of it.
pub(crate) fn insert_id_of(text: &str) -> String {
    format!("{:032x}", XxHash3_128::oneshot(text.as_bytes()))
}
