//! The vendor's API for erasing people and for retrieving what is stored about them. The truth is its documentation, and
//! what was sent.

use crate::support::privacy::{
    ADA, DELETIONS, RETRIEVALS, TABLET, ask, bearer, event, import, request, set, task, wait_for,
    with_delay,
};
use crate::support::{Answer, Running, SECRET, basic, project, wait_until};
use idmerge_engines::Model;
use serde_json::{Value, json};

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
    request(&server, RETRIEVALS, &ids);
    let list = ask(
        &server,
        "GET",
        &format!("{DELETIONS}/?token=TOK"),
        &Value::Null,
    )
    .json();
    // Without the retrieval.
    assert_eq!(list["results"].as_array().unwrap().len(), 1);
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

/// The headers of a request, the project that it names, and the status that it gets.
type Denied<'d> = (&'d [(&'d str, &'d str)], &'d str, u16);

/// What each request of the API answers to somebody with these headers.
fn answers_to(server: &Running, headers: &[(&str, &str)], token: &str, id: &str) -> Vec<Answer> {
    let body = br#"{"distinct_ids":["u"]}"#;
    let json = [headers, &[("content-type", "application/json")]].concat();
    let mut answers = Vec::new();
    for api in [DELETIONS, RETRIEVALS] {
        let query = format!("?token={token}");
        answers.push(server.send("POST", &format!("{api}{query}"), &json, body));
        answers.push(server.send("GET", &format!("{api}/{id}{query}"), headers, b""));
        answers.push(server.send("DELETE", &format!("{api}/{id}{query}"), headers, b""));
    }
    answers.push(server.send("GET", &format!("{DELETIONS}?token={token}"), headers, b""));
    answers
}

#[test]
fn without_a_credential_of_the_project_nothing_is_requested_seen_or_cancelled() {
    let mut projects = ["TOK", "OTHER"].map(|token| project(token, Model::Simplified));
    // As the vendor's project IDs are.
    projects[0].project_id = Some("1978118".to_owned());
    assert!(projects[0].token_may_import);
    let server = Running::with(projects.into(), |_| {});
    let id = request(&server, DELETIONS, &["d1"]);
    assert_eq!(task(&server, DELETIONS, &id)["project_id"], 1_978_118);
    let [own, other] = ["TOK", "OTHER"].map(bearer);
    let token = basic("TOK");
    let denied: [Denied<'_>; 5] = [
        (&[], "TOK", 401),
        (&[("authorization", "Bearer wrong wrong")], "TOK", 401),
        // A token is not secret, also if it may import.
        (&[("authorization", &token)], "TOK", 401),
        (&[("authorization", &other)], "TOK", 403),
        (&[("authorization", &own)], "OTHER", 403),
    ];
    for (headers, project, status) in denied {
        for answer in answers_to(&server, headers, project, &id) {
            assert_eq!(answer.status, status, "{headers:?}: {answer:?}");
            assert_eq!(answer.json()["status"], "error");
            assert!(answer.json()["error"].is_string());
        }
    }
    // Whoever guesses the ID of a task of another project finds none.
    let path = format!("{DELETIONS}/{id}?token=OTHER");
    let headers = [("authorization", &*other)];
    let answer = server.send("GET", &path, &headers, b"");
    let not_found = json!({
        "tracking_id": id, "status": "NOT_FOUND", "project_id": "OTHER", "distinct_ids": [], "distinct_id_count": 0,
        "results": "", "result": "",
    });
    assert_eq!(answer.json(), json!({"status": "ok", "results": not_found}));
    assert_eq!(server.send("DELETE", &path, &headers, b"").status, 404);
    let list = format!("{DELETIONS}?token=OTHER");
    assert_eq!(server.get(&list, &headers).json()["results"], json!([]));

    assert_eq!(task(&server, DELETIONS, &id)["status"], "PENDING");
    let list = ask(&server, "GET", DELETIONS, &Value::Null).json();
    assert_eq!(list["results"].as_array().unwrap().len(), 1);
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
    // Two pages of the vendor's documentation name it in two ways.
    assert_eq!(found["result"], link);
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
