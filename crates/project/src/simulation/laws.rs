//! The laws of a [`World`].

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use idmerge_core::{Attribution, IdentityResolver};
use idmerge_events::JsonEvent;

use super::acts::{Seen, export};
use super::client::{Client, Request};
use super::hooks::{Broken, broken};
use super::model::{Committed, mark};
use super::world::World;
use crate::project::Project;

impl World {
    /// The project reads as one of the models does, and its log has no gap. Models that it does not read
    /// as are dropped.
    pub(crate) fn check(&self) -> Result<(), Broken> {
        let Some(process) = self.readable() else {
            return Ok(());
        };
        let mut difference = None;
        self.models
            .borrow_mut()
            .retain(|model| match model.compare(&process.project) {
                Ok(()) => true,
                Err(error) => {
                    difference = Some(error);
                    false
                }
            });
        if self.models.borrow().is_empty() {
            return Err(difference.unwrap_or_else(|| broken("there is no model")));
        }
        check_log(&process.project)?;
        self.check_fold(&process.project)
    }

    /// The state is that of a plain engine that reads the exported events in order.
    fn check_fold(&self, project: &Project) -> Result<(), Broken> {
        let models = self.models.borrow();
        let events = models.iter().flat_map(|model| &model.list.events);
        if self.has_withdrawn.get() || events.clone().any(|event| event.is_replaced) {
            return Ok(());
        }
        // In Legacy an event goes with the user that it had at its arrival, and its claim can name others.
        let has_erased = models.iter().any(|model| !model.list.erased.is_empty());
        if has_erased && self.settings.attribution() == Attribution::AtArrival {
            return Ok(());
        }
        let mut engine = self.settings.engine();
        let mut failed = None;
        let query = crate::read::export::ExportQuery::default();
        let exported = project.export(&query, &mut |event| {
            let text = String::from_utf8_lossy(event.json);
            let parsed = JsonEvent::parse_text(&text).map_err(std::io::Error::other)?;
            if !event.is_unweighed
                && let Ok(reading) = engine.read(&parsed.event())
                && let Some(claim) = reading.claim
                && let Err(error) = engine.apply(claim)
            {
                failed = Some(broken(error));
            }
            Ok(true)
        });
        exported.map_err(broken)?;
        failed.map_or(Ok(()), Err)?;
        let (mut wanted, mut found) = (Vec::new(), Vec::new());
        engine.write_snapshot(&mut wanted).map_err(broken)?;
        let state = project.inner.state().map_err(broken)?;
        state
            .store
            .read()
            .write_snapshot(&mut found)
            .map_err(broken)?;
        match wanted == found {
            true => Ok(()),
            false => Err(broken("the state is not the fold of the exported events")),
        }
    }

    /// What a reader got page by page is what one page has afterwards.
    pub(crate) fn check_feed(&self) -> Result<(), Broken> {
        let Some(process) = self.healthy() else {
            return Err(broken("the project is down at the end"));
        };
        let all = process
            .project
            .changes(self.feed.borrow().first, usize::MAX)
            .map_err(broken)?;
        let feed = self.feed.borrow();
        match feed.changes == all {
            true => Ok(()),
            false => Err(broken(format!(
                "{:?} were read, there are {all:?}",
                feed.changes
            ))),
        }
    }

    /// What was acknowledged is there exactly once, and nothing is there that was not sent.
    pub(crate) fn check_ledger(&self) -> Result<(), Broken> {
        let Some(process) = self.healthy() else {
            return Err(broken("the project is down at the end"));
        };
        let (seen, _) = export(&process.project, &mut || true).map_err(broken)?;
        let mut found: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, json) in &seen {
            *found.entry(mark(json)).or_default() += 1;
        }
        let clients = self.clients.borrow();
        let mut sent = BTreeSet::new();
        for client in clients.iter().flatten() {
            self.check_client(client, &found, &mut sent)?;
            let own = client.own_profile();
            let sum = super::model::sum_of(&process.project, &own)?;
            if !(client.adds_acknowledged..=client.adds_sent).contains(&sum) {
                return Err(broken(format!("{own} has {sum} at the end")));
            }
        }
        let known = seen
            .iter()
            .all(|(_, json)| sent.contains(mark(json)) || mark(json).is_empty());
        match known {
            true => self.check_replay(&process.project, &seen),
            false => Err(broken("an event is stored that nobody sent")),
        }
    }

    fn check_client<'c>(
        &self,
        client: &'c Client,
        found: &BTreeMap<&str, usize>,
        sent: &mut BTreeSet<&'c str>,
    ) -> Result<(), Broken> {
        let models = self.models.borrow();
        let model = models.first().ok_or_else(|| broken("there is no model"))?;
        let times = |mark: &str| found.get(mark).copied().unwrap_or_default();
        let all = |requests: &'c [Rc<Request>]| requests.iter().flat_map(|it| &it.events);
        for event in all(&client.acknowledged) {
            let Some(mark) = event.insert_id.as_deref().filter(|it| it.starts_with('c')) else {
                sent.extend(event.insert_id.as_deref());
                continue;
            };
            sent.insert(mark);
            let json = event.json();
            let parsed = JsonEvent::parse_text(&json).map_err(broken)?;
            let reading = self.settings.read(&parsed.event()).ok();
            let wanted = usize::from(reading.is_some());
            let is_right = match reading {
                Some(reading) if model.is_gone(&reading) => times(mark) == 0,
                // It came before the erasure, or was refused after it.
                Some(reading) if model.may_be_gone(&reading, Some(mark)) => times(mark) <= 1,
                _ => times(mark) == wanted,
            };
            if !is_right {
                let times = times(mark);
                return Err(broken(format!(
                    "{mark} was acknowledged and is there {times} times"
                )));
            }
        }
        for event in all(&client.abandoned) {
            let Some(mark) = event.insert_id.as_deref() else {
                continue;
            };
            sent.insert(mark);
            if mark.starts_with('c') && times(mark) > 1 {
                return Err(broken(format!("{mark} is there {} times", times(mark))));
            }
        }
        Ok(())
    }

    /// A project that takes what was committed, without any fault, has the same profiles and log.
    fn check_replay(&self, project: &Project, seen: &[Seen]) -> Result<(), Broken> {
        let models = self.models.borrow();
        let Some(model) = models.first().filter(|_| models.len() == 1) else {
            return Ok(());
        };
        // Withdrawing claims moves profiles in another way.
        if self.has_withdrawn.get() || !self.percent(25) {
            return Ok(());
        }
        let replay = self.quiet()?;
        for committed in &model.committed {
            match committed {
                Committed::Sending(sending) => {
                    if replay.submit(sending.clone()).is_none() {
                        return Err(broken("the replay takes no batch"));
                    }
                    replay.write()?;
                }
                Committed::Deletion(id) => replay.request_deletion(id)?,
                Committed::Erasure => replay.erase()?,
            }
        }
        let Some(process) = replay.healthy() else {
            return Err(broken("the replay is down"));
        };
        let (replayed, _) = export(&process.project, &mut || true).map_err(broken)?;
        let profiles = |project: &Project| project.profiles(None, 1_000).map_err(broken);
        let (found, wanted) = (profiles(project)?, profiles(&process.project)?);
        if found != wanted {
            return Err(broken(format!(
                "the profiles are {found:?}, must be {wanted:?}"
            )));
        }
        let changes = |project: &Project| project.changes(0, usize::MAX).map_err(broken);
        let is_same = changes(project)? == changes(&process.project)?;
        match is_same && replayed == seen {
            true => Ok(()),
            false => Err(broken(
                "a replay without faults gives another log or other events",
            )),
        }
    }
}

/// The numbers of the log have no gap.
fn check_log(project: &Project) -> Result<(), Broken> {
    let state = project.inner.state().map_err(broken)?;
    let history = state.store.read().history().map_err(broken)?;
    let mut next = 1;
    let listed = history.entries(1, &mut |entry| {
        let is_next = entry.sequence == next;
        next += 1;
        Ok(is_next)
    });
    listed.map_err(broken)?;
    match next == history.last() + 1 {
        true => Ok(()),
        false => Err(broken(format!("entry {} of the log is missing", next - 1))),
    }
}
