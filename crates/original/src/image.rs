//! The image of a snapshot. Its parts, in the form of `idmerge-state`. Version 1:
//!
//! ```text
//! 1  version, 2 bytes; how much is in the parts of the IDs, 8 bytes
//! 2  keys of the IDs, oldest first
//! 3  texts of the IDs
//! 4  cluster of each ID, 4 bytes: clusters are numbered as in the snapshot
//! 5  marks of each ID, 1 byte, as in the snapshot
//! ```

use std::io;

use idmerge_core::{Id, ImagePiece, ImageSink, ImageSource, SnapshotError};
use idmerge_state::{IdsWriter, ImageIds, ItemsWriter, each_item};

use crate::partition::{Loader, Partition};
use crate::snapshot::{Loading, Visitor, visit};

const VERSION: [u8; 2] = 1_u16.to_le_bytes();
const HEAD: ImagePiece = ImagePiece { part: 1, number: 0 };
const IDS: u8 = 2;
const TEXTS: u8 = 3;
const CLUSTERS: u8 = 4;
const MARKS: u8 = 5;

/// Writes the image of a snapshot.
pub(crate) fn write(
    snapshot: &mut dyn io::Read,
    sink: &mut dyn ImageSink,
) -> Result<(), SnapshotError> {
    let mut writer = Writer {
        ids: IdsWriter::new(IDS, TEXTS),
        clusters: ItemsWriter::new(CLUSTERS),
        marks: ItemsWriter::new(MARKS),
        sink,
    };
    visit(snapshot, &mut writer)?;
    let Writer {
        ids,
        clusters,
        marks,
        sink,
    } = writer;
    clusters.end(sink)?;
    marks.end(sink)?;
    let head = ids.end(sink)?.to_bytes();
    Ok(sink.put(HEAD, &[&VERSION[..], &head].concat())?)
}

struct Writer<'s> {
    ids: IdsWriter,
    clusters: ItemsWriter<4>,
    marks: ItemsWriter<1>,
    sink: &'s mut dyn ImageSink,
}

impl Visitor for Writer<'_> {
    #[inline]
    fn id(&mut self, id: Id<'_>) -> Result<(), SnapshotError> {
        Ok(self.ids.push(id, self.sink)?)
    }

    #[inline]
    fn put(&mut self, cluster: u64, marks: u64) -> Result<(), SnapshotError> {
        let cluster = u32::try_from(cluster).map_err(|_| DAMAGED)?;
        let marks = u8::try_from(marks).map_err(|_| DAMAGED)?;
        self.clusters.push(cluster.to_le_bytes(), self.sink)?;
        Ok(self.marks.push([marks], self.sink)?)
    }
}

pub(crate) fn read(
    image: &dyn ImageSource,
    max_cluster_ids: u32,
) -> Result<Partition, SnapshotError> {
    let mut head = None;
    image.piece(HEAD, &mut |bytes| {
        let bytes = bytes.strip_prefix(&VERSION);
        head = bytes.and_then(|bytes| <[u8; ImageIds::BYTES]>::try_from(bytes).ok());
    })?;
    let ids = ImageIds::of_bytes(IDS, TEXTS, head.ok_or(DAMAGED)?);
    let count = ids.len() as usize;
    let mut clusters = Vec::new();
    each_item::<4>(image, CLUSTERS, count, 0..count, |cluster| {
        clusters.push(u32::from_le_bytes(*cluster));
        Ok(())
    })?;
    let mut loading = Loading::of(Loader::read_image(image, &ids, &clusters)?);
    let mut clusters = clusters.into_iter();
    each_item::<1>(image, MARKS, count, 0..count, |[marks]| {
        let cluster = clusters.next().ok_or(DAMAGED)?;
        loading.put(cluster.into(), u64::from(*marks))
    })?;
    let ids = loading.checked(max_cluster_ids)?.finish_image(image)?;
    Ok(Partition { ids })
}

const DAMAGED: SnapshotError = SnapshotError::Damaged {
    what: "the numbers of IDs and clusters in the image do not fit",
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use idmerge_core::{Claim, IdentityResolver, Resolve};
    use proptest::prelude::*;

    use super::*;
    use crate::{AnonIdFormat, Original, Settings};

    type Image = BTreeMap<ImagePiece, Vec<u8>>;

    fn empty(max_cluster_ids: u32) -> Original {
        Original::new(Settings {
            anon_id_format: AnonIdFormat::Sdk,
            max_cluster_ids,
            ..Settings::default()
        })
    }

    fn snapshot_of(engine: &Original) -> Vec<u8> {
        let mut bytes = Vec::new();
        engine.write_snapshot(&mut bytes).unwrap();
        bytes
    }

    fn image_of(engine: &Original) -> Image {
        let mut image = Image::new();
        write(&mut &*snapshot_of(engine), &mut image).unwrap();
        image
    }

    fn apply(engine: &mut Original, claims: &[(u8, String, String)]) -> Vec<String> {
        let claim = |(verb, a, b): &(u8, String, String)| {
            let [first, second] = [a, b].map(|text| Id::new(text).unwrap());
            let claim = match verb {
                0 => Claim::Identify {
                    identified: first,
                    anon: second,
                },
                1 => Claim::Alias {
                    distinct_id: first,
                    alias: second,
                },
                _ => Claim::Merge { first, second },
            };
            format!("{:?}", engine.apply(claim).unwrap())
        };
        claims.iter().map(claim).collect()
    }

    fn claims(count: usize) -> impl Strategy<Value = Vec<(u8, String, String)>> {
        let id = || "[a-f]{1,2}|[a-f]{20}|[ab]-1-1-1-[1-9]";
        prop::collection::vec((0..3_u8, id(), id()), 0..count)
    }

    proptest! {
        #[test]
        fn an_engine_from_an_image_is_like_the_one_before(first in claims(60), later in claims(30)) {
            let mut engine = empty(5);
            apply(&mut engine, &first);
            let mut loaded = empty(5);
            loaded.read_image(&image_of(&engine)).unwrap();
            prop_assert!(engine.clusters().eq(loaded.clusters()));
            prop_assert_eq!(snapshot_of(&engine), snapshot_of(&loaded));
            prop_assert_eq!(apply(&mut engine, &later), apply(&mut loaded, &later));
            prop_assert!(engine.clusters().eq(loaded.clusters()));
            prop_assert_eq!(snapshot_of(&engine), snapshot_of(&loaded));
        }
    }

    #[test]
    fn o_12_an_image_may_not_exceed_the_limit_of_the_settings() {
        let mut engine = empty(5);
        let merge = |a: &str, b: &str| (2, a.to_owned(), b.to_owned());
        apply(&mut engine, &[merge("a", "b"), merge("b", "c")]);
        let image = image_of(&engine);
        assert!(read(&image, 3).is_ok());
        let over = read(&image, 2);
        assert!(matches!(
            over,
            Err(SnapshotError::OverLimit { cluster_ids: 3, .. })
        ));
    }

    #[test]
    fn numbers_that_do_not_fit_are_damaged() {
        let mut engine = empty(5);
        let identify = |a: &str, b: &str| (0, a.to_owned(), b.to_owned());
        apply(
            &mut engine,
            &[identify("a", "a-1-1-1-1"), identify("b", "b-1-1-1-1")],
        );
        let image = image_of(&engine);
        let [clusters, marks] = [CLUSTERS, MARKS].map(|part| ImagePiece { part, number: 0 });
        assert_eq!(
            image[&clusters],
            [0, 0, 1, 1].map(u32::to_le_bytes).concat()
        );
        assert_eq!(image[&marks], [1, 0, 1, 0]);
        let damaged = |piece, bytes: &[u8]| {
            let mut image = image.clone();
            image.insert(piece, bytes.to_vec());
            matches!(read(&image, 5), Err(SnapshotError::Damaged { .. }))
        };
        // No oldest ID, a cluster of one ID, a cluster that nobody has.
        for wrong in [
            [1, 1, 0, 0],
            [0, 1, 1, 1],
            [0, 0, 2, 2],
            [0, 0, 1, u32::MAX],
        ] {
            assert!(
                damaged(clusters, &wrong.map(u32::to_le_bytes).concat()),
                "{wrong:?}"
            );
        }
        for wrong in [&[1, 0, 1, 4][..], &[1, 0, 1], &[1, 0, 1, 0, 0], &[]] {
            assert!(damaged(marks, wrong), "{wrong:?}");
        }
        assert!(damaged(clusters, &[0; 12]) && damaged(clusters, &[0; 17]));
        for at in 0..image[&HEAD].len() {
            let mut image = image.clone();
            image.get_mut(&HEAD).unwrap()[at] ^= 1;
            assert!(read(&image, 5).is_err(), "byte {at} of the head");
        }
    }
}
