//! Mistakes that the users of devices show, and IDs that stand out.

use super::{Checks, counted, evidence};
use crate::devices::Device;
use crate::ids::{Bits, Row};
use crate::kind::Kind;
use crate::report::{Evidence, Example};
use crate::said::IdKind;
use crate::words::Look;

/// A device with as many users is not what a family or a desk shares, but a kiosk or a constant.
const SHARED_DEVICE_USERS: u32 = 10;

/// A word that may be the user name of somebody is a mistake if as many devices have it. People have fewer.
const SUSPICIOUS_DEVICES: u32 = 10;

/// An ID stands out only among so many others: of a few, any can have most events.
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
                evidence: first_event(row),
                full_in_ms: None,
            }
        });
        self.findings.extend(finding);
    }

    pub(super) fn devices(&mut self) {
        let several = self.lint.devices.iter();
        let several = several.filter(|(_, device)| device.users > 1);
        let mut numbers: Vec<u32> = several.map(|(number, _)| number).collect();
        numbers.retain(|number| !self.is_reported(*number));
        numbers.sort_unstable();
        let is_shared = |this: &Self, number: u32| {
            let device = this.lint.devices.get(number);
            device.is_some_and(|device| device.users >= SHARED_DEVICE_USERS)
        };
        let decided: Vec<u32> = numbers
            .iter()
            .copied()
            .filter(|number| {
                let device = self.lint.devices.get(*number);
                !is_shared(self, *number)
                    && device.is_some_and(|device| device.earlier_user().is_some())
            })
            .collect();
        for (kind, shared) in [(Kind::SharedDevice, true), (Kind::MissingReset, false)] {
            let of_kind: Vec<u32> = numbers
                .iter()
                .copied()
                .filter(|number| is_shared(self, *number) == shared)
                .collect();
            let mut gathered = self.gathered(kind);
            for number in &of_kind {
                let events = self.lint.devices.get(*number).map_or(0, |it| it.events);
                gathered.add(*number, events);
                self.report(*number);
            }
            let is_of_kind = |device: u32| of_kind.binary_search(&device).is_ok();
            let users = self.lint.devices.users_of(is_of_kind).len() as u64;
            let finding = gathered.finish(Some(users), |number, events| {
                self.several_users(number, events)
            });
            self.findings.extend(finding);
        }
        self.order_decided(&decided);
    }

    fn several_users(&self, number: u32, events: u64) -> Example {
        let ids = &self.lint.ids;
        let (mut what, mut shown) = (String::new(), Vec::new());
        if let Some(device) = self.lint.devices.get(number) {
            what = ids.text(device.first_user);
            shown.push(evidence(device.first, device.first_ms));
            if let Some((second, at, time_ms)) = device.second {
                what = format!("{what}, then {}", ids.text(second));
                shown.push(evidence(at, time_ms));
            }
            if device.users > 2 {
                what = format!("{what} and {} more", device.users - 2);
            }
        }
        Example {
            id: ids.text(number),
            what,
            events,
            evidence: shown,
            full_in_ms: None,
        }
    }

    /// Devices whose first user by arrival is not their first user by time.
    fn order_decided(&mut self, numbers: &[u32]) {
        let mut gathered = self.gathered(Kind::OrderDecided);
        for number in numbers {
            let device = self.lint.devices.get(*number);
            gathered.add(*number, device.map_or(0, |device| device.events));
        }
        let is_decided = |device: u32| numbers.binary_search(&device).is_ok();
        let users = self.lint.devices.users_of(is_decided).len() as u64;
        let (ids, devices) = (&self.lint.ids, &self.lint.devices);
        let finding = gathered.finish(Some(users), |number, events| {
            let (mut what, mut shown) = (String::new(), Vec::new());
            let earlier = devices.get(number).and_then(Device::earlier_user);
            if let Some((owner, (other, at, time_ms))) = earlier {
                let [owner_text, other] = [owner.user, other].map(|user| ids.text(user));
                let when = match owner.time_ms == Some(time_ms) {
                    true => "at the same time",
                    false => "before",
                };
                what = format!("belongs to {owner_text}, but {other} was there {when}");
                shown = vec![
                    evidence(owner.at, owner.time_ms),
                    evidence(at, Some(time_ms)),
                ];
            }
            Example {
                id: ids.text(number),
                what,
                events,
                evidence: shown,
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
                evidence: first_event(row),
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
                evidence: first_event(row),
                full_in_ms: None,
            }
        });
        self.findings.extend(finding);
    }
}

/// The first event of an ID, if one has it as its own distinct_id.
fn first_event(row: &Row) -> Vec<Evidence> {
    let time_ms = (row.time_ms != i64::MIN).then_some(row.time_ms);
    match row.events {
        0 => Vec::new(),
        _ => vec![evidence(row.first, time_ms)],
    }
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
