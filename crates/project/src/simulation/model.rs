//! [`Model`]: what a project must read as, given what was committed.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use idmerge_core::{DistinctIdBuf, IdentityResolver, IdentityResolverExt, Reading, Resolve};

use super::acts::export_in_runs;
use super::client::{Request, Sending};
use super::event_list::EventList;
use super::hooks::{Broken, broken};
use crate::privacy::task::TaskStatus;
use crate::project::Project;
use crate::read::export::WrittenId;
use crate::write::batch::{ClaimAnswer, RecordAnswer, RecordError};

/// A list of events and the sums in some profiles, in memory.
pub(crate) struct Model {
    pub(crate) list: EventList,
    /// What was added to the profile of each ID.
    pub(crate) sums: BTreeMap<String, u64>,
    /// Whether each deletion is done, by the ID that it names.
    pub(crate) deletions: BTreeMap<&'static str, bool>,
    /// Everything that was committed, in this order.
    pub(crate) committed: Vec<Committed>,
}

/// What was committed.
#[derive(Clone, Debug)]
pub(crate) enum Committed {
    Sending(Sending),
    /// The deletions that waited were carried out.
    Erasure,
    /// A deletion of the cluster of this ID was requested.
    Deletion(&'static str),
}

/// The IDs that events name.
pub(crate) const IDS: [&str; 7] = [
    "5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e",
    "6c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e",
    "7c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e",
    "$device:6c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e",
    "U1",
    "U2",
    "U3",
];

impl Model {
    pub(crate) fn new(list: EventList) -> Self {
        Self {
            list,
            sums: BTreeMap::new(),
            deletions: BTreeMap::new(),
            committed: Vec::new(),
        }
    }

    /// The same model once more.
    pub(crate) fn fork(&self) -> Self {
        let mut snapshot = Vec::new();
        let mut list = EventList::new(self.list.settings.clone());
        let engine = &self.list.engine;
        engine
            .write_snapshot(&mut snapshot)
            .expect("a Vec takes all");
        let copied = list.engine.read_snapshot(&mut &*snapshot);
        copied.expect("an engine reads its own snapshot");
        list.events.clone_from(&self.list.events);
        list.stored.clone_from(&self.list.stored);
        list.erased.clone_from(&self.list.erased);
        Self {
            list,
            sums: self.sums.clone(),
            deletions: self.deletions.clone(),
            committed: self.committed.clone(),
        }
    }

    /// Takes a request as a project without faults does.
    pub(crate) fn commit(&mut self, sending: &Sending) -> Vec<RecordAnswer> {
        let Request { events, adds, .. } = &*sending.request;
        let order = sending.request.order();
        let mut answers = self.list.submit(events, sending.received_ms, order);
        for id in adds {
            let is_erased =
                (self.list.settings.read_id(id)).is_ok_and(|id| self.list.names(&[id], false));
            if is_erased {
                answers.push(RecordAnswer::Refused(Box::new(RecordError::Erased)));
                continue;
            }
            *self.sums.entry(id.clone()).or_default() += 1;
            answers.push(RecordAnswer::Stored(ClaimAnswer::None));
        }
        self.committed.push(Committed::Sending(sending.clone()));
        answers
    }

    /// Takes a request to erase the cluster of an ID.
    pub(crate) fn request_deletion(&mut self, id: &'static str) {
        self.deletions.insert(id, false);
        self.committed.push(Committed::Deletion(id));
    }

    /// Carries out the deletions that wait. Returns how many events that erases.
    pub(crate) fn erase(&mut self) -> u64 {
        let waiting = self.deletions.iter().filter(|(_, is_done)| !**is_done);
        let gone = self.list.erase(waiting.map(|(id, _)| *id));
        for is_done in self.deletions.values_mut() {
            *is_done = true;
        }
        self.committed.push(Committed::Erasure);
        gone
    }

    /// Whether nothing is stored of an event that is read so, because its user was erased.
    pub(crate) fn is_gone(&self, reading: &Reading<'_>) -> bool {
        let own = reading.distinct_id;
        own.is_some_and(|own| self.list.names(&[own], false))
    }

    /// Whether an event may be erased, or was refused. In Legacy that depends on whose it was when it arrived.
    pub(crate) fn may_be_gone(&self, reading: &Reading<'_>, insert_id: Option<&str>) -> bool {
        let has_mark = |json: &str| insert_id.is_some_and(|insert_id| mark(json) == insert_id);
        let mut events = self.list.events.iter();
        self.list.names_erased(reading)
            || events.any(|event| event.is_erased && has_mark(&event.json))
    }

    /// Withdraws a claim: all its occurrences so far (LG-2).
    pub(crate) fn withdraw(&mut self, claim: &str) {
        for event in &mut self.list.events {
            event.counts &= event.claim.as_deref() != Some(claim);
        }
        self.list.weigh_again();
    }

    /// Whether a project reads as this model does; if not, the first difference.
    pub(crate) fn compare(&self, project: &Project) -> Result<(), Broken> {
        self.compare_events(project)?;
        for id in IDS {
            let own = self.list.engine.read_id(id).map_err(broken)?;
            let canonical = self.list.engine.resolve(own).to_string();
            let identity = project.identity(id).map_err(broken)?;
            let cluster = self.list.engine.cluster(own);
            let members = cluster.map_or(vec![own], |cluster| cluster.members);
            let members: Vec<_> = members.iter().map(ToString::to_string).collect();
            if (&identity.canonical, &identity.members) != (&canonical, &members) {
                return Err(broken(format!(
                    "{id} is {} of {:?} and must be {canonical} of {members:?}",
                    identity.canonical, identity.members
                )));
            }
        }
        for (id, sum) in &self.sums {
            self.compare_sum(project, id, *sum)?;
        }
        self.compare_erased(project)
    }

    /// A deletion waits or is done, and nothing is stored of whoever was erased.
    fn compare_erased(&self, project: &Project) -> Result<(), Broken> {
        for (id, is_done) in &self.deletions {
            let wanted = match is_done {
                true => TaskStatus::Success,
                false => TaskStatus::Pending,
            };
            let found = project.privacy_task(id).map(|task| task.status);
            if found != Some(wanted) {
                return Err(broken(format!(
                    "the deletion of {id} is {found:?}, must be {wanted:?}"
                )));
            }
        }
        for id in &self.list.erased {
            let id = id.as_id().to_string();
            if let Some(profile) = project.profile(&id).map_err(broken)? {
                return Err(broken(format!("{id} was erased and has {profile:?}")));
            }
        }
        Ok(())
    }

    /// Whether the text of none of these erased IDs is in an event. It can have that of an ID that was erased before the
    /// event came, in a property that no rule reads (E-2, ID-7). In Simplified a text can be that of a device and of a
    /// user, only one of whom was erased.
    fn has_no_trace(&self, json: &str, removed: &HashSet<DistinctIdBuf>) -> bool {
        let has_namespace = self.list.settings.rule_book().has_device_namespace();
        let text = |id: &DistinctIdBuf| format!("{:?}", id.as_id().id().text());
        has_namespace || removed.iter().all(|id| !json.contains(&text(id)))
    }

    fn compare_sum(&self, project: &Project, id: &str, sum: u64) -> Result<(), Broken> {
        let found = sum_of(project, id)?;
        // The profiles of IDs that claims name move with them; another project is the truth of these.
        if !IDS.contains(&id) && found != sum {
            return Err(broken(format!(
                "the sum of {id} is {found} and must be {sum}"
            )));
        }
        Ok(())
    }

    fn compare_events(&self, project: &Project) -> Result<(), Broken> {
        let exported = self.list.exported();
        let mut wanted = exported.iter();
        let mut difference = String::new();
        let visited = export_in_runs(project, WrittenId::Canonical, &mut |event| {
            let found = (event.number, event.time_ms, event.json);
            let wanted = wanted.next();
            let is = wanted.map(|it| (it.number, it.time_ms, it.export_json.as_bytes()));
            let is_right = match wanted {
                // What its text becomes is the matter of another test.
                Some(wanted) if !wanted.removed.is_empty() => {
                    let found = String::from_utf8_lossy(event.json);
                    event.number == wanted.number
                        && event.time_ms == wanted.time_ms
                        && mark(&found) == mark(&wanted.export_json)
                        && self.has_no_trace(&found, &wanted.removed)
                }
                _ => is == Some(found),
            };
            if !is_right {
                let json = String::from_utf8_lossy(event.json);
                let is = wanted.map(|it| (it.number, &it.export_json));
                write!(
                    difference,
                    "stored: {} {json}\nwanted: {is:?}",
                    event.number
                )
                .map_err(std::io::Error::other)?;
            }
            Ok(difference.is_empty())
        });
        visited.map_err(broken)?;
        if difference.is_empty()
            && let Some(event) = wanted.next()
        {
            let (number, json) = (event.number, &event.export_json);
            difference = format!("stored: nothing\nwanted: {number} {json}");
        }
        if !difference.is_empty() {
            return Err(broken(difference));
        }
        // Every user's events are found by the index, too.
        for id in IDS {
            let own = self.list.engine.read_id(id).map_err(broken)?;
            let canonical = self.list.engine.resolve(own).to_string();
            let wanted = exported
                .iter()
                .filter(|it| it.canonical.as_ref() == Some(&canonical));
            let mut wanted: Vec<_> = wanted.map(|it| (it.time_ms, it.number)).collect();
            wanted.sort_unstable_by(|a, b| b.cmp(a));
            let found = project
                .user_events(id, None, usize::MAX - 1)
                .map_err(broken)?;
            let found: Vec<_> = found
                .events
                .iter()
                .map(|it| (it.time_ms, it.number))
                .collect();
            if found != wanted {
                return Err(broken(format!(
                    "events of {id}: {found:?}, must be {wanted:?}"
                )));
            }
        }
        Ok(())
    }
}

/// The `$insert_id` of an event, which is in its JSON as the clients name it; empty if it has none.
pub(crate) fn mark(json: &str) -> &str {
    let mark = json.split_once("\"mark\":\"");
    mark.and_then(|(_, rest)| rest.split_once('"'))
        .map_or("", |(mark, _)| mark)
}

/// The sum in the profile of an ID.
pub(crate) fn sum_of(project: &Project, id: &str) -> Result<u64, Broken> {
    let Some(profile) = project.profile(id).map_err(broken)? else {
        return Ok(0);
    };
    let digits = profile.json.trim_matches(|it: char| !it.is_ascii_digit());
    digits.parse().map_err(broken)
}
