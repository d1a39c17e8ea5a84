//! Mistakes that single events show: refused ones, those without an ID, and rejected claims.

use super::{Checks, counted};
use crate::fold::{Cause, RefusedFor, TurnedDown};
use crate::ids::Ids;
use crate::kind::Kind;
use crate::report::Example;
use crate::said::IdKind;

impl Checks<'_> {
    pub(super) fn refused(&mut self) {
        let mut refused: Vec<_> = self.lint.refused.drain().collect();
        let order = |why: &RefusedFor| (why.value.clone(), why.property.key(), why.rule);
        refused.sort_by_cached_key(|(why, _)| order(why));
        for kind in [Kind::JunkId, Kind::IncompleteIdentityEvent] {
            let mut gathered = self.gathered(kind);
            for (number, (why, found)) in refused.iter().enumerate() {
                if kind_of(why) == kind {
                    gathered.add(number_of(number), found.events);
                }
            }
            let finding = gathered.finish(None, |number, events| {
                let (why, found) = &refused[number as usize];
                let value = match why.value.as_str() {
                    "" => why.property.key(),
                    value => value,
                };
                Example {
                    id: value.to_owned(),
                    what: format!("as {} ({})", why.property, why.rule),
                    events,
                    evidence: vec![found.first],
                    full_in_ms: None,
                }
            });
            self.findings.extend(finding);
        }
    }

    pub(super) fn without_id(&mut self) {
        let mut without: Vec<(String, TurnedDown)> = self.lint.without_id.drain().collect();
        without.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let mut gathered = self.gathered(Kind::NoId);
        for (number, (_, found)) in without.iter().enumerate() {
            gathered.add(number_of(number), found.events);
        }
        let finding = gathered.finish(None, |number, events| {
            let (name, found) = &without[number as usize];
            Example {
                id: name.clone(),
                what: counted(events, "event"),
                events,
                evidence: vec![found.first],
                full_in_ms: None,
            }
        });
        self.findings.extend(finding);
    }

    /// Rejected claims that no other finding explains.
    pub(super) fn rejections(&mut self) {
        let code_devices: foldhash::HashSet<u32> = self
            .lint
            .of_code
            .iter()
            .map(|(_, device)| *device)
            .collect();
        for (cause, kind) in [
            (Cause::SameIds, Kind::SameIds),
            (Cause::NotUuid, Kind::AnonIdNotUuid),
            (Cause::AliasTaken, Kind::AliasTaken),
            (Cause::Taken, Kind::AnonIdTaken),
        ] {
            let mut gathered = self.gathered(kind);
            let of_cause = self.lint.rejected.iter();
            let of_cause = of_cause.filter(|((found, _), _)| *found == cause);
            for ((_, number), found) in of_cause {
                let is_explained = match cause {
                    // The device, or the user who was logged in, is what a reset was missing for.
                    Cause::Taken => self.is_reported(*number) || code_devices.contains(number),
                    Cause::NotUuid => self.is_user(*number),
                    _ => false,
                };
                if !is_explained {
                    gathered.add(*number, found.events);
                }
            }
            let (ids, rejected) = (&self.lint.ids, &self.lint.rejected);
            let finding = gathered.finish(None, |number, events| {
                let found = &rejected[&(cause, number)];
                let other = (found.other != Ids::NONE && found.other != number)
                    .then(|| format!("with {}", ids.text(found.other)));
                Example {
                    id: ids.text(number),
                    what: other.unwrap_or_else(|| counted(events, "event")),
                    events,
                    evidence: vec![found.first],
                    full_in_ms: None,
                }
            });
            self.findings.extend(finding);
        }
    }

    /// Whether events name an ID as a user: then `$identify` names the user who was logged in before.
    fn is_user(&self, number: u32) -> bool {
        let kind = self.lint.ids.row(number).kind;
        kind.has(IdKind::USER)
    }
}

fn kind_of(why: &RefusedFor) -> Kind {
    match why.rule {
        "O-3" | "O-4" | "O-5" => Kind::IncompleteIdentityEvent,
        _ => Kind::JunkId,
    }
}

fn number_of(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
