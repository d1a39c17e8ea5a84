//! The encoding of the state, in the snapshot format of `idmerge-state`. Version 1 of the payload:
//!
//! ```text
//! number of users
//! each user, in the order in which the users got their first device:
//!     ID, number of devices, the ID of each device in the order of linking
//! ```

use std::io;

use idmerge_core::{Id, RuleBook, SnapshotError};
use idmerge_state::{SnapshotReader, SnapshotWriter};

use crate::links::Links;

const VERSION: u16 = 1;

pub(crate) fn write(links: &Links, sink: &mut dyn io::Write) -> io::Result<()> {
    let mut writer = SnapshotWriter::begin(sink, RuleBook::Simplified, VERSION)?;
    writer.number(links.users.len().into())?;
    for user in 0..links.users.len() {
        writer.id(links.users.id(user))?;
        writer.number(links.devices_of(user).count() as u64)?;
        for device in links.devices_of(user) {
            writer.id(device)?;
        }
    }
    writer.end()
}

pub(crate) fn read(source: &mut dyn io::Read) -> Result<Links, SnapshotError> {
    let damaged = |what| SnapshotError::Damaged { what };
    let mut reader = SnapshotReader::begin(source, RuleBook::Simplified, VERSION)?;
    let mut links = Links::default();
    for _ in 0..reader.number()? {
        let user = reader.id()?.to_string();
        let user = Id::new(&user).map_err(|_| damaged("an ID is not valid"))?;
        let devices = reader.number()?;
        if devices == 0 || links.user(user).is_some() {
            return Err(damaged("a user has no device or occurs twice"));
        }
        for _ in 0..devices {
            let device = links.devices.probe(reader.id()?);
            if links.devices.find(&device).is_some() {
                return Err(damaged("a device occurs twice"));
            }
            links
                .link(&device, user)
                .map_err(|_| damaged("it has more IDs than can be numbered"))?;
        }
    }
    reader.end()?;
    Ok(links)
}

#[cfg(test)]
mod tests {
    use idmerge_core::{Claim, IdentityResolver, Resolve};
    use proptest::prelude::*;

    use crate::Simplified;

    use super::*;

    fn engine(links: &[(String, String)]) -> Simplified {
        let mut engine = Simplified::default();
        for (device, user) in links {
            let (device, user) = (Id::new(device).unwrap(), Id::new(user).unwrap());
            engine.apply(Claim::Link { device, user }).unwrap();
        }
        engine
    }

    fn bytes_of(engine: &Simplified) -> Vec<u8> {
        let mut bytes = Vec::new();
        engine.write_snapshot(&mut bytes).unwrap();
        bytes
    }

    proptest! {
        #[test]
        fn a_state_comes_back_from_its_bytes(
            links in prop::collection::vec(("[a-f]{1,2}", "[U-Z]"), 0..60),
        ) {
            let engine = engine(&links);
            let bytes = bytes_of(&engine);
            let mut back = Simplified::default();
            back.read_snapshot(&mut &bytes[..]).unwrap();
            prop_assert!(engine.clusters().eq(back.clusters()));
            prop_assert_eq!(bytes_of(&back), bytes);
        }
    }

    #[test]
    fn equal_states_give_equal_bytes_whatever_their_history() {
        let link = |device: &str, user: &str| (device.to_owned(), user.to_owned());
        let in_turn = [link("a", "U"), link("b", "V"), link("c", "U")];
        let one_by_one = [link("a", "U"), link("c", "U"), link("b", "V")];
        assert_eq!(bytes_of(&engine(&in_turn)), bytes_of(&engine(&one_by_one)));
        // The order of users is part of the state: `clusters` shows it.
        let other = [link("b", "V"), link("a", "U"), link("c", "U")];
        assert_ne!(bytes_of(&engine(&in_turn)), bytes_of(&engine(&other)));
    }

    /// A valid frame around a forged payload.
    fn forged(write: impl FnOnce(&mut SnapshotWriter<'_>) -> io::Result<()>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = SnapshotWriter::begin(&mut bytes, RuleBook::Simplified, 1).unwrap();
        write(&mut writer).unwrap();
        writer.end().unwrap();
        bytes
    }

    #[test]
    fn a_snapshot_that_contradicts_the_rules_is_damaged() {
        let users = |users: &'static [(&str, &[&str])]| {
            forged(move |writer| {
                writer.number(users.len() as u64)?;
                for (user, devices) in users {
                    writer.id(Id::new(user).unwrap())?;
                    writer.number(devices.len() as u64)?;
                    for device in *devices {
                        writer.id(Id::new(device).unwrap())?;
                    }
                }
                Ok(())
            })
        };
        assert!(read(&mut &users(&[("U", &["a", "b"]), ("V", &["c"])])[..]).is_ok());
        for wrong in [
            users(&[("U", &[])]),
            users(&[("U", &["a"]), ("U", &["b"])]),
            users(&[("U", &["a"]), ("V", &["a"])]),
            users(&[("U", &["a", "a"])]),
            forged(|writer| writer.number(u64::MAX)),
        ] {
            assert!(matches!(
                read(&mut &wrong[..]),
                Err(SnapshotError::Damaged { .. })
            ));
        }
    }

    #[test]
    fn a_damaged_snapshot_leaves_the_state_as_it_was() {
        let mut engine = engine(&[("a".to_owned(), "U".to_owned())]);
        let before = bytes_of(&engine);
        let cut = &before[..before.len() - 1];
        assert!(engine.read_snapshot(&mut &*cut).is_err());
        assert_eq!(bytes_of(&engine), before);
    }
}
