//! The newest events with what they did, for somebody who watches them come.

mod claim;
mod telling;

use foldhash::HashMap;
use idmerge_core::DistinctIdBuf;
use idmerge_events::JsonEvent;
use idmerge_store::MayGoOn;

pub use self::claim::{Holder, LiveAnswer, LiveClaim};
use self::claim::{MadeClaim, WeighedClaims};
use super::describe::Naming;
use super::device::{Device, Label};
use super::facts::Facts;
use super::view::View;
use crate::archive::block::{NOT_AN_EVENT, StoredEvent};
use crate::error::ProjectError;
use crate::project::Project;

/// Some events after a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LivePage {
    /// The events in the order of arrival.
    pub events: Vec<LiveEvent>,
    /// The number after which the next page begins.
    pub last: u64,
    /// Whether there are more events now.
    pub has_more: bool,
}

/// An event with what it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveEvent {
    /// The number of the event in the project.
    pub number: u64,
    /// When the event happened, in milliseconds since 1970.
    pub time_ms: i64,
    /// When the event arrived.
    pub received_ms: i64,
    /// The name of the event.
    pub event: String,
    /// The canonical ID; `None` if the event has no ID.
    pub distinct_id: Option<String>,
    /// The distinct_id that it was sent with.
    pub own: Option<String>,
    /// The name in the profile.
    pub name: Option<String>,
    /// The device that sent it.
    pub device: Option<Device>,
    /// The telling properties, as a JSON object of at most 2 KiB.
    pub properties: String,
    /// What came of the claim of the event; `None` if it makes none that was weighed.
    pub claim: Option<LiveClaim>,
}

/// An event as it was found, before anything else is looked up: a block of events may be large, and nothing large
/// may be read meanwhile.
struct Found {
    event: LiveEvent,
    own: Option<DistinctIdBuf>,
    /// In Legacy: the ID that it was attributed to.
    attributed: Option<DistinctIdBuf>,
    claim: Option<MadeClaim>,
}

impl Project {
    /// Calls `watch` after each commit with new events, in place of an earlier `watch`. It is called on a thread that
    /// writes and must be fast.
    pub fn watch_events(&self, watch: impl Fn() + Send + Sync + 'static) {
        *self.inner.events_watch.write() = Some(Box::new(watch));
    }

    /// At most `limit` of the events after the event `after`, in the order of arrival, with what they did. Events
    /// that were replaced are left out. A page has at most the events of one block.
    ///
    /// # Errors
    ///
    /// [`ProjectError::Cancelled`] once `may_go_on` has returned `false`, and any error of the disk.
    pub fn live_page_while(
        &self,
        after: u64,
        limit: usize,
        may_go_on: MayGoOn,
    ) -> Result<LivePage, ProjectError> {
        let view = View::new(self, None, may_go_on)?;
        let after = after.min(view.last);
        let mut page = LivePage {
            last: after,
            ..LivePage::default()
        };
        let head = match after < view.last {
            true => view.block_from(after + 1),
            false => None,
        };
        let Some(head) = head else {
            return Ok(page);
        };
        let mut found = Vec::new();
        page.last = head.last.min(view.last);
        let block = view.archive()?.shown_block(&head, view.last)?;
        block.each(&mut |stored| {
            if stored.number <= after {
                return Ok(true);
            }
            if stored.number > view.last || found.len() >= limit.max(1) {
                page.last = stored.number - 1;
                return Ok(false);
            }
            found.push(self.found(&stored)?);
            Ok(true)
        })?;
        drop(block);
        page.has_more = page.last < view.last;
        let mut people = People::default();
        let mut claims = WeighedClaims::new(&view);
        for found in found {
            view.check()?;
            page.events
                .push(completed(&view, &mut people, &mut claims, found)?);
        }
        Ok(page)
    }

    fn found(&self, stored: &StoredEvent<'_>) -> Result<Found, ProjectError> {
        let settings = &self.inner.settings;
        let json = JsonEvent::parse_text(stored.text)
            .map_err(|_| ProjectError::damaged(stored.number, NOT_AN_EVENT))?;
        let event = json.event();
        let reading = settings.read(&event).ok();
        let own = reading.as_ref().and_then(|reading| reading.distinct_id);
        let claim = reading.and_then(|reading| reading.claim);
        let facts = Facts::of(stored)?;
        let has_prefix = settings.rule_book().has_device_namespace();
        let device = facts.device_id.map(|id| {
            let label = facts.label.unwrap_or_else(Label::unknown);
            Device {
                distinct_id: match has_prefix {
                    true => format!("{}{id}", idmerge_core::DEVICE_PREFIX),
                    false => id,
                },
                label: label.text,
                kind: label.kind,
            }
        });
        let attributed = own.and_then(|own| stored.at_arrival(settings, own));
        Ok(Found {
            claim: claim.and_then(|claim| MadeClaim::of(stored, &event, claim)),
            event: LiveEvent {
                number: stored.number,
                time_ms: stored.time_ms,
                received_ms: stored.received_ms,
                event: event.name.chars().take(telling::MAX_NAME_CHARS).collect(),
                distinct_id: None,
                own: own.map(|own| own.to_string()),
                name: None,
                device,
                properties: telling::properties(json.properties()),
                claim: None,
            },
            own: own.map(|own| own.to_buf()),
            attributed: attributed.map(|attributed| attributed.to_buf()),
        })
    }
}

/// The names of the people on a page.
#[derive(Default)]
struct People(HashMap<String, Option<String>>);

impl People {
    fn name(&mut self, project: &Project, canonical: &str) -> Result<Option<String>, ProjectError> {
        if let Some(name) = self.0.get(canonical) {
            return Ok(name.clone());
        }
        let Naming { name, .. } = project.naming(canonical)?;
        self.0.insert(canonical.to_owned(), name.clone());
        Ok(name)
    }
}

/// The event with the user and what came of its claim.
fn completed(
    view: &View<'_>,
    people: &mut People,
    claims: &mut WeighedClaims<'_>,
    found: Found,
) -> Result<LiveEvent, ProjectError> {
    let mut event = found.event;
    let canonical = match (found.attributed, &found.own) {
        (Some(attributed), _) => Some(attributed),
        (None, Some(own)) => Some(view.canonical(own.as_id())),
        (None, None) => None,
    };
    if let Some(canonical) = &canonical {
        let text = canonical.to_string();
        event.name = people.name(view.project, &text)?;
        event.distinct_id = Some(text);
    }
    if let Some(made) = &found.claim {
        event.claim = claims.weighed(event.number, made, canonical.as_ref())?;
        if let Some(claim) = &mut event.claim
            && let Some(holder) = &mut claim.holder
        {
            holder.name = people.name(view.project, &holder.distinct_id)?;
        }
    }
    Ok(event)
}
