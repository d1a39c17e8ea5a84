//! [`Project`]: opening, submitting and closing.

use std::path::Path;
use std::sync::{Arc, mpsc};

use idmerge_engines::Settings;
use idmerge_store::StoreError;

use crate::error::ProjectError;
use crate::figures::Figures;
use crate::inner::Inner;
use crate::open::clock::SystemClock;
use crate::open::state::WriterState;
use crate::open::store::{self, OpenStore};
use crate::options::Options;
use crate::workers::{Task, Work, Workers};
use crate::write::batch::{Answer, Batch};
use crate::write::maintenance::Maintenance;
use crate::write::prepare::prepare;
use crate::write::queue::Job;
use crate::write::writer::Writer;

/// An open project. Many threads can use it at the same time.
///
/// Dropping a project stops it at once: batches in the queue are answered with
/// [`ProjectError::Closed`]. [`close`](Self::close) writes them first.
pub struct Project {
    pub(crate) inner: Arc<Inner>,
    writer: Arc<Task>,
    maintenance: Arc<Task>,
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
        let open = store::in_folder(folder.as_ref(), &settings, options.cache_bytes);
        Self::open_with(open, settings, options)
    }

    /// Opens the project whose store `open` opens.
    fn open_with(
        mut open: OpenStore,
        settings: Settings,
        mut options: Options,
    ) -> Result<Self, ProjectError> {
        let workers = match options.workers.take() {
            Some(workers) => workers,
            None => Workers::new(1, 1).map_err(StoreError::from)?,
        };
        let state = WriterState::read(open()?, &settings, &options)?;
        let clock = Box::new(SystemClock::new());
        let inner = Arc::new(Inner::new(state.shared.clone(), settings, options, clock));
        let maintenance = Maintenance::new(inner.clone());
        let maintenance = workers.task(Work::Maintain, move || maintenance.turn());
        let mut writer = Writer::new(inner.clone(), state, maintenance.clone());
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
    /// [`ProjectError::Full`], [`ProjectError::Closed`] and [`ProjectError::Failed`]: the batch was
    /// not taken, and `answer` is not called. The last two can also be the answer later.
    pub fn submit(
        &self,
        batch: Batch,
        answer: impl FnOnce(Result<Answer, ProjectError>) + Send + 'static,
    ) -> Result<(), ProjectError> {
        let inner = &self.inner;
        inner.check()?;
        let reservation = inner.queue.reserve(batch.text.len())?;
        let batch = prepare(batch, &inner.settings, &inner.options.profile_limits);
        reservation.fill(Job {
            batch,
            callback: Box::new(answer),
            refused: None,
        });
        inner.wake_writer();
        Ok(())
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
    /// [`ProjectError::Failed`] if a batch could not be written, and any error of the disk while
    /// the final snapshot is made. That snapshot makes the next opening fast.
    pub fn close(&self) -> Result<(), ProjectError> {
        self.inner.queue.close();
        self.stop();
        self.inner.check()?;
        self.inner.state()?.store.read().snapshot()?;
        Ok(())
    }

    /// Whether the project can still write.
    ///
    /// # Errors
    ///
    /// [`ProjectError::Failed`] if a commit failed: the project takes no more batches.
    pub fn check(&self) -> Result<(), ProjectError> {
        self.inner.check()
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
        self.writer.end();
        self.maintenance.end();
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let abandon = || {
            for job in self.inner.queue.abandon() {
                (job.callback)(Err(ProjectError::Closed));
            }
        };
        abandon();
        self.stop();
        // The last turn of the writer can have put unfinished batches back.
        abandon();
    }
}

impl std::fmt::Debug for Project {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Project")
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicBool, Ordering};

    use idmerge_engines::Model;
    use idmerge_store::backends::InMemoryBackend;
    use idmerge_store::{Durable, Sharing, StorageBackend};

    use super::*;
    use crate::read::export::ExportQuery;
    use crate::write::batch::Record;

    /// A disk that is full while `is_full` is set.
    #[derive(Debug)]
    struct Disk {
        memory: InMemoryBackend,
        is_full: Arc<AtomicBool>,
    }

    impl Disk {
        fn check(&self) -> io::Result<()> {
            if self.is_full.load(Ordering::SeqCst) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            Ok(())
        }
    }

    impl StorageBackend for Disk {
        fn len(&self) -> io::Result<u64> {
            self.memory.len()
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.memory.read(offset, out)
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.check()?;
            self.memory.set_len(len)
        }

        fn sync_data(&self) -> io::Result<()> {
            self.check()?;
            self.memory.sync_data()
        }

        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.check()?;
            self.memory.write(offset, data)
        }
    }

    fn one(id: &str) -> Batch {
        let mut batch = Batch::new("/track", 1);
        let json =
            format!(r#"{{"event":"A","properties":{{"$user_id":"{id}","$device_id":"{id}"}}}}"#);
        batch.push(&json, Record::event(Some(1), Some("I")));
        batch
    }

    #[test]
    fn a_full_disk_fails_the_project_and_loses_nothing_acknowledged() {
        let is_full = Arc::new(AtomicBool::new(false));
        let disk = Disk {
            memory: InMemoryBackend::new(),
            is_full: is_full.clone(),
        };
        let settings = Settings::of(Model::Simplified);
        let fresh = settings.clone();
        let options = idmerge_store::Options {
            sharing: Sharing::Nobody,
            ..idmerge_store::Options::default()
        };
        let mut disk = Some(disk);
        let open = Box::new(move || {
            let fresh = fresh.clone();
            Durable::open_backend(
                disk.take().unwrap(),
                move || fresh.engine(),
                options.clone(),
            )
        });
        let project = Project::open_with(open, settings, Options::default()).unwrap();
        project.submit_and_wait(one("U1")).unwrap();

        is_full.store(true, Ordering::SeqCst);
        let error = project.submit_and_wait(one("U2")).unwrap_err();
        assert!(matches!(error, ProjectError::Failed { .. }), "{error}");
        assert!(error.to_string().contains("open it again"), "{error}");
        // From then on every batch fails at once, even if there is room again.
        is_full.store(false, Ordering::SeqCst);
        let error = project.submit(one("U3"), |_| {}).unwrap_err();
        assert!(matches!(error, ProjectError::Failed { .. }));
        assert!(matches!(project.check(), Err(ProjectError::Failed { .. })));
        assert!(project.figures().failure.is_some());
        assert!(matches!(project.close(), Err(ProjectError::Failed { .. })));

        let mut kept = 0;
        project
            .export(&ExportQuery::default(), &mut |event| {
                kept += u32::from(event.json.windows(2).any(|part| part == b"U1"));
                Ok(true)
            })
            .unwrap();
        assert_eq!(kept, 1);
    }
}
