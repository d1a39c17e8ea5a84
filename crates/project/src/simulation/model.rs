//! [`Model`]: what a project must read as, given what was committed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use idmerge_core::{IdentityResolver, IdentityResolverExt, Resolve};

use super::acts::export_in_runs;
use super::client::{Request, Sending};
use super::event_list::EventList;
use super::hooks::{Broken, broken};
use crate::project::Project;
use crate::read::export::WrittenId;
use crate::write::batch::RecordAnswer;

/// A list of events and the sums in some profiles, in memory.
pub(crate) struct Model {
    pub(crate) list: EventList,
    /// What was added to the profile of each ID.
    pub(crate) sums: BTreeMap<String, u64>,
    /// Everything that was committed, in this order.
    pub(crate) committed: Vec<Sending>,
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
        Self {
            list,
            sums: self.sums.clone(),
            committed: self.committed.clone(),
        }
    }

    /// Takes a request as a project without faults does.
    pub(crate) fn commit(&mut self, sending: &Sending) -> Vec<RecordAnswer> {
        let Request { events, adds, .. } = &*sending.request;
        let order = sending.request.order();
        let mut answers = self.list.submit(events, sending.received_ms, order);
        for id in adds {
            *self.sums.entry(id.clone()).or_default() += 1;
            answers.push(RecordAnswer::Stored(crate::write::batch::ClaimAnswer::None));
        }
        self.committed.push(sending.clone());
        answers
    }

    /// Withdraws a claim: all its occurrences so far (LG-2).
    pub(crate) fn withdraw(&mut self, claim: &str) {
        let list = &mut self.list;
        list.engine = list.settings.engine();
        for event in &mut list.events {
            event.counts &= event.claim.as_deref() != Some(claim);
            if event.counts {
                let json = idmerge_events::JsonEvent::parse_text(&event.json).expect("an event");
                let reading = list.engine.read(&json.event()).expect("it was read before");
                let claim = reading.claim.expect("it made a claim before");
                list.engine.apply(claim).expect("an engine in memory");
            }
        }
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
        Ok(())
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
            if is != Some(found) {
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

/// The sum in the profile of an ID.
pub(crate) fn sum_of(project: &Project, id: &str) -> Result<u64, Broken> {
    let Some(profile) = project.profile(id).map_err(broken)? else {
        return Ok(0);
    };
    let digits = profile.json.trim_matches(|it: char| !it.is_ascii_digit());
    digits.parse().map_err(broken)
}
