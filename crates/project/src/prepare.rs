//! What can be done of a batch before it is its turn, on the thread of whoever hands it in: all that
//! needs no state.

use std::ops::Range;

use idmerge_core::{Claim, Event, Id};
use idmerge_events::JsonEvent;
use idmerge_profiles::{Limits, Update};

use crate::archive::EVENT_BYTES_MAX;
use crate::batch::{Batch, ClaimAnswer, Record, RecordAnswer, RecordError};
use crate::keys::{Sameness, push_id, user_key};
use crate::settings::Engine;

/// A batch that is ready for its turn.
pub(crate) struct Prepared {
    pub(crate) text: String,
    pub(crate) received_ms: i64,
    pub(crate) source: &'static str,
    /// How much of the queue it takes.
    pub(crate) bytes: usize,
    /// By time, and of one time as they came.
    pub(crate) events: Vec<PreparedEvent>,
    /// As they came.
    pub(crate) updates: Vec<(usize, Update)>,
    /// Of the records that are answered already.
    pub(crate) answers: Vec<RecordAnswer>,
    /// The ids of all claims.
    ids: String,
}

/// Stands for the time of an event that has none where events are told apart.
pub(crate) const UNTIMED_MS: i64 = i64::MIN;

/// An event that can be used.
pub(crate) struct PreparedEvent {
    /// Its place in the batch.
    pub(crate) at: usize,
    pub(crate) text: Range<usize>,
    /// When it happened: as it says, or when it came.
    pub(crate) time_ms: i64,
    /// The time that is part of its print, which must be the same when it comes again.
    pub(crate) print_ms: i64,
    pub(crate) user_key: Option<u64>,
    /// What makes it the same as another, where it can come again.
    pub(crate) print: Option<u128>,
    pub(crate) insert_id: Option<Box<str>>,
    claim: Option<(Kind, [Range<usize>; 2])>,
    /// What is answered where no claim is weighed.
    pub(crate) unweighed: ClaimAnswer,
}

#[derive(Clone, Copy)]
enum Kind {
    Link,
    Identify,
    Alias,
    Merge,
}

impl Prepared {
    pub(crate) fn new(batch: Batch, engine: &Engine, limits: &Limits) -> Self {
        let Batch {
            text,
            records,
            received_ms,
            source,
        } = batch;
        let mut prepared = Self {
            bytes: text.len(),
            received_ms,
            source,
            events: Vec::with_capacity(records.len()),
            updates: Vec::new(),
            answers: vec![RecordAnswer::Stored(ClaimAnswer::None); records.len()],
            ids: String::new(),
            text: String::new(),
        };
        let mut scratch = Scratch::default();
        for (at, (range, record)) in records.into_iter().enumerate() {
            let taken = match text.get(range.clone()) {
                None => Err(malformed("the record is not in the text", "IN-1")),
                Some(json) => prepared.take(at, range, json, record, engine, limits, &mut scratch),
            };
            if let Err(error) = taken {
                prepared.answers[at] = RecordAnswer::Refused(Box::new(error));
            }
        }
        // Browser SDKs shuffle the calls of one tick.
        prepared.events.sort_by_key(|event| event.time_ms);
        prepared.text = text;
        prepared
    }

    #[expect(clippy::too_many_arguments, reason = "a part of `new`")]
    fn take(
        &mut self,
        at: usize,
        range: Range<usize>,
        json: &str,
        record: Record,
        engine: &Engine,
        limits: &Limits,
        scratch: &mut Scratch,
    ) -> Result<(), RecordError> {
        let Record::Event {
            time_ms,
            insert_id,
            may_merge,
        } = record
        else {
            self.updates.push((at, Update::parse(json, limits)?));
            return Ok(());
        };
        if json.len() > EVENT_BYTES_MAX {
            return Err(malformed("the event is too long", "IN-3"));
        }
        let event = JsonEvent::parse_text(json)?;
        let event = event.event();
        let reading = engine.read(&event)?;
        scratch.id.clear();
        if let Some(id) = reading.distinct_id {
            push_id(id, &mut scratch.id);
        }
        let own = reading.distinct_id.map(|_| scratch.id.as_str());
        let is_unweighed = !may_merge && event.name == Event::MERGE;
        let print = insert_id.as_deref().map(|insert_id| {
            let sameness = Sameness {
                name: event.name,
                time_ms,
                distinct_id: own,
                insert_id,
                is_unweighed,
            };
            sameness.print(&mut scratch.print)
        });
        let user_key = own.map(user_key);
        let claim = reading.claim.filter(|_| !is_unweighed);
        let claim = claim.and_then(|claim| self.keep(claim));
        self.events.push(PreparedEvent {
            at,
            text: range,
            time_ms: time_ms.unwrap_or(self.received_ms),
            print_ms: time_ms.unwrap_or(UNTIMED_MS),
            user_key,
            print,
            insert_id,
            claim,
            unweighed: if is_unweighed && reading.claim.is_some() {
                ClaimAnswer::NotAllowed
            } else {
                ClaimAnswer::None
            },
        });
        Ok(())
    }

    /// Keeps the ids of a claim.
    fn keep(&mut self, claim: Claim<'_>) -> Option<(Kind, [Range<usize>; 2])> {
        let (kind, ids) = match claim {
            Claim::Link { device, user } => (Kind::Link, [device, user]),
            Claim::Identify { identified, anon } => (Kind::Identify, [identified, anon]),
            Claim::Alias { distinct_id, alias } => (Kind::Alias, [distinct_id, alias]),
            Claim::Merge { first, second } => (Kind::Merge, [first, second]),
            _ => return None,
        };
        let ids = ids.map(|id| {
            let start = self.ids.len();
            self.ids
                .push_str(id.text_in(&mut idmerge_core::IdBuffer::new()));
            start..self.ids.len()
        });
        Some((kind, ids))
    }

    /// The claim of an event, if it makes one.
    pub(crate) fn claim(&self, event: &PreparedEvent) -> Option<Claim<'_>> {
        let (kind, ids) = event.claim.as_ref()?;
        let [first, second] = ids
            .clone()
            .map(|range| self.ids.get(range).and_then(Id::new));
        let (first, second) = first.zip(second)?;
        Some(match kind {
            Kind::Link => Claim::Link {
                device: first,
                user: second,
            },
            Kind::Identify => Claim::Identify {
                identified: first,
                anon: second,
            },
            Kind::Alias => Claim::Alias {
                distinct_id: first,
                alias: second,
            },
            Kind::Merge => Claim::Merge { first, second },
        })
    }
}

#[derive(Default)]
struct Scratch {
    id: String,
    print: Vec<u8>,
}

fn malformed(text: &str, rule: &'static str) -> RecordError {
    RecordError::Malformed {
        text: format!("{text} ({rule})"),
        rule,
    }
}
