//! [`Lint`]: adds up what events say.

use std::iter;

use foldhash::{HashMap, HashSet};
use idmerge_core::{
    Claim, DistinctId, EngineError, Event, Id, IdProperty, InvalidEvent, InvalidEventReason,
    Outcome, Reading, Rejection, Value,
};
use idmerge_engines::{Engine, Model, Settings};

use crate::devices::Devices;
use crate::ids::{Bits, Ids};
use crate::report::{Evidence, Report};
use crate::said::{IdKind, Shown, each_named_id};
use crate::words::Look;

/// More different values of refused events are counted together.
const VALUES_MAX: usize = 10_000;

/// How an event is read.
#[derive(Clone, Debug)]
pub struct Reader {
    settings: Settings,
    simplified: Settings,
    original: Settings,
}

/// What one event says, which depends on the event and the settings alone.
#[derive(Clone, Debug)]
pub struct Facts<'e> {
    /// Whether the event is known, and not its claim alone.
    is_event: bool,
    pub(crate) own: Option<DistinctId<'e>>,
    pub(crate) claim: Option<Claim<'e>>,
    shown: Vec<Shown<'e>>,
    named: Vec<(Id<'e>, IdKind)>,
}

impl Reader {
    /// Reads events by the rules of these settings.
    pub fn new(settings: &Settings) -> Self {
        let of = |model| Settings::of(model).with_id_rules(settings.id_rules().clone());
        Self {
            settings: settings.clone(),
            simplified: of(Model::Simplified),
            original: of(Model::Original),
        }
    }

    /// What an event says. `reading` is what the settings read of it.
    pub fn read<'e>(&self, event: &Event<'e>, reading: &Reading<'e>) -> Facts<'e> {
        let mut facts = Facts {
            is_event: true,
            own: reading.distinct_id,
            claim: reading.claim,
            shown: self.shown(event),
            named: Vec::new(),
        };
        each_named_id(event, self.settings.id_rules(), |id, kind| {
            if !kind.is_empty() {
                facts.named.push((id, kind));
            }
        });
        facts
    }

    /// The devices that an event shows with a user. There are two if a login names as the anonymous ID another one than
    /// the device.
    pub fn shown<'e>(&self, event: &Event<'e>) -> Vec<Shown<'e>> {
        // A browser sends `$user_id` and `$device_id` with `$identify` too, which Simplified ignores (S-8).
        let as_ordinary = self.simplified.read(&Event { name: "", ..*event });
        // Ordinary events claim nothing in Original.
        let is_identity = event.is_identity_event();
        let in_original = is_identity.then(|| self.original.read(event));
        let mut all = Vec::new();
        for reading in iter::once(as_ordinary).chain(in_original) {
            let claim = reading.ok().and_then(|reading| reading.claim);
            if let Some(shown) = claim.as_ref().and_then(Shown::by)
                && !all.contains(&shown)
            {
                all.push(shown);
            }
        }
        all
    }

    /// What a claim says, if its event is not known.
    pub fn read_claim<'e>(&self, claim: Claim<'e>) -> Facts<'e> {
        let [first, second] = claim.ids().map(|id| id.id());
        let kinds = match claim {
            Claim::Link { .. } => [IdKind::DEVICE, IdKind::USER],
            Claim::Identify { .. } => [IdKind::USER, IdKind::DEVICE],
            Claim::Alias { .. } => [IdKind::default(), IdKind::ALIAS],
            _ => [IdKind::default(); 2],
        };
        let named = [first, second].into_iter().zip(kinds);
        Facts {
            is_event: false,
            own: None,
            claim: Some(claim),
            shown: Shown::by(&claim).into_iter().collect(),
            named: named
                .map(|(id, kind)| (id, kind.and(IdKind::form_of(id))))
                .collect(),
        }
    }
}

/// What claims and refused events were turned down for, by ID or value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TurnedDown {
    pub(crate) events: u64,
    pub(crate) first: Evidence,
    /// The other ID, or [`Ids::NONE`].
    pub(crate) other: u32,
}

/// The causes for which claims are rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Cause {
    SameIds,
    NotUuid,
    Taken,
    AliasTaken,
    ManyIds,
}

/// Why an event was refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RefusedFor {
    pub(crate) rule: &'static str,
    pub(crate) property: IdProperty,
    /// The value; empty if it is missing.
    pub(crate) value: String,
}

/// Adds up what events say, in arrival order, and finds the mistakes.
///
/// Memory grows with the number of IDs, and with that of the pairs of a device and a further user.
#[derive(Debug)]
pub struct Lint {
    pub(crate) settings: Settings,
    pub(crate) engine: Engine,
    pub(crate) ids: Ids,
    pub(crate) devices: Devices,
    pub(crate) rejected: HashMap<(Cause, u32), TurnedDown>,
    pub(crate) refused: HashMap<RefusedFor, TurnedDown>,
    /// Events without an ID, by name.
    pub(crate) without_id: HashMap<String, TurnedDown>,
    /// Devices with a code as user: the code, and the device.
    pub(crate) of_code: HashSet<(u32, u32)>,
    pub(crate) report: Report,
}

impl Lint {
    /// Nothing was added yet.
    pub fn new(settings: &Settings) -> Self {
        Self {
            settings: settings.clone(),
            engine: settings.engine(),
            ids: Ids::default(),
            devices: Devices::default(),
            rejected: HashMap::default(),
            refused: HashMap::default(),
            without_id: HashMap::default(),
            of_code: HashSet::default(),
            report: Report::default(),
        }
    }

    fn without_id(&mut self, name: &str, event: Evidence) {
        let is_full = self.without_id.len() >= VALUES_MAX;
        let name = match is_full && !self.without_id.contains_key(name) {
            true => "other names",
            false => name,
        };
        count(&mut self.without_id, name.to_owned(), event, Ids::NONE);
    }

    /// Weighs a claim, and returns the cause if it is rejected.
    fn weigh(&mut self, claim: Claim<'_>, event: Evidence) -> Result<Option<Cause>, EngineError> {
        let [first, second] = claim.ids().map(|id| self.ids.number(id.id()));
        let (cause, code) = match self.engine.apply(claim)? {
            Outcome::Merged => {
                self.report.merges += 1;
                for number in [first, second] {
                    let row = self.ids.row_mut(number);
                    if !row.bits.has(Bits::JOINED) {
                        row.bits.insert(Bits::JOINED);
                        row.joined_ms = event.time_ms.unwrap_or(i64::MIN);
                    }
                }
                return Ok(None);
            }
            Outcome::AlreadyMerged => {
                self.report.already_merged += 1;
                return Ok(None);
            }
            Outcome::Rejected(rejection) => (cause_of(&rejection), rejection.code()),
            _ => return Ok(None),
        };
        *self.report.rejections.entry(code).or_default() += 1;
        let Some(cause) = cause else {
            return Ok(None);
        };
        let (about, other) = match (cause, claim) {
            // The fuller cluster is the one that has no room.
            (Cause::ManyIds, _) => {
                let [left, right] = claim.ids().map(|id| self.engine.cluster_len(id));
                if left >= right {
                    (first, second)
                } else {
                    (second, first)
                }
            }
            (_, Claim::Link { .. }) => (first, second),
            _ => (second, first),
        };
        count(&mut self.rejected, (cause, about), event, other);
        Ok(Some(cause))
    }

    /// An event shows a device with a user.
    fn show(
        &mut self,
        shown: Shown<'_>,
        is_of_claim: bool,
        is_shown_otherwise: bool,
        event: Evidence,
    ) {
        let [device, user] = [shown.device, shown.user].map(|id| self.ids.number(id));
        if self.ids.row(device).kind.has(IdKind::USER) {
            // A login while another user is logged in: the SDK names that user as the anonymous ID.
            if is_shown_otherwise {
                return;
            }
            self.devices.show(device, device, event);
        }
        if self.ids.row(user).look == Look::Code {
            if self.of_code.insert((user, device)) {
                self.ids.row_mut(user).devices += 1;
            }
            return;
        }
        let is_new = self.devices.show(device, user, event);
        if is_new {
            self.ids.row_mut(user).devices += 1;
        }
        if is_of_claim {
            self.devices.claim(device, user, event);
        }
    }
}

/// Takes what events say, in arrival order.
pub trait Fold {
    /// Adds an event that was read, which has this name and is found there. `weighs` is false for a duplicate
    /// (AR-2): its claim does not count.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    fn add(
        &mut self,
        facts: &Facts<'_>,
        name: &str,
        weighs: bool,
        found: Evidence,
    ) -> Result<(), EngineError>;

    /// Adds an event that the rules refuse.
    fn add_refused(&mut self, event: &Event<'_>, error: &InvalidEvent, found: Evidence);
}

impl Fold for Lint {
    fn add(
        &mut self,
        facts: &Facts<'_>,
        name: &str,
        weighs: bool,
        found: Evidence,
    ) -> Result<(), EngineError> {
        self.report.events += 1;
        for (id, kind) in &facts.named {
            let number = self.ids.number(*id);
            let row = self.ids.row_mut(number);
            row.kind = row.kind.and(*kind);
        }
        match facts.own {
            Some(own) => {
                let number = self.ids.number(own.id());
                let row = self.ids.row_mut(number);
                row.events += 1;
                if row.events == 1 {
                    row.first = found.at;
                    row.time_ms = found.time_ms.unwrap_or(i64::MIN);
                }
                row.plain_events += u64::from(!own.is_device());
            }
            // An identity event has no effect in a model that does not read the IDs that it names (S-8).
            None if facts.is_event && !Event::named(name).is_identity_event() => {
                self.without_id(name, found);
            }
            None => {}
        }
        let rejection = match facts.claim {
            Some(claim) if weighs => self.weigh(claim, found)?,
            _ => None,
        };
        let counts = facts.claim.as_ref().and_then(Shown::by);
        for shown in &facts.shown {
            let is_of_claim =
                weighs && counts == Some(*shown) && matches!(rejection, None | Some(Cause::Taken));
            self.show(*shown, is_of_claim, facts.shown.len() > 1, found);
        }
        Ok(())
    }

    fn add_refused(&mut self, event: &Event<'_>, error: &InvalidEvent, found: Evidence) {
        let is_incomplete = matches!(
            error.reason(),
            InvalidEventReason::NoIdentifiedId
                | InvalidEventReason::NoAnonId
                | InvalidEventReason::NoDistinctId
                | InvalidEventReason::NoAlias
                | InvalidEventReason::NotTwoIds { .. }
        );
        let value = match is_incomplete {
            true => event.name,
            false => value_of(event, error.property()),
        };
        let cut = value.floor_char_boundary(64);
        let mut refused = RefusedFor {
            rule: error.rule(),
            property: error.property(),
            value: value[..cut].to_owned(),
        };
        if self.refused.len() >= VALUES_MAX && !self.refused.contains_key(&refused) {
            refused.value = "other values".to_owned();
        }
        count(&mut self.refused, refused, found, Ids::NONE);
    }
}

fn cause_of(rejection: &Rejection<'_>) -> Option<Cause> {
    Some(match rejection {
        Rejection::SameIds { .. } => Cause::SameIds,
        Rejection::AnonDistinctIdNonGuidForm { .. } => Cause::NotUuid,
        Rejection::AnonDistinctIdAssignedAlready { .. } => Cause::Taken,
        Rejection::AliasAlreadyExists { .. } => Cause::AliasTaken,
        Rejection::ManyIds { .. } => Cause::ManyIds,
        _ => return None,
    })
}

fn count<K: std::hash::Hash + Eq>(
    map: &mut HashMap<K, TurnedDown>,
    key: K,
    event: Evidence,
    other: u32,
) {
    let all = map.entry(key).or_insert(TurnedDown {
        events: 0,
        first: event,
        other,
    });
    all.events += 1;
}

/// The text of a property as the event has it.
fn value_of<'e>(event: &Event<'e>, property: IdProperty) -> &'e str {
    let value = match property {
        IdProperty::DistinctId => match event.distinct_id {
            Value::Absent => event.distinct_id_before_identity,
            value => value,
        },
        IdProperty::UserId => event.user_id,
        IdProperty::DeviceId => event.device_id,
        IdProperty::IdentifiedId => event.identified_id,
        IdProperty::AnonId => event.anon_id,
        IdProperty::AnonDistinctId => event.anon_distinct_id,
        IdProperty::Alias => event.alias,
        IdProperty::DistinctIds => Value::Absent,
    };
    match value {
        Value::Text(text) | Value::NotAnId(text) => text,
        Value::Absent => "",
    }
}
