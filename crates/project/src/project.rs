//! [`Project`]: opening, submitting and closing.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};

use idmerge_engines::Settings;
use idmerge_store::{LastSync, StoreError};
use parking_lot::Mutex;

use crate::error::ProjectError;
use crate::figures::Figures;
use crate::inner::Inner;
use crate::open::clock::{Clock, SystemClock};
use crate::open::health::Health;
use crate::open::state::WriterState;
use crate::open::store::{InFolder, OpenStore, Opener};
use crate::options::Options;
use crate::workers::{Task, Work, Workers};
use crate::write::batch::{Answer, Batch};
use crate::write::maintenance::Maintenance;
use crate::write::prepare::prepare;
use crate::write::queue::{Job, Reservation};
use crate::write::writer::Writer;

/// An open project. Many threads can use it at the same time.
///
/// Dropping a project stops it at once: batches in the queue are answered with
/// [`ProjectError::Closed`]. [`close`](Self::close) writes them first.
pub struct Project {
    pub(crate) inner: Arc<Inner>,
    writer: Arc<Task>,
    pub(crate) maintenance: Arc<Task>,
    /// They work as long as the project is open.
    _workers: Workers,
}

impl Project {
    /// Opens the project in a folder. The folder and the project are created if they do not exist.
    ///
    /// # Errors
    ///
    /// - [`StoreError::OtherRuleBook`] and [`StoreError::OtherSettings`] if the project was created
    ///   with other settings
    /// - [`StoreError::InUse`] if the project is open elsewhere
    /// - [`ProjectError::Damaged`] if stored events cannot be read
    /// - any error of the disk
    pub fn open(
        folder: impl AsRef<Path>,
        settings: Settings,
        options: Options,
    ) -> Result<Self, ProjectError> {
        let open = InFolder {
            folder: folder.as_ref().to_owned(),
            settings: settings.clone(),
            cache_bytes: options.cache_bytes,
            last_sync: LastSync::default(),
        };
        Self::open_with(Box::new(open), settings, options)
    }

    /// Opens the project whose store `open` opens.
    fn open_with(
        open: Box<dyn OpenStore>,
        settings: Settings,
        options: Options,
    ) -> Result<Self, ProjectError> {
        let clock = Box::new(SystemClock::new());
        Self::open_at(open, settings, options, clock)
    }

    pub(crate) fn open_at(
        open: Box<dyn OpenStore>,
        settings: Settings,
        options: Options,
        clock: Box<dyn Clock>,
    ) -> Result<Self, ProjectError> {
        let mut options = options.that_end();
        let workers = match options.workers.take() {
            Some(workers) => workers,
            None => Workers::new(1, 1).map_err(StoreError::from)?,
        };
        let open: Opener = Arc::new(Mutex::new(open));
        let opened = open.lock().open()?;
        let state = WriterState::read(opened, &settings, &options)?;
        let inner = Inner::new(state.shared.clone(), settings, options, clock, open.clone());
        let inner = Arc::new(inner);
        inner.load_tasks(&state.shared)?;
        let mut maintenance = Maintenance::new(inner.clone());
        let maintenance = workers.task(Work::Maintain, move || maintenance.turn());
        let mut writer = Writer::new(inner.clone(), state, open, maintenance.clone());
        let writer = workers.task(Work::Write, move || writer.turn());
        inner.writer.get_or_init(|| Arc::downgrade(&writer));
        Ok(Self {
            inner,
            writer,
            maintenance,
            _workers: workers,
        })
    }

    /// The settings of the project.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Submits a batch. `answer` is called once, on a thread that writes, when the batch is durable or
    /// cannot be written. It should be fast, since other batches wait for it.
    ///
    /// The claims of a batch are applied in the order that [`Batch::order`] names. Profile updates
    /// follow after all claims.
    ///
    /// This parses the events, which takes about half a microsecond per event. It does not wait for
    /// the disk.
    ///
    /// # Errors
    ///
    /// [`ProjectError::Full`], [`ProjectError::TooManyUpdates`], [`ProjectError::Closed`],
    /// [`ProjectError::Erasing`] and [`ProjectError::Failed`]: the batch was not taken, and `answer` is not called.
    /// The last three can also be the answer later.
    pub fn submit(
        &self,
        batch: Batch,
        answer: impl FnOnce(Result<Answer, ProjectError>) + Send + 'static,
    ) -> Result<(), ProjectError> {
        let (reservation, job) = self.prepare(batch, answer)?;
        reservation.fill(job);
        self.inner.wake_writer();
        Ok(())
    }

    /// A batch that has room in the queue. People can be erased before it gets there.
    pub(crate) fn prepare(
        &self,
        batch: Batch,
        answer: impl FnOnce(Result<Answer, ProjectError>) + Send + 'static,
    ) -> Result<(Reservation<'_>, Job), ProjectError> {
        let inner = &self.inner;
        let erasures = inner.pause.begun();
        inner.check()?;
        let mut reservation = inner.queue.reserve(batch.text.len())?;
        let mut reserve = |bytes| reservation.grow(bytes);
        let erased = inner.state()?.erased.clone();
        let (settings, options) = (&inner.settings, &inner.options);
        let batch = prepare(batch, settings, options, &erased, &mut reserve)?;
        let job = Job {
            batch,
            callback: Box::new(answer),
            erasures,
            refused: None,
        };
        Ok((reservation, job))
    }

    /// Submits a batch and waits for the answer.
    ///
    /// # Errors
    ///
    /// Those of [`submit`](Self::submit).
    pub fn submit_and_wait(&self, batch: Batch) -> Result<Answer, ProjectError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.submit(batch, move |answer| {
            // This cannot fail: the receiver lives until it has received.
            drop(sender.send(answer));
        })?;
        receiver.recv().unwrap_or(Err(ProjectError::Closed))
    }

    /// Writes all batches in the queue, and stops. Later batches are not taken; reading still works.
    /// The file is closed when the project is dropped.
    ///
    /// # Errors
    ///
    /// [`ProjectError::Failed`] if the project cannot write, and any error of the disk while
    /// the final snapshot is made. That snapshot makes the next opening fast.
    pub fn close(&self) -> Result<(), ProjectError> {
        self.close_while(&|| true)
    }

    /// As [`close`](Self::close), but leaves the final snapshot, or its image, off once `may_go_on` returns `false`. To
    /// close soon, first [refuse](Self::refuse_waiting) the batches in the queue.
    ///
    /// # Errors
    ///
    /// Those of [`close`](Self::close).
    pub fn close_while(&self, may_go_on: &dyn Fn() -> bool) -> Result<(), ProjectError> {
        self.inner.queue.close();
        self.stop();
        // An erasure ends soon, and has closed the store.
        if self.inner.pause.is_on() {
            return Ok(());
        }
        self.inner.check()?;
        let state = self.inner.state()?;
        let store = state.store.read();
        if store.snapshot_while(may_go_on)? {
            store.image_while(may_go_on)?;
        }
        Ok(())
    }

    /// Takes no more batches, and answers those in the queue that are not begun with
    /// [`ProjectError::Closed`]. A batch is begun once a commit has its events or a part of its updates; the
    /// rest of it is written. Does not wait.
    pub fn refuse_waiting(&self) {
        self.inner.queue.refuse();
    }

    /// As [`refuse_waiting`](Self::refuse_waiting), also for batches that are begun and whose updates are not
    /// all carried out. Only the commit that runs now is finished.
    pub fn abandon_waiting(&self) {
        self.inner.queue.abandon();
    }

    /// Whether the project can write.
    ///
    /// # Errors
    ///
    /// [`ProjectError::Failed`] from a failed commit until the project has recovered by itself, which
    /// is after a commit that succeeded; [`ProjectError::Erasing`] while people are being erased. Meanwhile it takes
    /// no batches.
    pub fn check(&self) -> Result<(), ProjectError> {
        self.inner.check()
    }

    /// Calls `watch` whenever the project fails and when it has recovered, in place of an earlier
    /// `watch`. It is called on a thread of the project and should be fast.
    pub fn watch(&self, watch: impl Fn(&Health) + Send + Sync + 'static) {
        self.inner.failure.watch(Box::new(watch));
    }

    /// Counts an event that its sender's request made invalid, so that it never came to a batch: under
    /// this rule, in [`Figures::refused`].
    pub fn count_refused(&self, rule: &'static str) {
        self.inner.counters.lock().add_refused(rule);
    }

    /// Counters since the project was opened, and gauges of its current state.
    pub fn figures(&self) -> Figures {
        self.inner.figures()
    }

    fn stop(&self) {
        self.inner.is_closing.store(true, Ordering::Relaxed);
        self.inner.pause.close();
        self.writer.end();
        self.maintenance.end();
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        self.abandon_waiting();
        self.stop();
    }
}

impl std::fmt::Debug for Project {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Project")
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}
