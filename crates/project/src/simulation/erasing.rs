//! Erases people from the project of a [`World`] while it is open (E-6).

use std::sync::Arc;
use std::thread;

use idmerge_engines::{Engine, Settings};
use idmerge_store::{Durable, Erasure, ErasureReceipt, GoOn, StoreError, erase_into};
use parking_lot::{Condvar, Mutex};

use super::disk::Disk;
use super::hooks::{Broken, broken, mistake, with_mistake};
use super::model::{IDS, Model};
use super::world::{CLIENTS, Process, World};
use crate::erasure::ProjectErasure;
use crate::error::ProjectError;
use crate::privacy::pause::Phase;
use crate::privacy::task::{PrivacyTask, TaskStatus};
use crate::project::Project;

/// Where the thread that erases waits until the others have acted: before the new file is written, and when the store is
/// closed.
#[derive(Clone, Default)]
pub(crate) struct Stop(Arc<(Mutex<Place>, Condvar)>);

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Before,
    At,
    Behind,
}

impl Stop {
    fn wait(&self) {
        let (place, changed) = &*self.0;
        let mut place = place.lock();
        if *place == Place::Before {
            *place = Place::At;
        }
        while *place == Place::At {
            changed.wait(&mut place);
        }
    }

    fn is_reached(&self) -> bool {
        *self.0.0.lock() == Place::At
    }

    fn set(&self, place: Place) {
        *self.0.0.lock() = place;
        self.0.1.notify_all();
    }
}

/// Lets the thread that erases go on, also if this one panics.
struct GoesOn(Stop);

impl Drop for GoesOn {
    fn drop(&mut self) {
        self.0.set(Place::Behind);
    }
}

/// Writes a store anew on its disk, as [`idmerge_store::begin_erasure`] does in a folder.
pub(crate) struct Rewriting {
    pub(crate) disk: Disk,
    pub(crate) settings: Settings,
    pub(crate) options: idmerge_store::Options,
    pub(crate) stop: Stop,
    pub(crate) new: Option<Disk>,
}

impl Rewriting {
    pub(crate) fn begin(
        &mut self,
        old: &Durable<Engine>,
        erasure: &Erasure,
        go_on: &GoOn<'_>,
    ) -> Result<ErasureReceipt, StoreError> {
        self.stop.wait();
        let new = self.disk.new_file();
        let settings = self.settings.clone();
        let service = ProjectErasure::new(self.settings.clone());
        let erased = erase_into(
            old,
            new.clone(),
            move || settings.engine(),
            &self.options,
            erasure,
            Some(&service),
            go_on,
        );
        self.disk.take_faults(&new);
        self.new = Some(new);
        erased
    }

    pub(crate) fn finish(
        &mut self,
        open: &mut dyn FnMut() -> Result<Durable<Engine>, StoreError>,
    ) -> Result<Vec<String>, StoreError> {
        self.stop.wait();
        // This fails if somebody else has the store open. It is closed before the rename, because what is written to an
        // open store of this disk would go into the new file.
        drop(open()?);
        if let Some(new) = self.new.take() {
            self.disk.rename(&new)?;
        }
        Ok(Vec::new())
    }
}

impl World {
    /// Somebody requests that a person is erased, or the deletions that wait are carried out.
    pub(crate) fn delete(&self) -> Result<(), Broken> {
        let waits = |model: &Model| model.deletions.values().any(|is_done| !is_done);
        let waiting = self.models.borrow().iter().any(waits);
        match waiting && self.percent(60) {
            true => self.erase(),
            false => self.request_deletion(IDS[self.below(IDS.len())]),
        }
    }

    /// Requests that the cluster of an ID is erased.
    pub(crate) fn request_deletion(&self, id: &'static str) -> Result<(), Broken> {
        let is_known = |model: &Model| model.deletions.contains_key(id);
        if self.models.borrow().iter().any(is_known) {
            return Ok(());
        }
        // What is in the queue could be written in the same turn or not.
        while self.healthy().is_some() && !self.pending.borrow().is_empty() {
            self.write()?;
        }
        let failures = self.disk.borrow().failures();
        let Some(process) = self.healthy() else {
            return Ok(());
        };
        let task = PrivacyTask::deletion_of(id);
        let has_job = |project: &Project| project.inner.queue.size().0 > 0;
        let added =
            self.with_turns(&process, &has_job, |project| project.add_privacy_task(task))?;
        self.trace(|| format!("a deletion of {id} is requested: {added:?}"));
        let mut models = self.models.borrow_mut();
        if let Err(error) = added {
            self.must_have_failed(failures, &error)?;
            let others: Vec<_> = models.iter().map(Model::fork).collect();
            models.extend(others);
            let half = models.len() / 2;
            models[..half]
                .iter_mut()
                .for_each(|model| model.request_deletion(id));
        } else {
            models
                .iter_mut()
                .for_each(|model| model.request_deletion(id));
        }
        Ok(())
    }

    /// Carries out the deletions that wait.
    pub(crate) fn erase(&self) -> Result<(), Broken> {
        let Some(process) = self.healthy() else {
            return Ok(());
        };
        let failures = self.disk.borrow().failures();
        // Entries of the log are without the IDs from now on, under their numbers.
        let mut feed = self.feed.borrow_mut();
        feed.first = feed.since;
        feed.changes.clear();
        drop(feed);
        self.trace(|| "an erasure begins".to_owned());
        let is_paused = |project: &Project| project.inner.pause.is_on();
        process.stop.set(Place::Before);
        let erased = self.with_turns(&process, &is_paused, |project| {
            project.erase_waiting(1, [7; 32])
        })?;
        self.trace(|| format!("the erasure ends: {erased:?}"));
        let mut models = self.models.borrow_mut();
        match erased {
            Ok(receipt) => {
                let found = receipt.map(|receipt| receipt.rows.events_erased);
                models.retain_mut(|model| {
                    let waits = model.deletions.values().any(|is_done| !is_done);
                    found == waits.then(|| model.erase())
                });
                match models.is_empty() {
                    true => Err(broken(format!("{found:?} events were erased"))),
                    false => Ok(()),
                }
            }
            Err(error) => {
                self.must_have_failed(failures, &error)?;
                let mut others: Vec<_> = models.iter().map(Model::fork).collect();
                for model in &mut others {
                    model.erase();
                }
                models.extend(others);
                Ok(())
            }
        }
    }

    fn must_have_failed(&self, failures: u64, error: &ProjectError) -> Result<(), Broken> {
        let disk = self.disk.borrow();
        match disk.is_dead() || failures < disk.failures() {
            true => Ok(()),
            false => Err(broken(format!("it fails without a fault: {error:?}"))),
        }
    }

    /// Runs `work` on another thread, and gives the writer turns until it has ended. The first one is given when `is_due`,
    /// so that the schedule does not depend on the speed of threads.
    fn with_turns<T: Send>(
        &self,
        process: &Process,
        is_due: &dyn Fn(&Project) -> bool,
        work: impl FnOnce(&Project) -> T + Send,
    ) -> Result<T, Broken> {
        let (project, stop, mistake) = (&process.project, &process.stop, mistake());
        self.is_erasing.set(true);
        let (result, broken) = thread::scope(|scope| {
            let _goes_on = GoesOn(stop.clone());
            let working = scope.spawn(move || with_mistake(mistake, || work(project)));
            while !working.is_finished() && !is_due(project) {
                thread::yield_now();
            }
            let mut result = Ok(());
            while !working.is_finished() {
                if stop.is_reached() {
                    result = result.and_then(|()| self.act_meanwhile(project));
                    // The thread goes on, and waits again at the next place.
                    stop.set(Place::Before);
                }
                result = result.and_then(|()| self.write());
                thread::yield_now();
            }
            (working.join(), result)
        });
        self.is_erasing.set(false);
        broken?;
        result.map_err(|_| self::broken("a panic"))
    }

    /// People are being erased, and somebody sends, asks, or fails.
    fn act_meanwhile(&self, project: &Project) -> Result<(), Broken> {
        if !self.erases {
            // This world replays another one. It has no clients of its own, and its disk must not fail.
            return Ok(());
        }
        for task in project.privacy_tasks() {
            if !matches!(task.status, TaskStatus::Started | TaskStatus::Success) {
                return Err(broken(format!("a deletion is {:?} meanwhile", task.status)));
            }
        }
        let found = project.last_event();
        let is_closed = project.inner.pause.phase() == Phase::Closed;
        let is_right = match &found {
            Ok(_) => !is_closed,
            Err(error) => is_closed && matches!(error, ProjectError::Erasing),
        };
        if !is_right {
            return Err(broken(format!("a query gets {found:?} meanwhile")));
        }
        for _ in 0..self.below(4) {
            self.act(self.below(CLIENTS), true)?;
        }
        match self.below(10) {
            0 => {
                self.trace(|| "the process is killed".to_owned());
                self.disk.borrow().kill();
            }
            1..5 => self.arm(),
            _ => {}
        }
        Ok(())
    }
}
