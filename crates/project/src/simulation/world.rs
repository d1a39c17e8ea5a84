//! [`World`]: one process with a project, its disk, its clients, and the schedule.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use idmerge_engines::{AnonIdFormat, Model as Rules, Overrides, Settings};
use parking_lot::Mutex;

use super::client::{Client, Feed, Mailbox, Sending};
use super::disk::Disk;
use super::disk::scratch::Scratches;
use super::erasing::Stop;
use super::event_list::EventList;
use super::hooks::{Broken, Mistake, broken, makes, set_during_sync};
use super::model::Model;
use super::random::Random;
use crate::error::ProjectError;
use crate::options::Options;
use crate::project::Project;
use crate::workers::{Work, Workers};
use crate::write::batch::Answer;

pub(crate) const CLIENTS: usize = 3;

/// A running process. Its threads are turns that the world gives.
pub(crate) struct Process {
    pub(crate) project: Project,
    pub(crate) workers: Workers,
    pub(crate) stop: Stop,
    /// Which process it is, from 1.
    pub(crate) number: usize,
    /// How many operations of the disk had failed before it started.
    pub(crate) failures: u64,
}

type Answered = Arc<Mutex<Vec<(usize, Result<Answer, ProjectError>)>>>;

pub(crate) struct World {
    pub(crate) random: RefCell<Random>,
    pub(crate) settings: Settings,
    pub(crate) options: Options,
    pub(crate) disk: RefCell<Disk>,
    pub(crate) scratches: Scratches,
    pub(crate) process: RefCell<Option<Rc<Process>>>,
    pub(crate) processes: Cell<usize>,
    /// `None` for the client whose turn it is.
    pub(crate) clients: RefCell<Vec<Option<Client>>>,
    /// The states that fit everything seen so far. There are several after a commit that may have
    /// succeeded or not.
    pub(crate) models: RefCell<Vec<Model>>,
    /// Every attempt to send a request, in order.
    pub(crate) sendings: RefCell<Vec<Sending>>,
    /// The attempts in the queue, and their bytes.
    pub(crate) pending: RefCell<VecDeque<(usize, usize)>>,
    pub(crate) answered: Answered,
    pub(crate) feed: RefCell<Feed>,
    clock_ms: Cell<i64>,
    /// The time of the process.
    pub(crate) time_ms: Arc<AtomicU64>,
    /// How deep this step is in another one.
    pub(crate) depth: Cell<usize>,
    /// Whether a task of the project has its turn.
    is_turn: Cell<bool>,
    /// Whether claims may be withdrawn. Then no event can replace another one.
    pub(crate) withdraws: bool,
    pub(crate) has_withdrawn: Cell<bool>,
    /// Whether somebody tracks forged events before the true ones are imported.
    pub(crate) forges: bool,
    /// Whether people are erased.
    pub(crate) erases: bool,
    /// Whether another thread works with the project, so that nothing may depend on how many turns the writer has.
    pub(crate) is_erasing: Cell<bool>,
    /// What failed in the middle of a sync.
    broken: RefCell<Option<Broken>>,
    is_traced: bool,
    steps: Cell<usize>,
}

impl World {
    pub(crate) fn new(seed: u64, is_traced: bool) -> Rc<Self> {
        let mut random = Random::new(seed);
        let rules = *random.pick(&[Rules::Simplified, Rules::Original]);
        // The schedules of the other seeds are as before there was Legacy.
        let rules = if seed % 3 == 2 { Rules::Legacy } else { rules };
        let mut overrides = Overrides::default();
        if rules == Rules::Original {
            overrides.max_cluster_ids = Some(4);
            overrides.anon_id_format = Some(AnonIdFormat::UuidV4);
        }
        let settings = Settings::new(rules, &overrides).expect("they fit the model");
        let options = Options {
            max_queue_batches: *random.pick(&[2, 10]),
            max_commit_bytes: *random.pick(&[1, 2_000, 8 << 20]),
            snapshot_entries: 1 + random.next() % 10,
            index_events: 2 + random.next() % 20,
            ..Options::default()
        };
        let disk = Disk::with_chance(random.clone());
        if makes(Mistake::DiskLies) {
            disk.lie();
        }
        let mut world = Self::of(random, settings, options, disk, is_traced);
        // The schedules of the other seeds are as before there were such faults.
        if seed % 5 == 4 {
            world.scratches = Scratches::with_chance(Random::new(seed));
            // Maintenance comes with the runs of the index.
            world.options.index_events = 2;
            world.options.snapshot_entries = 1;
        }
        // The schedules of the other seeds are as before anybody forged events.
        world.forges = seed % 4 == 3 && !world.withdraws;
        // The schedules of the other seeds are as before anybody was erased.
        world.erases = seed % 4 == 2 && !world.withdraws;
        let world = Rc::new(world);
        let weak: Weak<Self> = Rc::downgrade(&world);
        set_during_sync(Some(Rc::new(move || {
            if let Some(world) = weak.upgrade() {
                world.during_sync();
            }
        })));
        world
    }

    /// Another world with the same settings, on a good disk.
    pub(crate) fn quiet(&self) -> Result<Self, Broken> {
        let (settings, options) = (self.settings.clone(), self.options.clone());
        let world = Self::of(Random::new(0), settings, options, Disk::default(), false);
        world.boot()?;
        Ok(world)
    }

    fn of(
        mut random: Random,
        settings: Settings,
        options: Options,
        disk: Disk,
        is_traced: bool,
    ) -> Self {
        let client = |name| {
            Some(Client {
                name,
                ..Client::default()
            })
        };
        Self {
            withdraws: random.percent(25),
            models: RefCell::new(vec![Model::new(EventList::new(settings.clone()))]),
            clients: RefCell::new((0..CLIENTS).map(client).collect()),
            random: RefCell::new(random),
            settings,
            options,
            disk: RefCell::new(disk),
            scratches: Scratches::default(),
            process: RefCell::default(),
            processes: Cell::default(),
            sendings: RefCell::default(),
            pending: RefCell::default(),
            answered: Answered::default(),
            feed: RefCell::default(),
            clock_ms: Cell::default(),
            time_ms: Arc::default(),
            depth: Cell::default(),
            is_turn: Cell::default(),
            has_withdrawn: Cell::default(),
            forges: false,
            erases: false,
            is_erasing: Cell::default(),
            broken: RefCell::default(),
            is_traced,
            steps: Cell::default(),
        }
    }

    pub(crate) fn trace(&self, what: impl FnOnce() -> String) {
        if self.is_traced {
            let syncs = self.disk.borrow().syncs();
            let (step, depth) = (self.steps.get(), "  ".repeat(self.depth.get()));
            eprintln!("{step:4} sync {syncs:3} {depth}{}", shortened(&what()));
        }
    }

    /// A number that differs if two schedules do: it is made of all that was sent, and of the file.
    pub(crate) fn schedule(&self) -> (usize, usize, u64, u64) {
        let sendings = self.sendings.borrow().len();
        let disk = self.disk.borrow();
        (self.steps.get(), sendings, disk.syncs(), disk.digest())
    }

    pub(crate) fn below(&self, end: usize) -> usize {
        self.random.borrow_mut().below(end)
    }

    pub(crate) fn percent(&self, percent: usize) -> bool {
        self.random.borrow_mut().percent(percent)
    }

    /// The process, unless it is down.
    pub(crate) fn process(&self) -> Option<Rc<Process>> {
        self.process.borrow().clone()
    }

    /// The process, if its project can write.
    pub(crate) fn healthy(&self) -> Option<Rc<Process>> {
        self.process()
            .filter(|process| process.project.check().is_ok() && !self.disk.borrow().is_dead())
    }

    /// The process, if its project can be read.
    pub(crate) fn readable(&self) -> Option<Rc<Process>> {
        self.process().filter(|process| {
            process.project.inner.state().is_ok() && !self.disk.borrow().is_dead()
        })
    }

    /// The whole life of a project.
    pub(crate) fn run(&self) -> Result<(), Broken> {
        self.boot()?;
        for _ in 0..40 + self.below(60) {
            self.step()?;
        }
        self.disk.borrow().heal();
        self.scratches.heal();
        self.trace(|| "nothing fails from now on".to_owned());
        for _ in 0..500 {
            if self.are_clients_done() && self.healthy().is_some() {
                return self.end();
            }
            for client in 0..CLIENTS {
                self.act(client, false)?;
            }
            self.write()?;
            self.time_ms.fetch_add(1_000, Ordering::Relaxed);
        }
        Err(broken("the clients get no answers, although nothing fails"))
    }

    fn end(&self) -> Result<(), Broken> {
        while self.maintain()? {}
        self.check()?;
        self.read_feed(usize::MAX)?;
        self.shut_down()?;
        self.boot()?;
        // A request whose client has died may have been in the queue until the end.
        self.read_feed(usize::MAX)?;
        self.check_ledger()?;
        self.check_feed()
    }

    /// One step of somebody.
    pub(crate) fn step(&self) -> Result<(), Broken> {
        self.steps.set(self.steps.get() + 1);
        self.clock_ms
            .set(self.clock_ms.get() + 1 + self.below(1_000) as i64);
        let passed = self.below(1_000) as u64;
        self.time_ms.fetch_add(passed, Ordering::Relaxed);
        if self.process().is_none() {
            return self.boot();
        }
        let is_nested = self.depth.get() > 0;
        if self.erases && !is_nested && self.percent(7) {
            self.delete()?;
        }
        match self.below(100) {
            0..45 => self.act(self.below(CLIENTS), true)?,
            45..72 => self.write()?,
            72..77 => drop(self.maintain()?),
            77..82 => self.read_feed(1 + self.below(3))?,
            82..86 if self.depth.get() < 2 => self.export_meanwhile()?,
            86 => self.jump(),
            87..90 => self.arm(),
            90..92 => self.fill_disk(),
            92 | 93 if !is_nested => self.check()?,
            94 if !is_nested => self.kill(),
            95 if !is_nested => self.fail_power(),
            96 if !is_nested => {
                self.shut_down()?;
                self.boot()?;
            }
            97 if !is_nested && self.withdraws => self.withdraw()?,
            _ => self.restart_failed(),
        }
        if self.disk.borrow().is_dead() {
            self.fail_power();
        }
        self.broken.borrow_mut().take().map_or(Ok(()), Err)
    }

    /// The clock of the clients jumps, forwards or back. Arrival times come from it.
    fn jump(&self) {
        let by = self.below(20_000) as i64 - 10_000;
        self.clock_ms.set(self.clock_ms.get() + by * 100_000);
        self.trace(|| format!("the clock jumps by {by}00 s"));
    }

    pub(crate) fn arm(&self) {
        let disk = self.disk.borrow();
        if self.percent(60) {
            let syncs = self.below(6) as u64;
            disk.die_after(syncs);
            self.trace(|| format!("the power will fail after {syncs} syncs"));
        } else {
            let operations = self.below(40) as u64;
            disk.fail_after(operations);
            self.trace(|| format!("an operation will fail after {operations}"));
        }
    }

    fn fill_disk(&self) {
        let disk = self.disk.borrow();
        disk.set_full(!disk.is_full());
        self.trace(|| format!("is the disk full: {}", disk.is_full()));
    }

    /// Gives the writer a turn.
    pub(crate) fn write(&self) -> Result<(), Broken> {
        let Some(process) = self.process() else {
            return self.boot();
        };
        let was_failed = process.project.check().is_err();
        let group = self.next_group();
        let had_turn = self.turn(&process, Work::Write);
        let answered = std::mem::take(&mut *self.answered.lock());
        if answered.is_empty() {
            if had_turn {
                self.trace(|| "the writer: nothing to answer".to_owned());
            }
            return Ok(());
        }
        let mut pending = self.pending.borrow_mut();
        pending.retain(|(attempt, _)| answered.iter().all(|(it, _)| it != attempt));
        drop(pending);
        let result_of = |attempt: &usize| answered.iter().find(|(it, _)| it == attempt);
        let group: Vec<_> = group.iter().filter_map(result_of).collect();
        self.trace(|| {
            let group: Vec<_> = group
                .iter()
                .map(|(it, answer)| (it, answer.is_ok()))
                .collect();
            format!("the writer: {group:?} of {}", answered.len())
        });
        let is_dead = self.disk.borrow().is_dead();
        if answered
            .iter()
            .all(|(_, answer)| matches!(answer, Err(ProjectError::Erasing)))
        {
            return Ok(());
        }
        if group.iter().all(|(_, answer)| answer.is_ok()) {
            return self.committed(&group);
        }
        let has_failed = process.failures < self.disk.borrow().failures();
        if !was_failed && !is_dead && !has_failed {
            return Err(broken(format!(
                "a commit fails without a fault: {answered:?}"
            )));
        }
        if !was_failed {
            self.may_be_committed(&group);
        }
        Ok(())
    }

    fn turn(&self, process: &Process, work: Work) -> bool {
        self.is_turn.set(true);
        let had_turn = process.workers.turn(work);
        self.is_turn.set(false);
        had_turn
    }

    /// The attempts that the next turn of the writer takes.
    fn next_group(&self) -> Vec<usize> {
        let mut bytes = 0;
        let pending = self.pending.borrow();
        let fits = |(at, (_, more)): &(usize, &(usize, usize))| {
            bytes += more;
            *at == 0 || bytes <= self.options.max_commit_bytes
        };
        let group = pending.iter().enumerate().take_while(fits);
        group.map(|(_, (attempt, _))| *attempt).collect()
    }

    fn committed(&self, group: &[&(usize, Result<Answer, ProjectError>)]) -> Result<(), Broken> {
        let sendings = self.sendings.borrow();
        let mut difference = None;
        let mut models = self.models.borrow_mut();
        models.retain_mut(|model| {
            group.iter().all(|(attempt, answer)| {
                let wanted = model.commit(&sendings[*attempt]);
                let found = answer.as_ref().map(|answer| &answer.records);
                let is_equal = found.is_ok_and(|found| *found == wanted);
                if !is_equal {
                    difference = Some(format!("{attempt}: {found:?}, must be {wanted:?}"));
                }
                is_equal
            })
        });
        match difference {
            Some(difference) if models.is_empty() => Err(broken(difference)),
            _ => Ok(()),
        }
    }

    fn may_be_committed(&self, group: &[&(usize, Result<Answer, ProjectError>)]) {
        let sendings = self.sendings.borrow();
        let mut models = self.models.borrow_mut();
        let others: Vec<_> = models.iter().map(Model::fork).collect();
        for mut other in others {
            for (attempt, _) in group {
                other.commit(&sendings[*attempt]);
            }
            models.push(other);
        }
    }

    /// Gives the maintenance a turn. Returns whether it had one.
    pub(crate) fn maintain(&self) -> Result<bool, Broken> {
        let Some(process) = self.process() else {
            return Ok(false);
        };
        let was_healthy = self.healthy().is_some();
        let failures = self.disk.borrow().failures();
        let had_turn = self.turn(&process, Work::Maintain);
        if had_turn {
            self.trace(|| "maintenance".to_owned());
        }
        let has_failed = failures < self.disk.borrow().failures() || self.disk.borrow().is_dead();
        if was_healthy && !has_failed && process.project.check().is_err() {
            return Err(broken(
                "maintenance makes the project fail without a fault of its file",
            ));
        }
        Ok(had_turn)
    }

    pub(crate) fn submit(&self, sending: Sending) -> Option<(Mailbox, usize)> {
        let process = self.process()?;
        let batch = sending.request.batch(sending.received_ms);
        let attempt = self.sendings.borrow().len();
        let mailbox = Mailbox::default();
        let (disk, answered) = (self.disk.borrow().clone(), self.answered.clone());
        let letter = mailbox.clone();
        let bytes = batch.text.len();
        let submitted = process.project.submit(batch, move |answer| {
            let copy = match &answer {
                Ok(answer) => Ok(answer.clone()),
                Err(ProjectError::Erasing) => Err(ProjectError::Erasing),
                Err(error) => Err(ProjectError::Failed {
                    reason: error.to_string(),
                }),
            };
            answered.lock().push((attempt, copy));
            // After a power failure no answer reaches a client.
            if !disk.is_dead() {
                *letter.lock() = Some(answer);
            }
        });
        self.trace(|| format!("attempt {attempt} is {sending:?}: {submitted:?}"));
        submitted.ok()?;
        self.sendings.borrow_mut().push(sending);
        self.pending.borrow_mut().push_back((attempt, bytes));
        Some((mailbox, process.number))
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.clock_ms.get()
    }

    /// While the disk syncs, others read and send.
    fn during_sync(&self) {
        // Opening has no readers.
        if !self.is_turn.get()
            || self.is_erasing.get()
            || self.disk.borrow().is_dead()
            || !self.percent(20)
        {
            return;
        }
        self.is_turn.set(false);
        let result = match self.below(3) {
            0 => self.act(self.below(CLIENTS), false),
            _ => self.read_during_sync(),
        };
        self.is_turn.set(true);
        if let Err(error) = result {
            self.broken.borrow_mut().get_or_insert(error);
        }
    }
}

/// Without the padding of events.
pub(crate) fn shortened(text: &str) -> String {
    let mut short = text.to_owned();
    while short.contains("xxxx") {
        short = short.replace("xxxx", "x");
    }
    short
}
