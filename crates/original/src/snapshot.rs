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

use idmerge_core::{RuleBook, SnapshotError};
use idmerge_state::{Found, SnapshotReader, SnapshotWriter};

use crate::partition::Partition;

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

pub(crate) fn read(
    source: &mut dyn io::Read,
    max_cluster_ids: u32,
) -> Result<Partition, SnapshotError> {
    let damaged = |what| SnapshotError::Damaged { what };
    let mut reader = SnapshotReader::begin(source, RuleBook::Original, VERSION)?;
    let mut partition = Partition::default();
    // The oldest ID of each cluster.
    let mut oldest: Vec<Found> = Vec::new();
    for _ in 0..reader.number()? {
        let id = partition.ids.probe(reader.id()?);
        if partition.ids.room() == 0 || partition.ids.find(&id).is_some() {
            return Err(damaged("an ID occurs twice, or there are too many"));
        }
        let mut id = partition.ids.enter(&id, None);
        let cluster = usize::try_from(reader.number()?).unwrap_or(usize::MAX);
        match oldest.get(cluster) {
            Some(&member) => id.owner = partition.join(member, id),
            None if cluster == oldest.len() => oldest.push(id),
            None => return Err(damaged("a cluster has no oldest ID")),
        }
        let marks = reader.number()?;
        if marks > IDENTIFIED + ALIAS {
            return Err(damaged("an ID has an unknown mark"));
        }
        if marks & IDENTIFIED != 0 {
            partition.mark_identified(id);
        }
        if marks & ALIAS != 0 {
            partition.mark_alias(id);
        }
    }
    for id in oldest {
        let cluster_ids = partition.ids.cluster_ids(id);
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
    reader.end()?;
    Ok(partition)
}

#[cfg(test)]
mod tests {
    use idmerge_core::{Claim, Id, IdentityResolver, Resolve};
    use proptest::prelude::*;

    use super::*;
    use crate::{Original, Settings};

    fn engine(claims: &[(u8, String, String)]) -> Original {
        let mut engine = Original::new(Settings {
            anon_id_format: crate::AnonIdFormat::Sdk,
            max_cluster_ids: 5,
            ..Settings::default()
        });
        for (verb, a, b) in claims {
            let (a, b) = (Id::new(a).unwrap(), Id::new(b).unwrap());
            let claim = match verb {
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
            };
            engine.apply(claim).unwrap();
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
            let claim = match later.0 {
                0 => Claim::Identify { identified: a, anon: b },
                1 => Claim::Alias { distinct_id: a, alias: b },
                _ => Claim::Merge { first: a, second: b },
            };
            prop_assert_eq!(engine.apply(claim).unwrap(), back.apply(claim).unwrap());
            prop_assert_eq!(bytes_of(&engine), bytes_of(&back));
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
