//! The snapshot format: the frame around an engine's payload, and the encoding of numbers and IDs
//! in the payload.
//!
//! ```text
//! "IDMERGE"  7 bytes
//! rule book  1 byte: 'S', 'O', 'L', or 'C' for a custom one
//! version    2 bytes, little endian: the version of the payload, chosen by the engine
//! name       only of a custom rule book: length (1 byte), then that many bytes of UTF-8
//! blocks     each: length (4 bytes, little endian, 1 to 65,536), then that many bytes of payload;
//!            every block but the last is full
//! end        4 bytes: 0
//! checksum   8 bytes, little endian: XXH3-64 of everything before it
//! ```
//!
//! The payload is split into blocks so that a reader knows how far it may read ahead. In the payload
//! a number is LEB128 in its shortest form, and an ID is its length as a number, then its UTF-8 text.

mod format;
pub(crate) mod image;
mod reader;
mod writer;

pub use reader::SnapshotReader;
pub use writer::SnapshotWriter;

#[cfg(test)]
mod tests {
    use idmerge_core::{Id, RuleBook, SnapshotError};
    use proptest::prelude::*;

    use super::format::BLOCK_BYTES;
    use super::{SnapshotReader, SnapshotWriter};

    const BOOK: RuleBook = RuleBook::Original;

    fn written(numbers: &[u64], ids: &[String]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = SnapshotWriter::begin(&mut bytes, BOOK, 1).unwrap();
        for &number in numbers {
            writer.number(number).unwrap();
        }
        for id in ids {
            writer.id(Id::new(id).unwrap()).unwrap();
        }
        writer.end().unwrap();
        bytes
    }

    fn read(
        bytes: &mut &[u8],
        numbers: usize,
        ids: usize,
    ) -> Result<(Vec<u64>, Vec<String>), SnapshotError> {
        let mut reader = SnapshotReader::begin(bytes, BOOK, 1)?;
        assert_eq!(reader.version(), 1);
        let numbers = (0..numbers)
            .map(|_| reader.number())
            .collect::<Result<_, _>>()?;
        let ids = (0..ids)
            .map(|_| Ok(reader.id()?.to_string()))
            .collect::<Result<_, SnapshotError>>()?;
        reader.end()?;
        Ok((numbers, ids))
    }

    proptest! {
        #[test]
        fn a_snapshot_is_read_as_it_was_written(
            numbers in prop::collection::vec((any::<u64>(), 0..64_u32).prop_map(|(n, s)| n >> s), 0..50),
            ids in prop::collection::vec("\\PC{1,300}", 0..50),
        ) {
            let mut bytes = written(&numbers, &ids);
            bytes.extend_from_slice(b"more");
            let mut rest = &bytes[..];
            let back = read(&mut rest, numbers.len(), ids.len()).unwrap();
            prop_assert_eq!(back, (numbers, ids));
            // The reader does not read past the end of the snapshot.
            prop_assert_eq!(rest, b"more");
        }

        #[test]
        fn a_changed_or_missing_byte_is_noticed(at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
            let bytes = written(&[1, 2, 300], &["abc".to_owned()]);
            let mut changed = bytes.clone();
            *at.get_mut(&mut changed) ^= flip;
            prop_assert!(read(&mut &changed[..], 3, 1).is_err());
            prop_assert!(read(&mut &bytes[..at.index(bytes.len())], 3, 1).is_err());
        }
    }

    #[test]
    fn a_payload_of_many_blocks_is_read() {
        let ids: Vec<String> = (0..5_000)
            .map(|n| format!("{n}-{}", "x".repeat(n % 100)))
            .collect();
        let bytes = written(&[], &ids);
        assert!(bytes.len() > 3 * BLOCK_BYTES);
        assert_eq!(read(&mut &bytes[..], 0, ids.len()).unwrap().1, ids);
        // A payload that fills its last block is not followed by an empty block.
        let exact = "x".repeat(BLOCK_BYTES - 3);
        let bytes = written(&[], std::slice::from_ref(&exact));
        assert_eq!(bytes.len(), 10 + 4 + BLOCK_BYTES + 4 + 8);
        assert_eq!(read(&mut &bytes[..], 0, 1).unwrap().1, [exact]);
    }

    #[test]
    fn leftover_payload_is_an_error() {
        let bytes = written(&[1, 2], &[]);
        assert!(matches!(
            read(&mut &bytes[..], 1, 0),
            Err(SnapshotError::Damaged { .. })
        ));
        assert!(matches!(
            read(&mut &bytes[..], 3, 0),
            Err(SnapshotError::Damaged { .. })
        ));
    }

    #[test]
    fn the_head_is_checked() {
        let mut bytes = written(&[], &[]);
        let begin = |bytes: &[u8], book| SnapshotReader::begin(&mut &*bytes, book, 1).map(|_| ());
        assert!(matches!(
            begin(&bytes, RuleBook::Simplified),
            Err(SnapshotError::OtherRuleBook {
                found,
                expected: RuleBook::Simplified
            }) if found == "original"
        ));
        bytes[8] = 2;
        assert!(matches!(
            begin(&bytes, BOOK),
            Err(SnapshotError::UnsupportedVersion {
                found: 2,
                supported: 1
            })
        ));
        bytes[8] = 0;
        assert!(matches!(
            begin(&bytes, BOOK),
            Err(SnapshotError::UnsupportedVersion { .. })
        ));
        bytes[7] = b'?';
        assert!(matches!(
            begin(&bytes, BOOK),
            Err(SnapshotError::NotASnapshot)
        ));
        assert!(matches!(
            begin(b"PK\x03\x04......", BOOK),
            Err(SnapshotError::NotASnapshot)
        ));
        assert!(matches!(
            begin(b"IDM", BOOK),
            Err(SnapshotError::Damaged { .. })
        ));
    }

    #[test]
    fn a_custom_rule_book_is_known_by_its_name() {
        let mut bytes = Vec::new();
        let custom = RuleBook::Custom("posthog");
        let mut writer = SnapshotWriter::begin(&mut bytes, custom, 1).unwrap();
        writer.number(7).unwrap();
        writer.end().unwrap();

        let mut source: &[u8] = &bytes;
        let mut reader = SnapshotReader::begin(&mut source, custom, 1).unwrap();
        assert_eq!(reader.number().unwrap(), 7);
        reader.end().unwrap();
        for other in [RuleBook::Original, RuleBook::Custom("post")] {
            let error = SnapshotReader::begin(&mut &*bytes, other, 1).unwrap_err();
            let says = format!(
                "a snapshot of the rule book posthog cannot be read by an engine of {other}"
            );
            assert_eq!(error.to_string(), says);
        }
        assert!(SnapshotReader::begin(&mut &bytes[..14], custom, 1).is_err());
    }

    /// A snapshot with any payload and a valid checksum, as an attacker could forge it.
    fn forged(payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = SnapshotWriter::begin(&mut bytes, BOOK, 1).unwrap();
        writer.bytes(payload).unwrap();
        writer.end().unwrap();
        bytes
    }

    #[test]
    fn a_number_has_one_encoding() {
        for needless in [&[0x80, 0][..], &[0xff, 0x80, 0], &[0xff; 10], &[0xff; 9]] {
            assert!(
                read(&mut &forged(needless)[..], 1, 0).is_err(),
                "{needless:?}"
            );
        }
        let greatest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(
            read(&mut &forged(&greatest)[..], 1, 0).unwrap().0,
            [u64::MAX]
        );
        let mut beyond = greatest;
        beyond[9] = 0x02;
        assert!(read(&mut &forged(&beyond)[..], 1, 0).is_err());
    }

    #[test]
    fn an_invalid_id_is_an_error() {
        for payload in [&[0][..], &[1, 0xff], &[0x80, 0x80, 0x04]] {
            assert!(
                read(&mut &forged(payload)[..], 0, 1).is_err(),
                "{payload:?}"
            );
        }
        assert!(read(&mut &forged(&[1, b'a'])[..], 0, 1).is_ok());
    }
}
