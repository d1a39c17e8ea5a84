//! The process of a [`World`]: how it starts, ends, and is ended.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use idmerge_engines::Engine;
use idmerge_store::{Durable, Erasure, ErasureReceipt, GoOn, Sharing, StoreError};

use super::disk::Disk;
use super::disk::scratch::Scratches;
use super::erasing::{Rewriting, Stop};
use super::hooks::{Broken, broken};
use super::world::{Process, World};
use crate::open::clock::Clock;
use crate::open::store::{MakeScratch, OpenStore};
use crate::options::Options;
use crate::project::Project;
use crate::workers::Workers;

/// The clock of the process, which never goes back.
struct Time(Arc<AtomicU64>);

impl Clock for Time {
    fn now(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// A store with its temporary files.
struct Opening<F> {
    open: F,
    rewriting: Rewriting,
    scratches: Scratches,
}

impl<F: FnMut() -> Result<Durable<Engine>, StoreError> + Send> OpenStore for Opening<F> {
    fn open(&mut self) -> Result<Durable<Engine>, StoreError> {
        (self.open)()
    }

    fn begin_erasure(
        &mut self,
        store: &Durable<Engine>,
        erasure: &Erasure,
        go_on: &GoOn<'_>,
    ) -> Result<ErasureReceipt, StoreError> {
        self.rewriting.begin(store, erasure, go_on)
    }

    fn finish_erasure(&mut self) -> Result<Vec<String>, StoreError> {
        self.rewriting.finish(&mut self.open)
    }

    fn discard_erasure(&mut self) {
        self.rewriting.new = None;
    }

    fn scratch(&self) -> MakeScratch {
        self.scratches.maker()
    }
}

impl World {
    /// Ends the process at once. The system has everything that it wrote.
    pub(crate) fn kill(&self) {
        self.trace(|| "the process is killed".to_owned());
        let next = self.disk.borrow().after_kill();
        self.down(next);
    }

    pub(crate) fn fail_power(&self) {
        self.trace(|| "the power fails".to_owned());
        let next = self
            .disk
            .borrow()
            .after_power_failure(&mut self.random.borrow_mut());
        self.down(next);
    }

    fn down(&self, next: Disk) {
        self.disk.borrow().kill();
        drop(self.process.take());
        *self.disk.borrow_mut() = next;
        self.answered.lock().clear();
        self.pending.borrow_mut().clear();
    }

    /// Somebody starts a failed project again.
    pub(crate) fn restart_failed(&self) {
        let is_failed = self.process().is_some_and(|it| it.project.check().is_err());
        if is_failed && self.depth.get() == 0 {
            self.kill();
        }
    }

    /// Writes what is in the queue, and ends the process.
    pub(crate) fn shut_down(&self) -> Result<(), Broken> {
        while self.healthy().is_some() && !self.pending.borrow().is_empty() {
            self.write()?;
        }
        let Some(process) = self.healthy() else {
            self.kill();
            return Ok(());
        };
        let closed = process.project.close();
        self.trace(|| format!("the project is closed: {closed:?}"));
        drop(process);
        if self.disk.borrow().is_dead() {
            self.fail_power();
            return Ok(());
        }
        drop(self.process.take());
        self.answered.lock().clear();
        // The file may not be closed in order; that is as a kill.
        if closed.is_err() {
            self.kill();
        }
        Ok(())
    }

    fn store_options(&self) -> idmerge_store::Options {
        idmerge_store::Options {
            settings: self.settings.to_string(),
            sharing: Sharing::Nobody,
            unindexed_max: 5,
            // So that each snapshot has an image.
            image_from_bytes: 0,
            ..idmerge_store::Options::default()
        }
    }

    fn open_store(&self) -> impl Fn() -> Result<Durable<Engine>, StoreError> + use<> {
        let (disk, settings) = (self.disk.borrow().clone(), self.settings.clone());
        let options = self.store_options();
        move || {
            let settings = settings.clone();
            Durable::open_backend(disk.clone(), move || settings.engine(), options.clone())
        }
    }

    /// Starts a process, however often the power fails meanwhile. It must read as a model does.
    pub(crate) fn boot(&self) -> Result<(), Broken> {
        for _ in 0..20 {
            let failures = self.disk.borrow().failures();
            let workers = Workers::new(0, 0).map_err(broken)?;
            let options = Options {
                workers: Some(workers.clone()),
                ..self.options.clone()
            };
            let stop = Stop::default();
            let rewriting = Rewriting {
                disk: self.disk.borrow().clone(),
                settings: self.settings.clone(),
                options: self.store_options(),
                stop: stop.clone(),
                new: None,
            };
            let open = Box::new(Opening {
                open: self.open_store(),
                rewriting,
                scratches: self.scratches.clone(),
            });
            let clock = Box::new(Time(self.time_ms.clone()));
            let opened = Project::open_at(open, self.settings.clone(), options, clock);
            self.trace(|| format!("a process starts: {:?}", opened.as_ref().map(drop)));
            if self.disk.borrow().is_dead() {
                drop(opened);
                self.fail_power();
                continue;
            }
            match opened {
                Ok(project) => {
                    self.processes.set(self.processes.get() + 1);
                    let number = self.processes.get();
                    let process = Process {
                        project,
                        workers,
                        stop,
                        number,
                        failures: self.disk.borrow().failures(),
                    };
                    *self.process.borrow_mut() = Some(Rc::new(process));
                    return self.check();
                }
                Err(_) if failures < self.disk.borrow().failures() => {
                    if self.disk.borrow().is_full() {
                        // Later.
                        self.kill();
                        return Ok(());
                    }
                    self.kill();
                }
                Err(error) => return Err(broken(format!("the project does not open: {error:?}"))),
            }
        }
        Ok(())
    }

    /// Withdraws a claim, with the project at rest.
    pub(crate) fn withdraw(&self) -> Result<(), Broken> {
        self.disk.borrow().heal();
        self.shut_down()?;
        if self.process().is_some() {
            return Ok(());
        }
        let mut store = self.open_store()().map_err(broken)?;
        let mut claims = Vec::new();
        let history = store.history().map_err(broken)?;
        let listed = history.entries(1, &mut |entry| {
            if let idmerge_store::What::Claim { claim, .. } = entry.what {
                claims.push((entry.sequence, format!("{claim:?}")));
            }
            Ok(true)
        });
        listed.map_err(broken)?;
        drop(history);
        if claims.is_empty() {
            drop(store);
            return self.boot();
        }
        // An earlier process may have ended at a commit whose fate is open.
        let (sequence, claim) = &claims[self.below(claims.len())];
        let cause = idmerge_store::Cause::default();
        let result = store.retract(*sequence, "ada", "a simulation", cause);
        self.trace(|| format!("entry {sequence} is withdrawn, {claim}: {result:?}"));
        result.map_err(broken)?;
        store.close().map_err(broken)?;
        self.has_withdrawn.set(true);
        for model in &mut *self.models.borrow_mut() {
            model.withdraw(claim);
        }
        self.boot()
    }
}
