//! The workload as events: lines of JSON, as an SDK sends them.

use idmerge_core::{IdentityResolver, IdentityResolverExt};
use idmerge_events::JsonEvent;
use idmerge_original::Original;
use idmerge_simplified::Simplified;
use idmerge_workloads::{Stream, Workload};

/// An engine by name, and how to make one.
pub type Engine = (&'static str, fn() -> Box<dyn IdentityResolver>);

/// The engines that are measured.
pub const ENGINES: [Engine; 2] = [
    ("simplified", || Box::<Simplified>::default()),
    ("original", || Box::<Original>::default()),
];
/// A stream of events, one JSON line each.
pub fn lines(workload: Workload, events: u64) -> Vec<Vec<u8>> {
    let mut stream = Stream::new(workload, events, 1);
    let mut lines = Vec::new();
    loop {
        let mut line = Vec::new();
        if !stream.next_event(&mut line) {
            return lines;
        }
        lines.push(line);
    }
}

/// The lines as events.
///
/// # Panics
///
/// Where a line is no event, which a workload never gives.
pub fn parsed(lines: &[Vec<u8>]) -> Vec<JsonEvent<'_>> {
    lines
        .iter()
        .map(|line| match JsonEvent::parse(line) {
            Ok(event) => event,
            Err(error) => unreachable!("a workload gives events: {error}"),
        })
        .collect()
}

/// An engine that has been given these events.
///
/// # Panics
///
/// Where an event is refused, which those of a workload never are.
pub fn folded(
    make: fn() -> Box<dyn IdentityResolver>,
    events: &[JsonEvent<'_>],
) -> Box<dyn IdentityResolver> {
    let mut engine = make();
    for event in events {
        if let Err(error) = engine.apply_event(&event.event()) {
            unreachable!("a workload is accepted: {error}");
        }
    }
    engine
}

/// The canonical distinct_id of each event: what the rows of a table must agree on before they
/// are timed.
pub fn users(engine: &dyn IdentityResolver, events: &[JsonEvent<'_>]) -> Vec<String> {
    events
        .iter()
        .filter_map(|event| {
            engine
                .read(&event.event())
                .ok()?
                .distinct_id
                .map(|id| engine.resolve(id).to_string())
        })
        .collect()
}
