//! All events of some days, as they count now.

use idmerge_core::{DistinctId, IdentityResolver};
use idmerge_events::{Failure, JsonEvent, Resolved};

use crate::archive::{OpenArchive, Stored};
use crate::{Project, ProjectError};

/// Which events are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportQuery {
    /// The earliest time, in milliseconds since 1970.
    pub from_ms: Option<i64>,
    /// The first time that is too late.
    pub until_ms: Option<i64>,
    /// The names of the events; all where there is none.
    pub names: Vec<String>,
    /// The most events.
    pub limit: Option<u64>,
}

/// An event as it counts now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportedEvent<'e> {
    /// Its number in the project.
    pub number: u64,
    /// When it happened, in milliseconds since 1970.
    pub time_ms: i64,
    /// When it came in.
    pub received_ms: i64,
    /// Where it came in.
    pub source: &'e str,
    /// The event with the answer written onto it (rules W-1 to W-7): a JSON object in one line,
    /// unless it came in several.
    pub json: &'e [u8],
}

/// An event of a block, as far as a question needs it.
pub(crate) struct Scanned<'s, 'e> {
    pub(crate) stored: Stored<'s>,
    pub(crate) event: &'s JsonEvent<'e>,
    pub(crate) own: Option<DistinctId<'s>>,
    pub(crate) canonical: Option<DistinctId<'s>>,
}

impl Project {
    /// Shows the events of some time in the order in which they came in, until `visit` answers
    /// `false`. Answers with how many there were. What comes in meanwhile is not seen; a merge
    /// meanwhile is.
    ///
    /// # Errors
    ///
    /// [`ProjectError::Sink`] with what `visit` fails with, and where the disk fails.
    pub fn export(
        &self,
        query: &ExportQuery,
        visit: &mut dyn FnMut(ExportedEvent<'_>) -> std::io::Result<bool>,
    ) -> Result<u64, ProjectError> {
        let rule_book = self.shared.settings.rule_book();
        let limit = query.limit.unwrap_or(u64::MAX);
        let mut count = 0;
        let mut json = Vec::new();
        if limit == 0 {
            return Ok(0);
        }
        self.scan(query, &mut |scanned| {
            let Scanned {
                stored,
                event,
                own,
                canonical,
            } = scanned;
            json.clear();
            event.write_resolved(
                &Resolved {
                    rule_book,
                    own,
                    canonical,
                    failure: stored
                        .failure
                        .as_ref()
                        .map(|[reason, description]| Failure {
                            reason,
                            description,
                        }),
                },
                &mut json,
            );
            count += 1;
            let wants_more = visit(ExportedEvent {
                number: stored.number,
                time_ms: stored.time_ms,
                received_ms: stored.received_ms,
                source: stored.source,
                json: &json,
            });
            Ok(wants_more.map_err(ProjectError::Sink)? && count < limit)
        })?;
        Ok(count)
    }

    /// Shows all that is committed and asked for, but for the limit. Claims wait for one block at
    /// most.
    pub(crate) fn scan(
        &self,
        query: &ExportQuery,
        visit: &mut dyn FnMut(Scanned<'_, '_>) -> Result<bool, ProjectError>,
    ) -> Result<(), ProjectError> {
        let from_ms = query.from_ms.unwrap_or(i64::MIN);
        let is_in_time =
            |time_ms| from_ms <= time_ms && query.until_ms.is_none_or(|until| time_ms < until);
        let last = self.shared.directory.read().last();
        let archive = OpenArchive::new(&self.shared.store.read().begin_read()?)?;
        let mut next = 1;
        while next <= last
            && let Some(head) = { self.shared.directory.read().block_from(next) }
        {
            next = head.last + 1;
            if head.max_ms < from_ms || query.until_ms.is_some_and(|until| head.min_ms >= until) {
                continue;
            }
            let mut wants_more = true;
            archive.block(head.first)?.each(&mut |stored| {
                if stored.number > last {
                    wants_more = false;
                    return Ok(false);
                }
                if !is_in_time(stored.time_ms) {
                    return Ok(true);
                }
                let event = JsonEvent::parse_text(stored.text);
                let event = event.map_err(|_| (stored.number, "it is no event"))?;
                let read = event.event();
                if !query.names.is_empty() && !query.names.iter().any(|name| name == read.name) {
                    return Ok(true);
                }
                let reading = self.shared.reader.read(&read);
                let own = reading.ok().and_then(|reading| reading.distinct_id);
                // Owned, so that nothing that `visit` does holds up claims.
                let canonical = own.map(|own| {
                    let store = self.shared.store.read();
                    let canonical = store.resolve(own);
                    (canonical != own).then(|| Owned::new(canonical))
                });
                let canonical = match &canonical {
                    Some(Some(canonical)) => canonical.get(),
                    _ => own,
                };
                wants_more = visit(Scanned {
                    stored,
                    event: &event,
                    own,
                    canonical,
                })?;
                Ok::<_, ProjectError>(wants_more)
            })?;
            if !wants_more {
                break;
            }
        }
        Ok(())
    }
}

/// A distinct_id that outlives the lock of the engine.
struct Owned {
    is_device: bool,
    text: String,
}

impl Owned {
    fn new(id: DistinctId<'_>) -> Self {
        Self {
            is_device: id.is_device(),
            text: id.id().to_string(),
        }
    }

    fn get(&self) -> Option<DistinctId<'_>> {
        let id = idmerge_core::Id::new(&self.text)?;
        Some(if self.is_device {
            DistinctId::device(id)
        } else {
            DistinctId::plain(id)
        })
    }
}
