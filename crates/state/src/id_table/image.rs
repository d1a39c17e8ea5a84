//! An [`IdLoader`] that is filled from an image, on several threads.

use std::hash::BuildHasher as _;

use idmerge_core::{ImageSource, SnapshotError};

use super::by_shard::{ByShard, Hashed, Read};
use super::{IdLoader, IdTable};
use crate::index::{Duplicate, Found, Index, SHARDS, Shard};
use crate::key::Key;
use crate::keys::Keys;
use crate::memory::begin_on_huge_pages;
use crate::rows::{CHUNK_ROWS, Rows};
use crate::snapshot::image::{ImageIds, all};

/// The keys and the rows of a chunk, and its IDs by shard.
type Chunk<R> = ((Vec<Key>, Vec<R>), ByShard);

impl<R: Send + Sync> IdLoader<R> {
    /// Reads the IDs of an image. `rows` gives the rows and the owners of the IDs from a number on, in order; it is
    /// called on several threads. End with [`finish_image`](Self::finish_image).
    ///
    /// # Errors
    ///
    /// If the image is damaged.
    pub fn read_image<I: Iterator<Item = (R, u32)>>(
        image: &dyn ImageSource,
        ids: &ImageIds,
        rows: impl Fn(u32) -> I + Sync,
    ) -> Result<Self, SnapshotError> {
        let mut loader = Self::default();
        loader.ids.texts = ids.read_texts(image)?;
        let empty = &loader.ids;
        let chunks = (ids.len() as usize).div_ceil(CHUNK_ROWS);
        let chunks = all(image, chunks, |chunk| {
            empty.read_chunk(image, ids, chunk, &rows)
        })?;
        let (chunks, by_shard): (Vec<_>, _) = chunks.into_iter().unzip();
        let (keys, rows) = chunks.into_iter().unzip();
        loader.ids.keys = Keys::of_chunks(keys);
        loader.ids.rows = Rows::of_chunks(rows);
        loader.read = Read(by_shard);
        loader.sizes = loader.read.sizes();
        Ok(loader)
    }

    /// The table of the IDs that were [read](Self::read_image) from this image.
    ///
    /// # Errors
    ///
    /// If an ID occurs twice.
    ///
    /// # Panics
    ///
    /// If other IDs were added.
    pub fn finish_image(self, image: &dyn ImageSource) -> Result<IdTable<R>, SnapshotError> {
        let Self {
            mut ids,
            sizes,
            read,
        } = self;
        let read_ids: u32 = (0..SHARDS).map(|at| sizes.of_shard(at)).sum();
        assert_eq!(read_ids, ids.len(), "all IDs are of the image");
        let shards = all(image, SHARDS, |at| {
            let numbers = read.0.iter().flat_map(|chunk| chunk.shard(at));
            let found = |&Hashed {
                             hash,
                             found: [number, owner],
                         }: &Hashed| { (hash, Found { number, owner }) };
            let is_same = |a, b| ids.is_same_key(a, b);
            Shard::build(at, sizes.of_shard(at), numbers.map(found), is_same).map_err(|Duplicate| {
                SnapshotError::Damaged {
                    what: "an ID occurs twice",
                }
            })
        })?;
        ids.index = Index::of_shards(shards);
        Ok(ids)
    }
}

impl<R> IdTable<R> {
    /// Reads a chunk of rows. The table has the texts and the keys of the hashes, and no IDs.
    fn read_chunk<I: Iterator<Item = (R, u32)>>(
        &self,
        image: &dyn ImageSource,
        ids: &ImageIds,
        chunk: usize,
        rows: impl Fn(u32) -> I,
    ) -> Result<Chunk<R>, SnapshotError> {
        const NO_ROW: SnapshotError = SnapshotError::Damaged {
            what: "an ID of the image has no row",
        };
        let first = chunk * CHUNK_ROWS;
        let end = (first + CHUNK_ROWS).min(ids.len() as usize);
        let mut number = u32::try_from(first).map_err(|_| NO_ROW)?;
        let mut rows = rows(number);
        let (mut keys, mut chunk_rows) = (Vec::new(), Vec::new());
        let mut by_shard = ByShard::new(0);
        let mut has_all_rows = true;
        ids.each_key(image, &self.texts, first..end, |key, text| {
            if keys.is_empty() {
                // The first piece was read, so this is no empty announcement.
                keys.reserve_exact(end - first);
                chunk_rows.reserve_exact(end - first);
                begin_on_huge_pages(&keys);
                begin_on_huge_pages(&chunk_rows);
                by_shard = ByShard::new(end - first);
            }
            let (key, hash) = self.hashed(key, text);
            let Some((row, owner)) = rows.next() else {
                has_all_rows = false;
                return;
            };
            keys.push(key);
            chunk_rows.push(row);
            by_shard.push(Hashed {
                hash,
                found: [number, owner],
            });
            number += 1;
        })?;
        match has_all_rows {
            true => Ok(((keys, chunk_rows), by_shard)),
            false => Err(NO_ROW),
        }
    }

    /// A key of an image as a key of this table, and its hash.
    #[inline]
    fn hashed(&self, key: Key, text: Option<&str>) -> (Key, u64) {
        match (key.long(), text) {
            (Some((_, span)), Some(text)) => {
                let hash = self.hashes.text.hash_one(text);
                (Key::of_long(hash, span), hash)
            }
            _ => (key, self.hashes.hash(&key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use idmerge_core::{Id, ImagePiece};
    use proptest::prelude::*;

    use super::*;
    use crate::snapshot::image::IdsWriter;

    const KEYS: u8 = 1;
    const TEXTS: u8 = 2;

    type Image = BTreeMap<ImagePiece, Vec<u8>>;

    fn id(text: &str) -> Id<'_> {
        Id::new(text).unwrap()
    }

    fn image<'t>(texts: impl IntoIterator<Item = &'t str>) -> (Image, ImageIds) {
        let mut image = Image::new();
        let mut writer = IdsWriter::new(KEYS, TEXTS);
        for text in texts {
            writer.push(id(text), &mut image).unwrap();
        }
        let ids = writer.end(&mut image).unwrap();
        (image, ImageIds::of_bytes(KEYS, TEXTS, ids.to_bytes()))
    }

    fn read(image: &Image, ids: &ImageIds) -> Result<IdTable<u32>, SnapshotError> {
        let rows = |first: u32| (first..).map(|number| (number ^ 1, number ^ 2));
        IdLoader::read_image(image, ids, rows)?.finish_image(image)
    }

    /// Compares a table of an image with one that was filled one by one, also after further inserts.
    #[track_caller]
    fn is_like_inserted<'t>(
        texts: impl IntoIterator<Item = &'t str> + Clone,
        later: impl IntoIterator<Item = &'t str>,
    ) {
        let (image, ids) = image(texts.clone());
        let mut read = read(&image, &ids).unwrap();
        let mut inserted = IdTable::new();
        for (number, text) in (0..).zip(texts) {
            inserted.insert(&inserted.probe(id(text)), number ^ 2, number ^ 1);
        }
        for text in later {
            let found = read.find(&read.probe(id(text)));
            assert_eq!(found, inserted.find(&inserted.probe(id(text))));
            if found.is_none() {
                let number = inserted.insert(&inserted.probe(id(text)), 5, 6);
                assert_eq!(read.insert(&read.probe(id(text)), 5, 6), number);
            }
        }
        assert_eq!(read.len(), inserted.len());
        for number in 0..inserted.len() {
            assert_eq!(read.id(number), inserted.id(number));
            assert_eq!(read.row(number), inserted.row(number));
            let probe = read.probe(inserted.id(number));
            assert_eq!(read.find(&probe), Some(inserted.found(number)));
            assert_eq!(read.found(number), inserted.found(number));
        }
    }

    fn texts() -> impl Strategy<Value = BTreeSet<String>> {
        let text = "[ab]{1,2}|é[a-z]{1,13}|[a-z]{16,40}|é{8,20}|5c7f0e7c-6a52-4b26-9fb8-6c5a9f[0-9a-f]{6}|\
                    5C7F0E7C-6A52-4B26-9FB8-6C5A9F[0-9A-F]{6}";
        prop::collection::btree_set(text, 0..80)
    }

    proptest! {
        #[test]
        fn a_table_of_an_image_is_like_one_that_was_filled_one_by_one(first in texts(), later in texts()) {
            is_like_inserted(first.iter().map(String::as_str), first.union(&later).map(String::as_str));
        }

        #[test]
        fn no_image_makes_a_panic(
            texts in texts(), changes in prop::collection::vec((any::<prop::sample::Index>(), 0..=255_u8), 1..9),
            keys in 0..100_u32, pieces in 0..3_u32,
        ) {
            let (mut image, _) = image(texts.iter().map(String::as_str));
            for (at, byte) in changes {
                let mut bytes: Vec<&mut u8> = image.values_mut().flatten().collect();
                if !bytes.is_empty() {
                    **at.get_mut(&mut bytes) = byte;
                }
            }
            let head = u64::from(keys) | u64::from(pieces) << 32;
            for head in [head, (texts.len() as u64) | 1 << 32] {
                let ids = ImageIds::of_bytes(KEYS, TEXTS, head.to_le_bytes());
                if let Ok(read) = read(&image, &ids) {
                    let texts: BTreeSet<_> = (0..read.len()).map(|number| read.id(number).to_string()).collect();
                    prop_assert_eq!(texts.len(), read.len() as usize);
                    for number in 0..read.len() {
                        prop_assert_eq!(read.find(&read.probe(read.id(number))), Some(read.found(number)));
                    }
                }
            }
        }
    }

    #[test]
    fn an_image_has_any_number_of_pieces_and_chunks() {
        // Long texts fill more than one piece, and all IDs more than one chunk of rows.
        let number = |number: usize| match number % 8 {
            0 => format!("a text that is longer than a key {number}"),
            _ => number.to_string(),
        };
        let texts: Vec<_> = (0..CHUNK_ROWS + 5).map(number).collect();
        let (image, ids) = image(texts.iter().map(String::as_str));
        assert!(image.len() > 40, "{} pieces", image.len());
        let read = read(&image, &ids).unwrap();
        assert_eq!(read.len() as usize, texts.len());
        for (number, text) in (0..).zip(&texts) {
            let found = read.find(&read.probe(id(text))).unwrap();
            assert_eq!((found.number, found.owner), (number, number ^ 2));
            assert_eq!((*read.row(number), read.id(number)), (number ^ 1, id(text)));
        }
    }

    #[test]
    fn an_image_that_no_table_has_is_refused() {
        let long = "a text that is longer than a key";
        let uuid = "51700070-6052-4026-9008-605090004010";
        let (whole, ids) = image(["short", long, uuid]);
        assert!(read(&whole, &ids).is_ok());
        let key = |number: usize, change: &dyn Fn(&mut [u8])| {
            let mut image = whole.clone();
            let keys = image
                .get_mut(&ImagePiece {
                    part: KEYS,
                    number: 0,
                })
                .unwrap();
            change(&mut keys[16 * number..16 * (number + 1)]);
            image
        };
        let texts = |text: &[u8]| {
            let mut image = whole.clone();
            image.insert(
                ImagePiece {
                    part: TEXTS,
                    number: 0,
                },
                text.to_vec(),
            );
            image
        };
        let without = |part| {
            let mut image = whole.clone();
            image.retain(|piece, _| piece.part != part);
            image
        };
        for (what, wrong) in [
            ("no text", key(0, &|key| key.fill(0))),
            ("no length", key(0, &|key| key[15] = 0)),
            ("too long a text", key(0, &|key| key[15] = 16)),
            ("padding", key(0, &|key| key[14] = 1)),
            ("not UTF-8", key(0, &|key| key[0] = 0xff)),
            ("outside of the texts", key(1, &|key| key[8] += 1)),
            ("no such block", key(1, &|key| key[13] = 1)),
            ("a short text in the texts", key(1, &|key| key[8] = 15)),
            (
                "upper case without a letter",
                key(2, &|key| key[15] |= 0x40),
            ),
            (
                "the same ID twice",
                key(0, &|key| {
                    key.copy_from_slice(
                        &whole[&ImagePiece {
                            part: KEYS,
                            number: 0,
                        }][32..],
                    );
                }),
            ),
            ("texts that are not UTF-8", texts(&[0xff; 32])),
            ("a UUID in the texts", texts(uuid.as_bytes())),
            (
                "half a character",
                texts(format!("{}é", &long[1..]).as_bytes()),
            ),
            ("no keys", without(KEYS)),
            ("no texts", without(TEXTS)),
        ] {
            // A UUID has 4 bytes more than the long text.
            let mut wrong = wrong;
            if what == "a UUID in the texts" {
                let keys = wrong
                    .get_mut(&ImagePiece {
                        part: KEYS,
                        number: 0,
                    })
                    .unwrap();
                keys[16 + 8] = 36;
            }
            let error = read(&wrong, &ids).err();
            assert!(
                matches!(error, Some(SnapshotError::Damaged { .. })),
                "{what}: {error:?}"
            );
        }
        for (keys, pieces) in [(2, 1), (4, 1), (3, 0), (u32::MAX, 1), (3, u32::MAX)] {
            let head = u64::from(keys) | u64::from(pieces) << 32;
            let ids = ImageIds::of_bytes(KEYS, TEXTS, head.to_le_bytes());
            assert!(read(&whole, &ids).is_err(), "{keys} keys, {pieces} pieces");
        }
    }
}
