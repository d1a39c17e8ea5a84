//! Rules M-3 and M-13 to M-15: writes one event for the target.

use std::borrow::Cow;
use std::io;

use idmerge_core::{Claim, DistinctId, IdProperty, InvalidEvent, Value};
use idmerge_engines::Model;
use idmerge_events::{Envelope, TimeRange, visit_members};
use idmerge_wire::{EventRecord, Fault, Limits, Requirements, check_insert_id};

use crate::people::arrivals::ArrivalReader;
use crate::people::electing::People;
use crate::people::ids::Number;
use crate::people::last_users::{LastUsers, LastUsersReader};
use crate::reading::{Facts, SourceEvent, bare, is_export_only};
use crate::writing::deciding::{Decision, Numbers, Role, decide, expected};
use crate::writing::json::{push_device, push_id, push_key, push_member, push_raw};

/// Properties that are written anew, or that name the old project.
const OWN: [&[u8]; 7] = [
    b"distinct_id",
    b"$user_id",
    b"$device_id",
    b"$insert_id",
    b"$user_id_before_migration",
    b"$device_id_before_migration",
    b"token",
];

/// What became of a line.
#[derive(Debug)]
pub enum WrittenLine {
    /// It was appended to the output.
    Written(Written),
    /// It is an identity event: what it says is in the links (M-13).
    IdentityEvent,
    /// The strict mode of the target would not accept it (M-15).
    Refused {
        /// The rule.
        rule: &'static str,
        /// The message, which is the vendor's if that is known.
        message: String,
    },
}

/// The figures of an event that was written.
#[derive(Debug)]
pub struct Written {
    /// The name of the event.
    pub name: String,
    /// The number of the user in the source, and of the person in the target.
    pub(crate) before: Option<Number>,
    pub(crate) after: Option<Number>,
    /// The link that the target reads in the event: the device and the user.
    pub(crate) link: Option<[Number; 2]>,
    pub(crate) is_contradicted: bool,
    pub(crate) is_user: bool,
    /// Whether the source attributed it to another ID than its ID resolves to after all claims, and the target
    /// joins the two (M-19).
    pub(crate) is_moved: bool,
    /// Whether the product gives it to another user, because of who used the device last (M-19).
    pub(crate) is_reattributed: bool,
    /// Its person by the source's own count, if that is asked and the event says it (M-19).
    pub(crate) theirs: Option<String>,
    pub(crate) time_ms: i64,
    /// The target reads something else than what was meant: a mistake of this program (M-20).
    pub(crate) mistake: Option<String>,
}

/// Writes events. Each thread can have one.
#[derive(Clone, Debug)]
pub struct EventWriter<'p> {
    people: &'p People,
    limits: Limits,
    arrivals: Option<ArrivalReader<'p>>,
    last_users: Option<LastUsersReader<'p>>,
}

/// What the target reads in a line that it accepts.
struct Checked {
    time_ms: i64,
    link: Option<[Number; 2]>,
    mistake: Option<String>,
}

/// Why the target refuses a line.
struct Refusal {
    rule: &'static str,
    message: String,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self {
            rule: "M-15",
            message: fault.to_string(),
        }
    }
}

impl From<InvalidEvent> for Refusal {
    fn from(error: InvalidEvent) -> Self {
        Self {
            rule: error.rule(),
            message: error.to_string(),
        }
    }
}

impl People {
    /// A writer of events.
    pub fn event_writer(&self) -> EventWriter<'_> {
        EventWriter {
            people: self,
            limits: Limits::DOCUMENTED,
            arrivals: self.arrivals.as_ref().map(ArrivalReader::new),
            last_users: self.last_users.as_ref().map(LastUsers::reader),
        }
    }
}

impl EventWriter<'_> {
    /// Appends the event as a line to `out`, as the target gets it. `number` counts the events that the
    /// source accepts, from 0.
    ///
    /// # Errors
    ///
    /// A temporary file cannot be read.
    pub fn write(
        &mut self,
        number: u64,
        event: &SourceEvent<'_>,
        out: &mut Vec<u8>,
    ) -> io::Result<WrittenLine> {
        let SourceEvent { envelope, facts } = event;
        if facts.is_identity_event {
            return Ok(WrittenLine::IdentityEvent);
        }
        let ids = &self.people.ids;
        let numbers = Numbers::of(ids, facts);
        let decision = decide(ids, numbers);
        let now = numbers.own.map(|own| self.people.canonical(own));
        let before = match &mut self.arrivals {
            Some(arrivals) => arrivals.get(number)?,
            None => now,
        };
        let is_reattributed = self.is_reattributed(number, numbers, decision.role)?;
        let start = out.len();
        self.push(event, decision, out);
        let line = str::from_utf8(&out[start..]).unwrap_or_default();
        Ok(match self.check(line, decision.role, numbers.own) {
            Ok(checked) => {
                out.push(b'\n');
                let after = match self.target() {
                    Model::Original => numbers.own.map(|own| ids.first_of_cluster(own)),
                    _ => expected(ids, decision.role),
                };
                WrittenLine::Written(Written {
                    name: envelope.name().to_owned(),
                    before,
                    after,
                    link: checked.link,
                    is_contradicted: decision.is_contradicted,
                    is_moved: before != now && self.joins(before, now),
                    is_reattributed,
                    theirs: self.theirs(envelope),
                    is_user: after.is_some_and(|number| match self.target() {
                        Model::Original => ids.cluster_users(number) > 0,
                        _ => ids.is_user(number),
                    }),
                    time_ms: checked.time_ms,
                    mistake: checked.mistake,
                })
            }
            Err(Refusal { rule, message }) => {
                out.truncate(start);
                WrittenLine::Refused { rule, message }
            }
        })
    }

    /// Whether the target joins two IDs.
    fn joins(&self, first: Option<Number>, second: Option<Number>) -> bool {
        let ids = &self.people.ids;
        let both = first.zip(second);
        both.is_some_and(|(first, second)| match self.target() {
            Model::Original => ids.same_cluster(first, second),
            _ => ids.person(first) == ids.person(second),
        })
    }

    /// Whether the product gives the event to another user than the target will (M-19).
    fn is_reattributed(&mut self, number: u64, numbers: Numbers, role: Role) -> io::Result<bool> {
        let ids = &self.people.ids;
        let (Some(last_users), Some(device), None) =
            (&mut self.last_users, numbers.device, numbers.user)
        else {
            return Ok(false);
        };
        let theirs = last_users.get(number, device)?;
        let is_original = self.people.options.target.model() == Model::Original;
        Ok(theirs
            .filter(|&user| ids.is_user(user))
            .is_some_and(|user| match is_original {
                true => numbers.own.is_some_and(|own| !ids.same_cluster(own, user)),
                false => expected(ids, role) != Some(ids.person(user)),
            }))
    }

    /// The person of the event by the source's own count.
    fn theirs(&self, envelope: &Envelope<'_>) -> Option<String> {
        let field = self.people.options.compare.as_deref()?;
        let mut theirs = None;
        visit_members(envelope.json_event().properties().as_str(), |key, value| {
            if key == field.as_bytes() {
                theirs = value.string_or_number();
            }
        })?;
        theirs.map(Cow::into_owned)
    }

    fn target(&self) -> Model {
        self.people.options.target.model()
    }

    fn push(&self, event: &SourceEvent<'_>, decision: Decision, out: &mut Vec<u8>) {
        let SourceEvent { envelope, facts } = event;
        let (mut name, mut properties, mut others) = ("\"\"", "{}", Vec::new());
        // An event was read from this text, so it is an object.
        let _is_object = visit_members(envelope.text(), |key, value| match key {
            b"event" => name = value.as_str(),
            b"properties" => properties = value.as_str(),
            key => others.push((String::from_utf8_lossy(key).into_owned(), value)),
        });
        out.extend_from_slice(b"{\"event\":");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b",\"properties\":{");
        let _is_object = visit_members(properties, |key, value| {
            if !is_export_only(key)
                && !OWN.contains(&key)
                && let Ok(key) = str::from_utf8(key)
            {
                push_key(key, out);
                push_raw(value, out);
            }
        });
        match self.target() {
            Model::Original => self.push_own(facts, envelope, out),
            _ => self.push_role(decision, envelope, out),
        }
        self.push_insert_id(envelope, facts, out);
        out.push(b'}');
        for (key, value) in others {
            push_key(&key, out);
            push_raw(value, out);
        }
        out.push(b'}');
    }

    /// M-23: in Original an event keeps its own distinct_id.
    fn push_own(&self, facts: &Facts<'_>, envelope: &Envelope<'_>, out: &mut Vec<u8>) {
        for property in [IdProperty::UserId, IdProperty::DeviceId] {
            if let Some(value) = envelope.json_event().property(property) {
                push_key(property.key(), out);
                push_raw(value, out);
            }
        }
        match facts.own {
            Some(own) => push_id("distinct_id", own, out),
            None => push_member("distinct_id", "", out),
        }
    }

    /// M-13: the IDs, and the original ones that are not among them.
    fn push_role(&self, decision: Decision, envelope: &Envelope<'_>, out: &mut Vec<u8>) {
        let ids = &self.people.ids;
        let (user, device) = match decision.role {
            Role::User(user) => (Some(user), None),
            Role::Device(device) => (None, Some(device)),
            Role::Both { user, device } => (Some(user), Some(device)),
            Role::NoId => (None, None),
        };
        let [user, device] = [user, device].map(|number| number.map(|number| ids.id(number)));
        if let Some(user) = user {
            push_id("$user_id", user, out);
        }
        if let Some(device) = device {
            push_id("$device_id", device, out);
        }
        match (user, device) {
            (Some(user), _) => push_id("distinct_id", user, out),
            (None, Some(device)) => push_device("distinct_id", device, out),
            (None, None) => push_member("distinct_id", "", out),
        }
        if let Some(rewritten) = decision.rewritten {
            push_id("$user_id_before_migration", ids.id(rewritten), out);
        }
        let is_written = |value: Value<'_>| match value {
            Value::Text(text) => {
                let rewritten = decision.rewritten.map(|number| ids.id(number));
                [user, device, rewritten]
                    .into_iter()
                    .flatten()
                    .any(|id| id == *bare(text))
            }
            _ => false,
        };
        let event = envelope.json_event().event();
        for (property, value) in [
            (IdProperty::UserId, event.user_id),
            (IdProperty::DeviceId, event.device_id),
        ] {
            if !value.is_absent()
                && !is_written(value)
                && let Some(json) = envelope.json_event().property(property)
            {
                push_key(&format!("{property}_before_migration"), out);
                push_raw(json, out);
            }
        }
    }

    /// M-14
    fn push_insert_id(&self, envelope: &Envelope<'_>, facts: &Facts<'_>, out: &mut Vec<u8>) {
        let is_valid = |text: &str| check_insert_id(text, self.limits.max_insert_id_bytes).is_ok();
        if let Some(old) = envelope.insert_id_text().filter(|old| is_valid(old)) {
            return push_member("$insert_id", &old, out);
        }
        let old = envelope
            .dedup_id()
            .unwrap_or(Cow::Borrowed(envelope.text()));
        let time_ms = envelope.time(TimeRange::Year9999).ms();
        let own = facts.own.map(|own| own.text().into_owned());
        let mut hash = blake3::Hasher::new();
        for part in [
            envelope.name(),
            &time_ms.map(|ms| ms.to_string()).unwrap_or_default(),
            &own.unwrap_or_default(),
            &old,
        ] {
            hash.update(part.as_bytes());
            hash.update(&[0]);
        }
        push_member("$insert_id", &hash.finalize().to_hex()[..32], out);
    }

    /// M-15: reads the line as the target will, in its strict mode, and compares what it reads with what
    /// was meant (M-20).
    fn check(&self, line: &str, role: Role, own: Option<Number>) -> Result<Checked, Refusal> {
        let options = &self.people.options;
        let record = EventRecord::of_text(line, &self.limits)?;
        let requirements = Requirements {
            is_strict: true,
            waives_distinct_id: self.target() == Model::Simplified,
            now_ms: options.now_ms,
        };
        record.check(&requirements, &self.limits)?;
        let event = record.json_event().event();
        let reading = options.target.read(&event)?;
        let ids = &self.people.ids;
        let number = |id: DistinctId<'_>| ids.number(id.id()).map(|it| (it, id.is_device()));
        let meant = match (self.target(), role) {
            (Model::Original, _) => own.map(|own| (own, false)),
            (_, Role::User(user) | Role::Both { user, .. }) => Some((user, false)),
            (_, Role::Device(device)) => Some((device, true)),
            (_, Role::NoId) => None,
        };
        let read = reading.distinct_id.map(number);
        let link = match reading.claim {
            Some(Claim::Link { device, user }) => ids
                .number(device)
                .zip(ids.number(user))
                .map(<[Number; 2]>::from),
            _ => None,
        };
        let is_right_link = match link {
            Some([device, user]) => ids.person(device) == user,
            None => reading.claim.is_none(),
        };
        let is_right = read == meant.map(Some) && is_right_link;
        let mistake = (!is_right)
            .then(|| format!("the target reads the distinct_id {:?}", reading.distinct_id));
        Ok(Checked {
            time_ms: record.time.ms().unwrap_or_default(),
            link,
            mistake,
        })
    }
}
