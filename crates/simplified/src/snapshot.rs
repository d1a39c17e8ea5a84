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

use crate::links::{Links, LinksLoader};

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

/// Takes what is in a snapshot, in this order.
pub(crate) trait Visitor {
    /// The next user.
    fn user(&mut self, user: Id<'_>) -> Result<(), SnapshotError>;
    /// How many devices of this user follow: at least one.
    fn device_count(&mut self, _devices: u64) -> Result<(), SnapshotError> {
        Ok(())
    }
    /// The next device of this user.
    fn device(&mut self, device: Id<'_>) -> Result<(), SnapshotError>;
}

/// Gives what is in a snapshot to a visitor. Do not use it before this call has succeeded.
pub(crate) fn visit(
    source: &mut dyn io::Read,
    visitor: &mut impl Visitor,
) -> Result<(), SnapshotError> {
    let mut reader = SnapshotReader::begin(source, RuleBook::Simplified, VERSION)?;
    for _ in 0..reader.number()? {
        visitor.user(reader.id()?)?;
        let devices = reader.number()?;
        if devices == 0 {
            return Err(SnapshotError::Damaged {
                what: "a user has no device",
            });
        }
        visitor.device_count(devices)?;
        for _ in 0..devices {
            visitor.device(reader.id()?)?;
        }
    }
    reader.end()
}

impl Visitor for LinksLoader {
    fn user(&mut self, user: Id<'_>) -> Result<(), SnapshotError> {
        Self::user(self, user)
    }

    #[inline]
    fn device(&mut self, device: Id<'_>) -> Result<(), SnapshotError> {
        Self::device(self, device)
    }
}

pub(crate) fn read(source: &mut dyn io::Read) -> Result<Links, SnapshotError> {
    let mut loader = LinksLoader::default();
    visit(source, &mut loader)?;
    loader.finish()
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

    /// Reads a snapshot by linking one device after the other, as a second way to the same state.
    fn read_one_by_one(source: &mut dyn io::Read) -> Result<Links, SnapshotError> {
        let damaged = SnapshotError::Damaged { what: "twice" };
        let mut reader = SnapshotReader::begin(source, RuleBook::Simplified, VERSION)?;
        let mut links = Links::default();
        for _ in 0..reader.number()? {
            let user = reader.id()?.to_string();
            let user = Id::new(&user).unwrap();
            let devices = reader.number()?;
            if devices == 0 || links.user(user).is_some() {
                return Err(damaged);
            }
            for _ in 0..devices {
                let device = links.devices.probe(reader.id()?);
                if links.devices.find(&device).is_some() {
                    return Err(damaged);
                }
                links.link(&device, user).unwrap();
            }
        }
        reader.end()?;
        Ok(links)
    }

    proptest! {
        #[test]
        fn loading_a_state_gives_what_linking_one_by_one_gives(
            users in prop::collection::vec(
                ("[A-Z]{1,2}", prop::collection::vec("[a-z]{1,2}|[a-z]{20}", 0..6)), 0..12,
            ),
            later in prop::collection::vec(("[a-c]{1,2}", "[A-C]"), 0..40),
        ) {
            let bytes = forged(|writer| {
                writer.number(users.len() as u64)?;
                for (user, devices) in &users {
                    writer.id(Id::new(user).unwrap())?;
                    writer.number(devices.len() as u64)?;
                    for device in devices {
                        writer.id(Id::new(device).unwrap())?;
                    }
                }
                Ok(())
            });
            let one_by_one = read_one_by_one(&mut &bytes[..]);
            let loaded = read(&mut &bytes[..]);
            prop_assert_eq!(loaded.is_ok(), one_by_one.is_ok());
            let (Ok(loaded), Ok(one_by_one)) = (loaded, one_by_one) else {
                return Ok(());
            };
            let [mut loaded, mut one_by_one] = [loaded, one_by_one].map(|links| {
                let mut engine = Simplified::default();
                engine.links = links;
                engine
            });
            prop_assert_eq!(&bytes_of(&loaded), &bytes);
            prop_assert!(loaded.clusters().eq(one_by_one.clusters()));
            for (device, user) in &later {
                let (device, user) = (Id::new(device).unwrap(), Id::new(user).unwrap());
                let claim = Claim::Link { device, user };
                prop_assert_eq!(loaded.apply(claim).unwrap(), one_by_one.apply(claim).unwrap());
            }
            prop_assert!(loaded.clusters().eq(one_by_one.clusters()));
            prop_assert_eq!(bytes_of(&loaded), bytes_of(&one_by_one));
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
