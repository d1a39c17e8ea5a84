//! Mistakes in linking: S-5 to S-8.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use idmerge_conformance::EngineSettings;
use idmerge_conformance::oracle::SimplifiedOracle;
use idmerge_core::{
    Claim, Cluster, DistinctId, Id, IdentityResolver, Outcome, Rejection, Resolve, SnapshotError,
};

use super::relink;
use crate::decoy::{Mistake, judge, keep, keep_cluster, weigh};

/// Never links: it forgets every claim.
#[derive(Default)]
pub(crate) struct Hermit;

impl Mistake for Hermit {
    type Oracle = SimplifiedOracle;

    fn apply(&mut self, oracle: &mut SimplifiedOracle, claim: Claim<'_>) -> Outcome<'static> {
        judge(oracle, claim)
    }
}

/// Gives a device to the last user who logged in, and still answers with a rejection (S-7).
#[derive(Default)]
pub(crate) struct LastUserWins(EngineSettings);

impl Mistake for LastUserWins {
    type Oracle = SimplifiedOracle;

    fn settings(&mut self, settings: EngineSettings) -> EngineSettings {
        self.0 = settings.clone();
        settings
    }

    fn apply(&mut self, oracle: &mut SimplifiedOracle, claim: Claim<'_>) -> Outcome<'static> {
        let outcome = weigh(oracle, claim);
        if let Claim::Link { device, user } = claim
            && matches!(outcome, Outcome::Rejected(_))
        {
            let taken = keep(user);
            relink(oracle, &self.0, |linked, holder| {
                if linked == device { taken } else { holder }
            });
        }
        outcome
    }
}

/// Merges two users of one device.
#[derive(Default)]
pub(crate) struct UsersOfOneDeviceMerge {
    settings: EngineSettings,
    /// Users, and the users that they were merged into.
    same: BTreeMap<Id<'static>, Id<'static>>,
}

impl UsersOfOneDeviceMerge {
    fn really(&self, user: Id<'_>) -> Id<'static> {
        let user = keep(user);
        self.same.get(&user).copied().unwrap_or(user)
    }
}

impl Mistake for UsersOfOneDeviceMerge {
    type Oracle = SimplifiedOracle;

    fn settings(&mut self, settings: EngineSettings) -> EngineSettings {
        self.settings = settings.clone();
        settings
    }

    fn apply(&mut self, oracle: &mut SimplifiedOracle, claim: Claim<'_>) -> Outcome<'static> {
        let Claim::Link { device, user } = claim else {
            return weigh(oracle, claim);
        };
        let user = self.really(user);
        let outcome = weigh(oracle, Claim::Link { device, user });
        let Outcome::Rejected(Rejection::AnonDistinctIdAssignedAlready { holder, .. }) = outcome
        else {
            return outcome;
        };
        for other in self.same.values_mut().filter(|other| **other == user) {
            *other = holder;
        }
        self.same.insert(user, holder);
        relink(oracle, &self.settings, |_, owner| self.really(owner));
        Outcome::Merged
    }

    fn shown(&self, mut cluster: Cluster<'static>) -> Cluster<'static> {
        let same = self.same.iter();
        let same = same.filter(|(_, really)| **really == cluster.canonical.id());
        let members = same.map(|(user, _)| DistinctId::plain(*user));
        cluster.members.extend(members.collect::<Vec<_>>());
        cluster
    }

    fn cluster(&self, oracle: &SimplifiedOracle, id: DistinctId<'_>) -> Option<Cluster<'static>> {
        let id = if id.is_device() {
            id
        } else {
            DistinctId::plain(self.really(id.id()))
        };
        let cluster = oracle.cluster(id)?;
        Some(self.shown(keep_cluster(&cluster)))
    }
}

/// Panics instead of rejecting (S-7).
#[derive(Default)]
pub(crate) struct Panics;

impl Mistake for Panics {
    type Oracle = SimplifiedOracle;

    fn apply(&mut self, oracle: &mut SimplifiedOracle, claim: Claim<'_>) -> Outcome<'static> {
        let outcome = weigh(oracle, claim);
        if let Outcome::Rejected(why) = outcome {
            panic!("{why}");
        }
        outcome
    }
}

/// Links also on the claims of Original, which Simplified ignores.
#[derive(Default)]
pub(crate) struct KnowsTheOtherBook;

impl Mistake for KnowsTheOtherBook {
    type Oracle = SimplifiedOracle;

    fn apply(&mut self, oracle: &mut SimplifiedOracle, claim: Claim<'_>) -> Outcome<'static> {
        match claim {
            Claim::Identify { identified, anon } => {
                let (device, user) = (anon, identified);
                weigh(oracle, Claim::Link { device, user })
            }
            _ => weigh(oracle, claim),
        }
    }
}

/// Ends its snapshot with the last linked device, so the snapshot has more than the state.
#[derive(Default)]
pub(crate) struct SnapshotSaysWhoWasLast(Option<Id<'static>>);

impl Mistake for SnapshotSaysWhoWasLast {
    type Oracle = SimplifiedOracle;

    fn apply(&mut self, oracle: &mut SimplifiedOracle, claim: Claim<'_>) -> Outcome<'static> {
        let outcome = weigh(oracle, claim);
        if let Claim::Link { device, .. } = claim
            && outcome == Outcome::Merged
        {
            self.0 = Some(keep(device));
        }
        outcome
    }

    fn write_snapshot(&self, oracle: &SimplifiedOracle, sink: &mut dyn Write) -> io::Result<()> {
        oracle.write_snapshot(sink)?;
        let last = self.0.map(|device| device.text()).unwrap_or_default();
        let length = u8::try_from(last.len()).unwrap_or_default();
        sink.write_all(&[length])?;
        sink.write_all(last.as_bytes())
    }

    fn read_snapshot(
        &mut self,
        oracle: &mut SimplifiedOracle,
        source: &mut dyn Read,
    ) -> Result<(), SnapshotError> {
        let mut read = oracle.clone();
        read.read_snapshot(source)?;
        let mut length = [0];
        source.read_exact(&mut length)?;
        let mut last = vec![0; length[0].into()];
        source.read_exact(&mut last)?;
        let last = String::from_utf8_lossy(&last).into_owned();
        self.0 = Id::new(&last).ok().map(keep);
        *oracle = read;
        Ok(())
    }
}
