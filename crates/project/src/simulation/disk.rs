//! A simulated disk: what a process sees, what a power failure leaves, and every fault of a disk.

pub(crate) mod scratch;

use std::io;
use std::sync::Arc;

use idmerge_store::StorageBackend;
use parking_lot::{Mutex, MutexGuard};

use super::hooks::during_sync;
use super::random::Random;

const PAGE_BYTES: usize = 4096;
/// The unit that a disk writes whole or not at all, in bytes.
const SECTOR_BYTES: usize = 512;

/// The content of the file. Copies share the pages that are equal, so that a copy costs little.
#[derive(Clone, Debug, Default)]
struct Image {
    pages: Vec<Option<Arc<[u8; PAGE_BYTES]>>>,
    len: usize,
}

impl Image {
    fn set_len(&mut self, len: usize) {
        self.pages.resize(len.div_ceil(PAGE_BYTES), None);
        if let Some(Some(last)) = self.pages.last_mut()
            && !len.is_multiple_of(PAGE_BYTES)
        {
            Arc::make_mut(last)[len % PAGE_BYTES..].fill(0);
        }
        self.len = len;
    }

    /// Calls `part` with each page that the range touches: its index, and the ranges in the page and in
    /// the range.
    fn parts(at: usize, len: usize, mut part: impl FnMut(usize, usize, std::ops::Range<usize>)) {
        let mut done = 0;
        while done < len {
            let place = at + done;
            let here = (PAGE_BYTES - place % PAGE_BYTES).min(len - done);
            part(place / PAGE_BYTES, place % PAGE_BYTES, done..done + here);
            done += here;
        }
    }

    fn write(&mut self, at: usize, data: &[u8]) {
        if self.len < at + data.len() {
            self.set_len(at + data.len());
        }
        Self::parts(at, data.len(), |page, start, range| {
            let page = self.pages[page].get_or_insert_with(|| Arc::new([0; PAGE_BYTES]));
            Arc::make_mut(page)[start..start + range.len()].copy_from_slice(&data[range]);
        });
    }

    fn read(&self, at: usize, out: &mut [u8]) -> io::Result<()> {
        if at + out.len() > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Self::parts(at, out.len(), |page, start, range| {
            let out = &mut out[range];
            match &self.pages[page] {
                Some(page) => out.copy_from_slice(&page[start..start + out.len()]),
                None => out.fill(0),
            }
        });
        Ok(())
    }
}

/// A change that is not synced.
#[derive(Clone, Debug)]
enum Change {
    Length(usize),
    Write(usize, Vec<u8>),
}

impl Change {
    fn make(&self, image: &mut Image) {
        match self {
            Self::Length(len) => image.set_len(*len),
            Self::Write(at, data) => image.write(*at, data),
        }
    }
}

#[derive(Debug, Default)]
struct Contents {
    /// The content as a process with the file open sees it.
    seen: Image,
    /// The content that is synced.
    synced: Image,
    since: Vec<Change>,
    syncs: u64,
    /// How many more syncs succeed; the one after them is that of the power failure.
    dies_after: Option<u64>,
    is_dead: bool,
    /// How many more writes and syncs succeed; the one after them fails once.
    fails_after: Option<u64>,
    /// How many operations failed.
    failures: u64,
    /// The file cannot grow while this is set.
    is_full: bool,
    /// Whether syncs do nothing but report success.
    lies: bool,
    /// Whether the disk lacks something that is not in `since`.
    has_forgotten: bool,
    /// What a sync that failed has written is up to this.
    random: Option<Random>,
}

/// A file, shared by its clones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Mutex<Contents>>);

impl Disk {
    /// A disk that says that it has synced and has not.
    pub(crate) fn lie(&self) {
        self.0.lock().lies = true;
    }

    /// A disk on which syncs that fail write as much as chance has it.
    pub(crate) fn with_chance(random: Random) -> Self {
        Self::of(Contents {
            random: Some(random),
            ..Contents::default()
        })
    }

    /// The power fails at a sync: after this many that succeed.
    pub(crate) fn die_after(&self, syncs: u64) {
        self.0.lock().dies_after = Some(syncs);
    }

    /// One write or sync fails: after this many that succeed.
    pub(crate) fn fail_after(&self, operations: u64) {
        self.0.lock().fails_after = Some(operations);
    }

    pub(crate) fn set_full(&self, is_full: bool) {
        self.0.lock().is_full = is_full;
    }

    pub(crate) fn is_full(&self) -> bool {
        self.0.lock().is_full
    }

    /// Whether the power has failed.
    pub(crate) fn is_dead(&self) -> bool {
        self.0.lock().is_dead
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.0.lock().syncs
    }

    /// How many operations failed, except for a power failure.
    pub(crate) fn failures(&self) -> u64 {
        self.0.lock().failures
    }

    /// A hash of the content.
    pub(crate) fn digest(&self) -> u64 {
        let contents = self.0.lock();
        let pages = contents.seen.pages.iter().enumerate();
        pages.fold(0, |digest, (place, page)| {
            let bytes = page.as_ref().map_or(&[][..], |page| &page[..]);
            digest ^ twox_hash::XxHash3_64::oneshot_with_seed(place as u64, bytes)
        })
    }

    /// A new file on this disk. What is to fail is what happens to the new file, until [`rename`](Self::rename).
    pub(crate) fn new_file(&self) -> Self {
        let mut contents = self.0.lock();
        Self::of(Contents {
            dies_after: contents.dies_after.take(),
            fails_after: contents.fails_after.take(),
            is_dead: contents.is_dead,
            is_full: contents.is_full,
            lies: contents.lies,
            random: contents.random.take(),
            ..Contents::default()
        })
    }

    /// The new file is given up, or written: what is to fail happens to this one again.
    pub(crate) fn take_faults(&self, new: &Self) {
        let (mut contents, mut new) = (self.0.lock(), new.0.lock());
        contents.dies_after = new.dies_after.take();
        contents.fails_after = new.fails_after.take();
        contents.random = new.random.take();
        contents.is_dead |= new.is_dead;
        contents.failures += new.failures;
        contents.syncs += new.syncs;
    }

    /// Gives a new file, which is synced, the name of this one. If the power fails, it has it or not.
    pub(crate) fn rename(&self, new: &Self) -> io::Result<()> {
        let mut contents = self.alive()?;
        contents.operate()?;
        let dies = contents.dies_after == Some(0);
        contents.dies_after = contents.dies_after.map(|more| more.saturating_sub(1));
        let chance = contents.random.as_mut();
        if !dies || chance.is_none_or(|random| random.percent(50)) {
            let mut new = new.0.lock();
            contents.seen = std::mem::take(&mut new.seen);
            contents.synced = std::mem::take(&mut new.synced);
            contents.since = std::mem::take(&mut new.since);
            contents.has_forgotten = new.has_forgotten;
        }
        contents.is_dead = dies;
        match dies {
            true => Err(io::Error::other("the power fails")),
            // The folder is not synced, and the new file has the name.
            false => contents.operate(),
        }
    }

    /// From now on nothing fails.
    pub(crate) fn heal(&self) {
        let mut contents = self.0.lock();
        contents.dies_after = None;
        contents.fails_after = None;
        contents.is_full = false;
    }

    /// Ends the process: whatever it does from now on has no effect.
    pub(crate) fn kill(&self) {
        self.0.lock().is_dead = true;
    }

    /// The disk that the next process finds after a kill: the system still has everything written, except
    /// for what it has forgotten.
    pub(crate) fn after_kill(&self) -> Self {
        let contents = self.0.lock();
        let mut seen = contents.synced.clone();
        if contents.has_forgotten {
            for change in &contents.since {
                change.make(&mut seen);
            }
        } else {
            seen.clone_from(&contents.seen);
        }
        Self::of(Contents {
            seen,
            synced: contents.synced.clone(),
            since: contents.since.clone(),
            is_full: contents.is_full,
            lies: contents.lies,
            random: contents.random.clone(),
            failures: contents.failures,
            ..Contents::default()
        })
    }

    /// The disk that the next process finds after a power failure. Each change that was not synced is
    /// there, missing, or there in part.
    pub(crate) fn after_power_failure(&self, random: &mut Random) -> Self {
        let contents = self.0.lock();
        let mut image = contents.synced.clone();
        tear(&mut image, &contents.since, random);
        Self::of(Contents {
            seen: image.clone(),
            synced: image,
            is_full: contents.is_full,
            lies: contents.lies,
            random: contents.random.clone(),
            failures: contents.failures,
            ..Contents::default()
        })
    }

    fn of(contents: Contents) -> Self {
        Self(Arc::new(Mutex::new(contents)))
    }

    /// The content, unless the power has failed.
    fn alive(&self) -> io::Result<MutexGuard<'_, Contents>> {
        let contents = self.0.lock();
        if contents.is_dead {
            return Err(io::Error::other("the power has failed"));
        }
        Ok(contents)
    }
}

/// Makes some changes whole, some in part, and some not at all.
fn tear(image: &mut Image, changes: &[Change], random: &mut Random) {
    // All or nothing is as likely as a mixture: it is what most failures leave.
    let kept = *random.pick(&[0, 0, 10, 50, 90, 100]);
    for change in changes {
        match change {
            Change::Length(len) if random.percent(kept) => image.set_len(*len),
            Change::Length(_) => {}
            Change::Write(at, data) if random.percent(kept) => image.write(*at, data),
            Change::Write(at, data) if random.percent(kept) => {
                for (sector, data) in data.chunks(SECTOR_BYTES).enumerate() {
                    if random.percent(50) {
                        image.write(at + sector * SECTOR_BYTES, data);
                    }
                }
            }
            Change::Write(..) => {}
        }
    }
}

impl Contents {
    /// A sync that fails writes a part. The system then takes all for written, so that no later sync
    /// writes the rest; it forgets the rest, too.
    fn half_sync(&mut self) {
        if let Some(random) = &mut self.random {
            tear(&mut self.synced, &self.since, random);
            self.since.clear();
            self.has_forgotten = true;
            // The pages that are not on the disk may be in memory a while longer.
            if random.percent(50) {
                self.seen = self.synced.clone();
            }
        }
    }

    fn sync(&mut self) {
        let since = std::mem::take(&mut self.since);
        if self.has_forgotten {
            for change in &since {
                change.make(&mut self.synced);
            }
        } else {
            self.synced = self.seen.clone();
        }
    }

    /// Fails if this operation is the one that is to fail.
    fn operate(&mut self) -> io::Result<()> {
        match self.fails_after {
            Some(0) => {
                self.fails_after = None;
                self.failures += 1;
                // EIO; an error of another kind would say less in a trace.
                Err(io::Error::other("input/output error"))
            }
            Some(more) => {
                self.fails_after = Some(more - 1);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

fn place(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.alive()?.seen.len as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.alive()?.seen.read(place(offset), out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut contents = self.alive()?;
        contents.operate()?;
        if contents.is_full && place(len) > contents.seen.len {
            contents.failures += 1;
            return Err(io::ErrorKind::StorageFull.into());
        }
        contents.seen.set_len(place(len));
        contents.since.push(Change::Length(place(len)));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        // While the database makes the file longer, readers wait for it.
        let grows = matches!(self.0.lock().since.last(), Some(Change::Length(_)));
        if !grows {
            during_sync();
        }
        let mut contents = self.alive()?;
        if contents.dies_after == Some(0) {
            contents.is_dead = true;
            return Err(io::Error::other("the power fails"));
        }
        contents.dies_after = contents.dies_after.map(|more| more - 1);
        contents.syncs += 1;
        if let Err(error) = contents.operate() {
            contents.half_sync();
            return Err(error);
        }
        if !contents.lies {
            contents.sync();
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut contents = self.alive()?;
        contents.operate()?;
        // A file with holes needs room for each page that is written for the first time.
        if contents.is_full {
            let pages = &contents.seen.pages;
            let mut needs_room = false;
            Image::parts(place(offset), data.len(), |page, _, _| {
                needs_room |= pages.get(page).is_none_or(Option::is_none);
            });
            if needs_room {
                contents.failures += 1;
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        contents.seen.write(place(offset), data);
        let change = Change::Write(place(offset), data.to_vec());
        contents.since.push(change);
        Ok(())
    }
}
