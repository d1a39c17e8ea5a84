//! The workload as events: lines of JSON, in the form of an SDK.

use idmerge_core::{IdentityResolver, IdentityResolverExt};
use idmerge_engines::{Engine, Model, Settings};
use idmerge_events::JsonEvent;
use idmerge_workloads::{Stream, Workload};

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
/// Panics if a line is not an event. The lines of a workload are events.
pub fn parsed(lines: &[Vec<u8>]) -> Vec<JsonEvent<'_>> {
    lines
        .iter()
        .map(|line| match JsonEvent::parse(line) {
            Ok(event) => event,
            Err(error) => unreachable!("the lines of a workload are events: {error}"),
        })
        .collect()
}

/// An engine of this model, with default settings, that these events were applied to.
///
/// # Panics
///
/// Panics if an event is refused. The events of a workload are accepted.
pub fn folded(model: Model, events: &[JsonEvent<'_>]) -> Engine {
    let mut engine = Settings::of(model).engine();
    for event in events {
        if let Err(error) = engine.apply_event(&event.event()) {
            unreachable!("the events of a workload are accepted: {error}");
        }
    }
    engine
}

/// The canonical distinct_id of each event. The rows of a table must agree on it before they are
/// timed.
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
