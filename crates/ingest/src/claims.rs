//! The claims of an event by every model, and what made them.

use std::borrow::Cow;
use std::mem;

use idmerge_core::{Claim, Event, InvalidEvent};
use idmerge_engines::{Model, Settings};
use idmerge_events::{Envelope, RawJson, Repeatable, TimeRange};
use idmerge_store::{Cause, ErasedIds};

/// Reads the claims that events make, by the model of a store and by the others. Those of the others are logged too, to
/// simulate them.
#[derive(Clone, Debug)]
pub struct EventClaims<'s> {
    settings: &'s Settings,
    others: Vec<Settings>,
    erased: &'s ErasedIds,
    now_ms: i64,
}

/// What was read of an event.
struct EventRead {
    /// Whether the event has a distinct_id.
    has_id: bool,
    /// Whether the event names an erased ID. Then it makes no claim.
    is_erased: bool,
}

impl<'s> EventClaims<'s> {
    /// For a store with these settings. What names one of the erased IDs is refused (E-2), at the time of the run in
    /// milliseconds since 1970.
    pub fn new(settings: &'s Settings, erased: &'s ErasedIds, now_ms: i64) -> Self {
        // With the same rules for IDs.
        let others = Model::ALL
            .into_iter()
            .filter(|model| *model != settings.model());
        let others =
            others.map(|model| Settings::of(model).with_id_rules(settings.id_rules().clone()));
        Self {
            settings,
            others: others.collect(),
            erased,
            now_ms,
        }
    }

    /// Adds the claims of an event, which has this number in its block. The model of the store may refuse the event;
    /// if another model refuses it, it makes no claim by that model.
    fn add<'e>(
        &self,
        number: usize,
        event: &Event<'e>,
        envelope: &Envelope<'e>,
        to: &mut Vec<LoggedClaim<'e>>,
    ) -> Result<EventRead, InvalidEvent> {
        let own = self.settings.read(event)?;
        let has_id = own.distinct_id.is_some();
        let before = to.len();
        let mut is_erased = self.erased.refuses_event(&own, self.now_ms);
        let mut is_first = true;
        let others = self
            .others
            .iter()
            .filter_map(|other| Some((other.read(event).ok()?, other.has_identity_events())));
        for (reading, may_repeat) in [(own, true)].into_iter().chain(others) {
            let Some(claim) = reading.claim else {
                continue;
            };
            is_erased |= self.erased.refuses_claim(claim, self.now_ms);
            if is_erased {
                break;
            }
            // Original and Legacy read the same claim from `$create_alias`.
            let is_made = |made: &LoggedClaim<'_>| made.number == number && made.claim == claim;
            if to.iter().rev().take(Model::ALL.len()).any(is_made) {
                continue;
            }
            let mut logged = LoggedClaim::new(number, claim, envelope);
            // All claims of an event are left out together. In another model without identity events, a
            // claim that comes again changes nothing (S-6).
            if is_first && may_repeat {
                logged.repeatable = envelope.repeatable(reading.distinct_id, &mut Vec::new());
            }
            to.push(logged);
            is_first = false;
        }
        if is_erased {
            to.truncate(before);
        }
        Ok(EventRead { has_id, is_erased })
    }
}

/// The claims of the events of a block of lines.
#[derive(Debug, Default)]
pub struct BlockClaims<'b> {
    /// The number of events that can be used.
    pub events: usize,
    /// How many of them have a distinct_id.
    pub with_id: u64,
    /// How many of them name an erased ID.
    pub erased: u64,
    claims: Vec<LoggedClaim<'b>>,
    /// Events with escapes, and their numbers. Their claims borrow from them, not from the block.
    escaped: Vec<(usize, Envelope<'b>)>,
}

impl<'b> BlockClaims<'b> {
    /// Adds the claims of the next event.
    ///
    /// # Errors
    ///
    /// The event is invalid by the model of the store.
    pub fn add(
        &mut self,
        envelope: Envelope<'b>,
        reader: &EventClaims<'_>,
    ) -> Result<(), InvalidEvent> {
        let number = self.events;
        if let Some(event) = envelope.json_event().event_in_text() {
            let read = reader.add(number, &event, &envelope, &mut self.claims)?;
            self.count(&read);
        } else {
            let event = envelope.json_event().event();
            let read = reader.add(number, &event, &envelope, &mut Vec::new())?;
            self.count(&read);
            self.escaped.push((number, envelope));
        }
        Ok(())
    }

    fn count(&mut self, read: &EventRead) {
        self.events += 1;
        self.with_id += u64::from(read.has_id);
        self.erased += u64::from(read.is_erased);
    }

    /// Takes all claims, in the order of their events.
    pub fn take(&mut self, reader: &EventClaims<'_>) -> Vec<LoggedClaim<'_>> {
        let mut all: Vec<LoggedClaim<'_>> = mem::take(&mut self.claims);
        for (number, envelope) in &self.escaped {
            let event = envelope.json_event().event();
            // It was read before, and not refused.
            let _read = reader.add(*number, &event, envelope, &mut all);
        }
        if !self.escaped.is_empty() {
            all.sort_by_key(|logged| logged.number);
        }
        all
    }
}

/// A claim, and the parts of its event that are logged with it.
#[derive(Clone, Debug)]
pub struct LoggedClaim<'e> {
    /// The number of the event among those of the block that can be used.
    pub number: usize,
    /// Of the first claim of an event: the event, if there can be duplicates of it (AR-2).
    pub repeatable: Option<Repeatable>,
    /// The claim.
    pub claim: Claim<'e>,
    insert_id: Option<Cow<'e, str>>,
    time_ms: Option<i64>,
}

impl<'e> LoggedClaim<'e> {
    /// Leaves out an `$insert_id` that is not a string, and a `time` that is not a number.
    fn new(number: usize, claim: Claim<'e>, envelope: &Envelope<'e>) -> Self {
        Self {
            number,
            repeatable: None,
            claim,
            insert_id: envelope.insert_id().and_then(RawJson::string),
            time_ms: envelope.time(TimeRange::Exact).ms(),
        }
    }

    /// What made the claim. `file` is where the event is from.
    pub fn cause<'c>(&'c self, file: &'c str) -> Cause<'c> {
        Cause {
            insert_id: self.insert_id.as_deref(),
            time_ms: self.time_ms,
            source: Some(file),
        }
    }
}
