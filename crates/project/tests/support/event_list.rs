//! [`EventList`]: what a project must read as, in memory.

#![allow(dead_code, reason = "each test target uses a part of it")]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests; the lint sees only test functions"
)]

use std::collections::{HashMap, HashSet};

use idmerge_core::{
    Attribution, DistinctId, DistinctIdBuf, IdentityResolver, IdentityResolverExt, Outcome,
    Reading, Resolve, RuleBook, Value,
};
use idmerge_engines::{Engine, Settings};
use idmerge_events::{Failure, JsonEvent, Resolved};
use idmerge_project::{ClaimAnswer, EventOrder, RecordAnswer, RecordError, Sender};

#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) json: String,
    /// Makes the event longer, in units of 700 bytes, so that blocks fill up.
    pub(crate) pad: usize,
    pub(crate) time_ms: Option<i64>,
    pub(crate) insert_id: Option<String>,
    pub(crate) sender: Sender,
}

impl Sent {
    pub(crate) fn json(&self) -> String {
        let pad = format!("\"properties\":{{\"pad\":{:?}", "x".repeat(self.pad * 700));
        let comma = if self.json.contains("{}") { "" } else { "," };
        self.json.replacen("\"properties\":{", &(pad + comma), 1)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ListedEvent {
    pub(crate) json: String,
    pub(crate) time_ms: i64,
    pub(crate) failure: Option<[String; 2]>,
    /// The canonical ID when it arrived, if the model attributes events at their arrival (L-3).
    pub(crate) at_arrival: Option<String>,
    /// The claim that was weighed.
    pub(crate) claim: Option<String>,
    /// Whether the engine has taken the claim for this event, and it was not withdrawn since.
    pub(crate) counts: bool,
    pub(crate) is_replaced: bool,
    /// Its sender may not make its claim.
    pub(crate) is_forbidden: bool,
    /// Its user was erased.
    pub(crate) is_erased: bool,
    /// The erased IDs whose text was in it when they were erased. It may have another text, without these.
    pub(crate) removed: HashSet<DistinctIdBuf>,
}

/// Name, time, own ID and `insert_id`.
pub(crate) type DedupKey = (String, Option<i64>, Option<String>, String);

pub(crate) struct Exported {
    pub(crate) number: u64,
    pub(crate) json: String,
    /// The JSON in an export, which other models read too.
    pub(crate) export_json: String,
    /// Its sender may not make its claim.
    pub(crate) is_forbidden: bool,
    pub(crate) own: Option<String>,
    pub(crate) canonical: Option<String>,
    pub(crate) time_ms: i64,
    pub(crate) removed: HashSet<DistinctIdBuf>,
}

impl Exported {
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.json.contains(&format!("\"event\":\"{name}\""))
    }
}

/// What the project must read as: an engine and a list of events.
pub(crate) struct EventList {
    pub(crate) settings: Settings,
    pub(crate) engine: Engine,
    pub(crate) events: Vec<ListedEvent>,
    /// The index of the event that counts, and the rank of the best known of its senders.
    pub(crate) stored: HashMap<DedupKey, (usize, u8)>,
    pub(crate) anybody_may_alias: bool,
    /// The IDs that were erased.
    pub(crate) erased: HashSet<DistinctIdBuf>,
}

impl EventList {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            engine: settings.engine(),
            settings,
            events: Vec::new(),
            stored: HashMap::new(),
            anybody_may_alias: true,
            erased: HashSet::new(),
        }
    }

    pub(crate) fn submit(
        &mut self,
        sent: &[Sent],
        received_ms: i64,
        order: EventOrder,
    ) -> Vec<RecordAnswer> {
        let mut answers = vec![RecordAnswer::Repeated; sent.len()];
        let mut positions: Vec<usize> = (0..sent.len()).collect();
        if order == EventOrder::ByTime {
            positions.sort_by_key(|&at| sent[at].time_ms.unwrap_or(received_ms));
        }
        for at in positions {
            answers[at] = self.apply(&sent[at], received_ms);
        }
        answers
    }

    pub(crate) fn apply(&mut self, sent: &Sent, received_ms: i64) -> RecordAnswer {
        let json = sent.json();
        let event = JsonEvent::parse_text(&json).unwrap();
        let event = event.event();
        let reading = match self.engine.read(&event) {
            Ok(reading) => reading,
            Err(invalid) => return RecordAnswer::Refused(Box::new(invalid.into())),
        };
        if self.names_erased(&reading) {
            return RecordAnswer::Refused(Box::new(RecordError::Erased));
        }
        let is_forbidden = match event.name {
            "$merge" => sent.sender == Sender::Anybody,
            "$create_alias" => !self.anybody_may_alias && sent.sender != Sender::Credential,
            _ => false,
        };
        let at_arrival = reading.distinct_id.filter(|_| self.is_at_arrival());
        let at_arrival = at_arrival.map(|own| self.engine.resolve(own).to_string());
        let weighed = reading.claim.filter(|_| !is_forbidden);
        let weighed = weighed.map(|claim| format!("{claim:?}"));
        // A credential counts most, and what may not count is less than anything else.
        let sender = match sent.sender {
            Sender::Credential => 2,
            _ => u8::from(!is_forbidden),
        };
        let mut before = None;
        if let Some(insert_id) = sent.insert_id.clone() {
            let own = reading.distinct_id.map(|id| id.to_string());
            let name = event.name.to_owned();
            let next = (self.events.len(), sender);
            let stored = self.stored.entry((name, sent.time_ms, own, insert_id));
            let known = stored.or_insert(next);
            if *known != next {
                if sender <= known.1 {
                    return RecordAnswer::Repeated;
                }
                known.1 = sender;
                let earlier = &mut self.events[known.0];
                let is_same = earlier.json == json && earlier.claim == weighed;
                if is_same && !earlier.is_forbidden {
                    return RecordAnswer::Repeated;
                }
                earlier.is_replaced = true;
                before = Some((earlier.claim.clone(), earlier.failure.clone()));
                known.0 = next.0;
            }
        }
        let mut failure = None;
        let mut counts = false;
        let answer = match reading.claim {
            None => ClaimAnswer::None,
            Some(_) if is_forbidden => ClaimAnswer::NotAllowed,
            Some(_) if before.as_ref().is_some_and(|(claim, _)| *claim == weighed) => {
                failure = before.and_then(|(_, failure)| failure);
                ClaimAnswer::None
            }
            Some(claim) => {
                counts = true;
                match self.engine.apply(claim).unwrap() {
                    Outcome::Merged => ClaimAnswer::Merged,
                    Outcome::AlreadyMerged => ClaimAnswer::AlreadyMerged,
                    Outcome::Rejected(rejection) => {
                        failure = Some([rejection.code().to_owned(), rejection.to_string()]);
                        ClaimAnswer::Rejected(rejection.code())
                    }
                    _ => ClaimAnswer::None,
                }
            }
        };
        self.events.push(ListedEvent {
            json: json.clone(),
            time_ms: sent.time_ms.unwrap_or(received_ms),
            failure,
            at_arrival,
            claim: weighed,
            counts,
            is_replaced: false,
            is_forbidden,
            is_erased: false,
            removed: HashSet::new(),
        });
        RecordAnswer::Stored(answer)
    }

    /// Erases the clusters of these IDs, as they are (E-1). Returns how many events that were.
    pub(crate) fn erase<'i>(&mut self, ids: impl Iterator<Item = &'i str>) -> u64 {
        let mut erased = HashSet::new();
        for id in ids {
            let id = self.engine.read_id(id).unwrap();
            erased.extend(self.engine.erased_with(id).map(DistinctIdBuf::from));
        }
        let mut events = std::mem::take(&mut self.events);
        let mut gone = 0;
        for event in events.iter_mut().filter(|event| !event.is_erased) {
            let json = JsonEvent::parse_text(&event.json).unwrap();
            let own = self.engine.read(&json.event()).unwrap().distinct_id;
            let under = match &event.at_arrival {
                Some(at_arrival) => self.engine.read_id(at_arrival).ok(),
                None => own.map(|own| self.engine.resolve(own)),
            };
            event.is_erased = under.is_some_and(|id| erased.contains(&id.to_buf()));
            let has_text = |id: &&DistinctIdBuf| event.json.contains(&*id.as_id().id().text());
            event
                .removed
                .extend(erased.iter().filter(has_text).cloned());
            gone += u64::from(event.is_erased);
        }
        self.events = events;
        self.erased.extend(erased);
        self.weigh_again();
        gone
    }

    /// The engine as it is if only the claims that still count were made (E-5, LG-2).
    pub(crate) fn weigh_again(&mut self) {
        let mut engine = self.settings.engine();
        let mut events = std::mem::take(&mut self.events);
        for event in events.iter_mut().filter(|event| event.counts) {
            let json = JsonEvent::parse_text(&event.json).unwrap();
            let claim = engine.read(&json.event()).unwrap().claim;
            let claim = claim.expect("it made a claim before");
            event.counts = !self.names(&claim.ids(), !engine.rule_book().weighs(claim.kind()));
            if event.counts {
                engine.apply(claim).unwrap();
            }
        }
        self.events = events;
        self.engine = engine;
    }

    /// Whether an event names an ID that was erased (E-2).
    pub(crate) fn names_erased(&self, reading: &Reading<'_>) -> bool {
        let own = reading.distinct_id;
        own.is_some_and(|own| self.names(&[own], false))
            || reading.claim.is_some_and(|claim| {
                self.names(&claim.ids(), !self.engine.rule_book().weighs(claim.kind()))
            })
    }

    /// Whether one of these IDs was erased. If the model ignores what names them, nobody knows which of them are devices.
    pub(crate) fn names(&self, ids: &[DistinctId<'_>], is_ignored: bool) -> bool {
        ids.iter().any(|id| {
            let device = DistinctId::device(id.id()).to_buf();
            let plain = DistinctId::plain(id.id()).to_buf();
            match self.settings.rule_book().has_device_namespace() {
                false => self.erased.contains(&plain),
                true if is_ignored => self.erased.contains(&plain) || self.erased.contains(&device),
                true => self.erased.contains(&id.to_buf()),
            }
        })
    }

    fn is_at_arrival(&self) -> bool {
        self.settings.attribution() == Attribution::AtArrival
    }

    /// The export of all events that are not replaced.
    pub(crate) fn exported(&self) -> Vec<Exported> {
        let shown = self.events.iter().zip(1..);
        let shown = shown.filter(|(listed, _)| !listed.is_replaced && !listed.is_erased);
        let exported = shown.map(|(listed, number)| {
            let event = JsonEvent::parse_text(&listed.json).unwrap();
            let own = self.engine.read(&event.event()).unwrap().distinct_id;
            let canonical = match &listed.at_arrival {
                Some(at_arrival) => self.engine.read_id(at_arrival).ok(),
                None => own.map(|id| self.engine.resolve(id)),
            };
            let failure = listed.failure.as_ref();
            let failure = failure.map(|[reason, description]| Failure {
                reason,
                description,
            });
            let written = |own| {
                let mut json = Vec::new();
                let rule_book = self.engine.rule_book();
                event.write_resolved(
                    &Resolved {
                        rule_book,
                        own,
                        canonical,
                        failure,
                    },
                    &mut json,
                );
                String::from_utf8(json).unwrap()
            };
            // AR-4: the `distinct_id` of an identity event that the model ignores, as it was sent.
            let read = event.event();
            let sent = match read.distinct_id {
                Value::Text(text) if read.is_identity_event() => self.engine.read_id(text).ok(),
                _ => None,
            };
            let is_ignored = self.engine.rule_book() == RuleBook::Simplified;
            Exported {
                number,
                is_forbidden: listed.is_forbidden,
                json: written(own),
                export_json: written(sent.filter(|_| is_ignored).or(own)),
                own: own.map(|id| id.to_string()),
                canonical: canonical.map(|id| id.to_string()),
                time_ms: listed.time_ms,
                removed: listed.removed.clone(),
            }
        });
        exported.collect()
    }
}
