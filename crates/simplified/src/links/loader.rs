//! Links that are loaded from a snapshot or an image.

use idmerge_core::{Id, ImageSource, SnapshotError};
use idmerge_state::{IdLoader, ImageIds};

use super::{DeviceRow, Links, NO_DEVICE, NO_OWNER, UserRow};

/// Links that are loaded, user after user, each with its devices in the order of linking.
#[derive(Debug, Default)]
pub(crate) struct LinksLoader {
    devices: IdLoader<DeviceRow>,
    users: IdLoader<UserRow>,
    /// The user that was added last.
    user: u32,
}

impl LinksLoader {
    /// Adds a user. Its devices must follow.
    pub(crate) fn user(&mut self, user: Id<'_>) -> Result<(), SnapshotError> {
        let last_device = NO_DEVICE;
        self.user = self.users.push(user, UserRow { last_device })?;
        Ok(())
    }

    /// Adds a device of the user that was added last.
    #[inline]
    pub(crate) fn device(&mut self, device: Id<'_>) -> Result<(), SnapshotError> {
        let row = self.users.row_mut(self.user);
        let next_device = self.devices.len();
        let number = self.devices.push(device, DeviceRow { next_device })?;
        let before = std::mem::replace(&mut row.last_device, number);
        if before != NO_DEVICE {
            let before = &mut self.devices.row_mut(before).next_device;
            let first = std::mem::replace(before, number);
            self.devices.row_mut(number).next_device = first;
        }
        Ok(())
    }

    /// The links, if no user and no device was added twice.
    pub(crate) fn finish(self) -> Result<Links, SnapshotError> {
        let Self { devices, users, .. } = self;
        let mut user = 0;
        let owners = (0..devices.len()).map(|device| {
            if device > users.row(user).last_device {
                user += 1;
            }
            user
        });
        Ok(Links {
            devices: devices.finish(owners)?,
            users: users.finish(std::iter::repeat(NO_OWNER))?,
            ..Links::default()
        })
    }
}

impl Links {
    /// Reads the links of an image. The devices come user after user, and `last_devices` has the last one of each.
    pub(crate) fn read_image(
        image: &dyn ImageSource,
        users: &ImageIds,
        last_devices: &[u32],
        devices: &ImageIds,
    ) -> Result<Self, SnapshotError> {
        let user_rows = |user: u32| {
            let last = last_devices.get(user as usize..).unwrap_or_default();
            last.iter()
                .map(|&last_device| (UserRow { last_device }, NO_OWNER))
        };
        let users = IdLoader::read_image(image, users, user_rows)?;
        let users = users.finish_image(image)?;

        let user_of = |device: u32| last_devices.partition_point(|&last| last < device);
        let device_rows = |device: u32| {
            let mut user = user_of(device);
            let mut device = device;
            // The rows of the devices that no user has are missing, which is an error.
            std::iter::from_fn(move || {
                let owner = user;
                let mut next_device = device + 1;
                if device == *last_devices.get(user)? {
                    next_device = match user {
                        0 => 0,
                        _ => last_devices[user - 1] + 1,
                    };
                    user += 1;
                }
                device += 1;
                // There are fewer users than devices.
                Some((DeviceRow { next_device }, u32::try_from(owner).ok()?))
            })
        };
        let devices = IdLoader::read_image(image, devices, device_rows)?;
        let devices = devices.finish_image(image)?;
        Ok(Self {
            devices,
            users,
            ..Self::default()
        })
    }
}
