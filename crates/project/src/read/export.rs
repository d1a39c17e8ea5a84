//! Exports events with their current canonical IDs.

use std::ops::RangeInclusive;
use std::sync::{Arc, Weak};

use idmerge_core::{DistinctId, DistinctIdBuf, Event, RuleBook};
use idmerge_engines::{Model, Settings};
use idmerge_events::{Failure, JsonEvent, Resolved};

use crate::archive::block::{NOT_AN_EVENT, StoredEvent};
use crate::archive::directory::BlockHead;
use crate::archive::reader::ArchiveReader;
use crate::error::ProjectError;
use crate::open::state::State;
use crate::project::Project;
#[cfg(test)]
use crate::simulation::hooks::{Mistake, makes};
use crate::write::batch::{endpoint_of, is_weighed};

/// Selects events. The default selects all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportQuery {
    /// The numbers of the events. Several exports, each of the numbers that the one before left, give
    /// together what one gives, except for merges in between, if `as_of` is [`Project::last_event`] of
    /// before the first one.
    pub numbers: RangeInclusive<u64>,
    /// The number of the last event that counts. Later ones are not selected, and an event that one of them
    /// replaces (AR-2) is.
    pub as_of: u64,
    /// The earliest time, in milliseconds since 1970.
    pub from_ms: Option<i64>,
    /// Events at this time or later are not selected.
    pub until_ms: Option<i64>,
    /// The names of the events; all if empty.
    pub names: Vec<String>,
    /// The most events.
    pub limit: Option<u64>,
    /// The ID to write as `distinct_id`.
    pub written_id: WrittenId,
}

impl Default for ExportQuery {
    fn default() -> Self {
        Self {
            numbers: 1..=u64::MAX,
            as_of: u64::MAX,
            from_ms: None,
            until_ms: None,
            names: Vec::new(),
            limit: None,
            written_id: WrittenId::default(),
        }
    }
}

/// The ID that an export writes as `distinct_id`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WrittenId {
    /// The canonical ID of the moment; in Legacy, that of the arrival of the event (L-3).
    #[default]
    Canonical,
    /// The event's own distinct_id.
    AsSent,
}

/// An event with its current canonical ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportedEvent<'e> {
    /// The number of the event in the project.
    pub number: u64,
    /// When the event happened, in milliseconds since 1970.
    pub time_ms: i64,
    /// When the event arrived.
    pub received_ms: i64,
    /// The endpoint that received it.
    pub source: &'e str,
    /// Whether a reader of the export must not weigh the claim of the event (AR-4): this project
    /// has not weighed it, because the event came without a credential.
    pub is_unweighed: bool,
    /// The event as a JSON object, with the canonical ID written into it (rules W-1 to W-7). If the
    /// model ignores the event because it is an identity event, its ID before identity is the
    /// `distinct_id` that was sent (AR-4). It is one line, unless it arrived as several.
    pub json: &'e [u8],
}

/// An event that [`Project::scan`] found.
pub(crate) struct ScannedEvent<'s, 'e> {
    pub(crate) stored: StoredEvent<'s>,
    pub(crate) event: &'s JsonEvent<'e>,
    /// The distinct_id that it was sent with.
    pub(crate) own: Option<DistinctId<'s>>,
    pub(crate) canonical: Option<DistinctId<'s>>,
}

impl Project {
    /// The number of the last event that is stored, or 0. Events are numbered from 1.
    ///
    /// # Errors
    ///
    /// The project has no state while it is opened again after an error of the disk.
    pub fn last_event(&self) -> Result<u64, ProjectError> {
        Ok(self.inner.state()?.directory.read().last())
    }

    /// Calls `visit` with each selected event in the order of arrival, until it returns `false`.
    /// Returns the number of events.
    ///
    /// Events that arrive during the export are not included; merges during the export do take
    /// effect.
    ///
    /// # Errors
    ///
    /// [`ProjectError::Sink`] if `visit` fails, and any error of the disk.
    pub fn export(
        &self,
        query: &ExportQuery,
        visit: &mut dyn FnMut(ExportedEvent<'_>) -> std::io::Result<bool>,
    ) -> Result<u64, ProjectError> {
        let writer = ExportWriter::new(&self.inner.settings, query.written_id);
        let limit = query.limit.unwrap_or(u64::MAX);
        let mut count = 0;
        let mut json = Vec::new();
        if limit == 0 {
            return Ok(0);
        }
        self.scan(query, &|| true, &mut |scanned| {
            json.clear();
            let is_unweighed = writer.write(&scanned, &mut json);
            count += 1;
            let wants_more = visit(ExportedEvent {
                number: scanned.stored.number,
                time_ms: scanned.stored.time_ms,
                received_ms: scanned.stored.received_ms,
                source: endpoint_of(scanned.stored.source),
                is_unweighed,
                json: &json,
            });
            Ok(wants_more.map_err(ProjectError::Sink)? && count < limit)
        })?;
        Ok(count)
    }

    /// Calls `visit` with each committed event that the query selects, until it returns `false`.
    /// Fails once `may_go_on` returns `false`. Ignores the limit of the query. Claims wait at most while
    /// one ID is resolved.
    pub(crate) fn scan(
        &self,
        query: &ExportQuery,
        may_go_on: &dyn Fn() -> bool,
        visit: &mut dyn FnMut(ScannedEvent<'_, '_>) -> Result<bool, ProjectError>,
    ) -> Result<(), ProjectError> {
        let state = self.inner.state()?;
        let earlier = Arc::downgrade(&state);
        let (first, last) = (*query.numbers.start(), *query.numbers.end());
        let as_of = state.directory.read().last().min(query.as_of);
        let last = last.min(as_of);
        #[cfg(test)]
        let as_of = match makes(Mistake::ExportsReplaced) {
            true => last,
            false => as_of,
        };
        let archive = ArchiveReader::new(&state.store.read().begin_read()?)?;
        drop(state);
        let mut next = first;
        let mut wants_more = true;
        // A function of its own, so that neither the lock nor the state is held during `visit`: the writer
        // would wait for the reader of the export.
        let block_from = |number| -> Result<_, ProjectError> {
            let state = self.inner.same_state(&earlier)?;
            let head = state.directory.read().block_from(number);
            Ok(head)
        };
        while wants_more
            && next <= last
            && let Some(head) = block_from(next)?
        {
            if !may_go_on() {
                return Err(ProjectError::Cancelled);
            }
            next = head.last + 1;
            if !query.may_select_from(&head) {
                continue;
            }
            archive.shown_block(&head, as_of)?.each(&mut |stored| {
                if stored.number > last {
                    wants_more = false;
                } else if first <= stored.number && query.selects_time(stored.time_ms) {
                    wants_more = self.scan_event(query, &earlier, stored, visit)?;
                }
                Ok(wants_more)
            })?;
        }
        Ok(())
    }

    fn scan_event(
        &self,
        query: &ExportQuery,
        state: &Weak<State>,
        stored: StoredEvent<'_>,
        visit: &mut dyn FnMut(ScannedEvent<'_, '_>) -> Result<bool, ProjectError>,
    ) -> Result<bool, ProjectError> {
        let json_event = JsonEvent::parse_text(stored.text)
            .map_err(|_| ProjectError::damaged(stored.number, NOT_AN_EVENT))?;
        let event = json_event.event();
        if !query.selects_name(event.name) {
            return Ok(true);
        }
        let reading = self.inner.settings.read(&event);
        let own = reading.ok().and_then(|reading| reading.distinct_id);
        // A copy of the canonical ID: claims must not wait for `visit`.
        let changed = match own {
            None => None,
            Some(own) => match stored.at_arrival(&self.inner.settings, own) {
                // L-3: it stays what it was.
                Some(attributed) => (attributed != own).then(|| attributed.to_buf()),
                None => {
                    let state = self.inner.same_state(state)?;
                    state.store.resolve(own, |canonical| {
                        (canonical != own).then(|| canonical.to_buf())
                    })
                }
            },
        };
        let canonical = changed.as_ref().map(DistinctIdBuf::as_id).or(own);
        visit(ScannedEvent {
            stored,
            event: &json_event,
            own,
            canonical,
        })
    }
}

impl ExportQuery {
    fn selects_time(&self, time_ms: i64) -> bool {
        self.from_ms.is_none_or(|from| from <= time_ms)
            && self.until_ms.is_none_or(|until| time_ms < until)
    }

    fn selects_name(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|wanted| wanted == name)
    }

    fn may_select_from(&self, head: &BlockHead) -> bool {
        self.from_ms.is_none_or(|from| from <= head.max_ms)
            && self.until_ms.is_none_or(|until| head.min_ms < until)
    }
}

impl ScannedEvent<'_, '_> {
    /// Appends the JSON of the event, with the canonical ID written into it.
    pub(crate) fn write_resolved(&self, rule_book: RuleBook, json: &mut Vec<u8>) {
        self.write_as(rule_book, self.own, self.canonical, json);
    }

    /// Appends the JSON of the event, with these IDs written into it.
    fn write_as(
        &self,
        rule_book: RuleBook,
        own: Option<DistinctId<'_>>,
        canonical: Option<DistinctId<'_>>,
        json: &mut Vec<u8>,
    ) {
        let failure = self.stored.failure;
        self.event.write_resolved(
            &Resolved {
                rule_book,
                own,
                canonical,
                failure: failure.as_ref().map(|[reason, description]| Failure {
                    reason,
                    description,
                }),
            },
            json,
        );
    }
}

/// Writes events so that an import of them gives the same state, in a project of any model (AR-4).
struct ExportWriter<'p> {
    settings: &'p Settings,
    written_id: WrittenId,
    /// The model that weighs identity events, with the same rules for IDs, if the project's own
    /// ignores them.
    weighing: Option<Settings>,
}

impl<'p> ExportWriter<'p> {
    fn new(settings: &'p Settings, written_id: WrittenId) -> Self {
        let weighing = (!settings.has_identity_events())
            .then(|| Settings::of(Model::Original).with_id_rules(settings.id_rules().clone()));
        Self {
            settings,
            written_id,
            weighing,
        }
    }

    /// Appends the JSON of an event. Returns whether a reader must not weigh its claim.
    fn write(&self, scanned: &ScannedEvent<'_, '_>, json: &mut Vec<u8>) -> bool {
        let event = scanned.event.event();
        let canonical = match self.written_id {
            WrittenId::Canonical => scanned.canonical,
            WrittenId::AsSent => scanned.own,
        };
        let ignored_by_model = self.weighing.as_ref().filter(|_| event.is_identity_event());
        // AR-4, the exception to W-2: a model that weighs the event reads the `distinct_id` that was
        // sent. The export would lose it, because the project's own model reads other properties.
        let sent = ignored_by_model.and_then(|_| self.sent_distinct_id(&event));
        let rule_book = self.settings.rule_book();
        scanned.write_as(rule_book, sent.or(scanned.own), canonical, json);

        let is_forged = !is_weighed(event.name, scanned.stored.source);
        // The other model would refuse the event as it was sent, but not with the `distinct_id` that
        // the export adds.
        let is_refused = ignored_by_model.is_some_and(|weighing| weighing.read(&event).is_err());
        event.is_unweighed || is_forged || is_refused
    }

    /// The ID in `distinct_id` (IN-5), if that is valid.
    fn sent_distinct_id<'e>(&self, event: &Event<'e>) -> Option<DistinctId<'e>> {
        let alone = Event {
            distinct_id: event.distinct_id,
            distinct_id_before_identity: event.distinct_id_before_identity,
            ..Event::default()
        };
        self.settings.read(&alone).ok()?.distinct_id
    }
}
