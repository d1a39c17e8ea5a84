//! The pages of a timeline, and the events that an export or a funnel selects, are those of a sorted list.

use idmerge_analysis::{Analysis, Funnel, FunnelQuery, FunnelReport, ResolvedEvent, Step};
use idmerge_core::DistinctId;
use idmerge_engines::{Model, Settings};
use idmerge_events::JsonEvent;
use idmerge_project::{Batch, ExportQuery, Options, Project, Record, Sender};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// An event of one of the users, with its time and the length of its text, so that blocks fill up.
#[derive(Clone, Debug)]
struct Sent {
    user: &'static str,
    name: &'static str,
    time_ms: i64,
    bytes: usize,
}

/// Events of few times with many ties, which arrive in any order.
fn any_sent(times: std::ops::Range<i64>) -> impl Strategy<Value = Sent> {
    let user = prop::sample::select(&["U1", "U1", "U1", "U2"][..]);
    let name = prop::sample::select(&["A", "B"][..]);
    (user, name, times, 0..6_000_usize).prop_map(|(user, name, time_ms, bytes)| Sent {
        user,
        name,
        time_ms,
        bytes,
    })
}

/// Submits the events in batches, with times that rise from batch to batch by `drift_ms`, and returns
/// them as they must be stored. The numbers are the positions, from 1.
fn submit(project: &Project, sent: &[Sent], drift_ms: i64) -> Vec<Sent> {
    let mut stored = Vec::new();
    for (group, at) in sent.chunks(7).zip(0..) {
        let mut batch = Batch::new("/import", 7);
        for sent in group {
            let Sent { user, name, .. } = sent;
            let time_ms = sent.time_ms + at * drift_ms;
            let text = noise(sent.bytes, stored.len() as u64);
            let json = format!(
                r#"{{"event":"{name}","properties":{{"$user_id":"{user}","text":"{text}"}}}}"#
            );
            batch.push(&json, Record::event(Some(time_ms), None));
            stored.push(Sent {
                time_ms,
                ..sent.clone()
            });
        }
        project.submit_and_wait(batch).unwrap();
    }
    stored
}

/// Text that does not compress well.
fn noise(bytes: usize, seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'a' + u8::try_from(state >> 32 & 15).unwrap())
    };
    (0..bytes).map(|_| next()).collect()
}

fn open(folder: &std::path::Path) -> Project {
    let options = Options {
        index_events: 40,
        ..Options::default()
    };
    Project::open(folder, Settings::of(Model::Simplified), options).unwrap()
}

/// All pages of a user, as times and numbers.
fn pages(project: &Project, user: &str, limit: usize) -> Vec<(i64, u64)> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = project.user_events(user, after, limit).unwrap();
        assert!(page.events.len() <= limit);
        assert!(page.next.is_none() || !page.events.is_empty());
        found.extend(
            page.events
                .iter()
                .map(|event| (event.time_ms, event.number)),
        );
        let Some(next) = page.next else { return found };
        after = Some(next.to_string().parse().unwrap());
    }
}

fn check_pages(sent: &[Sent], drift_ms: i64) {
    let folder = tempfile::tempdir().unwrap();
    let project = open(folder.path());
    let stored = submit(&project, sent, drift_ms);
    for user in ["U1", "U2"] {
        let of_user = stored.iter().zip(1..).filter(|(sent, _)| sent.user == user);
        let mut wanted: Vec<(i64, u64)> = of_user.map(|(sent, n)| (sent.time_ms, n)).collect();
        wanted.sort_unstable();
        wanted.reverse();
        for limit in [
            1,
            2,
            3,
            10,
            wanted.len().max(2) - 1,
            wanted.len().max(1),
            1_000,
        ] {
            assert_eq!(
                pages(&project, user, limit),
                wanted,
                "{user}, {limit} a page"
            );
        }
        // The whole on one page, and nothing behind it.
        let whole = project
            .user_events(user, None, wanted.len().max(1))
            .unwrap();
        assert_eq!(whole.next, None);
    }
}

/// Ranges of times that begin and end at the limits of the events, and at others.
fn ranges(stored: &[Sent]) -> impl Iterator<Item = (Option<i64>, Option<i64>)> {
    let times = stored.iter().map(|sent| sent.time_ms);
    let (min, max) = (times.clone().min().unwrap_or(0), times.max().unwrap_or(0));
    let middle = i64::midpoint(min, max);
    let bounds = [min - 1, min, min + 1, middle, max, max + 1].map(Some);
    let bounds = move || bounds.into_iter().chain([None]);
    bounds().flat_map(move |from| bounds().map(move |until| (from, until)))
}

fn check_exports(sent: &[Sent], drift_ms: i64) {
    let folder = tempfile::tempdir().unwrap();
    let project = open(folder.path());
    let stored = submit(&project, sent, drift_ms);
    for ((from_ms, until_ms), names) in
        ranges(&stored).zip([&[][..], &["A"], &["C", "B"]].into_iter().cycle())
    {
        let query = ExportQuery {
            from_ms,
            until_ms,
            names: names.iter().map(ToString::to_string).collect(),
            ..ExportQuery::default()
        };
        let mut found = Vec::new();
        let count = project.export(&query, &mut |event| {
            found.push(event.number);
            Ok(true)
        });
        assert_eq!(count.unwrap(), found.len() as u64);
        let wanted = stored.iter().zip(1..).filter(|(sent, _)| {
            from_ms.is_none_or(|from| sent.time_ms >= from)
                && until_ms.is_none_or(|until| sent.time_ms < until)
                && (names.is_empty() || names.contains(&sent.name))
        });
        let wanted: Vec<u64> = wanted.map(|(_, number)| number).collect();
        assert_eq!(found, wanted, "{from_ms:?} to {until_ms:?}, {names:?}");
    }
}

fn check(cases: u32, times: std::ops::Range<i64>, check: fn(&[Sent], i64)) {
    let mut runner = TestRunner::new(Config::with_cases(cases));
    let sent = prop::collection::vec(any_sent(times), 1..150);
    // Events of a block are of about the same time, as usual; or of any; or the latest come first.
    let drift_ms = prop::sample::select(&[3, 0, -3][..]);
    runner
        .run(&(sent, drift_ms), |(sent, drift_ms)| {
            check(&sent, drift_ms);
            Ok(())
        })
        .unwrap();
}

#[test]
fn the_pages_of_a_user_are_a_sorted_list_in_parts() {
    check(12, 0..5, check_pages);
}

#[test]
fn an_export_selects_times_and_names() {
    check(8, 0..5, check_exports);
}

#[test]
fn ar_4_an_export_marks_what_a_reader_must_not_weigh() {
    let merge = r#"{"event":"$merge","properties":{"$distinct_ids":["A","B"]}}"#;
    let event = r#"{"event":"A","properties":{"$user_id":"A"}}"#;
    let marked = r#"{"event":"A","properties":{"$user_id":"A","$idmerge_unweighed":true}}"#;
    let cases = [
        (merge, "/track", true),
        (merge, Batch::TOKEN_IMPORT, true),
        (merge, Batch::TOKEN_CALLS, true),
        (merge, "/import", false),
        (event, "/track", false),
        (event, "/import", false),
        (marked, "/import", true),
    ];
    for model in [Model::Simplified, Model::Original] {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::of(model);
        let project = Project::open(folder.path(), settings, Options::default()).unwrap();
        for (json, source, _) in cases {
            let mut batch = Batch::new(source, 7);
            let sender = match source {
                "/import" => Sender::Credential,
                _ => Sender::Anybody,
            };
            batch.push(
                json,
                Record::Event {
                    time_ms: Some(1),
                    insert_id: None,
                    sender,
                    layout: None,
                },
            );
            project.submit_and_wait(batch).unwrap();
        }
        let mut marks = Vec::new();
        project
            .export(&ExportQuery::default(), &mut |event| {
                marks.push(event.is_unweighed);
                Ok(true)
            })
            .unwrap();
        assert_eq!(
            marks,
            cases.map(|(_, _, is_unweighed)| is_unweighed),
            "{model:?}"
        );
    }
}

#[test]
fn a_funnel_counts_the_events_of_its_times() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(folder.path());
    let sent = [("U1", 1), ("U2", 2), ("U3", 3), ("U1", 4)].map(|(user, time_ms)| Sent {
        user,
        name: "A",
        time_ms,
        bytes: 1,
    });
    submit(&project, &sent, 0);
    for (from_ms, until_ms, users) in [
        (None, None, 3),
        (None, Some(3), 2),
        (None, Some(2), 1),
        (Some(2), None, 3),
        (Some(3), None, 2),
        (Some(2), Some(4), 2),
        (Some(5), None, 0),
    ] {
        let mut query = FunnelQuery::new(vec![Step::named("A")]);
        (query.from_ms, query.until_ms) = (from_ms, until_ms);
        let step = project
            .funnel(&query.funnel().unwrap())
            .unwrap()
            .steps
            .remove(0);
        assert_eq!(step.users, users, "{from_ms:?} to {until_ms:?}");
    }
}

/// The figures of a fold over all events, in the order of arrival, without the range of blocks that a project
/// reads.
fn whole_funnel(funnel: &Funnel, stored: &[Sent]) -> FunnelReport {
    let mut fold = funnel.fold();
    let properties = JsonEvent::parse_text(r#"{"event":"A","properties":{}}"#).unwrap();
    for sent in stored {
        let event = ResolvedEvent {
            name: sent.name,
            time_ms: Some(sent.time_ms),
            properties: properties.properties(),
        };
        let user = DistinctId::try_from(sent.user).unwrap();
        if let Some(found) = funnel.read(&event) {
            funnel.add(&mut fold, user, user, found);
        }
    }
    funnel.report(fold)
}

fn check_funnels(sent: &[Sent], drift_ms: i64) {
    let folder = tempfile::tempdir().unwrap();
    let project = open(folder.path());
    let stored = submit(&project, sent, drift_ms);
    for ((from_ms, until_ms), window_ms) in ranges(&stored).zip([1, 7, 60].into_iter().cycle()) {
        let mut query = FunnelQuery::new(["A", "B", "A"].map(Step::named).to_vec());
        (query.window_ms, query.grace_ms) = (window_ms, window_ms / 3);
        (query.from_ms, query.until_ms) = (from_ms, until_ms);
        // A range can be empty.
        let Ok(funnel) = query.funnel() else { continue };
        assert_eq!(
            project.funnel(&funnel).unwrap(),
            whole_funnel(&funnel, &stored),
            "{window_ms} ms, {from_ms:?} to {until_ms:?}"
        );
    }
}

#[test]
fn f_9_a_funnel_reads_all_events_that_its_entries_can_have() {
    check(8, 0..5, check_funnels);
}

#[test]
fn a_timeline_says_which_events_were_sent_with_another_id() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(folder.path());
    let mut batch = Batch::new("/import", 7);
    for (json, time_ms) in [
        (r#"{"event":"A","properties":{"$device_id":"D"}}"#, 1),
        (
            r#"{"event":"A","properties":{"$device_id":"D","$user_id":"U1"}}"#,
            2,
        ),
        (r#"{"event":"A","properties":{"$user_id":"U1"}}"#, 3),
    ] {
        batch.push(json, Record::event(Some(time_ms), None));
    }
    project.submit_and_wait(batch).unwrap();
    let events = project.user_events("U1", None, 9).unwrap().events;
    let events = events
        .iter()
        .map(|event| (&*event.distinct_id, event.is_reattributed));
    let events: Vec<_> = events.collect();
    assert_eq!(events, [("U1", false), ("U1", false), ("$device:D", true)]);
}
