use idmerge_core::IdentityResolverExt;

use super::*;
use crate::settings::AnonIdFormat;

/// A UUIDv4 for each number.
fn uuid(n: u32) -> String {
    format!("{n:08x}-0000-4000-8000-000000000000")
}

fn plain(text: &str) -> DistinctId<'_> {
    DistinctId::plain(id(text))
}

fn any_form() -> EngineSettings {
    // Five groups are short: "1-0-0-0-a" is an anonymous ID.
    EngineSettings {
        anon_id_format: AnonIdFormat::Sdk,
        ..EngineSettings::default()
    }
}

/// An anonymous ID of the form `sdk`.
fn anon(n: u32) -> String {
    format!("{n}-0-0-0-a")
}

fn short(outcome: Result<Outcome<'_>, EngineError>) -> String {
    match outcome {
        Ok(Outcome::Rejected(rejection)) => format!("{}: {rejection}", rejection.code()),
        Ok(outcome) => format!("{outcome:?}"),
        Err(error) => error.to_string(),
    }
}

fn identify(oracle: &mut OriginalOracle, identified: &str, anon: &str) -> String {
    let (identified, anon) = (id(identified), id(anon));
    short(oracle.apply(Claim::Identify { identified, anon }))
}

fn alias(oracle: &mut OriginalOracle, distinct_id: &str, alias: &str) -> String {
    let (distinct_id, alias) = (id(distinct_id), id(alias));
    short(oracle.apply(Claim::Alias { distinct_id, alias }))
}

fn merge(oracle: &mut OriginalOracle, first: &str, second: &str) -> String {
    let (first, second) = (id(first), id(second));
    short(oracle.apply(Claim::Merge { first, second }))
}

/// Every cluster: the canonical ID, then the members.
fn clusters(oracle: &OriginalOracle) -> Vec<String> {
    let text = |cluster: Cluster<'_>| {
        let members: Vec<String> = cluster.members.iter().map(ToString::to_string).collect();
        format!("{} = {}", cluster.canonical, members.join(" "))
    };
    oracle.clusters().map(text).collect()
}

fn snapshot_of(oracle: &OriginalOracle) -> Vec<u8> {
    let mut bytes = Vec::new();
    oracle.write_snapshot(&mut bytes).unwrap();
    bytes
}

fn oracle() -> OriginalOracle {
    OriginalOracle::new(any_form())
}

mod checks;
mod state;
