//! [`Draft`]: an event that is being written.

use std::borrow::Cow;

use idmerge_core::{IdProperty, IdRules};
use idmerge_events::{DedupKey, EventParts, write_json_string};
use twox_hash::XxHash3_128;

use crate::adapted::{Adapted, LineKind};
use crate::carried_as::CarriedAs;
use crate::read::cell::Cell;
use crate::read::member::Member;
use crate::read::plan::length_bit;
use crate::read::rest::{FEW_NAMES, Rest};
use crate::read::value::Value;
use crate::write::object::{EVENT_KEY, Members, PROPERTIES_KEY, push_number, start_event};

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
    carried: CarriedAs,
}

impl CarriedColumn {
    pub(crate) fn new(name: &str) -> Self {
        let carried = CarriedAs::of(name.as_bytes());
        let prefix = match carried {
            CarriedAs::Renamed => "source_",
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
    pub(crate) fn carry(&mut self, prefix: &str, properties: &Rest<'_>) {
        match properties {
            Rest::Listed(properties) => self.carry_each(prefix, properties.iter().copied()),
            Rest::Planned(planned) => match planned.runs() {
                Some(runs) if prefix.is_empty() => {
                    let mut members = self.members();
                    planned.visit_texts(runs, |text| members.member(text));
                    self.note(runs.has_answer, runs.has_detail);
                }
                _ => self.carry_each(prefix, planned.members()),
            },
        }
    }

    /// Carries properties whose names are not among these others, whose names are `names`.
    pub(crate) fn carry_unless_in(
        &mut self,
        properties: &Rest<'_>,
        others: &Rest<'_>,
        names: &Names<'_, '_>,
    ) {
        if properties.are_known_apart_from(others, |name| names.has(name)) {
            return self.carry("", properties);
        }
        let properties = properties.iter();
        self.carry_each(
            "",
            properties.filter(|property| !names.has(property.name_json())),
        );
    }

    fn carry_each<'r>(&mut self, prefix: &str, properties: impl Iterator<Item = Member<'r>>) {
        let (mut has_answer, mut has_detail) = (false, false);
        self.members().carry_each(prefix, properties, |carried| {
            has_answer |= carried == CarriedAs::Answer;
            has_detail |= carried == CarriedAs::Detail;
        });
        self.note(has_answer, has_detail);
    }

    /// Notes whether answers and details are carried: they decide whether the event has to be scanned.
    fn note(&mut self, has_answer: bool, has_detail: bool) {
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
            CarriedAs::Detail => self.parts = self.parts.map(EventParts::without_details),
            CarriedAs::Answer => self.parts = None,
            CarriedAs::Plain | CarriedAs::Renamed | CarriedAs::LeftOut => {}
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
pub(crate) fn has_plain(members: &Rest<'_>, name: &str) -> bool {
    members.iter().any(|other| {
        let other = other.name_json();
        other.len() == name.len() + 2 && &other[1..=name.len()] == name.as_bytes()
    })
}

/// Whether one of these has this name, which is JSON.
pub(crate) fn has(members: &Rest<'_>, name: &str) -> bool {
    members.iter().any(|other| other.name().as_str() == name)
}

/// The names of some members, as JSON. Looking all names of one object up among those of another takes time
/// for both, and not for their product: a sender chooses how many there are.
pub(crate) struct Names<'m, 'r> {
    members: Option<&'m Rest<'r>>,
    /// Sorted, if there are many.
    sorted: Vec<&'r [u8]>,
    /// A bit for the length of each. Most names are told apart by it.
    lengths: u64,
}

impl<'m, 'r> Names<'m, 'r> {
    pub(crate) fn of(members: Option<&'m Rest<'r>>) -> Self {
        let (count, lengths) = match members {
            None => (0, 0),
            Some(Rest::Planned(planned)) => planned.count_and_lengths(),
            Some(Rest::Listed(members)) => {
                let bits = members
                    .iter()
                    .map(|member| length_bit(member.name_json().len()));
                (members.len(), bits.fold(0, |lengths, bit| lengths | bit))
            }
        };
        let mut sorted = Vec::new();
        if count > FEW_NAMES {
            let members = members.into_iter().flat_map(Rest::iter);
            sorted.extend(members.map(|member| member.name_json()));
            sorted.sort_unstable();
        }
        Self {
            members,
            sorted,
            lengths,
        }
    }

    /// Whether one of them is this name, which needs no escapes.
    #[inline]
    pub(crate) fn has_plain(&self, name: &str) -> bool {
        self.lengths & length_bit(name.len() + 2) != 0
            && self.members.is_some_and(|members| has_plain(members, name))
    }

    /// Whether one of them is this name, which is JSON.
    #[inline]
    pub(crate) fn has(&self, name: &[u8]) -> bool {
        if self.lengths & length_bit(name.len()) == 0 {
            return false;
        }
        let mut members = self.members.into_iter().flat_map(Rest::iter);
        match self.sorted.is_empty() {
            true => members.any(|other| other.name_json() == name),
            false => self.sorted.binary_search(&name).is_ok(),
        }
    }
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
    let bytes = XxHash3_128::oneshot(text.as_bytes()).to_be_bytes();
    // Without a table, so that several digits are made together.
    let digit = |value: u8| value + b'0' + u8::from(value > 9) * (b'a' - b'9' - 1);
    let digits = bytes.map(|byte| [digit(byte >> 4), digit(byte & 0xf)]);
    str::from_utf8(digits.as_flattened())
        .unwrap_or_default()
        .to_owned()
}
