//! The image of a snapshot. Its parts, in the form of `idmerge-state`. Version 1:
//!
//! ```text
//! 1  version, 2 bytes; how much is in the parts of the users, and in those of the devices, 8 bytes each
//! 2  keys of the users, in the order in which they got their first device
//! 3  texts of the users
//! 4  number of devices of each user, 4 bytes
//! 5  keys of the devices, user after user, each in the order of linking
//! 6  texts of the devices
//! ```

use std::io;

use idmerge_core::{Id, ImagePiece, ImageSink, ImageSource, SnapshotError};
use idmerge_state::{IdsWriter, ImageIds, ItemsWriter, each_item};

use crate::links::Links;
use crate::snapshot::{Visitor, visit};

const VERSION: [u8; 2] = 1_u16.to_le_bytes();
const HEAD: ImagePiece = ImagePiece { part: 1, number: 0 };
const USERS: u8 = 2;
const USER_TEXTS: u8 = 3;
const COUNTS: u8 = 4;
const DEVICES: u8 = 5;
const DEVICE_TEXTS: u8 = 6;

/// Writes the image of a snapshot.
pub(crate) fn write(
    snapshot: &mut dyn io::Read,
    sink: &mut dyn ImageSink,
) -> Result<(), SnapshotError> {
    let mut writer = Writer {
        users: IdsWriter::new(USERS, USER_TEXTS),
        counts: ItemsWriter::new(COUNTS),
        devices: IdsWriter::new(DEVICES, DEVICE_TEXTS),
        sink,
    };
    visit(snapshot, &mut writer)?;
    let Writer {
        users,
        counts,
        devices,
        sink,
    } = writer;
    counts.end(sink)?;
    let head = [users.end(sink)?.to_bytes(), devices.end(sink)?.to_bytes()];
    Ok(sink.put(HEAD, &[&VERSION[..], head.as_flattened()].concat())?)
}

struct Writer<'s> {
    users: IdsWriter,
    counts: ItemsWriter<4>,
    devices: IdsWriter,
    sink: &'s mut dyn ImageSink,
}

impl Visitor for Writer<'_> {
    fn user(&mut self, user: Id<'_>) -> Result<(), SnapshotError> {
        Ok(self.users.push(user, self.sink)?)
    }

    fn device_count(&mut self, devices: u64) -> Result<(), SnapshotError> {
        let devices = u32::try_from(devices).map_err(|_| DAMAGED)?;
        Ok(self.counts.push(devices.to_le_bytes(), self.sink)?)
    }

    #[inline]
    fn device(&mut self, device: Id<'_>) -> Result<(), SnapshotError> {
        Ok(self.devices.push(device, self.sink)?)
    }
}

pub(crate) fn read(image: &dyn ImageSource) -> Result<Links, SnapshotError> {
    let mut head = None;
    image.piece(HEAD, &mut |bytes| {
        let bytes = bytes.strip_prefix(&VERSION);
        head = bytes.and_then(|bytes| <[u8; 2 * ImageIds::BYTES]>::try_from(bytes).ok());
    })?;
    let head = head.ok_or(DAMAGED)?;
    let (ids, _) = head.as_chunks();
    let users = ImageIds::of_bytes(USERS, USER_TEXTS, ids[0]);
    let devices = ImageIds::of_bytes(DEVICES, DEVICE_TEXTS, ids[1]);

    let mut last_devices = Vec::new();
    let mut linked = 0_u32;
    let count = users.len() as usize;
    each_item::<4>(image, COUNTS, count, 0..count, |count| {
        linked = match u32::from_le_bytes(*count) {
            0 => return Err(DAMAGED),
            count => linked.checked_add(count).ok_or(DAMAGED)?,
        };
        last_devices.push(linked - 1);
        Ok(())
    })?;
    if linked != devices.len() {
        return Err(DAMAGED);
    }
    Links::read_image(image, &users, &last_devices, &devices)
}

const DAMAGED: SnapshotError = SnapshotError::Damaged {
    what: "the numbers of users and devices in the image do not fit",
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use idmerge_core::{Claim, Cluster, IdentityResolver, Resolve};
    use proptest::prelude::*;

    use super::*;
    use crate::Simplified;

    type Image = BTreeMap<ImagePiece, Vec<u8>>;

    fn snapshot_of(engine: &Simplified) -> Vec<u8> {
        let mut bytes = Vec::new();
        engine.write_snapshot(&mut bytes).unwrap();
        bytes
    }

    /// An engine that was given these links, its image, and one that has read it.
    fn three(links: &[(String, String)]) -> (Simplified, Image, Simplified) {
        let mut engine = Simplified::default();
        apply(&mut engine, links);
        let mut image = Image::new();
        write(&mut &*snapshot_of(&engine), &mut image).unwrap();
        let mut loaded = Simplified::default();
        loaded.read_image(&image).unwrap();
        (engine, image, loaded)
    }

    fn apply(engine: &mut Simplified, links: &[(String, String)]) -> Vec<String> {
        let claim = |(device, user): &(String, String)| {
            let [device, user] = [device, user].map(|text| Id::new(text).unwrap());
            format!("{:?}", engine.apply(Claim::Link { device, user }).unwrap())
        };
        links.iter().map(claim).collect()
    }

    fn links(count: usize) -> impl Strategy<Value = Vec<(String, String)>> {
        prop::collection::vec(("[a-f]{1,2}|[a-f]{20}", "[U-Z]|[U-Z]{17}"), 0..count)
    }

    proptest! {
        #[test]
        fn an_engine_from_an_image_is_like_the_one_before(first in links(60), later in links(30)) {
            let (mut engine, _, mut loaded) = three(&first);
            prop_assert!(engine.clusters().eq(loaded.clusters()));
            prop_assert_eq!(snapshot_of(&engine), snapshot_of(&loaded));
            prop_assert_eq!(apply(&mut engine, &later), apply(&mut loaded, &later));
            prop_assert!(engine.clusters().eq(loaded.clusters()));
            prop_assert_eq!(snapshot_of(&engine), snapshot_of(&loaded));
        }
    }

    #[test]
    fn an_image_has_more_than_one_piece_of_each_part() {
        let text = |number: usize| match number % 4 {
            0 => format!("a text that is longer than a key {number}"),
            _ => number.to_string(),
        };
        let links: Vec<_> = (0..150_000)
            .map(|number| (text(number), text(number / 2 * 7 % 140_001)))
            .collect();
        let (engine, image, loaded) = three(&links);
        for part in USERS..=DEVICE_TEXTS {
            let pieces = image.keys().filter(|piece| piece.part == part).count();
            assert!(pieces > 1 || part == COUNTS, "{pieces} of part {part}");
        }
        assert_eq!(snapshot_of(&engine), snapshot_of(&loaded));
        assert!(
            engine
                .clusters()
                .map(|it: Cluster<'_>| it.canonical)
                .eq(loaded.clusters().map(|it| it.canonical))
        );
    }

    #[test]
    fn numbers_that_do_not_fit_are_damaged() {
        let link = |device: &str, user: &str| (device.to_owned(), user.to_owned());
        let (_, image, _) = three(&[link("a", "U"), link("b", "U"), link("c", "V")]);
        let counts = ImagePiece {
            part: COUNTS,
            number: 0,
        };
        assert_eq!(image[&counts], [2, 0, 0, 0, 1, 0, 0, 0]);
        for wrong in [[3, 0], [0, 3], [2, 2], [2, u32::MAX], [u32::MAX, 4], [1, 1]] {
            let mut image = image.clone();
            image.insert(counts, wrong.map(u32::to_le_bytes).concat());
            assert!(
                matches!(read(&image), Err(SnapshotError::Damaged { .. })),
                "{wrong:?}"
            );
        }
        for wrong in [
            &[][..],
            &[2, 0, 0, 0],
            &[2, 0, 0, 0, 1, 0, 0, 0, 0],
            &[1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0],
        ] {
            let mut image = image.clone();
            image.insert(counts, wrong.to_vec());
            assert!(
                matches!(read(&image), Err(SnapshotError::Damaged { .. })),
                "{wrong:?}"
            );
        }
        for at in 0..image[&HEAD].len() {
            let mut image = image.clone();
            image.get_mut(&HEAD).unwrap()[at] ^= 1;
            // A piece of texts that no key is in does not matter, but it has to be there.
            assert!(read(&image).is_err(), "byte {at} of the head");
        }
    }
}
