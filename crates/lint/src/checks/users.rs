//! Mistakes that the users of devices show, and IDs that stand out.

use super::{Checks, counted};
use crate::devices::Device;
use crate::ids::{Bits, Ids};
use crate::kind::Kind;
use crate::report::{Evidence, Example};
use crate::said::IdKind;
use crate::words::Look;

/// A device with as many users is not what a family or a desk shares, but a kiosk or a constant.
const SHARED_DEVICE_USERS: u32 = 10;

/// A word that may be the user name of somebody is a mistake if as many devices have it. People have fewer.
const SUSPICIOUS_DEVICES: u32 = 10;

/// An ID stands out only among at least this many others: of a few, any can have most events.
const HOT_OTHERS: u64 = 30;

/// Fewer are a busy day of one person.
const HOT_EVENTS: u64 = 200;

/// An ID with less than this share of all events distorts no figure.
const HOT_PERCENT: u64 = 1;

/// How many times the mean of the other IDs. People differ much: among 10,000 whose numbers of events are
/// log-normal with a deviation of 1.5, the one with the most has 85 times the mean.
const HOT_EVENTS_FACTOR: u64 = 100;

/// As many devices, and as many times the mean of the other users. People replace devices slowly.
const HOT_DEVICES: u64 = 50;
const HOT_DEVICES_FACTOR: u64 = 50;

impl Checks<'_> {
    pub(super) fn placeholders(&mut self) {
        let mut gathered = self.gathered(Kind::PlaceholderId);
        for number in 0..self.lint.ids.len() {
            let row = self.lint.ids.row(number);
            let is_used = row.events > 0 || row.devices > 0 || row.kind.has(IdKind::USER);
            let is_placeholder = match row.look {
                Look::Code => is_used || row.kind.has(IdKind::DEVICE),
                Look::Suspicious => row.devices >= SUSPICIOUS_DEVICES,
                Look::Ordinary => false,
            };
            if is_placeholder {
                gathered.add(number, row.events);
                self.report(number);
            }
        }
        let (ids, devices) = (&self.lint.ids, &self.lint.devices);
        let finding = gathered.finish(None, |number, events| {
            let row = ids.row(number);
            let users = devices.get(number).map_or(0, |device| device.users);
            Example {
                id: ids.text(number),
                what: match (row.devices, users) {
                    (0, 0) => counted(events, "event"),
                    (0, users) => counted(users.into(), "user"),
                    (devices, _) => counted(devices.into(), "device"),
                },
                events,
                evidence: row.first_event().into_iter().collect(),
                full_in_ms: None,
            }
        });
        self.findings.extend(finding);
    }

    pub(super) fn devices(&mut self) {
        let devices = &self.lint.devices;
        let several = devices.iter().filter(|(_, device)| device.users > 1);
        let mut several: Vec<u32> = several.map(|(number, _)| number).collect();
        several.retain(|number| !self.is_reported(*number));
        several.sort_unstable();
        let has = |number: u32, holds: fn(&Device) -> bool| devices.get(number).is_some_and(holds);
        let is_shared = |number: &u32| has(*number, |it| it.users >= SHARED_DEVICE_USERS);
        let is_decided = |number: &u32| has(*number, |it| it.earlier_user().is_some());
        let (shared, passed): (Vec<u32>, Vec<u32>) = several.into_iter().partition(is_shared);
        let decided: Vec<u32> = passed.iter().copied().filter(is_decided).collect();
        self.devices_of(Kind::SharedDevice, &shared, several_users);
        self.devices_of(Kind::MissingReset, &passed, several_users);
        self.devices_of(Kind::OrderDecided, &decided, order_decided);
    }

    /// Finds a mistake that these devices show, whose numbers are sorted. `says` gives what one shows, and where.
    fn devices_of(
        &mut self,
        kind: Kind,
        numbers: &[u32],
        says: fn(&Ids, &Device) -> (String, Vec<Evidence>),
    ) {
        let mut gathered = self.gathered(kind);
        for number in numbers {
            let events = self.lint.devices.get(*number).map_or(0, |it| it.events);
            gathered.add(*number, events);
            self.report(*number);
        }
        let (ids, devices) = (&self.lint.ids, &self.lint.devices);
        let users = devices.users_of(numbers).len() as u64;
        let finding = gathered.finish(Some(users), |number, events| {
            let device = devices.get(number);
            let (what, evidence) = device.map(|it| says(ids, it)).unwrap_or_default();
            Example {
                id: ids.text(number),
                what,
                events,
                evidence,
                full_in_ms: None,
            }
        });
        self.findings.extend(finding);
    }

    /// IDs with far more events than others, and users with far more devices.
    pub(super) fn hot(&mut self) {
        let (mut of_events, mut of_devices) = (Total::default(), Total::default());
        for number in 0..self.lint.ids.len() {
            let row = self.lint.ids.row(number);
            of_events.add(row.events);
            of_devices.add(row.devices.into());
        }
        let mut gathered = self.gathered(Kind::HotId);
        for number in 0..self.lint.ids.len() {
            let row = self.lint.ids.row(number);
            let has_events = row.events >= HOT_EVENTS
                && u128::from(row.events) * 100 >= u128::from(of_events.sum * HOT_PERCENT)
                && of_events.is_far_above(row.events, HOT_EVENTS_FACTOR);
            let devices = u64::from(row.devices);
            let has_devices =
                devices >= HOT_DEVICES && of_devices.is_far_above(devices, HOT_DEVICES_FACTOR);
            if (has_events || has_devices) && !row.bits.has(Bits::REPORTED) {
                gathered.add(number, row.events);
            }
        }
        let ids = &self.lint.ids;
        let finding = gathered.finish(None, |number, events| {
            let row = ids.row(number);
            let mut what = counted(events, "event");
            if row.devices > 0 {
                what = format!("{what}, {}", counted(row.devices.into(), "device"));
            }
            Example {
                id: ids.text(number),
                what,
                events,
                evidence: row.first_event().into_iter().collect(),
                full_in_ms: None,
            }
        });
        self.findings.extend(finding);
    }

    /// In Simplified a device ID that is sent as the ID of a user is another person than the device.
    pub(super) fn devices_as_users(&mut self) {
        if !self.rule_book.has_device_namespace() {
            return;
        }
        let mut gathered = self.gathered(Kind::DeviceIdAsUser);
        for number in 0..self.lint.ids.len() {
            let row = self.lint.ids.row(number);
            let is_user = row.plain_events > 0;
            if row.kind.has(IdKind::DEVICE_ID) && is_user && !row.bits.has(Bits::REPORTED) {
                gathered.add(number, row.plain_events);
            }
        }
        let ids = &self.lint.ids;
        let finding = gathered.finish(None, |number, events| {
            let row = ids.row(number);
            Example {
                id: ids.text(number),
                what: format!("{} without $device:", counted(events, "event")),
                events,
                evidence: row.first_event().into_iter().collect(),
                full_in_ms: None,
            }
        });
        self.findings.extend(finding);
    }
}

/// A device with several users.
fn several_users(ids: &Ids, device: &Device) -> (String, Vec<Evidence>) {
    let (mut what, mut shown) = (ids.text(device.first_user), vec![device.first]);
    if let Some((second, first_of_second)) = device.second {
        what = format!("{what}, then {}", ids.text(second));
        shown.push(first_of_second);
    }
    if device.users > 2 {
        what = format!("{what} and {} more", device.users - 2);
    }
    (what, shown)
}

/// A device whose first user by arrival is not its first user by time.
fn order_decided(ids: &Ids, device: &Device) -> (String, Vec<Evidence>) {
    let Some((owner, (other, of_other))) = device.earlier_user() else {
        return Default::default();
    };
    let [owner_text, other] = [owner.user, other].map(|user| ids.text(user));
    let when = match owner.first.time_ms == of_other.time_ms {
        true => "at the same time",
        false => "before",
    };
    let what = format!("belongs to {owner_text}, but {other} was there {when}");
    (what, vec![owner.first, of_other])
}

/// The numbers of the IDs that have any.
#[derive(Default)]
struct Total {
    sum: u64,
    ids: u64,
}

impl Total {
    fn add(&mut self, number: u64) {
        self.sum += number;
        self.ids += u64::from(number > 0);
    }

    /// Whether this number is as many times the mean of the others.
    fn is_far_above(&self, number: u64, factor: u64) -> bool {
        let others = self.ids.saturating_sub(1);
        let sum = self.sum.saturating_sub(number);
        others >= HOT_OTHERS
            && u128::from(number) * u128::from(others) >= u128::from(sum) * u128::from(factor)
    }
}
