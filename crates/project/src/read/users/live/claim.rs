//! What came of the claim of an event: by the outcome that is stored with the event, and by the log of claims.

use foldhash::HashMap;
use idmerge_core::{Claim, ClaimKind, DistinctId, DistinctIdBuf, Event};
use idmerge_store::LogEntry;

use super::super::view::View;
use crate::archive::block::StoredEvent;
use crate::error::ProjectError;
use crate::write::batch::is_weighed;

/// What came of a claim when it was weighed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveClaim {
    /// The answer.
    pub answer: LiveAnswer,
    /// The code of a rejection, such as `errAnonDistinctIdAssignedAlready`.
    pub error: Option<String>,
    /// For a rejection: the user who has the device or the alias now, if that is another one.
    pub holder: Option<Holder>,
    /// For a merge: how many earlier events of the ID that joined moved along.
    pub moved_events: Option<u64>,
    /// The number of the claim in the log. `None` if it was made before in the same way and has no entry.
    pub sequence: Option<u64>,
}

/// The answer to a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveAnswer {
    /// It joined two IDs.
    Merged,
    /// The IDs were joined before.
    AlreadyMerged,
    /// A guardrail rejected it.
    Rejected,
}

impl LiveAnswer {
    /// The name in answers of the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Merged => "merged",
            Self::AlreadyMerged => "already_merged",
            Self::Rejected => "rejected",
        }
    }
}

/// A user who has what a claim names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The canonical ID.
    pub distinct_id: String,
    /// The name in the profile.
    pub name: Option<String>,
}

/// The claim of an event.
pub(super) struct MadeClaim {
    kind: ClaimKind,
    ids: [DistinctIdBuf; 2],
    insert_id: Option<String>,
    time_ms: i64,
    /// The code of the rejection that is stored with the event.
    failure: Option<String>,
}

impl MadeClaim {
    /// `None` if the claim was not weighed.
    pub(super) fn of(
        stored: &StoredEvent<'_>,
        event: &Event<'_>,
        claim: Claim<'_>,
    ) -> Option<Self> {
        if event.is_unweighed || !is_weighed(event.name, stored.source) {
            return None;
        }
        let envelope = idmerge_events::Envelope::parse_text(stored.text).ok()?;
        Some(Self {
            kind: claim.kind(),
            ids: claim.ids().map(|id| id.to_buf()),
            insert_id: envelope.dedup_id().map(std::borrow::Cow::into_owned),
            time_ms: stored.time_ms,
            failure: stored.failure.map(|[code, _]| code.to_owned()),
        })
    }

    /// The ID that joins another one: the device, the anonymous ID, the alias, or the second of a merge. Few claims
    /// name it.
    fn joining(&self) -> &DistinctIdBuf {
        match self.kind {
            ClaimKind::Link => &self.ids[0],
            _ => &self.ids[1],
        }
    }

    /// Whether an entry of the log is this claim, made by this event.
    fn made(&self, entry: &LogEntry) -> bool {
        let roles = match self.kind {
            ClaimKind::Link => [&entry.device, &entry.user],
            ClaimKind::Identify => [&entry.identified, &entry.anon],
            ClaimKind::Alias => [&entry.distinct_id, &entry.alias],
            _ => [&entry.first, &entry.second],
        };
        let is_of = |(role, id): (&Option<String>, &DistinctIdBuf)| {
            role.as_deref() == Some(&id.as_id().id().text())
        };
        entry.claim == Some(self.kind.name())
            && entry.time_ms == Some(self.time_ms)
            && entry.insert_id == self.insert_id
            && roles.into_iter().zip(&self.ids).all(is_of)
    }
}

/// The claims of a page.
pub(super) struct WeighedClaims<'v> {
    view: &'v View<'v>,
    /// The entries of the log that name an ID.
    entries: HashMap<DistinctIdBuf, Vec<LogEntry>>,
}

impl<'v> WeighedClaims<'v> {
    pub(super) fn new(view: &'v View<'v>) -> Self {
        Self {
            view,
            entries: HashMap::default(),
        }
    }

    /// What came of the claim of the event with this number, which counts under `canonical`.
    pub(super) fn weighed(
        &mut self,
        number: u64,
        made: &MadeClaim,
        canonical: Option<&DistinctIdBuf>,
    ) -> Result<Option<LiveClaim>, ProjectError> {
        let view = self.view;
        let joining = made.joining();
        let entry = self.entries(joining)?.iter().find(|entry| made.made(entry));
        let sequence = entry.map(|entry| entry.sequence);
        // The answer of then: another one may count now, because something was withdrawn.
        let answered = entry.and_then(|entry| entry.first_answer.or(entry.answer));
        let of = |answer| LiveClaim {
            answer,
            error: None,
            holder: None,
            moved_events: None,
            sequence,
        };
        if let Some(code) = &made.failure {
            let holder = view.canonical(joining.as_id());
            let is_other = Some(&holder) != canonical;
            return Ok(Some(LiveClaim {
                error: Some(code.clone()),
                holder: is_other.then(|| Holder {
                    distinct_id: holder.to_string(),
                    name: None,
                }),
                ..of(LiveAnswer::Rejected)
            }));
        }
        match answered {
            Some("merged") => Ok(Some(LiveClaim {
                moved_events: Some(view.moved_by(number, joining)?),
                ..of(LiveAnswer::Merged)
            })),
            Some("already merged") => Ok(Some(of(LiveAnswer::AlreadyMerged))),
            Some(_) => Ok(None),
            // The first of each claim has an entry. So this one was made before, and changes nothing.
            None => {
                let [first, second] = made.ids.each_ref().map(|id| view.canonical(id.as_id()));
                let is_joined = first == second && !view.is_ignored(made.kind);
                Ok(is_joined.then(|| of(LiveAnswer::AlreadyMerged)))
            }
        }
    }

    /// The entries that name an ID.
    fn entries(&mut self, id: &DistinctIdBuf) -> Result<&[LogEntry], ProjectError> {
        if !self.entries.contains_key(id) {
            let history = self.view.project.history()?;
            let is_it = |other: DistinctId<'_>| other == id.as_id();
            let part = history.story_part(std::slice::from_ref(id), 0, &is_it)?;
            self.entries.insert(id.clone(), part.claims);
        }
        Ok(self.entries.get(id).map_or(&[], Vec::as_slice))
    }
}

impl View<'_> {
    /// How many events of an ID came before this one, and moved when it joined another user. In Legacy none do
    /// (L-9).
    fn moved_by(&self, number: u64, joining: &DistinctIdBuf) -> Result<u64, ProjectError> {
        if self.is_legacy() {
            return Ok(0);
        }
        let figures = self.figures_until(vec![joining.clone()], number - 1)?;
        Ok(figures.first().map_or(0, |counted| counted.figures.events))
    }

    /// Whether the model ignores claims of this kind.
    fn is_ignored(&self, kind: ClaimKind) -> bool {
        !self.project.inner.settings.rule_book().weighs(kind)
    }
}
