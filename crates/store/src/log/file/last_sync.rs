//! [`LastSync`]: takes back a commit whose sync failed.

use std::fmt::Debug;
use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use redb::{BackendError, StorageBackend};

use crate::lock::lock;

/// The bytes at the start of the file that say which commit is the last one. Nothing else is in the first
/// page, so this may be more than the database uses.
const HEAD_BYTES: usize = 512;

/// The head of the file as of the last sync that succeeded, from one opening of a store to the next.
///
/// After a sync has failed, nobody knows what is on the disk: the system shows what was written, and a
/// later sync succeeds although some of it is lost. So the head and the length of the last good sync are put back at
/// once: another process may open the file next. If that fails too, they are put back when the store is opened again
/// in the same process. So the failed commit is not there, and nothing that is committed later depends on it. A
/// commit never changes what the one before it uses, so this is the same as a crash before the head was written.
#[derive(Clone, Debug, Default)]
pub struct LastSync(Arc<Mutex<Heads>>);

#[derive(Debug, Default)]
struct Heads {
    /// As of the last sync; `None` before the first opening.
    synced: Option<Vec<u8>>,
    /// As written since then.
    written: Option<Vec<u8>>,
    /// The length of the file as of the last sync; `None` before the first opening.
    synced_bytes: Option<u64>,
    /// Whether a sync has failed since then.
    has_failed: bool,
    /// How often a head that was written was synced, or a frame of the journal.
    syncs: u64,
    /// The epoch and the offset of a frame of the journal whose sync failed.
    failed_frame: Option<(u128, u64)>,
}

impl LastSync {
    /// How often a commit has come to the disk. If this grows during a commit that fails, the commit is
    /// there: what failed came after it, such as making the file shorter.
    pub(crate) fn commits(&self) -> u64 {
        lock(&self.0).syncs
    }

    /// Counts a commit to the journal.
    pub(crate) fn count_commit(&self) {
        lock(&self.0).syncs += 1;
    }

    /// Notes that the sync of a frame of the journal failed. It does not count at the next opening in this process, if
    /// that finds the epoch still.
    pub(crate) fn journal_failed(&self, epoch: u128, offset: u64) {
        lock(&self.0).failed_frame = Some((epoch, offset));
    }

    /// The offset from which on the frames of an epoch do not count, if there is one.
    pub(crate) fn journal_end(&self, epoch: u128) -> Option<u64> {
        let failed = lock(&self.0).failed_frame;
        failed.and_then(|(of, offset)| (of == epoch).then_some(offset))
    }

    /// A file whose head is put back at its first use, if a sync failed since it was written.
    pub(crate) fn of<B: StorageBackend>(&self, backend: B) -> Watched<B> {
        Watched {
            backend,
            heads: self.0.clone(),
            is_begun: AtomicBool::new(false),
        }
    }
}

/// A file whose head is remembered.
#[derive(Debug)]
pub(crate) struct Watched<B> {
    backend: B,
    heads: Arc<Mutex<Heads>>,
    is_begun: AtomicBool,
}

impl<B: StorageBackend> Watched<B> {
    /// The first use of the file, which is locked by now.
    fn begin(&self) -> io::Result<()> {
        if self.is_begun.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut heads = lock(&self.heads);
        if self.is_begun.load(Ordering::Acquire) {
            return Ok(());
        }
        self.restore(&heads)?;
        heads.synced = Some(self.head()?);
        heads.written = None;
        heads.synced_bytes = Some(self.backend.len()?);
        heads.has_failed = false;
        self.is_begun.store(true, Ordering::Release);
        Ok(())
    }

    /// Puts back the head and the length of the last good sync, unless another process has written the file since.
    fn restore(&self, heads: &Heads) -> io::Result<()> {
        let now = self.head()?;
        if let (Some(synced), Some(written)) = (&heads.synced, &heads.written)
            && now != *synced
            && is_mix(&now, synced, written)
        {
            self.backend.write(0, synced)?;
            self.backend.sync_data()?;
        }
        self.cut(heads)
    }

    /// Makes the file as long as it was at the last good sync. The rest may not be on the disk, and no commit
    /// uses it. But the next commit would write the longer length into the head, and after a crash the file
    /// could not be opened.
    fn cut(&self, heads: &Heads) -> io::Result<()> {
        let Some(synced_bytes) = heads.synced_bytes.filter(|_| heads.has_failed) else {
            return Ok(());
        };
        // Another process may have made the file longer; then its head is there.
        if self.backend.len()? > synced_bytes && Some(self.head()?) == heads.synced {
            self.backend.set_len(synced_bytes)?;
            self.backend.sync_data()?;
        }
        Ok(())
    }

    fn head(&self) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.backend.len()?).unwrap_or(HEAD_BYTES);
        let mut head = vec![0; length.min(HEAD_BYTES)];
        self.backend.read(0, &mut head)?;
        Ok(head)
    }
}

/// Whether a head is what this process wrote, wholly or in part. Another process may have written the
/// file since it was closed; its head must stay.
fn is_mix(now: &[u8], synced: &[u8], written: &[u8]) -> bool {
    let are_heads = [synced, written].iter().all(|it| it.len() == now.len());
    let mut either = synced.iter().zip(written).zip(now);
    are_heads && either.all(|((synced, written), now)| now == synced || now == written)
}

impl<B: StorageBackend> StorageBackend for Watched<B> {
    fn len(&self) -> io::Result<u64> {
        self.begin()?;
        self.backend.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.begin()?;
        self.backend.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.begin()?;
        self.backend.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.begin()?;
        let synced = self.backend.sync_data();
        let mut heads = lock(&self.heads);
        if let Err(error) = synced {
            heads.has_failed = true;
            // The database writes nothing after an error. If this fails, it is tried again when the store is opened
            // again.
            let _is_restored = self.restore(&heads);
            return Err(error);
        }
        if !heads.has_failed {
            heads.synced_bytes = Some(self.backend.len()?);
        }
        if let Some(written) = heads.written.take() {
            heads.synced = Some(written);
            heads.syncs += 1;
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.begin()?;
        if offset < HEAD_BYTES as u64 {
            let mut heads = lock(&self.heads);
            let mut head = self.head()?;
            let from = usize::try_from(offset)
                .unwrap_or(HEAD_BYTES)
                .min(head.len());
            let length = data.len().min(head.len() - from);
            head[from..from + length].copy_from_slice(&data[..length]);
            heads.written = Some(head);
        }
        self.backend.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.backend.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.backend.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.backend.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.backend.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.backend.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.backend.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.backend.query_lock_range(start, end)
    }
}
