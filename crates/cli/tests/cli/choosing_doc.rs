//! The blocks and tables of docs/choosing.md. Its Rust block is a doc test of `idmerge-differential`.

use std::fs;

use idmerge::events::JsonEvent;
use idmerge::{IdentityResolver, Model, Resolve, Settings};
use regex::Regex;
use serde_json::{Value, json};

use crate::run::Folder;
#[cfg(all(unix, feature = "serve", feature = "store"))]
use crate::{serve::ask, server_store::Server};

const DOC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/choosing.md");
const DEVICE: &str = "a1d0c7de-6b0e-4c57-9d7e-0a1b2c3d4e5f";

fn page() -> String {
    fs::read_to_string(DOC).unwrap()
}

/// The blocks of a language, in order.
fn blocks(language: &str) -> Vec<String> {
    let page = page();
    let blocks = page.split("```").skip(1).step_by(2);
    let blocks = blocks.map(|block| block.split_once('\n').unwrap());
    let of_language = blocks.filter(|(name, _)| *name == language);
    of_language.map(|(_, text)| text.to_owned()).collect()
}

#[test]
fn the_visitor_of_the_page_is_as_many_users_as_it_says() {
    let [visitor] = &blocks("json")[..] else {
        panic!("the page has one block of events");
    };
    let folder = Folder::with(&[("visitor.ndjson", visitor)]);
    let report = folder.run("inspect visitor.ndjson -q --format json").ok();
    let report: Value = serde_json::from_str(&report).unwrap();
    let found =
        Model::ALL.map(|model| format!("{model} {}\n", report["models"][model.name()]["users"]));
    assert_eq!(blocks("text"), [found.concat()]);
}

/// A request of a block: its path with the query, and its body.
#[cfg(all(unix, feature = "serve", feature = "store"))]
fn request(block: &str) -> (String, String) {
    let [path, body] = [r"127\.0\.0\.1:8080([^']+)'", r"-d '([^']+)'"].map(|pattern| {
        let found = Regex::new(pattern).unwrap().captures(block);
        found.unwrap_or_else(|| panic!("{pattern}\n{block}"))[1].to_owned()
    });
    (path, body)
}

#[cfg(all(unix, feature = "serve", feature = "store"))]
#[test]
fn the_requests_of_the_page_are_answered_as_it_says() {
    let [probe, recipes @ ..] = &blocks("sh")[..] else {
        panic!("the page has requests");
    };
    assert_eq!(recipes.len(), Model::ALL.len());
    for (model, recipe) in Model::ALL.into_iter().zip(recipes) {
        let folder = Folder::new();
        let server = Server::start(&folder, model.name());
        let (path, body) = request(probe);
        let answer = ask(
            server.address(),
            &format!(
                "POST {path} HTTP/1.0\r\nhost: x\r\nauthorization: Bearer secret-of-shop\r\n\
                 content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            ),
        );
        let status = if model == Model::Simplified {
            " 200 "
        } else {
            " 400 "
        };
        assert!(
            answer.lines().next().unwrap().contains(status),
            "{model}: {answer}"
        );
        // The recipe joins the device and the user.
        let (path, body) = request(recipe);
        server.request(&format!("POST {path}"), &body);
        let joined: Value = serde_json::from_str(&server.request("GET /v1/ids/ada", "")).unwrap();
        let (canonical, device) = match model {
            Model::Legacy => (DEVICE, DEVICE.to_owned()),
            Model::Simplified => ("ada", format!("$device:{DEVICE}")),
            _ => ("ada", DEVICE.to_owned()),
        };
        assert_eq!(joined["distinct_id"], canonical, "{model}");
        let mut members: Vec<_> = joined["members"].as_array().unwrap().iter().collect();
        members.sort_by_key(|member| member.as_str() == Some("ada"));
        assert_eq!(members, [&json!(device), &json!("ada")], "{model}");
    }
}

/// The event that a call of an SDK sends, as the SDKs' own requests show (`tests/e2e`).
fn event_of(call: &str) -> Value {
    let keys = Regex::new(r"([{ ])([$_a-z]+): ").unwrap();
    let text = keys.replace_all(call, r#"$1'$2': "#).replace('\'', "\"");
    let text = text
        .replace("device)", "\"DEVICE\")")
        .replace("(device", "(\"DEVICE\"");
    let text = text
        .replace(": device", ": \"DEVICE\"")
        .replace("DEVICE", DEVICE);
    let (method, arguments) = text.strip_suffix(')').unwrap().split_once('(').unwrap();
    let arguments: Vec<Value> = serde_json::from_str(&format!("[{arguments}]")).unwrap();
    match (method, &arguments[..]) {
        ("mp.track", [name, properties]) => json!({"event": name, "properties": properties}),
        // Python names the ID first.
        ("mp.track", [distinct_id, name, properties]) => {
            let mut properties = properties.clone();
            properties["distinct_id"] = distinct_id.clone();
            json!({"event": name, "properties": properties})
        }
        // Node names the ID first, and Python the alias.
        ("mp.alias", [first, second]) => {
            let (distinct_id, alias) = match first == DEVICE {
                true => (first, second),
                false => (second, first),
            };
            json!({"event": "$create_alias", "properties": {"distinct_id": distinct_id, "alias": alias}})
        }
        _ => panic!("{call}"),
    }
}

#[test]
fn the_calls_of_the_page_join_the_device_and_the_user() {
    let page = page();
    let rows = page.lines().filter(|line| line.contains("| `mp."));
    let mut count = 0;
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [models, calls @ ..] = &cells[..] else {
            panic!("{row}")
        };
        let events = calls.iter().map(|call| event_of(call.trim_matches('`')));
        let events: Vec<Value> = events.collect();
        assert_eq!(events[0], events[1], "Node and Python send the same: {row}");
        for name in models.split(", ") {
            let model: Model = name.to_lowercase().parse().unwrap();
            let settings = Settings::of(model);
            let mut engine = settings.engine();
            let text = events[0].to_string();
            let event = JsonEvent::parse_text(&text).unwrap();
            let claim = settings.read(&event.event()).unwrap().claim;
            engine
                .apply(claim.unwrap_or_else(|| panic!("{model}: {text}")))
                .unwrap();
            let ada = engine.cluster(settings.read_id("ada").unwrap()).unwrap();
            let has_device = ada.members.iter().any(|member| member.id() == *DEVICE);
            assert!(has_device, "{model}: {ada:?}");
            count += 1;
        }
    }
    assert_eq!(count, 4);
}
