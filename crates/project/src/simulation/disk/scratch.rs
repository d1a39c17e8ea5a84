//! Temporary files that may find no room.

use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::open::store::MakeScratch;
use crate::simulation::random::Random;

/// The temporary files of a world. Each write of one fails at random, if there is chance.
#[derive(Clone, Default)]
pub(crate) struct Scratches(Arc<Mutex<Option<Random>>>);

impl Scratches {
    pub(crate) fn with_chance(random: Random) -> Self {
        Self(Arc::new(Mutex::new(Some(random))))
    }

    /// None fails from now on.
    pub(crate) fn heal(&self) {
        *self.0.lock() = None;
    }

    pub(crate) fn maker(&self) -> MakeScratch {
        let chance = self.clone();
        Arc::new(move || {
            Box::new(File {
                content: Cursor::default(),
                chance: chance.clone(),
            })
        })
    }
}

struct File {
    content: Cursor<Vec<u8>>,
    chance: Scratches,
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut random = self.chance.0.lock();
        if random.as_mut().is_some_and(|random| random.percent(50)) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.content.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for File {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.content.read(to)
    }
}

impl Seek for File {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.content.seek(to)
    }
}
