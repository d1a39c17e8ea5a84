//! Erasing people while a server runs (rule E-6). The truth is what was sent and acknowledged.

use crate::traces;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::backups;
use crate::support::privacy::{
    ADA, DELETIONS, TABLET, ask, bearer, event, import, import_many, request, set, stored, task,
    wait_for, with_delay,
};
use crate::support::{Running, project, wait_until};
use idmerge_engines::Model;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The same data after a restart.
fn restarted(mut server: Running, seconds: u64) -> Running {
    server.stop();
    let folder: TempDir = server.folder.take().unwrap();
    Running::in_folder(folder, vec![project("TOK", Model::Simplified)], |bounds| {
        bounds.erasure_delay = Duration::from_secs(seconds);
    })
}

fn traces_of_ada(folder: &Path) -> Vec<String> {
    traces::traces(folder, &[ADA, TABLET])
}

/// Sends events until it is told to stop, each until it is acknowledged. Returns the numbers, and how often an event was
/// refused.
fn send_until(
    server: &Running,
    token: &str,
    next: &AtomicUsize,
    is_over: &AtomicBool,
) -> (Vec<usize>, usize) {
    let (mut acknowledged, mut refused) = (Vec::new(), 0);
    while !is_over.load(Ordering::SeqCst) {
        let number = next.fetch_add(1, Ordering::SeqCst);
        let user = format!("other-{}", number % 10);
        let event = event(&user, &format!("device-{}", number % 10), number);
        loop {
            let answer = import(server, token, std::slice::from_ref(&event));
            if answer.status == 200 {
                break acknowledged.push(number);
            }
            // What SDKs send again.
            assert_eq!(answer.status, 503, "{answer:?}");
            assert!(answer.header("retry-after").is_some(), "{answer:?}");
            refused += 1;
        }
    }
    (acknowledged, refused)
}

/// Ends the senders, also if the test fails.
struct Ends<'e>(&'e AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn e_6_nothing_of_others_is_lost_or_doubled_and_another_project_goes_on() {
    let projects = ["TOK", "OTHER"].map(|token| project(token, Model::Simplified));
    let mut server = Running::with(projects.into(), |bounds| {
        bounds.erasure_delay = Duration::ZERO;
    });
    let of_ada: Vec<_> = (0..500).map(|number| event(ADA, TABLET, number)).collect();
    assert_eq!(import(&server, "TOK", &of_ada).status, 200);
    let before: Vec<_> = (1_000..3_000)
        .map(|number| {
            let other = number % 10;
            event(
                &format!("other-{other}"),
                &format!("device-{other}"),
                number,
            )
        })
        .collect();
    assert_eq!(import(&server, "TOK", &before).status, 200);
    set(&server, ADA, "Ada");
    set(&server, "other-3", "Ben");
    let identity = server.identity("TOK", "other-3");

    let next = AtomicUsize::new(3_000);
    let next_of_other = AtomicUsize::new(10_000);
    let is_over = AtomicBool::new(false);
    let is_over_there = AtomicBool::new(false);
    let (acknowledged, of_other) = thread::scope(|scope| {
        let send = || send_until(&server, "TOK", &next, &is_over).0;
        let senders = [(); 2].map(|()| scope.spawn(send));
        let other = scope.spawn(|| send_until(&server, "OTHER", &next_of_other, &is_over_there));
        let ends = [Ends(&is_over), Ends(&is_over_there)];
        wait_until("events are sent", || next.load(Ordering::SeqCst) > 3_020);
        let id = request(&server, DELETIONS, &[ADA]);
        wait_until("the deletion is done", || {
            // Other projects are served meanwhile.
            assert_eq!(server.get("/readyz", &[]).status, 200);
            task(&server, DELETIONS, &id)["status"] == "SUCCESS"
        });
        let done = task(&server, DELETIONS, &id);
        assert_eq!(done["distinct_ids"], json!([]));
        assert_eq!(done["distinct_id_count"], 1);
        // It is there soon after.
        wait_until("the receipt", || {
            task(&server, DELETIONS, &id)["receipt"]["events_erased"] == 500
        });
        let after = next.load(Ordering::SeqCst);
        wait_until("events are sent", || {
            next.load(Ordering::SeqCst) > after + 20
        });
        drop(ends);
        let mut all: Vec<_> = (1_000..3_000).collect();
        all.extend(senders.into_iter().flat_map(|it| it.join().unwrap()));
        all.sort_unstable();
        (all, other.join().unwrap())
    });
    let found = stored(&server, "TOK");
    for (number, ids) in &found {
        assert_eq!(ids, &[format!("other-{}", number % 10)]);
    }
    assert_eq!(found.into_keys().collect::<Vec<_>>(), acknowledged);
    assert_eq!(server.identity("TOK", "other-3"), identity);
    // Nobody who sends to the other project has noticed.
    assert_eq!(of_other.1, 0);
    assert_eq!(
        stored(&server, "OTHER").into_keys().collect::<Vec<_>>(),
        of_other.0
    );
    for (metric, wanted) in [
        ("idmerge_erasures_total", 1),
        ("idmerge_erased_ids_total", 2),
        ("idmerge_deletions_waiting", 0),
        ("idmerge_erasing", 0),
        ("idmerge_failed", 0),
    ] {
        let name = format!("{metric}{{project=\"TOK\"}}");
        assert_eq!(server.metric(&name), wanted, "{name}");
    }
    // E-2
    assert_eq!(import(&server, "TOK", &of_ada[..1]).status, 400);
    server.stop();
    let folder = server.folder.take().unwrap();
    assert_eq!(traces_of_ada(&folder.path().join("TOK")), [""; 0]);
}

#[test]
fn a_deletion_that_waits_is_carried_out_after_a_restart() {
    let server = with_delay(3_600);
    assert_eq!(import(&server, "TOK", &[event(ADA, TABLET, 1)]).status, 200);
    let id = request(&server, DELETIONS, &[&format!("$device:{TABLET}")]);
    let server = restarted(server, 3_600);
    assert_eq!(task(&server, DELETIONS, &id)["status"], "PENDING");
    let mut server = restarted(server, 0);
    wait_for(&server, &id, "SUCCESS");
    let late = ask(
        &server,
        "DELETE",
        &format!("{DELETIONS}/{id}"),
        &Value::Null,
    );
    assert_eq!(
        (late.status, late.header("allow")),
        (405, Some("GET,HEAD,OPTIONS"))
    );
    assert_eq!(late.json()["status"], "error");
    assert!(late.body.contains("the task is SUCCESS"), "{late:?}");
    assert_eq!(task(&server, DELETIONS, &id)["status"], "SUCCESS");
    server.stop();
    let folder = server.folder.take().unwrap();
    assert_eq!(traces_of_ada(&folder.path().join("TOK")), [""; 0]);
}

#[test]
fn a_deletion_waits_for_a_backup_that_runs_and_is_carried_out_after_it() {
    let projects = ["TOK", "OTHER"].map(|token| project(token, Model::Simplified));
    let mut server = Running::with(projects.into(), |bounds| {
        bounds.erasure_delay = Duration::ZERO;
        bounds.erasure_retry = Duration::from_millis(20);
    });
    assert_eq!(import(&server, "TOK", &[event(ADA, TABLET, 1)]).status, 200);
    let of_others = import_many(&server);
    let (mut backup, length) = backups::ask(&server);
    let id = request(&server, DELETIONS, &[ADA]);
    // The projects are gone through in order, so the deletion has had its turn when one of the next project is done.
    for number in 0..2 {
        let body = json!({"distinct_ids": [format!("nobody-{number}")]});
        let headers = [("authorization", &*bearer("OTHER"))];
        let answer = server.send("POST", DELETIONS, &headers, body.to_string().as_bytes());
        assert_eq!(answer.status, 201, "{answer:?}");
        wait_until("a deletion of the other project", || {
            server.metric("idmerge_erasures_total{project=\"OTHER\"}") > number
        });
    }
    assert_eq!(task(&server, DELETIONS, &id)["status"], "PENDING");
    assert_eq!(server.metric("idmerge_erasing{project=\"TOK\"}"), 0);
    // Others send meanwhile.
    assert_eq!(import(&server, "TOK", &[event("ben", "d", 2)]).status, 200);
    let mut whole = Vec::new();
    backup.read_to_end(&mut whole).unwrap();
    assert_eq!(whole.len() as u64, length);

    wait_for(&server, &id, "SUCCESS");
    wait_until("the project is open again", || {
        server.metric("idmerge_erasing{project=\"TOK\"}") == 0
    });
    let found: Vec<_> = stored(&server, "TOK").into_keys().collect();
    let wanted: Vec<_> = [2].into_iter().chain(of_others).collect();
    assert!(found == wanted, "{} events", found.len());
    server.stop();
    let folder = server.folder.take().unwrap();
    assert_eq!(traces_of_ada(&folder.path().join("TOK")), [""; 0]);
}
