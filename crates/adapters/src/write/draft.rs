//! [`Draft`]: an event that is being written.

use std::borrow::Cow;

use idmerge_core::{IdProperty, IdRules};
use idmerge_events::{DedupKey, EventParts, write_json_string};
use twox_hash::XxHash3_128;

use crate::adapted::{Adapted, LineKind};
use crate::read::cell::Cell;
use crate::read::fields::Member;
use crate::read::value::Value;
use crate::write::object::{Carried, EVENT_KEY, Members, PROPERTIES_KEY, push_number, start_event};

/// The longest `$insert_id` that the vendor takes, in bytes.
const INSERT_ID_BYTES_MAX: usize = 36;

/// The heads of most events have no more.
const USUAL_HEAD_BYTES: usize = 256;

/// The parts of an event that every adapter writes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Head<'h> {
    pub(crate) name: &'h str,
    /// The IDs, in the order in which they are written.
    pub(crate) ids: &'h [(IdProperty, &'h str)],
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
    /// Where the line starts in the text.
    start: usize,
    /// The parts of the event, as long as nothing is written that only a scan can tell.
    parts: Option<EventParts>,
}

/// A column whose cells are carried as properties.
#[derive(Debug)]
pub(crate) struct CarriedColumn {
    /// A comma, the key and a colon.
    key: Vec<u8>,
    carried: Carried,
}

impl CarriedColumn {
    pub(crate) fn new(name: &str) -> Self {
        let carried = Carried::of(name.as_bytes());
        let prefix = match carried {
            Carried::Renamed => "source_",
            _ => "",
        };
        let mut key = vec![b','];
        write_json_string(&[prefix, name].concat(), &mut key);
        key.push(b':');
        Self { key, carried }
    }
}

impl<'a> Draft<'a> {
    /// Writes the head of an event.
    pub(crate) fn start(adapted: &'a mut Adapted, head: &Head<'_>) -> Self {
        let start = adapted.text.len();
        adapted.text.reserve(USUAL_HEAD_BYTES);
        let text = &mut adapted.text;
        start_event(head.name, text);
        let mut parts = event_parts(start, head.name, text.len());
        text.extend_from_slice(b"\"$source\":\"");
        text.extend_from_slice(head.source.as_bytes());
        text.push(b'"');
        for (property, id) in head.ids {
            push_id_key(*property, text);
            let value = text.len() - start;
            write_json_string(id, text);
            let value = value..text.len() - start;
            // An ID that is longer in the text has escapes.
            let is_plain = value.len() == id.len() + 2;
            parts = parts
                .filter(|_| is_plain)
                .and_then(|parts| parts.with_id(*property, value));
        }
        if let Some(ms) = head.time_ms {
            text.extend_from_slice(b",\"time\":");
            let value = text.len() - start;
            push_number(ms, text);
            parts = parts.map(|parts| parts.with_time(value..text.len() - start));
        }
        let mut fingerprint = None;
        if let Some(message_id) = head.message_id {
            let insert_id_text = valid_insert_id(message_id);
            let insert_id = &*insert_id_text;
            text.extend_from_slice(b",\"$insert_id\":");
            let value = text.len() - start;
            write_json_string(insert_id, text);
            parts = parts.map(|parts| parts.with_insert_id(value..text.len() - start));
            if let Cow::Owned(_) = insert_id_text {
                Members::continued(text).text("source_message_id", message_id);
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
            start,
            parts,
        }
    }

    /// The object of properties, to add members to.
    fn members(&mut self) -> Members<'_> {
        Members::continued(&mut self.adapted.text)
    }

    pub(crate) fn value(&mut self, key: &str, value: Value<'_>) {
        self.members().value(key, value);
    }

    /// A property that the rules read, whose JSON is written already.
    pub(crate) fn json(&mut self, property: IdProperty, json: &str) {
        self.members().json(property.key(), json);
        self.parts = None;
    }

    /// Carries properties, each under its own name with a prefix.
    pub(crate) fn carry(&mut self, prefix: &str, properties: &[Member<'_>]) {
        self.carry_each(prefix, properties.iter());
    }

    /// Carries properties whose names are not among these others.
    pub(crate) fn carry_unless_in(&mut self, properties: &[Member<'_>], others: &Names<'_, '_>) {
        let properties = properties.iter();
        self.carry_each(
            "",
            properties.filter(|property| !others.has(property.name_json())),
        );
    }

    fn carry_each<'m, 'r: 'm>(
        &mut self,
        prefix: &str,
        properties: impl Iterator<Item = &'m Member<'r>>,
    ) {
        let (mut has_answer, mut has_detail) = (false, false);
        self.members().carry_each(prefix, properties, |carried| {
            has_answer |= carried == Carried::Answer;
            has_detail |= carried == Carried::Detail;
        });
        if has_detail {
            self.parts = self.parts.map(EventParts::without_details);
        }
        if has_answer {
            self.parts = None;
        }
    }

    /// Carries a cell of a column.
    #[inline]
    pub(crate) fn carry_cell(&mut self, column: &CarriedColumn, cell: Cell<'_>) {
        self.adapted.text.extend_from_slice(&column.key);
        cell.write_json(&mut self.adapted.text);
        match column.carried {
            Carried::Detail => self.parts = self.parts.map(EventParts::without_details),
            Carried::Answer => self.parts = None,
            Carried::Plain | Carried::Renamed | Carried::LeftOut => {}
        }
    }

    pub(crate) fn end(self) {
        self.adapted.text.extend_from_slice(b"}}");
        let properties_end = self.adapted.text.len() - self.start - 1;
        let parts = self
            .parts
            .map(|parts| parts.with_properties_end(properties_end));
        self.adapted
            .end_line(LineKind::Event(self.fingerprint), parts);
    }
}

/// Writes a comma, the key of an ID and a colon.
#[inline]
fn push_id_key(property: IdProperty, text: &mut Vec<u8>) {
    match property {
        // Of a length that the compiler knows.
        IdProperty::DeviceId => text.extend_from_slice(b",\"$device_id\":"),
        IdProperty::UserId => text.extend_from_slice(b",\"$user_id\":"),
        other => {
            text.extend_from_slice(b",\"");
            text.extend_from_slice(other.key().as_bytes());
            text.extend_from_slice(b"\":");
        }
    }
}

/// The parts of an event whose line starts here and whose properties begin at `properties`. `None` if its name
/// has escapes.
fn event_parts(start: usize, name: &str, properties: usize) -> Option<EventParts> {
    let name_start = EVENT_KEY.len() + 1;
    let name = name_start..name_start + name.len();
    let object = properties - start - 1;
    // After the name: a quotation mark, and what stands before the properties.
    let is_plain = object + 1 == name.end + 1 + PROPERTIES_KEY.len();
    is_plain.then(|| EventParts::new(name, object..object))
}

/// Whether one of these has this name, which needs no escapes.
pub(crate) fn has_plain(members: &[Member<'_>], name: &str) -> bool {
    members.iter().any(|other| {
        let other = other.name_json();
        other.len() == name.len() + 2 && &other[1..=name.len()] == name.as_bytes()
    })
}

/// Whether one of these has this name, which is JSON.
pub(crate) fn has(members: &[Member<'_>], name: &str) -> bool {
    members.iter().any(|other| other.name().as_str() == name)
}

/// The names of some members, as JSON. Looking all names of one object up among those of another takes time
/// for both, and not for their product: a sender chooses how many there are.
pub(crate) struct Names<'m, 'r> {
    members: &'m [Member<'r>],
    /// Sorted, if there are many.
    sorted: Vec<&'r [u8]>,
    /// A bit for the length of each, with those of longer names on top. Most names are told apart by it.
    lengths: u64,
}

/// How many names are compared one by one.
const FEW_NAMES: usize = 32;

impl<'m, 'r> Names<'m, 'r> {
    pub(crate) fn of(members: &'m [Member<'r>]) -> Self {
        let mut sorted = Vec::new();
        if members.len() > FEW_NAMES {
            sorted.extend(members.iter().map(Member::name_json));
            sorted.sort_unstable();
        }
        let lengths = members.iter().fold(0, |lengths, member| {
            lengths | length_bit(member.name_json().len())
        });
        Self {
            members,
            sorted,
            lengths,
        }
    }

    /// Whether one of them is this name, which needs no escapes.
    #[inline]
    pub(crate) fn has_plain(&self, name: &str) -> bool {
        self.lengths & length_bit(name.len() + 2) != 0 && has_plain(self.members, name)
    }

    /// Whether one of them is this name, which is JSON.
    #[inline]
    pub(crate) fn has(&self, name: &[u8]) -> bool {
        if self.lengths & length_bit(name.len()) == 0 {
            return false;
        }
        match self.sorted.is_empty() {
            true => self.members.iter().any(|other| other.name_json() == name),
            false => self.sorted.binary_search(&name).is_ok(),
        }
    }
}

#[inline]
fn length_bit(length: usize) -> u64 {
    1 << (length % 64)
}

/// Whether the vendor takes this `$insert_id`.
fn is_insert_id(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() | (byte == b'-');
    let is_blocked = |blocked: &&str| text.eq_ignore_ascii_case(blocked);
    (1..=INSERT_ID_BYTES_MAX).contains(&text.len())
        // Without an early end, so that several bytes are looked at together.
        && text.bytes().fold(true, |are_allowed, byte| are_allowed & is_allowed(byte))
        && (BLOCKED_LENGTHS >> text.len() & 1 == 0
            || !IdRules::DEFAULT_BLOCKED_VALUES.iter().any(is_blocked))
}

/// A bit for the length of each blocked value. Most IDs are told apart by it.
const BLOCKED_LENGTHS: u64 = {
    let (mut lengths, mut index) = (0, 0);
    while index < IdRules::DEFAULT_BLOCKED_VALUES.len() {
        lengths |= 1 << IdRules::DEFAULT_BLOCKED_VALUES[index].len();
        index += 1;
    }
    lengths
};

/// The `$insert_id` of an event: the unique ID of its record, or a hash of it.
pub(crate) fn valid_insert_id(message_id: &str) -> Cow<'_, str> {
    match is_insert_id(message_id) {
        true => Cow::Borrowed(message_id),
        false => Cow::Owned(insert_id_of(message_id)),
    }
}

/// 32 hexadecimal digits: the XXH3 hash of a text, 128 bits of it.
pub(crate) fn insert_id_of(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let bytes = XxHash3_128::oneshot(text.as_bytes()).to_be_bytes();
    let digits = bytes.map(|byte| [byte >> 4, byte & 0xf].map(|digit| DIGITS[usize::from(digit)]));
    str::from_utf8(digits.as_flattened())
        .unwrap_or_default()
        .to_owned()
}
