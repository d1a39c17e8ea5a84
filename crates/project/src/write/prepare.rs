//! Parses the records of a batch on the caller's thread. Everything that needs no shared state is
//! done here, so that the writer thread has less to do.

use std::ops::Range;

use idmerge_core::{Attribution, Claim, ClaimKind, Event, Id, IdBuffer};
use idmerge_engines::Settings;
use idmerge_events::{DedupKey, EventLayout, JsonEvent};
use idmerge_profiles::{Target, Update};
use idmerge_store::ErasedIds;

use crate::archive::block::MAX_EVENT_BYTES;
use crate::archive::fingerprint::{Fingerprint, Guarded};
use crate::error::ProjectError;
use crate::options::Options;
use crate::user_key::{push_id, user_key};
use crate::write::alone::Alone;
use crate::write::batch::{
    Batch, ClaimAnswer, EventOrder, Record, RecordAnswer, RecordError, Sender,
};

/// A batch that is ready for the writer.
#[derive(Default)]
pub(crate) struct PreparedBatch {
    pub(crate) text: String,
    pub(crate) received_ms: i64,
    pub(crate) source: &'static str,
    /// The bytes of its text.
    pub(crate) bytes: usize,
    /// The room that the batch takes in the queue: its text and its updates.
    pub(crate) queue_bytes: usize,
    /// The valid events, in the order of [`Batch::order`].
    pub(crate) events: Vec<PreparedEvent>,
    /// How many of them are applied.
    pub(crate) applied_events: usize,
    /// The most bytes of profiles that the merges of the other events read, once they are known.
    pub(crate) merge_bytes: usize,
    /// The valid profile updates with the index of their record, in the order of the batch. Those that
    /// are carried out are removed.
    pub(crate) updates: Vec<(usize, Update)>,
    /// The bytes of the profiles that the updates change, once they are known.
    pub(crate) profile_bytes: Option<usize>,
    /// The members of the updates.
    pub(crate) members: usize,
    /// The answers to all records. Those to invalid records are final.
    pub(crate) answers: Vec<RecordAnswer>,
    /// The IDs of all claims, joined.
    claim_ids: String,
    /// What has no records and is carried out alone.
    pub(crate) alone: Option<Alone>,
}

/// A valid event of a batch.
pub(crate) struct PreparedEvent {
    /// The index of its record.
    pub(crate) index: usize,
    pub(crate) text: Range<usize>,
    /// The time of the event, or the arrival time if it has none.
    pub(crate) time_ms: i64,
    /// The time that is part of the fingerprint. Unlike `time_ms` it is the same when the event
    /// arrives again.
    pub(crate) fingerprint_ms: i64,
    pub(crate) insert_id: Option<Box<str>>,
    pub(crate) facts: EventFacts,
}

/// What the writer needs to know about the content of an event.
pub(crate) struct EventFacts {
    /// The key of its own distinct_id; `None` if it has no distinct_id.
    pub(crate) user_key: Option<u64>,
    /// Its own distinct_id, if the model attributes events at their arrival.
    pub(crate) own_id: Option<Box<str>>,
    /// `None` if the event has no `insert_id`: it then has no duplicates.
    pub(crate) fingerprint: Option<Fingerprint>,
    claim: Option<PreparedClaim>,
    /// Whether the claim of the event, in this or another model, must not be weighed (AR-4).
    pub(crate) is_unweighed: bool,
    /// The answer if there is no claim to apply.
    pub(crate) unclaimed: ClaimAnswer,
}

/// A claim, with the ranges of its IDs in [`PreparedBatch::claim_ids`].
struct PreparedClaim {
    kind: ClaimKind,
    ids: [Range<usize>; 2],
}

/// Prepares a batch. Its updates take more memory than their text: it calls `reserve` with these bytes.
///
/// # Errors
///
/// [`ProjectError::Full`] and [`ProjectError::TooManyUpdates`] if there is no room for the updates.
pub(crate) fn prepare(
    batch: Batch,
    settings: &Settings,
    options: &Options,
    erased: &ErasedIds,
    reserve: &mut dyn FnMut(usize) -> Result<(), ProjectError>,
) -> Result<PreparedBatch, ProjectError> {
    let Batch {
        text,
        records,
        received_ms,
        source,
        order,
    } = batch;
    let mut preparation = Preparation {
        settings,
        options,
        erased,
        prepared: PreparedBatch {
            bytes: text.len(),
            queue_bytes: text.len(),
            received_ms,
            source,
            events: Vec::with_capacity(records.len()),
            answers: vec![RecordAnswer::Stored(ClaimAnswer::None); records.len()],
            ..PreparedBatch::default()
        },
        own_id: String::new(),
        scratch: Vec::new(),
    };
    for (index, (range, record)) in records.into_iter().enumerate() {
        match preparation.record(&text, index, range, record) {
            Ok(0) => {}
            Ok(bytes) => {
                preparation.prepared.count(bytes, options)?;
                reserve(bytes)?;
            }
            Err(error) => {
                preparation.prepared.answers[index] = RecordAnswer::Refused(Box::new(error));
            }
        }
    }
    let mut prepared = preparation.prepared;
    // AR-1
    match order {
        EventOrder::AsSent => {}
        EventOrder::ByTime => prepared.events.sort_by_key(|event| event.time_ms),
    }
    prepared.text = text;
    Ok(prepared)
}

impl PreparedBatch {
    /// What is carried out alone, in the place of a batch.
    pub(crate) fn of_alone(alone: Alone) -> Self {
        Self {
            bytes: alone.bytes(),
            queue_bytes: alone.bytes(),
            alone: Some(alone),
            ..Self::default()
        }
    }

    /// The events that are not applied yet.
    pub(crate) fn events_left(&self) -> &[PreparedEvent] {
        &self.events[self.applied_events..]
    }

    /// How many of the events before this place that are not applied come before the next one with a claim.
    pub(crate) fn events_before_claim(&self, until: usize) -> usize {
        let events = self.events[self.applied_events..until].iter();
        events
            .take_while(|event| self.claim(event).is_none())
            .count()
    }

    /// Whether all of it is applied.
    pub(crate) fn is_done(&self) -> bool {
        self.events_left().is_empty() && self.updates.is_empty()
    }

    /// Leaves off everything that is not applied yet.
    pub(crate) fn give_up(&mut self) {
        self.applied_events = self.events.len();
        self.updates.clear();
        self.merge_bytes = 0;
    }

    /// Takes note of the memory of an update.
    fn count(&mut self, bytes: usize, options: &Options) -> Result<(), ProjectError> {
        self.queue_bytes += bytes;
        let max_bytes = options.max_update_bytes;
        if self.queue_bytes - self.bytes > max_bytes {
            return Err(ProjectError::TooManyUpdates { max_bytes });
        }
        Ok(())
    }

    /// The claim of an event, if it makes one.
    pub(crate) fn claim(&self, event: &PreparedEvent) -> Option<Claim<'_>> {
        let PreparedClaim { kind, ids } = event.facts.claim.as_ref()?;
        let id = |range: &Range<usize>| {
            let text = self.claim_ids.get(range.clone())?;
            Id::new(text).ok()
        };
        let [first, second] = ids;
        Some(Claim::new(*kind, [id(first)?, id(second)?]))
    }

    /// The JSON of an event.
    pub(crate) fn json(&self, event: &PreparedEvent) -> &str {
        &self.text[event.text.clone()]
    }

    /// Copies the IDs of a claim, which borrow from the event.
    fn keep(&mut self, claim: Claim<'_>) -> PreparedClaim {
        PreparedClaim {
            kind: claim.kind(),
            ids: claim.ids().map(|id| {
                let start = self.claim_ids.len();
                self.claim_ids
                    .push_str(id.id().text_in(&mut IdBuffer::new()));
                start..self.claim_ids.len()
            }),
        }
    }
}

/// A batch that is being prepared.
struct Preparation<'b> {
    settings: &'b Settings,
    options: &'b Options,
    erased: &'b ErasedIds,
    prepared: PreparedBatch,
    /// The text of the current event's own distinct_id. Kept to reuse its memory, like `scratch`.
    own_id: String,
    scratch: Vec<u8>,
}

impl Preparation<'_> {
    /// Returns the bytes that the record takes in memory, besides its text, if it is an update.
    fn record(
        &mut self,
        text: &str,
        index: usize,
        range: Range<usize>,
        record: Record,
    ) -> Result<usize, RecordError> {
        let json = text.get(range.clone()).ok_or_else(|| {
            RecordError::malformed("the range of the record is not in the text", "IN-1")
        })?;
        match record {
            Record::Update => {
                let update = Update::parse(json, &self.options.profile_limits)?;
                self.check_target(&update)?;
                let bytes = update.memory_bytes();
                self.prepared.members += update.members();
                self.prepared.updates.push((index, update));
                Ok(bytes)
            }
            Record::Event {
                time_ms,
                insert_id,
                sender,
                layout,
            } => {
                let event = event(json, layout)?;
                let facts = self.facts(&event.event(), time_ms, insert_id.as_deref(), sender)?;
                self.prepared.events.push(PreparedEvent {
                    index,
                    text: range,
                    time_ms: time_ms.unwrap_or(self.prepared.received_ms),
                    fingerprint_ms: time_ms.unwrap_or(DedupKey::UNTIMED_MS),
                    insert_id,
                    facts,
                });
                Ok(0)
            }
        }
    }

    /// E-2: the profile of an erased ID is not made again. A wrong ID is refused later.
    fn check_target(&self, update: &Update) -> Result<(), RecordError> {
        if !self.erased.is_empty()
            && let Target::User { distinct_id, .. } = update.target()
            && let Ok(id) = self.settings.read_id(distinct_id)
            && self.erased.refuses(id, self.prepared.received_ms)
        {
            return Err(RecordError::Erased);
        }
        Ok(())
    }

    fn facts(
        &mut self,
        event: &Event<'_>,
        time_ms: Option<i64>,
        insert_id: Option<&str>,
        sender: Sender,
    ) -> Result<EventFacts, RecordError> {
        let reading = self.settings.read(event)?;
        // E-2
        if self
            .erased
            .refuses_event(&reading, self.prepared.received_ms)
        {
            return Err(RecordError::Erased);
        }
        self.own_id.clear();
        if let Some(id) = reading.distinct_id {
            push_id(id, &mut self.own_id);
        }
        let own_id = reading.distinct_id.map(|_| self.own_id.as_str());
        // AR-4: an unweighed event came without a credential, so its export also counts as sent by
        // anybody. It must not count as the event itself with a credential (AR-2).
        let sender = if event.is_unweighed {
            Sender::Anybody
        } else {
            sender
        };
        let guarded = Guarded::of(event);
        let may_claim = match guarded {
            Guarded::No => true,
            Guarded::Merge => sender > Sender::Anybody,
            Guarded::Alias if event.is_unweighed => false,
            Guarded::Alias => self.options.anybody_may_alias || sender == Sender::Credential,
        };
        let fingerprint = insert_id.map(|insert_id| {
            let key = DedupKey {
                name: event.name,
                time_ms,
                distinct_id: own_id,
                insert_id,
            };
            let fields = key.fingerprint(&mut self.scratch);
            Fingerprint::new(fields, guarded, sender, may_claim)
        });
        let user_key = own_id.map(user_key);
        let is_at_arrival = self.settings.attribution() == Attribution::AtArrival;
        let (claim, unclaimed) = match reading.claim {
            Some(_) if !may_claim => (None, ClaimAnswer::NotAllowed),
            Some(claim) => (Some(self.prepared.keep(claim)), ClaimAnswer::None),
            None => (None, ClaimAnswer::None),
        };
        Ok(EventFacts {
            user_key,
            own_id: own_id.filter(|_| is_at_arrival).map(Box::from),
            fingerprint,
            claim,
            is_unweighed: !may_claim,
            unclaimed,
        })
    }
}

/// The event with this JSON text, which is scanned if the caller has not done that.
fn event(json: &str, layout: Option<Box<EventLayout>>) -> Result<JsonEvent<'_>, RecordError> {
    if json.len() > MAX_EVENT_BYTES {
        return Err(RecordError::malformed("the event is too long", "IN-3"));
    }
    let scanned = layout.and_then(|layout| layout.of_text(json));
    Ok(match scanned {
        Some(event) => event,
        None => JsonEvent::parse_text(json)?,
    })
}
