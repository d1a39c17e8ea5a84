//! Fuzz bodies: what must hold for any bytes. The fuzz targets call these, and so do plain tests
//! over saved inputs.
//!
//! Each gets an engine from `make`, and panics where something does not hold, as a fuzzer wants
//! it.

use idmerge_core::{IdentityResolver, IdentityResolverExt, RuleBook};
use idmerge_events::{JsonEvent, Resolved};

use crate::check::clusters_of;
use crate::compare::{comparable, same_as_oracle};
use crate::generate::all_ids;
use crate::oracle::oracle;
use crate::settings::{AnonIdFormat, EngineSettings};
use crate::vectors::{OwnedClaim, show};

/// Any bytes as an event: they are refused, or read as the oracle reads them.
///
/// # Panics
///
/// Where the engine and the oracle read the event otherwise.
pub fn event(bytes: &[u8], make: impl Fn(&EngineSettings) -> Box<dyn IdentityResolver>) {
    let Ok(event) = JsonEvent::parse(bytes) else {
        return;
    };
    let settings = EngineSettings::default();
    let engine = make(&settings);
    let oracle = oracle(engine.rule_book(), &settings);
    let event = event.event();
    assert_eq!(
        comparable(oracle.read(&event)),
        comparable(engine.read(&event)),
        "{event:?}"
    );
}

/// Any bytes as an event with the answer written onto it: what is written is an event again, says
/// the canonical distinct_id, and written once more stays as it is (rules W-1 to W-7).
///
/// # Panics
///
/// Where that is not so.
pub fn splice(bytes: &[u8], make: impl Fn(&EngineSettings) -> Box<dyn IdentityResolver>) {
    let mut engine = make(&EngineSettings::default());
    let Ok(event) = JsonEvent::parse(bytes) else {
        return;
    };
    if engine.apply_event(&event.event()).is_err() {
        return;
    }
    let canonical = written(&event, &*engine, bytes);
    let again = match JsonEvent::parse(&canonical) {
        Ok(again) => again,
        Err(error) => unreachable!("what is written is no event: {error}"),
    };
    // Read again, the event is the canonical ID's: Original goes by `distinct_id`, Simplified by
    // what was there before.
    assert_eq!(
        String::from_utf8_lossy(&written(&again, &*engine, &canonical)),
        String::from_utf8_lossy(&canonical),
    );
}

fn written(event: &JsonEvent<'_>, engine: &dyn IdentityResolver, bytes: &[u8]) -> Vec<u8> {
    let read = event.event();
    let Ok(reading) = engine.read(&read) else {
        // An identity event of Original may name what its `distinct_id` does not allow.
        return bytes.to_vec();
    };
    let canonical = reading.distinct_id.map(|id| engine.resolve(id));
    let resolved = Resolved {
        rule_book: engine.rule_book(),
        own: reading.distinct_id,
        canonical,
        failure: None,
    };
    let mut line = Vec::new();
    event.write_resolved(&resolved, &mut line);
    let back = JsonEvent::parse(&line).map(|event| format!("{:?}", event.event().distinct_id));
    let text = canonical.map(|id| id.to_string()).unwrap_or_default();
    let want = format!("{:?}", idmerge_core::Value::from(&*text));
    assert_eq!(
        back.ok().as_ref(),
        Some(&want),
        "{}",
        String::from_utf8_lossy(&line)
    );
    line
}

/// Any bytes as claims: outcomes, canonical IDs and clusters are the oracle's after each.
///
/// The first byte is the limit and the form of anonymous ids; then two bytes are a claim.
///
/// # Panics
///
/// Where engine and oracle differ; the message has the case in the syntax of vectors.
pub fn claims(
    bytes: &[u8],
    make: impl Fn(&EngineSettings) -> Box<dyn IdentityResolver> + Send + Sync + 'static,
) {
    /// Longer ones find nothing that shorter ones do not, and the oracle is slow.
    const CLAIMS_MAX: usize = 64;

    let Some((&first, rest)) = bytes.split_first() else {
        return;
    };
    let formats = [AnonIdFormat::UuidV4, AnonIdFormat::Guid, AnonIdFormat::Sdk];
    let settings = EngineSettings {
        max_cluster_ids: u32::from(first % 8),
        anon_id_format: formats[usize::from(first / 8) % formats.len()],
        ..EngineSettings::default()
    };
    let claims: Vec<OwnedClaim> = rest
        .chunks_exact(2)
        .take(CLAIMS_MAX)
        .map(|bytes| claim_of(bytes[0], bytes[1]))
        .collect();
    let rule_book = make(&settings).rule_book();
    if let Err(what) = same_as_oracle(rule_book, &make, &settings, &claims) {
        unreachable!("{what}\n{}", show::as_vector(rule_book, &settings, &claims));
    }
}

fn claim_of(verb: u8, ids: u8) -> OwnedClaim {
    let all: Vec<&str> = all_ids().collect();
    let id = |number: u8| all[usize::from(number) % all.len()].to_owned();
    let (a, b) = (id(ids >> 4), id(ids & 0xf));
    match verb % 4 {
        0 => OwnedClaim::Link(a, b),
        1 => OwnedClaim::Identify(a, b),
        2 => OwnedClaim::Alias(a, b),
        _ => OwnedClaim::Merge(a, b),
    }
}

/// Any bytes as a snapshot: they are an error that changes nothing, or a state that keeps the
/// laws and writes these very bytes.
///
/// # Panics
///
/// Where that is not so.
pub fn snapshot(bytes: &[u8], make: impl Fn(&EngineSettings) -> Box<dyn IdentityResolver>) {
    let settings = EngineSettings::default();
    let (mut engine, empty) = (make(&settings), make(&settings));
    let mut rest = bytes;
    let read = engine.read_snapshot(&mut rest);
    let mut written = Vec::new();
    if let Err(error) = engine.write_snapshot(&mut written) {
        unreachable!("memory takes everything: {error}");
    }
    if read.is_err() {
        assert_eq!(clusters_of(&*engine), clusters_of(&*empty));
        return;
    }
    assert_eq!(written, bytes[..bytes.len() - rest.len()]);
    for cluster in engine.clusters() {
        assert!(cluster.members.contains(&cluster.canonical));
        for &member in &cluster.members {
            assert_eq!(engine.resolve(member), cluster.canonical);
        }
        if engine.rule_book() == RuleBook::Original {
            assert!(cluster.members.len() <= settings.max_cluster_ids as usize);
        }
    }
}
