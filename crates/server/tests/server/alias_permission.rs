//! `token_may_alias = false`: a `$create_alias` without a credential is stored and joins nothing (AR-4).

use crate::support::{Running, SECRET, basic, project};
use idmerge_core::{IdentityResolver, IdentityResolverExt, Resolve};
use idmerge_engines::{Model, Settings};
use idmerge_events::JsonEvent;
use idmerge_server::{Config, ProjectConfig};
use proptest::prelude::*;
use serde_json::{Value, json};

const MODELS: [Model; 3] = [Model::Simplified, Model::Original, Model::Legacy];

/// Who sends an event, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Track,
    /// `/import` with the token alone.
    Token,
    Secret,
}

/// The project `TOK`, and an empty one for each model to import into.
fn projects(model: Model, token_may_alias: bool) -> Vec<ProjectConfig> {
    let mut own = project("TOK", model);
    own.token_may_alias = token_may_alias;
    let copies = MODELS.map(|model| project(&copy_of(model), model));
    [own].into_iter().chain(copies).collect()
}

fn copy_of(model: Model) -> String {
    format!("COPY-{model}")
}

/// An event at a second of its own.
fn event(name: &str, second: u64, mut properties: Value) -> Value {
    properties["time"] = json!(1_700_000_000 + second);
    properties["$insert_id"] = json!(format!("id-{second}"));
    properties["token"] = json!("TOK");
    json!({"event": name, "properties": properties})
}

fn alias(second: u64, distinct_id: &str, alias: &str) -> Value {
    event(
        "$create_alias",
        second,
        json!({"distinct_id": distinct_id, "alias": alias}),
    )
}

fn import(server: &Running, user: &str, lines: &str) {
    let authorization = basic(user);
    let headers = [
        ("authorization", &*authorization),
        ("content-type", "application/x-ndjson"),
    ];
    let answer = server.send("POST", "/import?strict=1", &headers, lines.as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn send(server: &Running, way: Way, event: &Value) {
    match way {
        Way::Track => {
            let answer = server.post("/track", "application/json", &event.to_string());
            assert_eq!(answer.body, "1");
        }
        Way::Token => import(server, "TOK", &event.to_string()),
        Way::Secret => import(server, &secret("TOK"), &event.to_string()),
    }
}

fn secret(token: &str) -> String {
    format!("{SECRET} of {token}")
}

fn export(server: &Running, token: &str) -> String {
    let authorization = format!("Bearer {}", secret(token));
    let path = "/api/2.0/export?from_date=2020-01-01&to_date=2100-01-01";
    let answer = server.get(path, &[("authorization", &authorization)]);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

fn marks(exported: &str) -> usize {
    exported.matches(r#""$idmerge_unweighed":true"#).count()
}

/// The cluster of an ID.
fn members(server: &Running, token: &str, id: &str) -> Vec<String> {
    let mut members = server.identity(token, id).1;
    members.sort();
    members
}

#[test]
fn ar_4_a_team_can_refuse_aliases_without_a_credential() {
    for model in [Model::Original, Model::Legacy] {
        for (token_may_alias, way, counts) in [
            (true, Way::Track, true),
            (true, Way::Token, true),
            (false, Way::Track, false),
            (false, Way::Token, false),
            (false, Way::Secret, true),
        ] {
            let server = Running::with(projects(model, token_may_alias), |_| {});
            send(&server, way, &alias(1, "u", "v"));
            // The event is there, under the user that it names first.
            send(&server, way, &event("View", 2, json!({"distinct_id": "v"})));
            let wanted: &[&str] = if counts { &["u", "v"] } else { &["v"] };
            assert_eq!(members(&server, "TOK", "v"), wanted, "{model} {way:?}");
            let exported = export(&server, "TOK");
            assert_eq!(exported.lines().count(), 2, "{exported}");
            assert_eq!(marks(&exported), usize::from(!counts), "{exported}");
            assert!(!exported.contains("(unweighed)"), "{exported}");
            let endpoint = if way == Way::Track { "track" } else { "import" };
            let api = format!(r#""$mp_api_endpoint":"/{endpoint}""#);
            assert_eq!(exported.matches(&api).count(), 2, "{exported}");
            if !counts {
                let labels =
                    format!("{{project=\"TOK\",endpoint=\"{endpoint}\",result=\"unweighed\"}}");
                assert_eq!(server.metric(&format!("idmerge_records_total{labels}")), 1);
            }
        }
    }
}

#[test]
fn the_setting_is_a_key_of_the_configuration_and_sdks_may_alias_by_default() {
    let read = |line: &str| -> ProjectConfig {
        let text = format!("[[project]]\ntoken = \"T\"\nengine = \"original\"\n{line}\n");
        Config::read("d".into(), &text).unwrap().projects.remove(0)
    };
    assert!(read("").token_may_alias);
    assert!(!read("token_may_alias = false").token_may_alias);
}

#[test]
fn ar_2_an_alias_with_the_secret_takes_the_place_of_one_that_was_refused() {
    let merge = event("$merge", 1, json!({"$distinct_ids": ["u", "v"]}));
    let aliases = MODELS.map(|model| (model, alias(1, "u", "v")));
    for (model, event) in aliases.into_iter().chain([(Model::Simplified, merge)]) {
        let server = Running::with(projects(model, false), |_| {});
        // `/import` of a Simplified project takes no identity event but that of an export.
        let ways: &[Way] = match model {
            Model::Simplified => &[Way::Track],
            _ => &[Way::Track, Way::Token],
        };
        for &way in ways {
            send(&server, way, &event);
            assert_eq!(members(&server, "TOK", "v"), ["v"]);
            assert_eq!(export(&server, "TOK").lines().count(), 1);
        }
        let exported = export(&server, "TOK");
        // Its own export does not count as sent by the holder of the secret.
        import(&server, &secret("TOK"), &exported);
        assert_eq!(export(&server, "TOK"), exported);
        if model == Model::Simplified {
            import(
                &server,
                &secret("TOK"),
                &exported.replace(r#","$idmerge_unweighed":true"#, ""),
            );
        } else {
            send(&server, Way::Secret, &event);
            assert_eq!(members(&server, "TOK", "v"), ["u", "v"], "{model}");
        }
        let exported = export(&server, "TOK");
        assert_eq!(exported.lines().count(), 1, "{exported}");
        assert_eq!(marks(&exported), 0, "{exported}");
        // The other way round it is a duplicate.
        send(&server, Way::Track, &event);
        assert_eq!(export(&server, "TOK"), exported);
    }
}

#[test]
fn ar_4_what_was_decided_stays_when_the_setting_changes() {
    let mut server = Running::with(projects(Model::Original, true), |_| {});
    send(&server, Way::Track, &alias(1, "a", "b"));
    for (token_may_alias, second, [first, other]) in [(false, 2, ["c", "d"]), (true, 3, ["e", "f"])]
    {
        server.stop();
        let folder = server.folder.take().unwrap();
        server = Running::in_folder(folder, projects(Model::Original, token_may_alias), |_| {});
        send(&server, Way::Track, &alias(second, first, other));
    }
    let exported = export(&server, "TOK");
    assert_eq!(
        exported.lines().map(marks).collect::<Vec<_>>(),
        [0, 1, 0],
        "{exported}"
    );
    for token in ["TOK", &copy_of(Model::Original)] {
        if token != "TOK" {
            import(&server, &secret(token), &exported);
        }
        assert_eq!(members(&server, token, "b"), ["a", "b"]);
        assert_eq!(members(&server, token, "d"), ["d"]);
        assert_eq!(members(&server, token, "f"), ["e", "f"]);
    }
    // A refused one that is sent again counts now, and one that counted is a duplicate.
    send(&server, Way::Track, &alias(2, "c", "d"));
    send(&server, Way::Track, &alias(1, "a", "b"));
    assert_eq!(members(&server, "TOK", "d"), ["c", "d"]);
    let exported = export(&server, "TOK");
    assert_eq!(
        exported.lines().map(marks).collect::<Vec<_>>(),
        [0, 0, 0],
        "{exported}"
    );
}

const DEVICE: &str = "a1a1a1a1-0000-4000-8000-000000000001";

fn any_sent() -> impl Strategy<Value = (Way, &'static str, [&'static str; 2])> {
    let id = || prop::sample::select(&["u", "v", "w", DEVICE][..]);
    let way = prop::sample::select(&[Way::Track, Way::Track, Way::Token, Way::Secret][..]);
    let name = prop::sample::select(
        &[
            "View",
            "$identify",
            "$create_alias",
            "$create_alias",
            "$merge",
        ][..],
    );
    (way, name, id(), id()).prop_map(|(way, name, first, second)| (way, name, [first, second]))
}

/// Whether the rules let the claim of an event count (AR-4), in a project with `token_may_alias = false`.
fn may_count(way: Way, name: &str) -> bool {
    way == Way::Secret || !matches!(name, "$create_alias" | "$merge")
}

/// The clusters of all IDs, by a plain engine over these events.
fn folded<'e>(model: Model, events: impl Iterator<Item = &'e Value>) -> Vec<Vec<String>> {
    let mut engine = Settings::of(model).engine();
    for event in events {
        let json = event.to_string();
        let event = JsonEvent::parse_text(&json).unwrap();
        if let Ok(reading) = engine.read(&event.event())
            && let Some(claim) = reading.claim
        {
            engine.apply(claim).unwrap();
        }
    }
    let cluster = |id: &&str| {
        let id = engine.read_id(id).unwrap();
        let mut members: Vec<String> = match engine.cluster(id) {
            Some(cluster) => cluster.members.iter().map(ToString::to_string).collect(),
            None => vec![id.to_string()],
        };
        members.sort();
        members
    };
    ["u", "v", "w", DEVICE].iter().map(cluster).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// The truth is a plain engine over the events that may count.
    #[test]
    fn ar_4_the_export_of_a_project_that_refuses_aliases_joins_no_more_than_the_project(
        sent in prop::collection::vec(any_sent(), 1..12),
    ) {
        let server = Running::with(projects(Model::Original, false), |_| {});
        let mut counted = Vec::new();
        for (second, &(way, name, [first, other])) in sent.iter().enumerate() {
            let properties = match name {
                "$identify" => json!({"$identified_id": first, "$anon_id": other}),
                "$create_alias" => json!({"distinct_id": first, "alias": other}),
                "$merge" => json!({"$distinct_ids": [first, other]}),
                _ => json!({"distinct_id": first}),
            };
            let event = event(name, second as u64, properties);
            send(&server, way, &event);
            if may_count(way, name) {
                counted.push(event);
            }
        }
        let wanted = folded(Model::Original, counted.iter());
        let exported = export(&server, "TOK");
        prop_assert_eq!(exported.lines().count(), sent.len());
        for (line, &(way, name, _)) in exported.lines().zip(&sent) {
            prop_assert_eq!(marks(line) == 0, may_count(way, name), "{}", line);
        }
        // Through a project of each model, and back into Original.
        for through in MODELS {
            import(&server, &secret(&copy_of(through)), &exported);
            let again = export(&server, &copy_of(through));
            prop_assert_eq!(marks(&again), marks(&exported), "{}", through);
            let lines: Vec<Value> = again.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            prop_assert_eq!(&folded(Model::Original, lines.iter()), &wanted, "{}", through);
        }
        for token in ["TOK", &copy_of(Model::Original)] {
            for (id, wanted) in ["u", "v", "w", DEVICE].iter().zip(&wanted) {
                prop_assert_eq!(&members(&server, token, id), wanted, "{} in {}", id, token);
            }
        }
    }
}
