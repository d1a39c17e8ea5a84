//! The users to whom a product gives the events of a device that name no user (M-19). The target gives them to
//! the first user of the device.

use std::io;

use crate::options::AnonymousEvents;
use crate::people::arrivals::{ArrivalLog, ArrivalReader};
use crate::people::ids::{NONE, Number};

/// The last user of each device.
#[derive(Debug)]
pub(crate) struct LastUsers {
    which: AnonymousEvents,
    of_devices: Vec<Number>,
    /// Of each event without a user: the last user of its device so far.
    log: ArrivalLog,
}

impl LastUsers {
    pub(crate) fn new(which: AnonymousEvents) -> Self {
        Self {
            which,
            of_devices: Vec::new(),
            log: ArrivalLog::default(),
        }
    }

    /// Takes the IDs of the next event.
    pub(crate) fn add(&mut self, device: Option<Number>, user: Option<Number>) -> io::Result<()> {
        if let (Some(device), Some(user)) = (device, user) {
            let at = device as usize;
            if self.of_devices.len() <= at {
                self.of_devices.resize(at + 1, NONE);
            }
            self.of_devices[at] = user;
        }
        if self.which == AnonymousEvents::LatestUser {
            return Ok(());
        }
        let anonymous = device.filter(|_| user.is_none());
        let last = anonymous.and_then(|device| self.of(device));
        self.log.push(last.unwrap_or(NONE))
    }

    fn of(&self, device: Number) -> Option<Number> {
        let last = self.of_devices.get(device as usize).copied();
        last.filter(|&user| user != NONE)
    }

    pub(crate) fn reader(&self) -> LastUsersReader<'_> {
        LastUsersReader {
            users: self,
            log: ArrivalReader::new(&self.log),
        }
    }
}

/// Reads the last users in the order of the events. Each thread has its own.
#[derive(Clone, Debug)]
pub(crate) struct LastUsersReader<'l> {
    users: &'l LastUsers,
    log: ArrivalReader<'l>,
}

impl LastUsersReader<'_> {
    /// The user whom the product gives the event with this number, which has this device and no user.
    pub(crate) fn get(&mut self, event: u64, device: Number) -> io::Result<Option<Number>> {
        match self.users.which {
            AnonymousEvents::UserBefore => self.log.get(event),
            AnonymousEvents::LatestUser => Ok(self.users.of(device)),
        }
    }
}
