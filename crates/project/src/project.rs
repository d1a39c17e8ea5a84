//! [`Project`]: opening, handing in, closing.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use idmerge_core::IdentityResolver;
use idmerge_store::{Durable, Sharing, StoreError};
use parking_lot::{Mutex, RwLock};

use crate::archive::{Appender, Directory, OpenArchive, USERS, each_key_from};
use crate::batch::{Answer, Batch};
use crate::keeper::{Bell, keep};
use crate::prepare::Prepared;
use crate::profiles::ProfileChanges;
use crate::queue::{Job, Queue};
use crate::seen::Seen;
use crate::settings::{Engine, Options, Settings};
use crate::writer::{NEAR_CAP_PERCENT, Writer};
use crate::{Figures, ProjectError};

/// One project, open. Any number of threads may use it at once.
///
/// Dropping it stops it at once: what waits to be written is answered with
/// [`ProjectError::Closed`]. [`close`](Self::close) writes it first.
pub struct Project {
    pub(crate) shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What all threads of a project have in common.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) options: Options,
    /// An engine that weighs nothing: to read events with, without a lock.
    pub(crate) reader: Engine,
    pub(crate) store: RwLock<Durable<Engine>>,
    /// Of what is committed. Whoever wants the blocks too looks here first and opens them then.
    pub(crate) directory: RwLock<Directory>,
    pub(crate) queue: Queue,
    pub(crate) bell: Bell,
    pub(crate) figures: Mutex<Figures>,
    /// The canonical IDs of clusters that are nearly full.
    pub(crate) near_cap: Mutex<HashSet<String>>,
    pub(crate) failure: Mutex<Option<String>>,
}

impl Project {
    /// Opens the project in a folder, and makes both where they are not there.
    ///
    /// # Errors
    ///
    /// [`StoreError::OtherRuleBook`] and [`StoreError::OtherSettings`] where the project was made
    /// with others, [`StoreError::InUse`] where it is open already, [`ProjectError::Damaged`], and
    /// where the disk fails.
    pub fn open(
        folder: impl AsRef<Path>,
        settings: Settings,
        options: Options,
    ) -> Result<Self, ProjectError> {
        let fresh = settings.clone();
        let store_options = idmerge_store::Options {
            settings: settings.text(),
            sharing: Sharing::Nobody,
            cache_bytes: options.cache_bytes,
            ..idmerge_store::Options::default()
        };
        let store = Durable::open(folder, move || fresh.engine(), store_options)?;
        Self::over(store, settings, options)
    }

    fn over(
        store: Durable<Engine>,
        settings: Settings,
        options: Options,
    ) -> Result<Self, ProjectError> {
        let reader = settings.engine();

        let read = store.begin_read()?;
        let mut directory = Directory::read(&read)?;
        let archive = OpenArchive::new(&read)?;
        let indexed = USERS.until(&read)?;
        let mut appender = Appender::open(&directory, &archive, indexed)?;
        let mut recent = Vec::new();
        each_key_from(
            &directory,
            &archive,
            indexed + 1,
            &reader,
            &mut |key, number| {
                appender.add_recent(key, number);
                recent.push((key, number));
            },
        )?;
        directory.add_recent(&recent);
        let seen = Seen::read(&read)?;
        let profiles = ProfileChanges::open(&read)?;
        drop((read, archive));

        let mut near_cap = HashSet::new();
        if let Some(max) = settings.max_cluster_ids() {
            for cluster in store.clusters() {
                if cluster.members.len() * 100 >= max as usize * NEAR_CAP_PERCENT {
                    near_cap.insert(cluster.canonical.to_string());
                }
            }
        }
        let shared = Arc::new(Shared {
            queue: Queue::new(&options),
            settings,
            options,
            reader,
            store: RwLock::new(store),
            directory: RwLock::new(directory),
            bell: Bell::default(),
            figures: Mutex::default(),
            near_cap: Mutex::new(near_cap),
            failure: Mutex::default(),
        });
        let writer = Writer {
            shared: shared.clone(),
            appender,
            seen,
            profiles,
            figures: Figures::default(),
        };
        let kept = shared.clone();
        let threads = vec![
            spawn("writer", move || writer.run())?,
            spawn("keeper", move || keep(&kept))?,
        ];
        Ok(Self {
            shared,
            threads: Mutex::new(threads),
        })
    }

    /// The rules that the project goes by.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Hands a batch in. `answer` is called once, on a thread of the project's, when the batch is
    /// safe or cannot be; it should be quick. Events of a batch are weighed by their time, those of
    /// one time as they came, and updates of profiles after them.
    ///
    /// Reading the events, which takes about half a microsecond for each, is done here; nothing
    /// here waits for the disk.
    ///
    /// # Errors
    ///
    /// [`ProjectError::Full`], [`ProjectError::Closed`] and [`ProjectError::Failed`]: nothing was
    /// taken, and `answer` is not called. It can be called with the last two later.
    pub fn submit(
        &self,
        batch: Batch,
        answer: impl FnOnce(Result<Answer, ProjectError>) + Send + 'static,
    ) -> Result<(), ProjectError> {
        let shared = &self.shared;
        shared.check()?;
        let place = shared.queue.place(batch.text.len())?;
        let limits = &shared.options.profile_limits;
        let batch = Prepared::new(batch, &shared.reader, limits);
        place.fill(Job {
            batch,
            callback: Box::new(answer),
        });
        Ok(())
    }

    /// Hands a batch in and waits for the answer.
    ///
    /// # Errors
    ///
    /// Those of [`submit`](Self::submit).
    pub fn submit_and_wait(&self, batch: Batch) -> Result<Answer, ProjectError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.submit(batch, move |answer| {
            // Whoever waited for it is there until it is received.
            drop(sender.send(answer));
        })?;
        receiver.recv().unwrap_or(Err(ProjectError::Closed))
    }

    /// Writes all that waits, and stops. Nothing is taken any more; reading goes on. Dropping the
    /// project closes the file.
    ///
    /// # Errors
    ///
    /// [`ProjectError::Failed`] where not all could be written, and where a last snapshot, which
    /// makes the next opening quick, could not.
    pub fn close(&self) -> Result<(), ProjectError> {
        self.shared.queue.close();
        self.stop();
        self.shared.check()?;
        self.shared.store.read().snapshot()?;
        Ok(())
    }

    fn stop(&self) {
        self.shared.bell.stop();
        for thread in self.threads.lock().drain(..) {
            // A writer that panicked has said so to whoever waited.
            drop(thread.join());
        }
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        for job in self.shared.queue.abandon() {
            (job.callback)(Err(ProjectError::Closed));
        }
        self.stop();
    }
}

impl std::fmt::Debug for Project {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Project")
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Whether the project can still write.
    pub(crate) fn check(&self) -> Result<(), ProjectError> {
        match &*self.failure.lock() {
            None => Ok(()),
            Some(reason) => Err(ProjectError::Failed {
                reason: reason.clone(),
            }),
        }
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, ProjectError> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(body);
    Ok(thread.map_err(StoreError::from)?)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicBool, Ordering};

    use idmerge_core::RuleBook;
    use idmerge_store::StorageBackend;
    use idmerge_store::backends::InMemoryBackend;

    use super::*;
    use crate::{ExportQuery, Record};

    /// A disk that is full once it is said to be.
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
    fn a_full_disk_answers_everybody_and_loses_nothing_acknowledged() {
        let is_full = Arc::new(AtomicBool::new(false));
        let disk = Disk {
            memory: InMemoryBackend::new(),
            is_full: is_full.clone(),
        };
        let settings = Settings::of(RuleBook::Simplified);
        let fresh = settings.clone();
        let options = idmerge_store::Options {
            sharing: Sharing::Nobody,
            ..idmerge_store::Options::default()
        };
        let store = Durable::open_backend(disk, move || fresh.engine(), options).unwrap();
        let project = Project::over(store, settings, Options::default()).unwrap();
        project.submit_and_wait(one("U1")).unwrap();

        is_full.store(true, Ordering::SeqCst);
        let error = project.submit_and_wait(one("U2")).unwrap_err();
        assert!(matches!(error, ProjectError::Failed { .. }), "{error}");
        assert!(error.to_string().contains("open it again"), "{error}");
        // From then on it refuses at once, even when there is room again.
        is_full.store(false, Ordering::SeqCst);
        let error = project.submit(one("U3"), |_| {}).unwrap_err();
        assert!(matches!(error, ProjectError::Failed { .. }));
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
