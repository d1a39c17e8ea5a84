//! [`View`]: what a query about users reads from.

use std::cmp::Reverse;
use std::sync::Arc;

use idmerge_core::{Attribution, DistinctId, DistinctIdBuf, Resolve};
use idmerge_store::MayGoOn;

use crate::archive::directory::BlockHead;
use crate::archive::reader::{ArchiveReader, KeyFigures};
use crate::error::ProjectError;
use crate::open::state::State;
use crate::project::Project;
use crate::user_key::user_key_of;

/// The most IDs of a user whose events are counted. A user with more is a robot or an account of many; its
/// events are not counted then.
pub(crate) const MAX_COUNTED_IDS: usize = 10_000;

/// How many IDs of a user are looked at to find its devices. Where users and devices have one namespace, only an
/// event of an ID tells whether it is a device.
const MAX_DEVICE_CANDIDATES: usize = 16;

/// How many IDs of a user are listed while the engine is locked.
const IDS_AT_A_TIME: usize = 1_000;

/// The events until one moment, and the users as they are now.
pub(super) struct View<'p> {
    pub(super) project: &'p Project,
    pub(super) state: Arc<State>,
    /// The last event that is seen.
    pub(super) last: u64,
    may_go_on: MayGoOn,
}

/// The figures of an ID.
pub(super) struct IdFigures {
    pub(super) id: DistinctIdBuf,
    pub(super) figures: KeyFigures,
}

/// The figures of the events of a user.
#[derive(Default)]
pub(super) struct UserFigures {
    /// The IDs that may be devices and have the most events.
    pub(super) devices: Vec<IdFigures>,
    /// Those of all IDs together. In Legacy: of the events that were attributed to the user.
    pub(super) all: KeyFigures,
    /// Whether all IDs were counted.
    pub(super) is_complete: bool,
    /// How many IDs were counted.
    pub(super) counted: usize,
}

impl<'p> View<'p> {
    /// The view of the events until `last`, or until now.
    pub(super) fn new(
        project: &'p Project,
        last: Option<u64>,
        may_go_on: MayGoOn,
    ) -> Result<Self, ProjectError> {
        let state = project.inner.state()?;
        let now = state.directory.read().last();
        Ok(Self {
            project,
            state,
            last: last.map_or(now, |last| last.min(now)),
            may_go_on,
        })
    }

    /// Fails once nobody waits for the answer.
    pub(super) fn check(&self) -> Result<(), ProjectError> {
        match (self.may_go_on)() {
            true => Ok(()),
            false => Err(ProjectError::Cancelled),
        }
    }

    /// The archive of now. It has every event of this view.
    pub(super) fn archive(&self) -> Result<ArchiveReader, ProjectError> {
        ArchiveReader::new(&self.state.store.read().begin_read()?)
    }

    pub(super) fn block_from(&self, number: u64) -> Option<BlockHead> {
        self.state.directory.read().block_from(number)
    }

    pub(super) fn is_legacy(&self) -> bool {
        self.project.inner.settings.attribution() == Attribution::AtArrival
    }

    /// Whether users and devices have one namespace.
    pub(super) fn has_one_namespace(&self) -> bool {
        !self
            .project
            .inner
            .settings
            .rule_book()
            .has_device_namespace()
    }

    pub(super) fn canonical(&self, id: DistinctId<'_>) -> DistinctIdBuf {
        self.state.store.resolve(id, |canonical| canonical.to_buf())
    }

    /// The IDs of a user, at most [`MAX_COUNTED_IDS`], and whether these are all.
    pub(super) fn ids(&self, id: DistinctId<'_>) -> (Vec<DistinctIdBuf>, bool) {
        let mut ids: Vec<DistinctIdBuf> = Vec::new();
        loop {
            let store = self.state.store.read();
            let after = ids.last().map(DistinctIdBuf::as_id);
            let found = store.members_after(id, after, IDS_AT_A_TIME);
            let Some(found) = found else {
                return (vec![id.to_buf()], true);
            };
            let is_end = found.len() < IDS_AT_A_TIME;
            let found: Vec<_> = found.iter().map(DistinctId::to_buf).collect();
            drop(store);
            ids.extend(found);
            if is_end {
                return (ids, true);
            }
            if ids.len() >= MAX_COUNTED_IDS {
                return (ids, false);
            }
        }
    }

    /// The figures of some IDs, each for itself. In Legacy: of the events that were attributed to the ID.
    pub(super) fn figures(&self, ids: Vec<DistinctIdBuf>) -> Result<Vec<IdFigures>, ProjectError> {
        self.figures_until(ids, self.last)
    }

    /// The same as of the event `last`.
    pub(super) fn figures_until(
        &self,
        ids: Vec<DistinctIdBuf>,
        last: u64,
    ) -> Result<Vec<IdFigures>, ProjectError> {
        let mut counted = Vec::with_capacity(ids.len());
        for part in ids.chunks(IDS_AT_A_TIME) {
            self.check()?;
            let keys: Vec<u64> = part.iter().map(|id| user_key_of(id.as_id())).collect();
            // Before the archive is opened, so that every event is in one of the two.
            let recent: Vec<Vec<u64>> = {
                let directory = self.state.directory.read();
                let of = |key: &u64| directory.unindexed(*key).to_vec();
                keys.iter().map(of).collect()
            };
            let archive = self.archive()?;
            for ((id, key), recent) in part.iter().zip(keys).zip(recent) {
                counted.push(IdFigures {
                    id: id.clone(),
                    figures: archive.figures(key, &recent, last)?,
                });
            }
        }
        Ok(counted)
    }

    /// The figures of the user with this ID.
    pub(super) fn user_figures(&self, id: DistinctId<'_>) -> Result<UserFigures, ProjectError> {
        let (ids, is_complete) = self.ids(id);
        let canonical = self.canonical(id);
        let has_one_namespace = self.has_one_namespace();
        let mut user = UserFigures {
            is_complete: is_complete || self.is_legacy(),
            counted: ids.len(),
            ..UserFigures::default()
        };
        for counted in self.figures(ids)? {
            if !self.is_legacy() || counted.id == canonical {
                user.all.merge(counted.figures);
            }
            if has_one_namespace || counted.id.as_id().is_device() {
                user.devices.push(counted);
            }
        }
        // Stable: of devices with as many events, the one that joined first is first.
        let by_events = |counted: &IdFigures| Reverse(counted.figures.events);
        user.devices.sort_by_key(by_events);
        user.devices.truncate(MAX_DEVICE_CANDIDATES);
        Ok(user)
    }
}
