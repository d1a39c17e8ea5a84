//! Simplified ID Merge by brute force: rules S-0 to S-10.

use std::io;

use idmerge_core::{
    Claim, Cluster, DistinctId, EngineError, Event, Id, IdentityResolver, InvalidEvent, Outcome,
    Reading, Rejection, Resolve, RuleBook, SnapshotError,
};

use super::{reading, snapshot};
use crate::settings::EngineSettings;

#[cfg(test)]
mod tests;

/// An accepted link (rule S-5).
#[derive(Clone, Debug)]
struct Link {
    device: String,
    user: String,
}

/// The oracle of Simplified ID Merge. Its state is the accepted links in arrival order.
#[derive(Clone, Debug, Default)]
pub struct SimplifiedOracle {
    settings: EngineSettings,
    log: Vec<Link>,
}

impl SimplifiedOracle {
    /// An oracle with no state.
    pub fn new(settings: EngineSettings) -> Self {
        let log = Vec::new();
        Self { settings, log }
    }
}

/// The ID with a text of the log.
fn id(text: &str) -> Id<'_> {
    Id::new(text).expect("every text of the log is an ID")
}

/// The user that a device is linked to: at most one, for ever.
fn user_of<'a>(log: &'a [Link], device: Id<'_>) -> Option<&'a str> {
    let link = log.iter().find(|link| device == *link.device)?;
    Some(&link.user)
}

/// The users in the order in which they got their first device.
fn users(log: &[Link]) -> Vec<&str> {
    let mut users: Vec<&str> = Vec::new();
    for link in log {
        if !users.contains(&&*link.user) {
            users.push(&link.user);
        }
    }
    users
}

/// The devices of a user, in the order they were linked.
fn devices<'a>(log: &'a [Link], user: &str) -> Vec<&'a str> {
    log.iter()
        .filter(|link| link.user == user)
        .map(|link| &*link.device)
        .collect()
}

/// S-10: the user ID itself, then its devices. S-9: the user ID is the canonical one.
fn cluster_of<'a>(log: &'a [Link], user: &'a str) -> Cluster<'a> {
    let canonical = DistinctId::plain(id(user));
    let mut members = vec![canonical];
    for device in devices(log, user) {
        members.push(DistinctId::device(id(device)));
    }
    Cluster { canonical, members }
}

/// S-5 to S-7: the outcome of one more link, after those of the log.
fn judge<'a>(log: &'a [Link], device: Id<'a>, user: Id<'a>) -> Outcome<'a> {
    match user_of(log, device) {
        // S-5: the device is not linked, so it is linked now.
        None => Outcome::Merged,
        // S-6: the device is linked to this user.
        Some(holder) if user == *holder => Outcome::AlreadyMerged,
        // S-7: the device is linked to another user.
        Some(holder) => Outcome::Rejected(Rejection::AnonDistinctIdAssignedAlready {
            anon: device,
            holder: id(holder),
        }),
    }
}

/// The lines of a snapshot: each user, followed by the devices.
fn lines(log: &[Link]) -> Vec<String> {
    let mut lines = Vec::new();
    for user in users(log) {
        lines.push(format!("user {}", snapshot::id_text(user)));
        for device in devices(log, user) {
            lines.push(format!("device {}", snapshot::id_text(device)));
        }
    }
    lines
}

impl Resolve for SimplifiedOracle {
    fn rule_book(&self) -> RuleBook {
        RuleBook::Simplified
    }

    fn resolve<'a>(&'a self, distinct_id: DistinctId<'a>) -> DistinctId<'a> {
        // S-9: a linked `$device:D` resolves to its user ID; every other ID to itself.
        if distinct_id.is_device()
            && let Some(user) = user_of(&self.log, distinct_id.id())
        {
            return DistinctId::plain(id(user));
        }
        distinct_id
    }

    fn cluster<'a>(&'a self, distinct_id: DistinctId<'a>) -> Option<Cluster<'a>> {
        // S-10: an unlinked ID has no cluster.
        let user = if distinct_id.is_device() {
            user_of(&self.log, distinct_id.id())?
        } else {
            users(&self.log)
                .into_iter()
                .find(|user| distinct_id.id() == **user)?
        };
        Some(cluster_of(&self.log, user))
    }

    fn clusters(&self) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
        let users = users(&self.log).into_iter();
        Box::new(users.map(|user| cluster_of(&self.log, user)))
    }
}

impl IdentityResolver for SimplifiedOracle {
    fn read<'e>(&self, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
        reading::simplified(&self.settings, event)
    }

    fn apply<'a>(&'a mut self, claim: Claim<'a>) -> Result<Outcome<'a>, EngineError> {
        // A claim of the other rule book is ignored.
        let Claim::Link { device, user } = claim else {
            return Ok(Outcome::Ignored);
        };
        // S-6 and S-7 change nothing, so only S-5 adds to the log.
        if judge(&self.log, device, user) == Outcome::Merged {
            self.log.push(Link {
                device: device.text().into_owned(),
                user: user.text().into_owned(),
            });
            return Ok(Outcome::Merged);
        }
        Ok(judge(&self.log, device, user))
    }

    fn write_snapshot(&self, sink: &mut dyn io::Write) -> io::Result<()> {
        snapshot::write(sink, self.rule_book(), &lines(&self.log))
    }

    fn read_snapshot(&mut self, source: &mut dyn io::Read) -> Result<(), SnapshotError> {
        let mut words = snapshot::Words::open(source, self.rule_book())?;
        // The new log may order the links of different users differently from the saved one. No
        // answer depends on that order.
        let mut log: Vec<Link> = Vec::new();
        let mut user: Option<String> = None;
        loop {
            match &*words.word(b' ')? {
                "user" => user = Some(words.id(b'\n')?),
                "device" => {
                    let device = words.id(b'\n')?;
                    let Some(user) = user.clone() else {
                        return snapshot::damaged("a device has no user");
                    };
                    if judge(&log, id(&device), id(&user)) != Outcome::Merged {
                        return snapshot::damaged("a device is linked twice");
                    }
                    log.push(Link { device, user });
                }
                "end" => break,
                _ => return snapshot::damaged("a line is neither a user, a device nor the end"),
            }
        }
        words.word(b'\n')?;
        // Refuses a wrong checksum, a user without devices or listed twice, and numbers in another
        // spelling.
        if words.read() != snapshot::bytes_of(self.rule_book(), &lines(&log)) {
            return snapshot::damaged("its facts would be written differently");
        }
        self.log = log;
        Ok(())
    }
}
