//! Writes the members of a JSON object.

use std::borrow::Cow;

use idmerge_events::{PairRun, RawJson, write_json_string};

use crate::carried_as::CarriedAs;
use crate::read::member::Member;
use crate::read::value::Value;

pub(crate) const EVENT_KEY: &str = "{\"event\":";
pub(crate) const PROPERTIES_KEY: &str = ",\"properties\":{";

/// Writes the head of an event. Its properties follow, and then two closing braces.
pub(crate) fn start_event<'o>(name: &str, out: &'o mut Vec<u8>) -> Members<'o> {
    out.extend_from_slice(EVENT_KEY.as_bytes());
    write_json_string(name, out);
    out.extend_from_slice(PROPERTIES_KEY.as_bytes());
    Members::new(out)
}

/// Writes members into an object that is open.
#[derive(Debug)]
pub(crate) struct Members<'o> {
    out: &'o mut Vec<u8>,
    is_first: bool,
}

impl<'o> Members<'o> {
    /// The object begins with the next member.
    pub(crate) fn new(out: &'o mut Vec<u8>) -> Self {
        Self {
            out,
            is_first: true,
        }
    }

    /// More members of an object that has one.
    pub(crate) fn continued(out: &'o mut Vec<u8>) -> Self {
        Self {
            out,
            is_first: false,
        }
    }

    /// The key is written as it is: it must need no escapes, or have them.
    #[inline]
    fn key(&mut self, key: &str) {
        self.out.reserve(key.len() + 4);
        // Two bytes at once, and no prefix: most keys are written here.
        match self.is_first {
            true => self.out.push(b'"'),
            false => self.out.extend_from_slice(b",\""),
        }
        self.is_first = false;
        self.out.extend_from_slice(key.as_bytes());
        self.end_key();
    }

    fn start_member(&mut self) {
        if !self.is_first {
            self.out.push(b',');
        }
        self.is_first = false;
    }

    #[inline]
    fn start_key(&mut self, prefix: &str, key: &str) {
        self.start_member();
        self.out.push(b'"');
        self.out.extend_from_slice(prefix.as_bytes());
        self.out.extend_from_slice(key.as_bytes());
    }

    #[inline]
    fn end_key(&mut self) {
        self.out.extend_from_slice(b"\":");
    }

    #[inline]
    pub(crate) fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        write_json_string(text, self.out);
    }

    pub(crate) fn number(&mut self, key: &str, number: i64) {
        self.key(key);
        push_number(number, self.out);
    }

    /// JSON that is written already.
    pub(crate) fn json(&mut self, key: &str, json: &str) {
        self.key(key);
        self.out.extend_from_slice(json.as_bytes());
    }

    /// A value, unless the field is missing.
    pub(crate) fn value(&mut self, key: &str, value: Value<'_>) {
        if !value.is_missing() {
            self.key(key);
            write_value(value, self.out);
        }
    }

    /// A member that is written already.
    #[inline]
    pub(crate) fn member(&mut self, compact: &str) {
        self.out.reserve(compact.len() + 1);
        self.start_member();
        self.out.extend_from_slice(compact.as_bytes());
    }

    /// A member whose name has no escapes.
    #[inline]
    fn member_of(&mut self, plain: &[u8], value: Value<'_>) {
        let value = value.as_str();
        self.out.reserve(plain.len() + value.len() + 4);
        self.start_member();
        self.out.push(b'"');
        self.out.extend_from_slice(plain);
        self.end_key();
        self.out.extend_from_slice(value.as_bytes());
    }

    /// A member as it is in the record.
    pub(crate) fn verbatim(&mut self, member: &Member<'_>) {
        if let Some(compact) = member.compact() {
            return self.member(compact);
        }
        self.key(between_quotes(member.name()));
        write_value(member.value(), self.out);
    }

    /// JSON that is written already, under any key.
    pub(crate) fn any(&mut self, key: &str, json: &str) {
        self.start_member();
        write_json_string(key, self.out);
        self.out.push(b':');
        self.out.extend_from_slice(json.as_bytes());
    }

    pub(crate) fn texts(&mut self, key: &str, texts: &[&str]) {
        self.key(key);
        write_texts(texts, self.out);
    }

    pub(crate) fn object(&mut self, key: &str, write: impl FnOnce(&mut Members<'_>)) {
        self.key(key);
        self.out.push(b'{');
        write(&mut Members::new(self.out));
        self.out.push(b'}');
    }

    /// Properties of the record, each as [`carried`](Self::carried). `visit` gets what each is carried as.
    pub(crate) fn carry_each<'r>(
        &mut self,
        prefix: &str,
        properties: impl Iterator<Item = Member<'r>>,
        mut visit: impl FnMut(CarriedAs),
    ) {
        // Those that follow each other in the record are copied at once.
        let mut run: Option<PairRun<'r>> = None;
        for property in properties {
            if prefix.is_empty()
                && let Some((name, pair)) = property.usual()
            {
                let carried = CarriedAs::of(name);
                if carried != CarriedAs::Renamed {
                    visit(carried);
                    if !run.as_mut().is_some_and(|run| run.extend(pair)) {
                        self.run(run.replace(PairRun::of(pair)));
                    }
                    continue;
                }
            }
            self.run(run.take());
            visit(self.carried(prefix, &property));
        }
        self.run(run);
    }

    #[inline]
    fn run(&mut self, run: Option<PairRun<'_>>) {
        if let Some(run) = run {
            self.member(run.as_str());
        }
    }

    /// A property of the record that no rule reads, under its own name with a prefix. If the rules read
    /// that name, it becomes `source_<name>`.
    fn carried(&mut self, prefix: &str, member: &Member<'_>) -> CarriedAs {
        let Some(text) = member.name_text() else {
            return CarriedAs::LeftOut;
        };
        if prefix.is_empty()
            && let Cow::Borrowed(plain) = text
            && let carried = CarriedAs::of(plain)
            && carried != CarriedAs::Renamed
        {
            self.member_of(plain, member.value());
            return carried;
        }
        let carried = match prefix {
            "" => CarriedAs::of(&text),
            _ => CarriedAs::of(&[prefix.as_bytes(), &text].concat()),
        };
        if prefix.is_empty() && carried != CarriedAs::Renamed {
            self.verbatim(member);
            return carried;
        }
        if carried == CarriedAs::Renamed {
            self.start_key("source_", prefix);
        } else {
            self.start_key("", prefix);
        }
        self.out
            .extend_from_slice(between_quotes(member.name()).as_bytes());
        self.end_key();
        write_value(member.value(), self.out);
        carried
    }
}

/// The text of a name, with its escapes.
fn between_quotes(name: RawJson<'_>) -> &str {
    let json = name.as_str();
    json.get(1..json.len() - 1).unwrap_or_default()
}

#[inline]
pub(crate) fn push_number(number: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

pub(crate) fn write_value(value: Value<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(value.as_str().as_bytes());
}

/// Writes an array of JSON strings.
pub(crate) fn write_texts(texts: &[&str], out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, text) in texts.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_json_string(text, out);
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_2_numbers_are_written_as_they_are_formatted() {
        let numbers = (0..2_000).chain([1_714_566_600_250, i64::MAX, i64::MIN]);
        for number in numbers.flat_map(|number| [number, number.wrapping_neg()]) {
            let mut out = Vec::new();
            push_number(number, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }
}
