//! A query whose caller does not want the answer any more stops.

use std::cell::Cell;

use idmerge_analysis::{FunnelQuery, Step};
use idmerge_engines::{Model, Settings};
use idmerge_project::{Batch, Options, Project, ProjectError, Record};

#[test]
fn a_funnel_stops_at_the_next_block_of_events() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::of(Model::Simplified);
    let project = Project::open(folder.path(), settings, Options::default()).unwrap();
    for block in 0..40_u32 {
        let mut batch = Batch::new("/track", 1);
        // It hardly compresses, so that blocks have few events.
        let mut state = block;
        let mut digit = || {
            state = u32::wrapping_add(state.wrapping_mul(1_664_525), 1_013_904_223);
            char::from_digit(state >> 28, 16).unwrap()
        };
        let text: String = (0..100_000).map(|_| digit()).collect();
        let json =
            format!(r#"{{"event":"A","properties":{{"distinct_id":"u{block}","x":"{text}"}}}}"#);
        batch.push(&json, Record::event(Some(1), None));
        project.submit_and_wait(batch).unwrap();
    }
    let query = FunnelQuery::new(vec![Step::named("A")]).funnel().unwrap();
    let asked = Cell::new(0);
    let ask_until = |limit| {
        asked.set(0);
        let may_go_on = || {
            asked.set(asked.get() + 1);
            asked.get() < limit
        };
        project.funnel_while(&query, &may_go_on, &mut |_, _| {})
    };
    let funnel = ask_until(u32::MAX).unwrap();
    assert_eq!(funnel.steps[0].users, 40);
    let blocks = asked.get();
    assert!(blocks > 5, "{blocks}");
    let cancelled = ask_until(3);
    assert!(matches!(cancelled, Err(ProjectError::Cancelled)));
    assert_eq!(asked.get(), 3);
    assert_eq!(project.funnel(&query).unwrap(), funnel);
}
