//! What is read from a journal: by the next process that writes the store, and by readers.

use redb::{Database, ReadTransaction, ReadableDatabase};

use super::place::Place;
use crate::error::StoreError;
use crate::log::about;
use crate::log::file::last_sync::LastSync;
use crate::log::tail::Tail;

/// Writes what a process has left in the journal into the database, and removes the journal: a process that was closed
/// leaves none. Nothing else has the store open for writing.
///
/// # Errors
///
/// [`StoreError::DamagedLog`] if an acknowledged frame is or may be missing.
pub(crate) fn replay(
    database: &Database,
    place: &Place,
    last_sync: &LastSync,
) -> Result<(), StoreError> {
    let read = database.begin_read()?;
    if let Some(row) = about::journal(&read)? {
        let frames = place.frames(row, last_sync.journal_end(row.epoch))?;
        let tail = Tail::with_frames(&read, &frames)?;
        if let Some(what) = frames.damage {
            return Err((tail.sequence() + 1, what).into());
        }
        let write = database.begin_write()?;
        tail.write(&write)?;
        about::set_journal(&write, None)?;
        write.commit()?;
    }
    // If there was no row, it is of another file than this one, or its removal was cut off.
    place.remove();
    Ok(())
}

/// The committed log while another process may write it: what is in the database, and the rest.
///
/// # Errors
///
/// [`StoreError::DamagedLog`] as [`replay`] does, and if the disk fails.
pub(crate) fn committed(
    database: &impl ReadableDatabase,
    place: &Place,
) -> Result<(ReadTransaction, Option<Tail>), StoreError> {
    let mut damaged_at = None;
    loop {
        let read = database.begin_read()?;
        let Some(row) = about::journal(&read)? else {
            return Ok((read, None));
        };
        let frames = place.frames(row, None)?;
        // Frames are written over only after a checkpoint. If there was none until now, these are whole.
        if about::journal(&database.begin_read()?)? != Some(row) {
            continue;
        }
        let (sequence, what) = match (Tail::with_frames(&read, &frames), frames.damage) {
            (Ok(tail), None) => return Ok((read, Some(tail))),
            // Two frames may have been written while this read the place of the first one and then that of the second one.
            // Then the first one is there now.
            (Ok(tail), Some(what)) => (tail.sequence() + 1, what),
            // A commit of the database with an empty journal begins no epoch. If one has come after this began to read, the
            // frames follow its entries.
            (Err(StoreError::DamagedLog { sequence, what }), _) => (sequence, what),
            (Err(error), _) => return Err(error),
        };
        if damaged_at.replace((row, sequence)) == Some((row, sequence)) {
            return Err((sequence, what).into());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::io;
    use std::sync::{Arc, Mutex};

    use idmerge_core::{Claim, Id, IdentityResolver as _};
    use idmerge_simplified::Simplified;
    use redb::StorageBackend;
    use redb::backends::InMemoryBackend;

    use super::*;
    use crate::lock::lock;
    use crate::log::journal::frame::PAGE_BYTES;
    use crate::{Durable, Options, Sharing};

    /// What happens when the journal is read: it gets what was read, and changes it.
    type Happens = Box<dyn FnOnce(&mut [u8]) + Send>;

    /// A journal in memory. Something happens while it is read the next times, each time the last one of these.
    #[derive(Default)]
    struct Busy {
        memory: InMemoryBackend,
        happens: Mutex<Vec<Happens>>,
    }

    impl fmt::Debug for Busy {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Busy").finish_non_exhaustive()
        }
    }

    impl StorageBackend for Busy {
        fn len(&self) -> io::Result<u64> {
            self.memory.len()
        }
        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            let happens = lock(&self.happens).pop();
            self.memory.read(offset, out)?;
            if let Some(happens) = happens {
                happens(out);
            }
            Ok(())
        }
        fn set_len(&self, len: u64) -> io::Result<()> {
            self.memory.set_len(len)
        }
        fn sync_data(&self) -> io::Result<()> {
            Ok(())
        }
        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.memory.write(offset, data)
        }
    }

    #[derive(Clone, Debug, Default)]
    struct Shared(Arc<Busy>);

    impl StorageBackend for Shared {
        fn len(&self) -> io::Result<u64> {
            self.0.len()
        }
        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.0.read(offset, out)
        }
        fn set_len(&self, len: u64) -> io::Result<()> {
            self.0.set_len(len)
        }
        fn sync_data(&self) -> io::Result<()> {
            self.0.sync_data()
        }
        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.0.write(offset, data)
        }
    }

    fn commit(store: &mut Durable<Simplified>, numbers: std::ops::Range<u64>) {
        for number in numbers {
            let texts = [format!("D{number}"), format!("U{number}")];
            let [device, user] = texts.each_ref().map(|text| Id::new(text).unwrap());
            store.apply(Claim::Link { device, user }).unwrap();
            store.commit().unwrap();
        }
    }

    /// A store with five entries, four of them in the journal.
    fn store() -> (Durable<Simplified>, Shared) {
        let options = Options {
            sharing: Sharing::Nobody,
            journal_after: 0,
            ..Options::default()
        };
        let journal = Shared::default();
        let (database, file) = (InMemoryBackend::new(), journal.clone());
        let store = Durable::open_backends(database, file, Simplified::default, options);
        let mut store = store.unwrap();
        commit(&mut store, 0..5);
        (store, journal)
    }

    fn last(database: &Database, journal: &Shared) -> Result<u64, StoreError> {
        let (_, tail) = committed(database, &Place::File(journal.0.clone()))?;
        Ok(tail.unwrap().committed())
    }

    #[test]
    fn a_reader_begins_again_if_frames_are_written_over_meanwhile() {
        let (mut store, journal) = store();
        let database = store.commits.database.clone();
        assert_eq!(last(&database, &journal).unwrap(), 5);
        // The frames of the new epoch are in the places of all old ones when the reader reads them.
        let (gone, back) = std::sync::mpsc::channel();
        let memory = journal.clone();
        let happens = move |out: &mut [u8]| {
            drop(store.begin_read().unwrap());
            commit(&mut store, 5..9);
            memory.0.memory.read(0, out).unwrap();
            // Closing it would end the journal.
            gone.send(store).unwrap();
        };
        lock(&journal.0.happens).push(Box::new(happens));
        assert_eq!(last(&database, &journal).unwrap(), 9);
        drop(back.recv().unwrap());
    }

    #[test]
    fn a_reader_begins_again_if_the_log_grows_in_the_database_before_the_first_frame() {
        let (mut store, journal) = store();
        let database = store.commits.database.clone();
        // Nothing is in the journal, so the next commit of the database begins no epoch.
        drop(store.begin_read().unwrap());
        let (gone, back) = std::sync::mpsc::channel();
        let memory = journal.clone();
        let happens = move |out: &mut [u8]| {
            let [device, user] = ["D5", "U5"].map(|text| Id::new(text).unwrap());
            store.apply(Claim::Link { device, user }).unwrap();
            store.commit_with(|_| Ok::<_, StoreError>(())).unwrap();
            commit(&mut store, 6..7);
            memory.0.memory.read(0, out).unwrap();
            gone.send(store).unwrap();
        };
        lock(&journal.0.happens).push(Box::new(happens));
        assert_eq!(last(&database, &journal).unwrap(), 7);
        drop(back.recv().unwrap());
    }

    #[test]
    fn a_frame_that_is_written_while_a_later_place_is_read_is_no_damage() {
        let (store, journal) = store();
        let database = &store.commits.database;
        // The third frame was not there yet when the reader read its place.
        let misses = |out: &mut [u8]| out[2 * PAGE_BYTES..3 * PAGE_BYTES].fill(0);
        lock(&journal.0.happens).push(Box::new(misses));
        assert_eq!(last(database, &journal).unwrap(), 5);
        // If it stays so, it is damaged.
        for _ in 0..2 {
            lock(&journal.0.happens).push(Box::new(misses));
        }
        let error = last(database, &journal).unwrap_err();
        assert!(
            matches!(error, StoreError::DamagedLog { sequence: 4, .. }),
            "{error}"
        );
    }
}
