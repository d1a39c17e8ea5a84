//! The encoding of the state, in the snapshot format of `idmerge-state`. Version 1 of the payload:
//!
//! ```text
//! number of IDs
//! each ID, oldest first:
//!     the ID
//!     its cluster: clusters are numbered 0, 1, 2, … by their oldest ID
//!     its marks: 1 for identified, plus 2 for alias
//! ```

use std::io;

use idmerge_core::{Id, RuleBook, SnapshotError};
use idmerge_state::{SnapshotReader, SnapshotWriter};

use crate::partition::{Loader, Marks, Partition, put};

const VERSION: u16 = 1;
const IDENTIFIED: u64 = 1;
const ALIAS: u64 = 2;

/// No cluster has this number, since there are fewer clusters than IDs.
const NOT_NUMBERED: u32 = u32::MAX;

pub(crate) fn write(partition: &Partition, sink: &mut dyn io::Write) -> io::Result<()> {
    let mut writer = SnapshotWriter::begin(sink, RuleBook::Original, VERSION)?;
    let ids = partition.ids.len();
    writer.number(ids.into())?;
    // Labels depend on the history of the clusters; numbers by oldest ID do not.
    let mut numbers = vec![NOT_NUMBERED; ids as usize];
    let mut clusters = 0;
    for id in 0..ids {
        if numbers[id as usize] == NOT_NUMBERED {
            for member in partition.ids.ring(id) {
                numbers[member as usize] = clusters;
            }
            clusters += 1;
        }
        let marks = partition.marks(id);
        writer.id(partition.ids.id(id))?;
        writer.number(numbers[id as usize].into())?;
        let bit = |is_set, bit| if is_set { bit } else { 0 };
        writer.number(bit(marks.identified, IDENTIFIED) + bit(marks.alias, ALIAS))?;
    }
    writer.end()
}

/// Takes what is in a snapshot.
pub(crate) trait Visitor {
    /// The next ID, the oldest first.
    fn id(&mut self, id: Id<'_>) -> Result<(), SnapshotError>;
    /// The cluster and the marks of this ID.
    fn put(&mut self, cluster: u64, marks: u64) -> Result<(), SnapshotError>;
}

/// Gives what is in a snapshot to a visitor. Do not use it before this call has succeeded.
pub(crate) fn visit(
    source: &mut dyn io::Read,
    visitor: &mut impl Visitor,
) -> Result<(), SnapshotError> {
    let mut reader = SnapshotReader::begin(source, RuleBook::Original, VERSION)?;
    for _ in 0..reader.number()? {
        visitor.id(reader.id()?)?;
        let cluster = reader.number()?;
        visitor.put(cluster, reader.number()?)?;
    }
    reader.end()
}

pub(crate) fn read(
    source: &mut dyn io::Read,
    max_cluster_ids: u32,
) -> Result<Partition, SnapshotError> {
    let mut loading = Loading::default();
    visit(source, &mut loading)?;
    let ids = loading.checked(max_cluster_ids)?.finish()?;
    Ok(Partition { ids })
}

/// A partition that is loaded from a snapshot or an image.
#[derive(Default)]
pub(crate) struct Loading {
    loader: Loader,
    /// How many IDs are in clusters.
    put: u32,
}

impl Visitor for Loading {
    #[inline]
    fn id(&mut self, id: Id<'_>) -> Result<(), SnapshotError> {
        self.loader.push(id).map(drop)
    }

    #[inline]
    fn put(&mut self, cluster: u64, marks: u64) -> Result<(), SnapshotError> {
        let cluster = u32::try_from(cluster).unwrap_or(NOT_NUMBERED);
        if cluster > self.loader.clusters() {
            return Err(damaged("a cluster has no oldest ID"));
        }
        if marks > IDENTIFIED + ALIAS {
            return Err(damaged("an ID has an unknown mark"));
        }
        let marks = Marks {
            identified: marks & IDENTIFIED != 0,
            alias: marks & ALIAS != 0,
        };
        put(&mut self.loader, self.put, cluster, marks);
        self.put += 1;
        Ok(())
    }
}

impl Loading {
    /// IDs that are in no cluster yet.
    pub(crate) fn of(loader: Loader) -> Self {
        Self { loader, put: 0 }
    }

    /// The loader, if all clusters are allowed.
    pub(crate) fn checked(self, max_cluster_ids: u32) -> Result<Loader, SnapshotError> {
        let Self { loader, .. } = self;
        for cluster in 0..loader.clusters() {
            let cluster_ids = loader.cluster_ids(cluster);
            if cluster_ids == 1 {
                return Err(damaged("a cluster has only one ID"));
            }
            if cluster_ids > max_cluster_ids {
                return Err(SnapshotError::OverLimit {
                    cluster_ids: cluster_ids.into(),
                    max_cluster_ids: max_cluster_ids.into(),
                });
            }
        }
        Ok(loader)
    }
}

fn damaged(what: &'static str) -> SnapshotError {
    SnapshotError::Damaged { what }
}

#[cfg(test)]
mod tests {
    use idmerge_core::{Claim, IdentityResolver, Resolve};
    use idmerge_state::Found;
    use proptest::prelude::*;

    use super::*;
    use crate::{Original, Settings};

    fn claim<'a>(verb: u8, a: Id<'a>, b: Id<'a>) -> Claim<'a> {
        match verb {
            0 => Claim::Identify {
                identified: a,
                anon: b,
            },
            1 => Claim::Alias {
                distinct_id: a,
                alias: b,
            },
            _ => Claim::Merge {
                first: a,
                second: b,
            },
        }
    }

    fn engine(claims: &[(u8, String, String)]) -> Original {
        let mut engine = Original::new(Settings {
            anon_id_format: crate::AnonIdFormat::Sdk,
            max_cluster_ids: 5,
            ..Settings::default()
        });
        for (verb, a, b) in claims {
            let (a, b) = (Id::new(a).unwrap(), Id::new(b).unwrap());
            engine.apply(claim(*verb, a, b)).unwrap();
        }
        engine
    }

    fn bytes_of(engine: &Original) -> Vec<u8> {
        let mut bytes = Vec::new();
        engine.write_snapshot(&mut bytes).unwrap();
        bytes
    }

    proptest! {
        #[test]
        fn a_state_comes_back_from_its_bytes(
            // Hex groups, so that the anonymous IDs have the form of old SDKs.
            claims in prop::collection::vec((0..3_u8, "[a-f]", "[a-f]-1-1-1-1|[a-f]"), 0..60),
            later in (0..3_u8, "[a-f]", "[a-f]-1-1-1-1|[a-f]"),
        ) {
            let mut engine = engine(&claims);
            let bytes = bytes_of(&engine);
            let mut back = Original::new(engine.settings().clone());
            back.read_snapshot(&mut &bytes[..]).unwrap();
            prop_assert!(engine.clusters().eq(back.clusters()));
            prop_assert_eq!(&bytes_of(&back), &bytes);
            // The marks were restored too, so both engines answer the next claim alike.
            let (a, b) = (Id::new(&later.1).unwrap(), Id::new(&later.2).unwrap());
            let claim = claim(later.0, a, b);
            prop_assert_eq!(engine.apply(claim).unwrap(), back.apply(claim).unwrap());
            prop_assert_eq!(bytes_of(&engine), bytes_of(&back));
        }
    }

    /// Reads a snapshot by entering and joining one ID after the other, as a second way to the same state.
    fn read_one_by_one(source: &mut dyn io::Read, max: u32) -> Result<Partition, SnapshotError> {
        let damaged = || SnapshotError::Damaged { what: "one by one" };
        let mut reader = SnapshotReader::begin(source, RuleBook::Original, VERSION)?;
        let mut partition = Partition::default();
        let mut oldest: Vec<Found> = Vec::new();
        for _ in 0..reader.number()? {
            let id = partition.ids.probe(reader.id()?);
            if partition.ids.find(&id).is_some() {
                return Err(damaged());
            }
            let mut id = partition.ids.enter(&id, None);
            let cluster = usize::try_from(reader.number()?).unwrap();
            match oldest.get(cluster) {
                Some(&member) => id.owner = partition.join(member, id, false),
                None if cluster == oldest.len() => oldest.push(id),
                None => return Err(damaged()),
            }
            match reader.number()? {
                0 => {}
                1 => partition.mark_identified(id),
                2 => partition.mark_alias(id),
                3 => {
                    partition.mark_identified(id);
                    partition.mark_alias(id);
                }
                _ => return Err(damaged()),
            }
        }
        reader.end()?;
        let sizes = oldest.iter().map(|&id| partition.ids.cluster_ids(id));
        if sizes.into_iter().any(|ids| ids < 2 || ids > max) {
            return Err(damaged());
        }
        Ok(partition)
    }

    proptest! {
        #[test]
        fn loading_a_state_gives_what_entering_one_by_one_gives(
            ids in prop::collection::vec(
                (prop_oneof![4 => "[a-z]{2}", 1 => "[a-z]{20}"], any::<prop::sample::Index>(), 0..4_u64), 0..14,
            ),
            wrong in prop::option::weighted(0.1, (any::<prop::sample::Index>(), 0..9_u64, 0..9_u64)),
            later in prop::collection::vec((0..3_u8, any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..30),
        ) {
            // Of two IDs that are the same, the later one stays in a quarter of the cases.
            let mut clusters = 0;
            let mut rows: Vec<(String, u64, u64)> = Vec::new();
            for (text, cluster, marks) in ids {
                if marks > 0 && rows.iter().any(|(before, ..)| *before == text) {
                    continue;
                }
                // Most clusters have several IDs.
                let cluster = cluster.index(2 * clusters + 1).min(clusters);
                let cluster = if cluster == clusters { clusters } else { cluster / 2 };
                clusters = clusters.max(cluster + 1);
                rows.push((text, cluster as u64, marks));
            }
            if let Some((at, cluster, marks)) = wrong && !rows.is_empty() {
                let at = at.index(rows.len());
                rows[at].1 = cluster;
                rows[at].2 = marks;
            }
            let rows: Vec<_> = rows.iter().map(|(text, cluster, marks)| (&**text, *cluster, *marks)).collect();
            let bytes = forged(&rows);
            let one_by_one = read_one_by_one(&mut &bytes[..], 5);
            let loaded = read(&mut &bytes[..], 5);
            prop_assert_eq!(loaded.is_ok(), one_by_one.is_ok());
            let (Ok(loaded), Ok(one_by_one)) = (loaded, one_by_one) else {
                return Ok(());
            };
            let [mut loaded, mut one_by_one] = [loaded, one_by_one].map(|partition| {
                let mut engine = engine(&[]);
                engine.partition = partition;
                engine
            });
            prop_assert_eq!(&bytes_of(&loaded), &bytes);
            prop_assert!(loaded.clusters().eq(one_by_one.clusters()));
            // Claims of IDs that are there, and of new ones.
            let texts: Vec<_> = rows.iter().map(|row| row.0).chain(["a-1-1-1-1", "b-1-1-1-1", "c", "d"]).collect();
            for (verb, a, b) in &later {
                let [a, b] = [a, b].map(|at| Id::new(texts[at.index(texts.len())]).unwrap());
                let claim = claim(*verb, a, b);
                prop_assert_eq!(loaded.apply(claim).unwrap(), one_by_one.apply(claim).unwrap());
            }
            prop_assert!(loaded.clusters().eq(one_by_one.clusters()));
            prop_assert_eq!(bytes_of(&loaded), bytes_of(&one_by_one));
        }
    }

    /// A well-formed frame around a payload that no engine wrote: IDs, clusters and marks.
    fn forged(ids: &[(&str, u64, u64)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = SnapshotWriter::begin(&mut bytes, RuleBook::Original, 1).unwrap();
        writer.number(ids.len() as u64).unwrap();
        for &(id, cluster, marks) in ids {
            writer.id(Id::new(id).unwrap()).unwrap();
            writer.number(cluster).unwrap();
            writer.number(marks).unwrap();
        }
        writer.end().unwrap();
        bytes
    }

    #[test]
    fn a_snapshot_that_contradicts_the_rules_is_damaged() {
        assert!(read(&mut &forged(&[("a", 0, 0), ("b", 0, 3)])[..], 2).is_ok());
        for wrong in [
            &[("a", 0, 0)][..],
            &[("a", 0, 0), ("a", 0, 0)],
            &[("a", 0, 0), ("b", 0, 4)],
            &[("a", 1, 0), ("b", 1, 0)],
            &[("a", 0, 0), ("b", 2, 0), ("c", 0, 0)],
            &[("a", 0, 0), ("b", u64::MAX, 0)],
            &[("a", 0, 0), ("b", 0, 0), ("c", 2, 0), ("d", 1, 0)],
        ] {
            let read = read(&mut &forged(wrong)[..], 500);
            assert!(
                matches!(read, Err(SnapshotError::Damaged { .. })),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn o_12_a_snapshot_may_not_exceed_the_limit_of_the_settings() {
        let bytes = forged(&[("a", 0, 0), ("b", 0, 0), ("c", 0, 0)]);
        assert!(read(&mut &bytes[..], 3).is_ok());
        assert!(matches!(
            read(&mut &bytes[..], 2),
            Err(SnapshotError::OverLimit {
                cluster_ids: 3,
                max_cluster_ids: 2
            })
        ));
    }

    #[test]
    fn equal_states_give_equal_bytes_whatever_their_history() {
        let merge = |a: &str, b: &str| (2, a.to_owned(), b.to_owned());
        // The same IDs enter in the same order, but other clusters are relabelled.
        let one = engine(&[
            merge("a", "b"),
            merge("c", "d"),
            merge("a", "c"),
            merge("e", "f"),
        ]);
        let two = engine(&[
            merge("a", "b"),
            merge("c", "d"),
            merge("d", "b"),
            merge("e", "f"),
        ]);
        assert_eq!(bytes_of(&one), bytes_of(&two));
        let younger = engine(&[
            merge("a", "b"),
            merge("d", "c"),
            merge("a", "c"),
            merge("e", "f"),
        ]);
        assert_ne!(bytes_of(&one), bytes_of(&younger));
    }
}
