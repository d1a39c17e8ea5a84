//! Queries over stored events, also after a restart of the server.

use crate::support;
use crate::support::{Answer, Running, SECRET, project};
use idmerge_engines::Model;
use idmerge_server::{Config, Server};
use serde_json::{Value, json};

const JSON: &str = "application/json";
const DEVICE: &str = "d0000000-0000-4000-8000-000000000001";

fn read(server: &Running, path: &str) -> Answer {
    let secret = format!("Bearer {SECRET} of TOK");
    server.get(path, &[("authorization", &secret)])
}

fn events() -> Value {
    let event = |name: &str, id: &str, seconds: u64| {
        json!({"event": name, "properties": {
            "token": "TOK", "distinct_id": id, "time": seconds, "$insert_id": format!("{name}{seconds}"),
        }})
    };
    let mut identify = event("$identify", "U1", 1_700_000_020);
    identify["properties"]["$anon_distinct_id"] = format!("$device:{DEVICE}").into();
    json!([
        event("View", &format!("$device:{DEVICE}"), 1_700_000_010),
        identify,
        event("Buy", "U1", 1_700_000_030),
        event("View", "other", 1_700_000_040),
    ])
}

fn filled() -> Running {
    let server = Running::of(Model::Original);
    assert_eq!(server.post("/track", JSON, &events().to_string()).body, "1");
    // A browser that is closed may send events twice. They are stored once.
    assert_eq!(server.post("/track", JSON, &events().to_string()).body, "1");
    for (id, value) in [("U1", 1), ("other", 2)] {
        let update = json!({"$token": "TOK", "$distinct_id": id, "$set": {"a": value, "b": id}});
        assert_eq!(server.post("/engage", JSON, &update.to_string()).body, "1");
    }
    server
}

fn check(server: &Running) {
    check_identity(server);
    check_changes(server);
    check_mappings(server);
    check_events(server);
    check_funnel(server);
    check_export(server);
    check_profiles(server);
}

fn check_identity(server: &Running) {
    let explained = read(server, "/v1/ids/U1?explain=true").json();
    assert_eq!(explained["distinct_id"], "U1");
    assert_eq!(explained["members"], json!(["U1", DEVICE]));
    let claim = &explained["explanation"][0];
    assert_eq!(
        (&claim["claim"], &claim["answer"]),
        (&json!("identify"), &json!("merged"))
    );
    assert_eq!(claim["source"], "/track");
}

fn check_changes(server: &Running) {
    let changes = read(server, "/v1/changes").json();
    assert_eq!(changes["changes"].as_array().unwrap().len(), 1);
    assert_eq!(changes["changes"][0]["id"], DEVICE);
    assert_eq!(changes["changes"][0]["to"], "U1");
    let next = changes["next"].as_u64().unwrap();
    let none = read(server, &format!("/v1/changes?since={next}")).json();
    assert_eq!(none, json!({"changes": [], "next": next}));
    assert_eq!(read(server, "/v1/changes?since=99999").status, 400);
}

fn check_mappings(server: &Running) {
    let ndjson = read(server, "/v1/mappings");
    assert_eq!(ndjson.header("content-type"), Some("application/x-ndjson"));
    let row = format!("{{\"distinct_id\":\"{DEVICE}\",\"resolved_distinct_id\":\"U1\"}}\n");
    assert_eq!(ndjson.body, row);
    assert_eq!(read(server, "/v1/mappings?format=ndjson").body, row);
    let csv = read(server, "/v1/mappings?format=csv");
    assert_eq!(
        csv.header("content-type"),
        Some("text/csv; charset=utf-8; header=present")
    );
    let row = format!("{DEVICE},U1\n");
    assert_eq!(csv.body, format!("distinct_id,resolved_distinct_id\n{row}"));
    let wrong = read(server, "/v1/mappings?format=xml");
    assert_eq!(wrong.status, 400);
    assert!(wrong.body.contains("give ndjson or csv"), "{}", wrong.body);
    assert_eq!(server.get("/v1/mappings", &[]).status, 401);
}

fn check_events(server: &Running) {
    let path = format!("/v1/users/%24device%3A{DEVICE}/events?limit=2");
    let first = read(server, &path).json();
    let names = |page: &Value| -> Vec<String> {
        let events = page["events"].as_array().unwrap().iter();
        events
            .map(|event| event["event"]["event"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&first), ["Buy", "$identify"]);
    let second = read(
        server,
        &format!("{path}&after={}", first["next"].as_str().unwrap()),
    )
    .json();
    assert_eq!(names(&second), ["View"]);
    assert_eq!(second["next"], Value::Null);
    assert_eq!(second["events"][0]["is_reattributed"], true);
    let properties = &second["events"][0]["event"]["properties"];
    assert_eq!(properties["distinct_id"], "U1");
    assert_eq!(properties["$distinct_id_before_identity"], DEVICE);
}

fn check_funnel(server: &Running) {
    let funnel = read(
        server,
        "/v1/funnel?steps=%5B%22View%22%2C%22Buy%22%5D&window_days=1",
    )
    .json();
    let steps = funnel["steps"].as_array().unwrap();
    assert_eq!(
        (&steps[0]["users"], &steps[1]["users"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(steps[1]["conversion"], 0.5);
    assert_eq!(steps[1]["users_without_merge"], 0);
}

fn check_export(server: &Running) {
    let export = read(
        server,
        "/api/2.0/export?from_date=2023-11-14&to_date=2023-11-14",
    );
    assert_eq!(
        export.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    let lines: Vec<Value> = export
        .body
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[0]["properties"]["distinct_id"], "U1");
    assert_eq!(lines[0]["properties"]["time"], 1_700_000_010);
    assert_eq!(lines[0]["properties"]["$mp_api_endpoint"], "/track");
    let some = read(
        server,
        "/api/2.0/export?from_date=2023-11-14&to_date=2023-11-14&event=%5B%22Buy%22%5D&time_in_ms=true",
    );
    assert_eq!(some.body.lines().count(), 1);
    assert!(some.body.contains(r#""time":1700000030000"#), "{some:?}");
    let none = read(
        server,
        "/api/2.0/export?from_date=2023-11-15&to_date=2023-11-16",
    );
    assert_eq!((none.status, &*none.body), (200, ""));
}

fn check_profiles(server: &Running) {
    let all = read(server, "/api/query/engage").json();
    let same = read(server, "/api/2.0/engage").json();
    assert_eq!(same["results"], all["results"]);
    assert_eq!(
        read(server, "/api/query/engage?page=4294967296").status,
        400
    );
    assert_eq!(
        (&all["total"], &all["status"], &all["page"]),
        (&json!(2), &json!("ok"), &json!(0))
    );
    let one = read(
        server,
        &format!("/api/query/engage?distinct_id={DEVICE}&output_properties=%5B%22a%22%5D"),
    );
    let wanted = json!([{"$distinct_id": "U1", "$properties": {"a": 1}}]);
    assert_eq!(one.json()["results"], wanted);
    assert_eq!(
        read(server, "/v1/users/other/profile").json()["properties"]["b"],
        "other"
    );
    assert_eq!(read(server, "/v1/users/nobody/profile").status, 404);
}

#[test]
fn queries_give_the_same_after_a_restart() {
    let mut server = filled();
    check(&server);
    server.stop();
    let folder = server.folder.take().unwrap();
    let projects = vec![project("TOK", Model::Original)];
    check(&Running::in_folder(folder, projects, |_| {}));
}

#[test]
fn the_engine_of_a_project_with_data_cannot_change() {
    let mut server = filled();
    server.stop();
    let folder = server.folder.take().unwrap();
    let config = Config {
        data: folder.path().to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        projects: vec![project("TOK", Model::Simplified)],
        bounds: idmerge_server::Bounds::STANDARD,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let Err(error) = runtime.block_on(Server::bind(&config)) else {
        panic!("the project opened with another engine");
    };
    let text = error.to_string();
    assert!(
        text.contains("TOK") && text.contains("a new token"),
        "{text}"
    );
}

#[test]
fn invalid_queries_get_an_error() {
    let server = filled();
    for path in [
        "/v1/ids/undefined",
        "/v1/ids/U1?explain=perhaps",
        "/v1/changes?since=-1",
        "/v1/changes?limit=x",
        "/v1/users/U1/events?after=x",
        "/v1/users/null/events",
        "/v1/funnel",
        "/v1/funnel?steps=View",
        "/v1/funnel?steps=%5B%5D",
        "/v1/funnel?steps=%5B%22A%22%5D&from_date=2023-02-30",
        "/api/2.0/export",
        "/api/2.0/export?from_date=2023-01-02&to_date=2023-01-01",
        "/api/2.0/export?from_date=2023-01-01&to_date=2023-01-01&limit=100001",
        "/api/2.0/export?from_date=2023-01-01&to_date=2023-01-01&event=Buy",
        "/api/2.0/export?from_date=2023-01-01&to_date=2023-01-01&where=x",
        "/api/query/engage?distinct_ids=U1",
        "/api/query/engage?where=x",
    ] {
        let answer = read(&server, path);
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
        assert_eq!(answer.json()["status"], "error", "{path}");
        assert!(
            !answer.json()["error"].as_str().unwrap().is_empty(),
            "{path}"
        );
    }
}

#[test]
fn the_openapi_description_has_every_query() {
    let server = Running::of(Model::Original);
    let answer = server.get("/openapi.json", &[]);
    let description = answer.json();
    for path in support::READING {
        let path = path.split('?').next().unwrap().replace("U1", "{id}");
        assert!(description["paths"][&path]["get"].is_object(), "{path}");
    }
    assert!(description["components"]["securitySchemes"]["basic"].is_object());
    // What generates a client from the description fails at a reference to nothing.
    let references: Vec<_> = answer.body.split(r#""$ref":""#).skip(1).collect();
    assert!(!references.is_empty());
    for reference in references {
        let pointer = reference.split('"').next().unwrap().trim_start_matches('#');
        assert!(description.pointer(pointer).is_some(), "{pointer}");
    }
}

#[test]
fn a_credential_tells_its_project() {
    let server = Running::of(Model::Original);
    let project = read(&server, "/v1/project").json();
    let named = json!({"token": "TOK", "model": "original", "profile_merge": "vendor"});
    assert_eq!(project, named);
    assert_eq!(server.get("/v1/project", &[]).status, 401);
}

#[test]
fn every_view_of_the_page_has_an_address() {
    let server = Running::of(Model::Simplified);
    const HTML: &str = "text/html; charset=utf-8";
    const CODE: &str = "text/javascript; charset=utf-8";
    for (path, content_type) in [
        ("/", HTML),
        ("/users?q=ada", HTML),
        ("/users/a%2Fb", HTML),
        ("/users/%24device%3AD/identity", HTML),
        ("/live", HTML),
        ("/funnel?step=A", HTML),
        ("/health", HTML),
    ] {
        let part = server.get(path, &[]);
        let found = (part.status, part.header("content-type"));
        assert_eq!(found, (200, Some(content_type)), "{path}");
        // It names the files of its version, so it must never be an old one.
        assert_eq!(part.header("cache-control"), Some("no-cache"), "{path}");
    }
    // Each file that the document names is there for ever, and no file of another version.
    let html = server.get("/", &[]).body;
    let named: Vec<_> = html
        .split('"')
        .filter(|text| text.starts_with("/page/"))
        .collect();
    assert!(named.len() > 3, "{named:?}");
    for path in &named {
        let part = server.get(path, &[]);
        let content_type = match path.ends_with(".css") {
            true => "text/css; charset=utf-8",
            false => CODE,
        };
        let found = (part.status, part.header("content-type"));
        assert_eq!(found, (200, Some(content_type)), "{path}");
        let cache = part.header("cache-control");
        assert_eq!(cache, Some("public, max-age=31536000, immutable"), "{path}");
    }
    let folder = named[0].strip_suffix("style.css").unwrap();
    for path in [
        "/page/main.js",
        "/page/0123456789abcdef/main.js",
        &format!("{folder}main.ts"),
        &format!("{folder}../Cargo.toml"),
    ] {
        assert_eq!(server.get(path, &[]).status, 404, "{path}");
    }
}

#[test]
fn an_id_that_only_lacks_the_prefix_of_a_device_says_so() {
    let server = Running::of(Model::Simplified);
    let ids = json!({"token": "TOK", "distinct_id": "U1", "$device_id": "D1", "$user_id": "U1"});
    let log_in = json!({"event": "Log In", "properties": ids});
    assert_eq!(server.post("/track", JSON, &log_in.to_string()).body, "1");
    for (id, meant) in [("D1", "$device:D1"), ("%24device%3AU1", "U1")] {
        let identity = read(&server, &format!("/v1/ids/{id}")).json();
        assert_eq!(identity["did_you_mean"], meant);
        assert_eq!(identity["members"].as_array().unwrap().len(), 1);
        let events = read(&server, &format!("/v1/users/{id}/events")).json();
        assert_eq!(
            events,
            json!({"events": [], "next": null, "did_you_mean": meant})
        );
        let profile = read(&server, &format!("/v1/users/{id}/profile"));
        assert_eq!(profile.status, 404);
        let says = format!("the user has no profile; did you mean {meant}?");
        assert!(profile.body.contains(&says), "{}", profile.body);
    }
    for id in ["U1", "%24device%3AD1", "U2"] {
        let identity = read(&server, &format!("/v1/ids/{id}")).json();
        assert_eq!(identity.get("did_you_mean"), None, "{id}");
        let events = read(&server, &format!("/v1/users/{id}/events")).json();
        assert_eq!(events.get("did_you_mean"), None, "{id}");
    }
}
