//! Duplicate events: rule AR-2. Every path to a state weighs an event and its duplicates once.
//!
//! The tests compare with an engine that gets the events without the duplicates, which a few lines here
//! take out.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use idmerge_core::{IdentityResolver, Resolve};
use idmerge_engines::{Engine, Model, Settings};
use idmerge_events::JsonEvent;
use idmerge_store::{Durable, Options};
use serde_json::{Value, json};

use crate::run::{Done, Folder};
#[cfg(all(unix, feature = "serve"))]
use crate::server_store::Server;

fn line(done: Done) -> Value {
    serde_json::from_str(done.ok().trim_end()).unwrap()
}

fn entries(folder: &Folder, store: &str) -> Value {
    line(folder.run(&format!("store info {store}")))["entries"].clone()
}

fn members(folder: &Folder, store: &str, id: &str) -> usize {
    let cluster = line(folder.run(&format!("cluster {id} --store {store}")));
    cluster["members"].as_array().unwrap().len()
}

/// An event that merges `a` and another ID, with these properties too.
fn merge(with: &str, properties: &str) -> String {
    format!(
        "{{\"event\":\"$merge\",\"properties\":{{\"$distinct_ids\":[\"a\",\"{with}\"]{properties}}}}}\n"
    )
}

#[test]
fn ar_2_a_copy_in_another_input_makes_no_claim_also_after_a_withdrawal() {
    let first = merge("b", r#","$insert_id":"i","time":5"#);
    let folder = Folder::with(&[("monday", &first), ("tuesday", &format!("\n{first}"))]);
    folder.run("ingest s monday --engine original").ok();
    folder
        .run("ingest s tuesday")
        .code(0)
        .says("  repeated               1")
        .says("new entries              0");
    folder.run("store retract s 1 --who eve --why wrong").ok();
    folder.pipe(format!("\n\n{first}"), "ingest s").ok();
    assert_eq!(members(&folder, "s", "b"), 0);
    assert_eq!(entries(&folder, "s"), 2);
    folder.pipe(format!("\n\n{first}"), "ingest s --again").ok();
    assert_eq!(members(&folder, "s", "b"), 2);
}

#[test]
fn ar_2_an_event_with_another_name_time_id_or_insert_id_is_no_copy() {
    let folder = Folder::new();
    // Without an $insert_id an event is never a copy.
    let lines = [
        merge("b", ""),
        merge("b", ""),
        merge("b", r#","$insert_id":"i""#),
        merge("c", r#","$insert_id":"i","time":5"#),
        merge("d", r#","$insert_id":"i","time":6"#),
        merge("e", r#","$insert_id":"j","time":6"#),
        merge("f", r#","$mp_metadata":{"$mp_event_id":"m"}"#),
        merge("g", r#","$insert_id":7"#),
        "{\"event\":\"$create_alias\",\"properties\":{\"distinct_id\":\"a\",\"alias\":\"h\",\"$insert_id\":\"i\"}}\n".to_owned(),
        "{\"event\":\"$create_alias\",\"properties\":{\"distinct_id\":\"b\",\"alias\":\"i\",\"$insert_id\":\"i\"}}\n".to_owned(),
    ];
    folder.write("events", lines.concat());
    let copies = [
        // Other spellings of the same name, time, ID and insert ID, with other properties.
        merge("x", r#","$insert_id":"\u0069""#),
        merge("x", r#","$insert_id":"i","time":5000000000000e-12,"k":1"#),
        merge("x", r#","$mp_metadata":{"$mp_event_id":"m","k":1}"#),
        merge("x", r#","$insert_id":"7""#),
    ];
    for args in ["", "--again "] {
        let folder_of = |name: &str| format!("{name}{}", args.len());
        let store = folder_of("s");
        let done = folder.run(&format!("ingest {store} events {args}--engine original"));
        assert!(!done.stderr.contains("repeated"), "{}", done.stderr);
        assert_eq!(members(&folder, &store, "a"), 9);
    }
    folder
        .pipe(copies.concat(), "ingest s0")
        .code(0)
        .says("  repeated               4");
    assert_eq!(members(&folder, "s0", "a"), 9);
    // The other commands weigh them once, too, and write every line.
    folder.write("copies", copies.concat());
    let done = folder.run("resolve events copies --engine original");
    assert_eq!(done.ok().lines().count(), 14);
    let cluster = line(folder.run("cluster a events copies --engine original"));
    assert_eq!(cluster["members"].as_array().unwrap().len(), 9);
}

/// Numbers that look random, the same for the same seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// An event, and what tells it from others.
#[derive(Clone)]
struct Sent {
    event: Value,
    key: Option<[String; 4]>,
}

/// A stream over few IDs, in which about half of the events were sent before.
fn stream(model: Model, seed: u64) -> Vec<Sent> {
    let mut numbers = Numbers(seed);
    let mut sent: Vec<Sent> = Vec::new();
    for n in 0..240 {
        if numbers.below(2) == 0 && !sent.is_empty() {
            let at = numbers.below(sent.len() as u64);
            sent.push(sent[usize::try_from(at).unwrap()].clone());
            continue;
        }
        let user = format!("user-{}", numbers.below(60));
        let anon = format!("{:08x}-0000-4000-8000-000000000000", numbers.below(40));
        let other = format!("user-{}", numbers.below(60));
        let (name, own, mut properties) = match (model, numbers.below(4)) {
            (Model::Simplified, 0) => (
                "View",
                format!("$device:{anon}"),
                json!({"$device_id": anon}),
            ),
            (Model::Simplified, _) => (
                "Log In",
                user.clone(),
                json!({"$device_id": anon, "$user_id": user}),
            ),
            (_, 0) => ("View", user.clone(), json!({"distinct_id": user})),
            (_, 1) => (
                "$merge",
                user.clone(),
                json!({"$distinct_ids": [user, other]}),
            ),
            (_, 2) => (
                "$create_alias",
                user.clone(),
                json!({"distinct_id": user, "alias": other}),
            ),
            (_, _) => (
                "$identify",
                user.clone(),
                json!({"$identified_id": user, "$anon_id": anon}),
            ),
        };
        let time = 1_700_000_000 + numbers.below(2);
        properties["time"] = time.into();
        properties["token"] = "shop".into();
        // In Original, other events may have the same key: only the first one counts.
        let insert_id = match model {
            Model::Simplified => format!("i{n}"),
            _ => format!("i{}", numbers.below(3)),
        };
        let key = [name.to_owned(), time.to_string(), own, insert_id.clone()];
        let has_key = numbers.below(4) > 0;
        if has_key && numbers.below(3) == 0 {
            properties["$mp_metadata"] = json!({"$mp_event_id": insert_id});
        } else if has_key {
            properties["$insert_id"] = insert_id.into();
        }
        sent.push(Sent {
            event: json!({"event": name, "properties": properties}),
            key: has_key.then_some(key),
        });
    }
    sent
}

/// The engine that was given each event once.
fn truth(settings: &Settings, stream: &[Sent]) -> Engine {
    let mut engine = settings.engine();
    let mut seen = HashSet::new();
    for sent in stream {
        if sent
            .key
            .as_ref()
            .is_some_and(|key| !seen.insert(key.clone()))
        {
            continue;
        }
        let text = sent.event.to_string();
        let event = JsonEvent::parse_text(&text).unwrap();
        if let Some(claim) = settings.read(&event.event()).unwrap().claim {
            engine.apply(claim).unwrap();
        }
    }
    engine
}

type Clusters = BTreeMap<String, BTreeSet<String>>;

#[cfg(all(unix, feature = "serve"))]
fn clusters_of(lines: &str) -> Clusters {
    let cluster = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let members = line["members"].as_array().unwrap().iter();
        let members = members.map(|id| id.as_str().unwrap().to_owned()).collect();
        (line["canonical"].as_str().unwrap().to_owned(), members)
    };
    lines.lines().map(cluster).collect()
}

#[cfg(all(unix, feature = "serve"))]
#[test]
fn ar_2_resolve_clusters_ingest_and_the_server_agree_on_a_stream_full_of_copies() {
    for (model, engine) in [
        (Model::Simplified, "simplified"),
        (Model::Original, "original"),
    ] {
        for seed in [3, 17, 99, 2024] {
            let settings = Settings::of(model);
            let stream = stream(model, seed);
            let truth = truth(&settings, &stream);
            let wanted: Clusters = truth
                .clusters()
                .map(|cluster| {
                    let members = cluster.members.iter().map(ToString::to_string).collect();
                    (cluster.canonical.to_string(), members)
                })
                .collect();
            let context = format!("{engine}, seed {seed}");
            assert!(wanted.len() > 1, "{context}");

            let folder = Folder::new();
            let text = |part: &[Sent]| -> String {
                part.iter()
                    .map(|sent| format!("{}\n", sent.event))
                    .collect()
            };
            folder.write("one", text(&stream[..130]));
            folder.write("two", text(&stream[130..]));

            let clusters = folder
                .run(&format!("clusters one two --engine {engine}"))
                .ok();
            assert_eq!(clusters_of(&clusters), wanted, "clusters: {context}");

            let resolved = folder
                .run(&format!("resolve one two -q --engine {engine}"))
                .ok();
            assert_eq!(resolved.lines().count(), stream.len());
            for (sent, line) in stream.iter().zip(resolved.lines()) {
                let text = sent.event.to_string();
                let event = JsonEvent::parse_text(&text).unwrap();
                let event = event.event();
                let own = settings.read(&event).unwrap().distinct_id.unwrap();
                let line: Value = serde_json::from_str(line).unwrap();
                let canonical = truth.resolve(own).to_string();
                assert_eq!(
                    line["properties"]["distinct_id"], canonical,
                    "resolve: {context}"
                );
            }

            folder
                .run(&format!("ingest s one -q --engine {engine}"))
                .ok();
            folder.run("ingest s two -q").ok();
            let clusters = folder.run("clusters --store s").ok();
            assert_eq!(clusters_of(&clusters), wanted, "ingest: {context}");

            let server = Server::start(&folder, engine);
            for batch in stream.chunks(17) {
                let batch: Vec<_> = batch.iter().map(|sent| &sent.event).collect();
                server.request("POST /import?strict=0", &json!(batch).to_string());
            }
            server.stop();
            let clusters = folder.run("clusters --store data/shop").ok();
            assert_eq!(clusters_of(&clusters), wanted, "server: {context}");
        }
    }
}

#[test]
fn ar_2_a_store_of_the_other_model_logs_a_duplicate_once_for_simulations() {
    let original = Settings::of(Model::Original);
    for seed in [3, 17, 99, 2024] {
        let stream = stream(Model::Original, seed);
        let truth = truth(&original, &stream);
        let folder = Folder::new();
        for (input, part) in [("one", &stream[..130]), ("two", &stream[130..])] {
            let lines = part.iter().map(|sent| format!("{}\n", sent.event));
            folder.write(input, lines.collect::<String>());
            folder
                .run(&format!("ingest s {input} -q --engine simplified"))
                .ok();
        }
        let simplified = Settings::of(Model::Simplified);
        let options = Options {
            settings: simplified.to_string(),
            ..Options::default()
        };
        let store = Durable::open(folder.path("s"), move || simplified.engine(), options);
        let store = store.unwrap();
        let history = store.history().unwrap();
        let simulated = history.simulate(history.last(), original.engine()).unwrap();
        let clusters = |engine: &Engine| -> Clusters {
            let clusters = engine.clusters().map(|cluster| {
                let members = cluster.members.iter().map(ToString::to_string).collect();
                (cluster.canonical.to_string(), members)
            });
            clusters.collect()
        };
        assert_eq!(clusters(&simulated), clusters(&truth), "seed {seed}");
        drop((history, store));
        let simulated = line(folder.run("store simulate s --engine original"));
        let of_files = folder.run("clusters one two --engine original").ok();
        assert_eq!(simulated["simulated_clusters"], of_files.lines().count());
    }
}

/// Why `resolve` and `clusters` remember nothing in Simplified: a copy of a link changes nothing,
/// whatever comes between.
#[test]
fn ar_2_s_6_in_simplified_a_copy_of_an_event_changes_nothing() {
    let settings = Settings::of(Model::Simplified);
    for seed in 0..200 {
        let stream = stream(Model::Simplified, seed);
        let mut engine = settings.engine();
        for sent in &stream {
            let text = sent.event.to_string();
            let event = JsonEvent::parse_text(&text).unwrap();
            if let Some(claim) = settings.read(&event.event()).unwrap().claim {
                engine.apply(claim).unwrap();
            }
        }
        let snapshot = |engine: &Engine| {
            let mut bytes = Vec::new();
            engine.write_snapshot(&mut bytes).unwrap();
            bytes
        };
        let once = truth(&settings, &stream);
        assert!(snapshot(&engine) == snapshot(&once), "seed {seed}");
    }
}
