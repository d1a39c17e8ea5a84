//! What a fold says that it holds is what it takes of the allocator.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use allocation_counter::measure;
use idmerge_analysis::{Analysis, FunnelFold, FunnelQuery, ResolvedEvent, Step};
use idmerge_core::DistinctId;
use idmerge_events::JsonEvent;

/// The fold of events of A: of `users` users, each with `events`, with `values` different values of a property.
fn fold(users: usize, events: usize, values: usize) -> FunnelFold {
    let mut query = FunnelQuery::new(vec![Step::named("A")]);
    query.hold = vec!["page".to_owned()];
    let funnel = query.funnel().unwrap();
    let mut fold = funnel.fold();
    for at in 0..users * events {
        let page = format!("{:0100}", at % values);
        let line = format!(r#"{{"event":"A","properties":{{"page":"{page}"}}}}"#);
        let event = ResolvedEvent {
            name: "A",
            time_ms: i64::try_from(at).ok(),
            properties: JsonEvent::parse_text(&line).unwrap().properties(),
        };
        let user = format!("user {:020}", at % users);
        let own = format!("$device:{user}");
        let [user, own] = [&user, &own].map(|id| DistinctId::try_from(id.as_str()).unwrap());
        let found = funnel.read(&event).unwrap();
        funnel.add(&mut fold, user, own, found);
    }
    fold
}

#[test]
fn a_fold_knows_the_memory_that_it_takes() {
    for (users, events, values) in [(1, 1, 1), (20_000, 1, 1), (500, 20, 1), (500, 20, 10_000)] {
        let mut held = 0;
        let mut kept = None;
        let info = measure(|| {
            let fold = fold(users, events, values);
            held = fold.bytes_held();
            kept = Some(fold);
        });
        drop(kept);
        let taken = usize::try_from(info.bytes_current).unwrap();
        // An allocator needs more for a small piece than its bytes, which the counter does not see.
        assert!(
            taken * 9 / 10 <= held && held <= taken * 8 / 5 + 200,
            "{users} users, {events} events, {values} values: {held} of {taken} bytes"
        );
    }
}
