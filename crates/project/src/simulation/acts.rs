//! What the clients and readers of a [`World`] do.

use idmerge_core::Attribution;
use idmerge_events::JsonEvent;

use super::client::{Client, Request, Sending};
use super::hooks::{Broken, broken};
use super::model::{IDS, sum_of};
use super::world::World;
use crate::error::ProjectError;
use crate::project::Project;
use crate::read::export::{ExportQuery, ExportedEvent, WrittenId};
use crate::write::batch::{Answer, ClaimAnswer, RecordAnswer};

/// The number of an event and its JSON as it was sent.
pub(crate) type Seen = (u64, String);

impl World {
    pub(crate) fn are_clients_done(&self) -> bool {
        let clients = self.clients.borrow();
        clients
            .iter()
            .flatten()
            .all(|client| client.request.is_none())
    }

    /// A client does something. It sends a new request only if `is_busy`.
    pub(crate) fn act(&self, place: usize, is_busy: bool) -> Result<(), Broken> {
        // It may be its turn already, in a step around this one.
        let Some(mut client) = self.clients.borrow_mut()[place].take() else {
            return Ok(());
        };
        let result = self.act_as(&mut client, is_busy);
        self.clients.borrow_mut()[place] = Some(client);
        result
    }

    fn act_as(&self, client: &mut Client, is_busy: bool) -> Result<(), Broken> {
        let name = client.name;
        let Some(request) = client.request.clone() else {
            if is_busy {
                let sources: &[_] = match self.withdraws || self.erases {
                    true => &["/import"],
                    false => &["/track", "/import"],
                };
                let request =
                    client.next_request(sources, self.forges, &mut self.random.borrow_mut());
                client.request = Some(request);
                self.send(client);
            }
            return Ok(());
        };
        let Some((mailbox, number)) = &client.waits else {
            self.send(client);
            return Ok(());
        };
        let is_gone = self
            .process()
            .is_none_or(|process| process.number != *number);
        let mut answer = mailbox.lock().take();
        if is_gone && self.percent(50) {
            // The connection broke when the process ended, before the answer came.
            answer = None;
        }
        match answer {
            Some(Ok(answer)) => {
                self.trace(|| format!("client {name} sees its answer"));
                client.waits = None;
                client.request = None;
                client.acknowledged.push(request.clone());
                let own = client.own_profile();
                client.adds_acknowledged += request.adds_to(&own);
                self.check_acknowledged(client, &request, &answer)
            }
            Some(Err(error)) => {
                client.waits = None;
                match error {
                    ProjectError::Failed { .. } | ProjectError::Closed | ProjectError::Erasing => {
                        Ok(())
                    }
                    error => Err(broken(format!("an answer of an unknown kind: {error:?}"))),
                }
            }
            None => {
                if is_gone || self.percent(8) {
                    self.trace(|| format!("client {name} sees no answer"));
                    client.waits = None;
                } else if is_busy && self.percent(3) {
                    self.trace(|| format!("client {name} dies, and another one comes"));
                    client.waits = None;
                    client.request = None;
                    client.abandoned.push(request);
                }
                Ok(())
            }
        }
    }

    fn send(&self, client: &mut Client) {
        let Some(request) = client.request.clone() else {
            return;
        };
        let adds = request.adds_to(&client.own_profile());
        client.waits = self.submit(Sending {
            request,
            received_ms: self.now_ms(),
        });
        client.adds_sent += adds * u64::from(client.waits.is_some());
    }

    /// Read-your-writes: whoever has an answer finds what it sent.
    fn check_acknowledged(
        &self,
        client: &Client,
        request: &Request,
        answer: &Answer,
    ) -> Result<(), Broken> {
        let Some(process) = self.healthy() else {
            return Ok(());
        };
        let project = &process.project;
        for (sent, record) in request.events.iter().zip(&answer.records) {
            let json = sent.json();
            let event = JsonEvent::parse_text(&json).map_err(broken)?;
            let Ok(reading) = self.settings.read(&event.event()) else {
                continue;
            };
            // Somebody was erased since.
            let models = self.models.borrow();
            if (models.iter()).any(|model| model.may_be_gone(&reading, sent.insert_id.as_deref())) {
                continue;
            }
            drop(models);
            if let RecordAnswer::Stored(ClaimAnswer::Merged | ClaimAnswer::AlreadyMerged) = record
                && let Some(claim) = reading.claim
                && !self.has_withdrawn.get()
            {
                let [first, second] = claim.ids().map(|id| id.to_string());
                let [one, other] = [&first, &second].map(|id| project.identity(id));
                let (one, other) = (one.map_err(broken)?, other.map_err(broken)?);
                if one.canonical != other.canonical {
                    return Err(broken(format!(
                        "{first} and {second} were merged, and are not"
                    )));
                }
            }
            if let (Some(own), Some(insert_id)) = (reading.distinct_id, &sent.insert_id) {
                let own = own.to_string();
                let mark = format!("\"mark\":{insert_id:?}");
                let is_there = match self.settings.attribution() {
                    Attribution::Retroactive => {
                        let found = project.user_events(&own, None, 10_000).map_err(broken)?;
                        found.events.iter().any(|it| it.json.contains(&mark))
                    }
                    // Its user is the one of its arrival, and the ID may stand for another by now.
                    Attribution::AtArrival => {
                        let (seen, _) = export(project, &mut || true).map_err(broken)?;
                        seen.iter().any(|(_, json)| json.contains(&mark))
                    }
                };
                if record.is_stored() && !is_there {
                    return Err(broken(format!(
                        "{insert_id} of {own} was acknowledged, and its user has no event"
                    )));
                }
            }
        }
        let own = client.own_profile();
        let sum = sum_of(project, &own)?;
        let bounds = client.adds_acknowledged..=client.adds_sent;
        if !bounds.contains(&sum) {
            return Err(broken(format!("{own} has {sum}, must be in {bounds:?}")));
        }
        Ok(())
    }

    /// Reads a page of changes.
    pub(crate) fn read_feed(&self, limit: usize) -> Result<(), Broken> {
        let Some(process) = self.healthy() else {
            return Ok(());
        };
        let mut feed = self.feed.borrow_mut();
        let page = process.project.changes(feed.since, limit).map_err(broken)?;
        self.trace(|| format!("{} changes after entry {}", page.len(), feed.since));
        feed.since = page.last().map_or(feed.since, |last| last.sequence);
        feed.changes.extend(page);
        Ok(())
    }

    /// Exports all events, while others go on. The export must have what is there afterwards.
    pub(crate) fn export_meanwhile(&self) -> Result<(), Broken> {
        let Some(process) = self.healthy() else {
            return Ok(());
        };
        let number = process.number;
        self.trace(|| "an export begins".to_owned());
        self.depth.set(self.depth.get() + 1);
        let mut result = Ok(());
        let exported = export(&process.project, &mut || {
            if result.is_ok() && self.percent(15) {
                result = self.step();
            }
            let is_same = self.healthy().is_some_and(|now| now.number == number);
            result.is_ok() && is_same
        });
        self.depth.set(self.depth.get() - 1);
        self.trace(|| "the export ends".to_owned());
        result?;
        drop(process);
        let Some(process) = self.healthy() else {
            return Ok(());
        };
        if process.number != number {
            return Ok(());
        }
        // The store was opened again in the middle, which a reader is told.
        if let Err(ProjectError::Failed { .. }) = exported {
            return Ok(());
        }
        let (seen, is_whole) = exported.map_err(broken)?;
        let (after, _) = export(&process.project, &mut || true).map_err(broken)?;
        self.compare_exports(&seen, &after, is_whole)
    }

    /// Compares what an export has with what is there afterwards: the same, without the events that were
    /// replaced meanwhile.
    fn compare_exports(&self, seen: &[Seen], after: &[Seen], is_whole: bool) -> Result<(), Broken> {
        let last = seen.last().map_or(0, |(number, _)| *number);
        // There are several models after a commit that may have succeeded or not.
        let mut difference = None;
        let fits = self.models.borrow().iter().any(|model| {
            let is_replaced = |number: u64| {
                let place = usize::try_from(number - 1).unwrap_or(usize::MAX);
                let event = model.list.events.get(place);
                event.is_some_and(|event| event.is_replaced)
            };
            let mut kept = seen.iter().filter(|(number, _)| !is_replaced(*number));
            let mut later = after.iter().filter(|(number, _)| *number <= last);
            loop {
                match (kept.next(), later.next()) {
                    (None, None) => return true,
                    (seen, later) if seen == later => {}
                    (seen, later) if is_whole => {
                        difference = Some(format!(
                            "an export has {seen:?}, and there is {later:?} afterwards"
                        ));
                        return false;
                    }
                    _ => return true,
                }
            }
        });
        match difference {
            Some(difference) if !fits => Err(broken(difference)),
            _ => Ok(()),
        }
    }

    /// What other threads read while the writer waits for the disk. They see no state in between.
    pub(crate) fn read_during_sync(&self) -> Result<(), Broken> {
        let Some(process) = self.healthy() else {
            return Ok(());
        };
        self.trace(|| "others read during the sync".to_owned());
        let project = &process.project;
        let id = IDS[self.below(IDS.len())];
        let identity = project.identity(id).map_err(broken)?;
        if !identity.members.contains(&identity.canonical) {
            return Err(broken(format!("{identity:?} lacks its canonical ID")));
        }
        // What was acknowledged is in every export. The models have exactly that before this commit.
        let (seen, _) = export(project, &mut || true).map_err(broken)?;
        let models = self.models.borrow();
        let fits = models.iter().any(|model| {
            let shown =
                (model.list.events.iter()).filter(|event| !event.is_replaced && !event.is_erased);
            shown.count() == seen.len()
        });
        match fits {
            true => Ok(()),
            false => Err(broken(format!(
                "{} events are shown during a sync",
                seen.len()
            ))),
        }
    }
}

/// Exports all events, until `goes_on` is `false`. Also returns whether it is whole.
pub(crate) fn export(
    project: &Project,
    goes_on: &mut dyn FnMut() -> bool,
) -> Result<(Vec<Seen>, bool), ProjectError> {
    let mut seen = Vec::new();
    let mut is_whole = true;
    export_in_runs(project, WrittenId::AsSent, &mut |event| {
        seen.push((
            event.number,
            String::from_utf8_lossy(event.json).into_owned(),
        ));
        is_whole = goes_on();
        Ok(is_whole)
    })?;
    Ok((seen, is_whole))
}

/// How many events a run of an export has.
const RUN_EVENTS: u64 = 3;

/// Exports all events in runs, as a server does, until `visit` returns `false`.
pub(crate) fn export_in_runs(
    project: &Project,
    written_id: WrittenId,
    visit: &mut dyn FnMut(ExportedEvent<'_>) -> std::io::Result<bool>,
) -> Result<(), ProjectError> {
    let as_of = project.last_event()?;
    let (mut first, mut goes_on) = (1, true);
    while goes_on && first <= as_of {
        let query = ExportQuery {
            numbers: first..=first + RUN_EVENTS - 1,
            as_of,
            written_id,
            ..ExportQuery::default()
        };
        project.export(&query, &mut |event| {
            goes_on = visit(event)?;
            Ok(goes_on)
        })?;
        first += RUN_EVENTS;
    }
    Ok(())
}

impl Request {
    pub(crate) fn adds_to(&self, id: &str) -> u64 {
        self.adds.iter().filter(|it| *it == id).count() as u64
    }
}
