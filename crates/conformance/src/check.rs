//! The parts of every check: they create an engine, read its state, and collect differences.

use std::fmt::{Debug, Write as _};

use idmerge_core::{Cluster, DistinctId, IdentityResolver, Outcome};
use idmerge_events::{Failure, JsonEvent, Resolved};

use crate::settings::EngineSettings;
use crate::vectors::{ExpectedCluster, OwnedClaim};

/// Makes an engine that has these settings and no state.
pub(crate) type Make = dyn Fn(&EngineSettings) -> Box<dyn IdentityResolver> + Send + Sync;

/// The name of a trial, and what it checks.
pub(crate) type Check = (
    &'static str,
    Box<dyn Fn(&Make) -> Result<(), String> + Send>,
);

/// The differences between what the rules say and what the engine did, as text for people.
#[derive(Debug, Default)]
pub(crate) struct Differences(String);

impl Differences {
    /// Adds a difference unless both values are equal. `of` says what was compared.
    pub(crate) fn expect<T: PartialEq + Debug>(&mut self, of: &str, want: &T, got: &T) {
        if want != got {
            // Writing to a string does not fail.
            let _ok = writeln!(self.0, "{of}\n  wanted {want:?}\n  got    {got:?}");
        }
    }

    /// An error with all differences, if there are any.
    pub(crate) fn into_result(self) -> Result<(), String> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(self.0)
        }
    }
}

/// The kind of an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    Merged,
    AlreadyMerged,
    Ignored,
    Rejected,
}

impl Applied {
    /// Whether the two IDs are one user now.
    pub(crate) fn is_accepted(self) -> bool {
        matches!(self, Self::Merged | Self::AlreadyMerged)
    }
}

/// Applies a claim.
pub(crate) fn apply(
    engine: &mut dyn IdentityResolver,
    claim: &OwnedClaim,
) -> Result<Applied, String> {
    match engine.apply(claim.as_claim()) {
        Ok(Outcome::Merged) => Ok(Applied::Merged),
        Ok(Outcome::AlreadyMerged) => Ok(Applied::AlreadyMerged),
        Ok(Outcome::Ignored) => Ok(Applied::Ignored),
        Ok(Outcome::Rejected(_)) => Ok(Applied::Rejected),
        Ok(outcome) => Err(format!("the suite does not know the outcome {outcome:?}")),
        Err(error) => Err(format!("{}: {error}", claim.to_toml())),
    }
}

/// The state of an engine as bytes.
pub(crate) fn snapshot_of(engine: &dyn IdentityResolver) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    engine
        .write_snapshot(&mut bytes)
        .map_err(|error| format!("no snapshot: {error}"))?;
    Ok(bytes)
}

/// An event as it is written with the answer of the engine's state. The reason of a rejection is given
/// as its code and its description.
pub(crate) fn written(
    engine: &dyn IdentityResolver,
    event: &JsonEvent<'_>,
    rejection: Option<&(String, String)>,
) -> Result<String, String> {
    let reading = engine.read(&event.event());
    let own = reading.map_err(|error| error.to_string())?.distinct_id;
    let resolved = Resolved {
        rule_book: engine.rule_book(),
        own,
        canonical: own.map(|id| engine.resolve(id)),
        failure: rejection.map(|(reason, description)| Failure {
            reason,
            description,
        }),
    };
    let mut line = Vec::new();
    event.write_resolved(&resolved, &mut line);
    String::from_utf8(line).map_err(|error| error.to_string())
}

/// All clusters of an engine, in its order.
pub(crate) fn clusters_of(engine: &dyn IdentityResolver) -> Vec<ExpectedCluster> {
    engine
        .clusters()
        .map(|cluster| as_expected(&cluster))
        .collect()
}

/// A cluster in the form in which vectors expect it.
pub(crate) fn as_expected(cluster: &Cluster<'_>) -> ExpectedCluster {
    ExpectedCluster {
        canonical: cluster.canonical.to_string(),
        members: cluster.members.iter().map(DistinctId::to_string).collect(),
    }
}
