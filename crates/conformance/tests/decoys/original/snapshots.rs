//! Mistakes in snapshots of a correct state.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU8, Ordering};

use idmerge_conformance::EngineSettings;
use idmerge_conformance::oracle::OriginalOracle;
use idmerge_core::{
    Claim, IdentityResolver, ImagePiece, ImageSink, ImageSource, Outcome, Resolve, SnapshotError,
};

use crate::decoy::{Mistake, keep_cluster, snapshot_of, weigh};
use crate::memory::change_each;

/// Writes the oracle's snapshot and one more byte.
fn write_with(oracle: &OriginalOracle, more: u8, sink: &mut dyn Write) -> io::Result<()> {
    oracle.write_snapshot(sink)?;
    sink.write_all(&[more])
}

/// Reads the bytes that [`write_with`] writes.
fn read_with(oracle: &mut OriginalOracle, source: &mut dyn Read) -> Result<u8, SnapshotError> {
    let mut read = oracle.clone();
    read.read_snapshot(source)?;
    let mut more = [0];
    source.read_exact(&mut more)?;
    *oracle = read;
    Ok(more[0])
}

/// Stores the number of rejected claims in the snapshot.
#[derive(Default)]
pub(crate) struct CountsRejections(u8);

impl Mistake for CountsRejections {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        let outcome = weigh(oracle, claim);
        if matches!(outcome, Outcome::Rejected(_)) {
            self.0 = self.0.wrapping_add(1);
        }
        outcome
    }

    fn write_snapshot(&self, oracle: &OriginalOracle, sink: &mut dyn Write) -> io::Result<()> {
        write_with(oracle, self.0, sink)
    }

    fn read_snapshot(
        &mut self,
        oracle: &mut OriginalOracle,
        source: &mut dyn Read,
    ) -> Result<(), SnapshotError> {
        self.0 = read_with(oracle, source)?;
        Ok(())
    }
}

/// Stores the number of accepted claims in the snapshot, so two ways to one state give two snapshots.
#[derive(Default)]
pub(crate) struct CountsAccepted(u8);

impl Mistake for CountsAccepted {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        let outcome = weigh(oracle, claim);
        if matches!(outcome, Outcome::Merged | Outcome::AlreadyMerged) {
            self.0 = self.0.wrapping_add(1);
        }
        outcome
    }

    fn write_snapshot(&self, oracle: &OriginalOracle, sink: &mut dyn Write) -> io::Result<()> {
        write_with(oracle, self.0, sink)
    }

    fn read_snapshot(
        &mut self,
        oracle: &mut OriginalOracle,
        source: &mut dyn Read,
    ) -> Result<(), SnapshotError> {
        self.0 = read_with(oracle, source)?;
        Ok(())
    }
}

/// Stores the number of claims that changed the state. A repeated event does not reveal it.
#[derive(Default)]
pub(crate) struct CountsChanges(u8);

impl Mistake for CountsChanges {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        let before = snapshot_of(oracle);
        let outcome = weigh(oracle, claim);
        if before != snapshot_of(oracle) {
            self.0 = self.0.wrapping_add(1);
        }
        outcome
    }

    fn write_snapshot(&self, oracle: &OriginalOracle, sink: &mut dyn Write) -> io::Result<()> {
        write_with(oracle, self.0, sink)
    }

    fn read_snapshot(
        &mut self,
        oracle: &mut OriginalOracle,
        source: &mut dyn Read,
    ) -> Result<(), SnapshotError> {
        self.0 = read_with(oracle, source)?;
        Ok(())
    }
}

/// Writes a value that no other engine has, like a random seed or an address.
#[derive(Default)]
pub(crate) struct Seeded(u8);

impl Mistake for Seeded {
    type Oracle = OriginalOracle;

    fn settings(&mut self, settings: EngineSettings) -> EngineSettings {
        static ENGINES: AtomicU8 = AtomicU8::new(0);
        self.0 = ENGINES.fetch_add(1, Ordering::Relaxed);
        settings
    }

    fn write_snapshot(&self, oracle: &OriginalOracle, sink: &mut dyn Write) -> io::Result<()> {
        write_with(oracle, self.0, sink)
    }

    fn read_snapshot(
        &mut self,
        oracle: &mut OriginalOracle,
        source: &mut dyn Read,
    ) -> Result<(), SnapshotError> {
        self.0 = read_with(oracle, source)?;
        Ok(())
    }
}

/// Omits the marks of aliases from the snapshot.
#[derive(Default)]
pub(crate) struct SnapshotWithoutAliases;

impl Mistake for SnapshotWithoutAliases {
    type Oracle = OriginalOracle;

    fn write_snapshot(&self, oracle: &OriginalOracle, sink: &mut dyn Write) -> io::Result<()> {
        let mut written = oracle.clone();
        change_each(&mut written, |known| known.alias = false);
        written.write_snapshot(sink)
    }
}

/// Adds a snapshot to the current state instead of replacing it.
#[derive(Default)]
pub(crate) struct SnapshotAddsUp;

impl Mistake for SnapshotAddsUp {
    type Oracle = OriginalOracle;

    fn read_snapshot(
        &mut self,
        oracle: &mut OriginalOracle,
        source: &mut dyn Read,
    ) -> Result<(), SnapshotError> {
        let clusters = oracle.clusters();
        let before: Vec<_> = clusters.map(|cluster| keep_cluster(&cluster)).collect();
        oracle.read_snapshot(source)?;
        for cluster in before {
            for member in &cluster.members[1..] {
                let first = cluster.members[0].id();
                let second = member.id();
                weigh(oracle, Claim::Merge { first, second });
            }
        }
        Ok(())
    }
}

/// Reads past the end of the snapshot.
#[derive(Default)]
pub(crate) struct ReadsPastTheEnd;

impl Mistake for ReadsPastTheEnd {
    type Oracle = OriginalOracle;

    fn read_snapshot(
        &mut self,
        oracle: &mut OriginalOracle,
        source: &mut dyn Read,
    ) -> Result<(), SnapshotError> {
        let mut bytes = Vec::new();
        source.read_to_end(&mut bytes)?;
        oracle.read_snapshot(&mut &*bytes)
    }
}

/// Treats a damaged snapshot as one of an empty state.
#[derive(Default)]
pub(crate) struct DamagedIsEmpty(EngineSettings);

impl Mistake for DamagedIsEmpty {
    type Oracle = OriginalOracle;

    fn settings(&mut self, settings: EngineSettings) -> EngineSettings {
        self.0 = settings.clone();
        settings
    }

    fn read_snapshot(
        &mut self,
        oracle: &mut OriginalOracle,
        source: &mut dyn Read,
    ) -> Result<(), SnapshotError> {
        if oracle.read_snapshot(source).is_err() {
            *oracle = OriginalOracle::new(self.0.clone());
        }
        Ok(())
    }
}

/// Loses its state when it reads a damaged snapshot.
#[derive(Default)]
pub(crate) struct DamagedLosesState(EngineSettings);

impl Mistake for DamagedLosesState {
    type Oracle = OriginalOracle;

    fn settings(&mut self, settings: EngineSettings) -> EngineSettings {
        self.0 = settings.clone();
        settings
    }

    fn read_snapshot(
        &mut self,
        oracle: &mut OriginalOracle,
        source: &mut dyn Read,
    ) -> Result<(), SnapshotError> {
        *oracle = OriginalOracle::new(self.0.clone());
        oracle.read_snapshot(source)
    }
}

/// Panics on a damaged snapshot.
#[derive(Default)]
pub(crate) struct DamagedPanics;

impl Mistake for DamagedPanics {
    type Oracle = OriginalOracle;

    fn read_snapshot(
        &mut self,
        oracle: &mut OriginalOracle,
        source: &mut dyn Read,
    ) -> Result<(), SnapshotError> {
        oracle.read_snapshot(source).expect("a whole snapshot");
        Ok(())
    }
}

/// Writes the snapshot as the image.
fn write_image(snapshot: &mut dyn Read, sink: &mut dyn ImageSink) -> Option<()> {
    let mut bytes = Vec::new();
    snapshot.read_to_end(&mut bytes).ok()?;
    sink.put(IMAGE, &bytes).ok()
}

/// Reads the bytes that [`write_image`] writes.
fn read_image(image: &dyn ImageSource) -> Result<Vec<u8>, SnapshotError> {
    let mut snapshot = Vec::new();
    image.piece(IMAGE, &mut |bytes| snapshot.extend(bytes))?;
    Ok(snapshot)
}

const IMAGE: ImagePiece = ImagePiece { part: 1, number: 0 };

/// Reads an image, and keeps the state that was there before.
#[derive(Default)]
pub(crate) struct ImagesChangeNothing;

impl Mistake for ImagesChangeNothing {
    type Oracle = OriginalOracle;

    fn write_image(&self, snapshot: &mut dyn Read, sink: &mut dyn ImageSink) -> Option<()> {
        write_image(snapshot, sink)
    }

    fn read_image(
        &mut self,
        oracle: &mut OriginalOracle,
        image: &dyn ImageSource,
    ) -> Result<(), SnapshotError> {
        oracle.clone().read_snapshot(&mut &*read_image(image)?)
    }
}

/// Forgets its state if an image is damaged.
#[derive(Default)]
pub(crate) struct DamagedImageIsEmpty;

impl Mistake for DamagedImageIsEmpty {
    type Oracle = OriginalOracle;

    fn write_image(&self, snapshot: &mut dyn Read, sink: &mut dyn ImageSink) -> Option<()> {
        write_image(snapshot, sink)
    }

    fn read_image(
        &mut self,
        oracle: &mut OriginalOracle,
        image: &dyn ImageSource,
    ) -> Result<(), SnapshotError> {
        let snapshot = read_image(image)?;
        oracle.read_snapshot(&mut &*snapshot).inspect_err(|_| {
            *oracle = OriginalOracle::new(EngineSettings::default());
        })
    }
}
