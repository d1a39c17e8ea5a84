//! Erasing people while a server runs, and retrieving what is stored about them: the vendor's API, and rule E-6. The
//! truth is what was sent and acknowledged.

use crate::traces;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::{Answer, Running, SECRET, basic, project, wait_until};
use idmerge_engines::Model;
use serde_json::{Value, json};
use tempfile::TempDir;

const DELETIONS: &str = "/api/app/data-deletions/v3.0";
const RETRIEVALS: &str = "/api/app/data-retrievals/v3.0";

const ADA: &str = "ada.lovelace@example.com";
const TABLET: &str = "7e57ab1e-0000-4000-8000-00000000ada1";
/// 2023-11-14.
const START: usize = 1_700_000_000;

fn bearer(token: &str) -> String {
    format!("Bearer {SECRET} of {token}")
}

fn ask(server: &Running, method: &str, path: &str, body: &Value) -> Answer {
    let bearer = bearer("TOK");
    let body = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    // As the example of the vendor's documentation, which declares no type.
    let headers = [("authorization", &*bearer)];
    server.send(method, path, &headers, body.as_bytes())
}

fn request(server: &Running, path: &str, ids: &[&str]) -> String {
    let answer = ask(
        server,
        "POST",
        &format!("{path}/?token=TOK"),
        &json!({"distinct_ids": ids, "compliance_type": "GDPR"}),
    );
    assert_eq!(answer.status, 201, "{answer:?}");
    let json = answer.json();
    assert_eq!(json["status"], "ok");
    json["results"]["task_id"].as_str().unwrap().to_owned()
}

fn task(server: &Running, path: &str, id: &str) -> Value {
    let answer = ask(
        server,
        "GET",
        &format!("{path}/{id}?token=TOK"),
        &Value::Null,
    );
    assert_eq!(answer.status, 200, "{answer:?}");
    let json = answer.json();
    assert_eq!(json["status"], "ok");
    json["results"].clone()
}

fn wait_for(server: &Running, id: &str, status: &str) -> Value {
    let mut last = Value::Null;
    wait_until(&format!("{id} is {status}"), || {
        last = task(server, DELETIONS, id);
        assert_ne!(last["status"], "FAILURE", "{last}");
        // Other projects are served meanwhile.
        assert_eq!(server.get("/readyz", &[]).status, 200);
        last["status"] == status
    });
    last
}

/// An event that joins a user and a device.
fn event(user: &str, device: &str, number: usize) -> Value {
    json!({"event": "Log In", "properties": {
        "$user_id": user, "$device_id": device, "distinct_id": user, "time": START + number,
        "$insert_id": format!("insert-{number}"), "number": number, "padding": "x".repeat(100),
    }})
}

fn import(server: &Running, token: &str, events: &[Value]) -> Answer {
    let bearer = bearer(token);
    let headers = [
        ("authorization", &*bearer),
        ("content-type", "application/json"),
    ];
    let body = Value::from(events.to_vec()).to_string();
    server.send("POST", "/import?strict=1", &headers, body.as_bytes())
}

fn set(server: &Running, id: &str, value: &str) {
    let update = json!([{"$token": "TOK", "$distinct_id": id, "$set": {"name": value}}]);
    let answer = server.post("/engage", "application/json", &update.to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// How often each number is stored in a project, and under which ID.
fn stored(server: &Running, token: &str) -> BTreeMap<usize, Vec<String>> {
    let answer = server.get(
        "/api/2.0/export?from_date=2020-01-01&to_date=2100-01-01",
        &[("authorization", &bearer(token))],
    );
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut stored: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for line in answer.body.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let properties = &event["properties"];
        let number = usize::try_from(properties["number"].as_u64().unwrap()).unwrap();
        let id = properties["distinct_id"].as_str().unwrap().to_owned();
        stored.entry(number).or_default().push(id);
    }
    stored
}

fn with_delay(seconds: u64) -> Running {
    Running::with(vec![project("TOK", Model::Simplified)], |bounds| {
        bounds.erasure_delay = Duration::from_secs(seconds);
    })
}

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
        let done = wait_for(&server, &id, "SUCCESS");
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
fn the_vendors_api_as_its_documentation_has_it() {
    let server = with_delay(3_600);
    let ids = ["d1", "$device:d2"];
    let id = request(&server, DELETIONS, &ids);
    let wanted = json!({
        "tracking_id": id, "status": "PENDING", "requesting_user": "project secret",
        "compliance_type": "GDPR", "project_id": "TOK", "distinct_ids": ids, "distinct_id_count": 2,
        "results": "", "result": "",
    });
    let mut found = task(&server, DELETIONS, &id);
    let date = found.as_object_mut().unwrap().remove("date_requested");
    let date = date.unwrap().as_str().unwrap().to_owned();
    assert_eq!((date.len(), &date[10..11]), (19, "T"), "{date}");
    assert_eq!(found, wanted);
    let list = ask(
        &server,
        "GET",
        &format!("{DELETIONS}/?token=TOK"),
        &Value::Null,
    )
    .json();
    assert_eq!(list["results"][0]["tracking_id"], id);
    assert_eq!(list["results"][0]["distinct_ids"], json!([]));

    // A path with a slash at its end, as the vendor's examples have it.
    let path = format!("{DELETIONS}/{id}/?token=TOK");
    let cancelled = ask(&server, "DELETE", &path, &Value::Null);
    assert_eq!((cancelled.status, &*cancelled.body), (204, ""));
    let found = task(&server, DELETIONS, &id);
    assert_eq!(
        (&found["status"], &found["distinct_ids"]),
        (&json!("REVOKED"), &json!([]))
    );
    // Cancelling again changes nothing.
    assert_eq!(ask(&server, "DELETE", &path, &Value::Null).status, 204);
    assert_eq!(task(&server, DELETIONS, "x")["status"], "NOT_FOUND");
    let path = format!("{DELETIONS}/x?token=TOK");
    assert_eq!(ask(&server, "DELETE", &path, &Value::Null).status, 404);
    // A deletion is no retrieval.
    assert_eq!(task(&server, RETRIEVALS, &id)["status"], "NOT_FOUND");

    // Service accounts, and numbers in the place of texts.
    let account = "Basic VE9LLWFjY291bnQ6YWNjb3VudCBhIGxvbmcgc2VjcmV0";
    let json = [
        ("authorization", account),
        ("content-type", "application/json"),
    ];
    let body = br#"{"distinct_ids":[123],"compliance_type":"ccpa"}"#;
    let answer = server.send("POST", &format!("{DELETIONS}?token=TOK"), &json, body);
    assert_eq!(answer.status, 201, "{answer:?}");
    let id = answer.json()["results"]["task_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let found = task(&server, DELETIONS, &id);
    assert_eq!(found["requesting_user"], "TOK-account");
    assert_eq!(found["compliance_type"], "CCPA");
    assert_eq!(found["distinct_ids"], json!(["123"]));
}

#[test]
fn a_bad_request_says_what_is_wrong_and_asks_for_nothing() {
    let projects = ["TOK", "OTHER"].map(|token| project(token, Model::Simplified));
    let server = Running::with(projects.into(), |_| {});
    let many: Vec<_> = (0..2_001).map(|number| number.to_string()).collect();
    for (body, wanted) in [
        (json!([]), "not the JSON of a request"),
        (json!({}), "missing field `distinct_ids`"),
        (json!({"distinct_ids": []}), "has no ID; give 1 to 2000"),
        (
            json!({"distinct_ids": many}),
            "has more IDs; give 1 to 2000",
        ),
        (
            json!({"distinct_ids": ["u", {}]}),
            "distinct_ids[1] is \"{}\"; give a string",
        ),
        (
            json!({"distinct_ids": ["u", ""]}),
            "distinct_ids[1] is \"\", which is not an ID",
        ),
        (
            json!({"distinct_ids": ["undefined"]}),
            "distinct_ids[0] is \"undefined\"",
        ),
        (
            json!({"distinct_ids": ["u"], "compliance_type": "HIPAA"}),
            "give GDPR or CCPA",
        ),
        (
            json!({"distinct_ids": ["u"], "disclosure_type": "Sources"}),
            "only Data is supported",
        ),
    ] {
        for path in [DELETIONS, RETRIEVALS] {
            let answer = ask(&server, "POST", path, &body);
            assert_eq!(answer.status, 400, "{body}: {answer:?}");
            let error = answer.json()["error"].as_str().unwrap().to_owned();
            assert!(error.contains(wanted), "{error}");
        }
    }
    let body = br#"{"distinct_ids":["u"]}"#;
    let send =
        |path: &str, headers: &[(&str, &str)]| server.send("POST", path, headers, body).status;
    let (right, token) = (bearer("TOK"), basic("TOK"));
    // Nobody is erased from another project than the one that was meant.
    let other = format!("{DELETIONS}?token=OTHER");
    assert_eq!(send(&other, &[("authorization", &right)]), 403);
    assert_eq!(
        send(
            &format!("{DELETIONS}?token=NONE"),
            &[("authorization", &right)]
        ),
        403
    );
    assert_eq!(send(DELETIONS, &[]), 401);
    assert_eq!(
        send(DELETIONS, &[("authorization", "Bearer wrong wrong")]),
        401
    );
    // The token is not secret.
    assert_eq!(send(DELETIONS, &[("authorization", &token)]), 401);
    // A page of another origin can send a form with what a browser has kept.
    let secret = basic(&format!("{SECRET} of TOK"));
    assert_eq!(send(DELETIONS, &[("authorization", &secret)]), 415);
    let list = ask(&server, "GET", DELETIONS, &Value::Null).json();
    assert_eq!(list["results"], json!([]));
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
    server.stop();
    let folder = server.folder.take().unwrap();
    assert_eq!(traces_of_ada(&folder.path().join("TOK")), [""; 0]);
}

#[test]
fn an_archive_has_everything_that_was_sent_about_a_person_and_nothing_else() {
    let server = with_delay(0);
    let of_ada: Vec<_> = (0..3_000)
        .map(|number| event(ADA, TABLET, number))
        .collect();
    for events in of_ada.chunks(1_000) {
        assert_eq!(import(&server, "TOK", events).status, 200);
    }
    let others = [event("ben", "d", 5_000), event("eve", "e", 5_001)];
    assert_eq!(import(&server, "TOK", &others).status, 200);
    set(&server, ADA, "Ada");
    set(&server, "eve", "Eve");
    // Two IDs of one person, somebody else, and somebody of whom nothing is stored.
    let device = format!("$device:{TABLET}");
    let id = request(&server, RETRIEVALS, &[ADA, &device, "ben", "nobody"]);
    let found = task(&server, RETRIEVALS, &id);
    assert_eq!(found["status"], "SUCCESS");
    let link = found["results"].as_str().unwrap();
    let (address, path) = link.split_at(format!("http://{}", server.address).len());
    assert_eq!(address, format!("http://{}", server.address));
    let archive = server.get(path, &[]);
    assert_eq!(archive.status, 200, "{archive:?}");
    let name = format!("attachment; filename=\"retrieval-{id}.ndjson\"");
    assert_eq!(archive.header("content-disposition"), Some(&*name));
    let lines: Vec<Value> = archive
        .body
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let numbers: Vec<_> = (lines.iter())
        .filter_map(|line| line["properties"]["number"].as_u64())
        .collect();
    let wanted: Vec<_> = (0..3_000).rev().chain([5_000]).collect();
    assert_eq!(numbers, wanted);
    let profiles: Vec<_> = (lines.iter())
        .filter(|line| line.get("event").is_none())
        .map(|line| (&line["$distinct_id"], &line["$properties"]["name"]))
        .collect();
    assert_eq!(profiles, [(&json!(ADA), &json!("Ada"))]);

    // The CCPA is about the last 365 days, and the events are older.
    let body = json!({"distinct_ids": [ADA], "compliance_type": "CCPA"});
    let answer = ask(&server, "POST", RETRIEVALS, &body).json();
    let ccpa = answer["results"]["task_id"].as_str().unwrap().to_owned();
    let of_ccpa = task(&server, RETRIEVALS, &ccpa)["results"].clone();
    let answer = server.get(&of_ccpa.as_str().unwrap()[address.len()..], &[]);
    assert_eq!(answer.body.lines().count(), 1, "{answer:?}");

    // Nobody can guess a link, and one that is cancelled is gone.
    let (before, _) = path.split_once("key=").unwrap();
    assert_eq!(server.get(&format!("{before}key="), &[]).status, 404);
    assert_eq!(server.get(&path.replace(&id, &ccpa), &[]).status, 404);
    let cancelled = ask(
        &server,
        "DELETE",
        &format!("{RETRIEVALS}/{ccpa}"),
        &Value::Null,
    );
    assert_eq!(cancelled.status, 204);
    assert_eq!(
        server
            .get(&of_ccpa.as_str().unwrap()[address.len()..], &[])
            .status,
        404
    );

    // Once Ada is erased, the archive has what is left, which is Ben's.
    let deletion = request(&server, DELETIONS, &[ADA]);
    wait_for(&server, &deletion, "SUCCESS");
    wait_until("the project is open again", || {
        server.get(path, &[]).status == 200
    });
    assert_eq!(server.get(path, &[]).body.lines().count(), 1);
    let found = task(&server, RETRIEVALS, &id);
    assert_eq!(found["distinct_ids"], json!(["ben", "nobody"]));
}
