//! `--conflicts` of `resolve` and `ingest`: the cases that a person must decide, in the form of M-18.

use serde_json::{Value, json};

use crate::run::{Folder, gzip};

const ANON: &str = "a1a1a1a1-0000-4000-8000-000000000001";

/// The cases of a file, without the sentence for people, which is checked to be one.
#[track_caller]
fn cases(folder: &Folder, name: &str) -> Vec<Value> {
    let text = folder.read(name);
    let case = |line: &str| {
        let mut case: Value = serde_json::from_str(line).unwrap();
        let settles = case.as_object_mut().unwrap();
        let settles = settles.remove("what_would_settle_it").unwrap();
        assert!(settles.as_str().unwrap().ends_with('.'), "{settles}");
        case
    };
    text.lines().map(case).collect()
}

/// The cases of `resolve`. Those of `ingest` must be the same.
#[track_caller]
fn cases_of(folder: &Folder, args: &str) -> Vec<Value> {
    let run = folder.run(&format!(
        "resolve {args} --conflicts cases -o out --refused refused -q"
    ));
    assert_eq!(run.ok(), "");
    let of_resolve = cases(folder, "cases");
    #[cfg(feature = "store")]
    {
        if folder.path("people").exists() {
            std::fs::remove_dir_all(folder.path("people")).unwrap();
        }
        let run = folder.run(&format!(
            "ingest people {args} --conflicts taken --refused refused -q"
        ));
        assert_eq!(run.ok(), "");
        assert_eq!(folder.read("taken"), folder.read("cases"));
    }
    of_resolve
}

fn evidence(file: &str, line: u64, event: &str, id: Option<&str>, ids: [&str; 2]) -> Value {
    json!({
        "file": file, "line": line, "insert_id": id, "event": event, "rank": null, "ids": ids,
    })
}

#[test]
fn s_9_an_alias_of_two_users_is_a_case_and_so_is_a_device_of_another_user() {
    let track = |user: &str, id: &str| {
        format!(
            r#"{{"type":"track","event":"Buy","userId":"{user}","anonymousId":"D1","messageId":"{id}"}}"#
        )
    };
    let lines = [
        track("U1", "m-1"),
        String::new(),
        r#"{"type":"alias","userId":"U1","previousId":"U0","messageId":"ajs-next:1"}"#.to_owned(),
        "no call".to_owned(),
        track("U2", "m-2"),
        // Delivered twice.
        track("U2", "m-2"),
        track("U2", "m-3"),
    ];
    let folder = Folder::with(&[("in", &lines.join("\n"))]);
    let found = cases_of(&folder, "in --from segment --engine simplified");
    let mut of_device = [
        evidence("in", 5, "Buy", Some("m-2"), ["U2", "D1"]),
        evidence("in", 7, "Buy", Some("m-3"), ["U2", "D1"]),
    ];
    for line in &mut of_device {
        // M-6: a line with both IDs.
        line["rank"] = 0.into();
    }
    let insert_id = &found[1]["evidence"][0]["insert_id"];
    let insert_id = insert_id.as_str().unwrap();
    assert_eq!(
        insert_id.len(),
        32,
        "A-2: the hash of a messageId that is no $insert_id"
    );
    assert_eq!(
        found,
        [
            json!({
                "kind": "contradicted", "ids": ["U2", "D1"], "chosen": "U1", "rule": "S-7",
                "evidence": of_device, "events": 2,
            }),
            json!({
                "kind": "two_users", "ids": ["U0", "U1"], "chosen": null, "rule": "S-9",
                "evidence": [evidence("in", 3, "Alias", Some(insert_id), ["U0", "U1"])],
                "events": 1,
            }),
        ]
    );
    let refused = folder.read("refused");
    assert!(
        refused.contains("the users \\\"U0\\\" (\\\"previousId\\\") and \\\"U1\\\""),
        "{refused}"
    );
}

#[test]
fn s_9_the_other_products_say_that_two_users_are_one_in_their_own_ways() {
    let mparticle = r#"{"events":[{"event_type":"user_identity_change","data":{"event_id":"i1","new":{"identity_type":"customer_id","identity":"U2"},"old":{"identity_type":"customer_id","identity":"U1"}}}],"mp_deviceid":"D1","user_identities":{"customer_id":"U2"}}"#;
    let posthog = |event: &str, alias: &str| {
        format!(
            r#"{{"event":"{event}","distinct_id":"U1","uuid":"u-1","person_id":"p","properties":{{"alias":"{alias}"}}}}"#
        )
    };
    let two_users = |evidence: Value| {
        json!({
            "kind": "two_users", "ids": evidence["ids"], "chosen": null, "rule": "S-9",
            "evidence": [evidence], "events": 1,
        })
    };
    let folder = Folder::with(&[
        ("mparticle", mparticle),
        // An alias of UUID form is a device, so it links.
        (
            "posthog",
            &[
                posthog("$create_alias", "U2"),
                posthog("$merge_dangerously", "U3"),
                posthog("$create_alias", ANON),
            ]
            .join("\n"),
        ),
    ]);
    assert_eq!(
        cases_of(&folder, "mparticle --from mparticle --engine simplified"),
        [two_users(evidence(
            "mparticle",
            1,
            "Identity Change",
            Some("i1"),
            ["U1", "U2"]
        ))]
    );
    let of_line = |line, event, alias| {
        two_users(evidence("posthog", line, event, Some("u-1"), [alias, "U1"]))
    };
    assert_eq!(
        cases_of(&folder, "posthog --from posthog --engine simplified"),
        [
            of_line(1, "$create_alias", "U2"),
            of_line(2, "$merge_dangerously", "U3"),
        ]
    );
    // Original joins them.
    for args in ["mparticle --from mparticle", "posthog --from posthog"] {
        let none: [Value; 0] = [];
        assert_eq!(
            cases_of(&folder, &format!("{args} --engine original")),
            none
        );
    }
}

#[test]
fn m_18_two_users_are_one_case_whichever_of_them_is_named_first() {
    let alias = |previous: &str, user: &str, id: &str| {
        format!(
            r#"{{"type":"alias","previousId":"{previous}","userId":"{user}","messageId":"{id}"}}"#
        )
    };
    let usable = r#"{"type":"track","event":"Buy","userId":"U1"}"#.to_owned();
    let lines = [
        alias("U2", "U1", "m1"),
        alias("U1", "U3", "m2"),
        alias("U1", "U2", "m3"),
        usable,
    ];
    let folder = Folder::with(&[("in", &lines.join("\n"))]);
    let found = cases_of(&folder, "in --from segment --engine simplified");
    let said = |case: &Value| json!([case["ids"], case["events"]]);
    assert_eq!(
        found.iter().map(said).collect::<Vec<_>>(),
        [json!([["U2", "U1"], 2]), json!([["U1", "U3"], 1])]
    );
}

fn event(name: &str, properties: &str) -> String {
    format!(r#"{{"event":"{name}","properties":{{{properties}}}}}"#)
}

#[test]
fn m_18_every_claim_that_original_turns_down_is_evidence_with_its_rule() {
    let lines = [
        event(
            "$identify",
            &format!(r#""$identified_id":"U1","$anon_id":"{ANON}""#),
        ),
        // O-11
        event(
            "$identify",
            &format!(r#""$identified_id":"U2","$anon_id":"{ANON}","$insert_id":"i-2""#),
        ),
        // O-8
        event("$identify", r#""$identified_id":"U3","$anon_id":"laptop""#),
        // O-7; the ID has an escape.
        event("$create_alias", r#""distinct_id":"U\u0034","alias":"U4""#),
        event("$create_alias", r#""distinct_id":"U5","alias":"A""#),
        // O-9
        event("$create_alias", r#""distinct_id":"U6","alias":"A""#),
        // O-12
        event("$merge", &format!(r#""$distinct_ids":["U5","{ANON}"]"#)),
    ];
    let folder = Folder::with(&[("in", &lines.join("\n"))]);
    let found = cases_of(&folder, "in --engine original --max-cluster-ids 3");
    let case = |kind, rule, chosen: Option<&str>, evidence: Value| {
        json!({
            "kind": kind, "ids": evidence["ids"], "chosen": chosen, "rule": rule,
            "evidence": [evidence], "events": 1,
        })
    };
    let mut same = case(
        "loop",
        "O-7",
        None,
        evidence("in", 4, "$create_alias", None, ["U4"; 2]),
    );
    same["ids"] = json!(["U4"]);
    assert_eq!(
        found,
        [
            case(
                "contradicted",
                "O-11",
                Some("U1"),
                evidence("in", 2, "$identify", Some("i-2"), ["U2", ANON])
            ),
            same,
            case(
                "non_uuid",
                "O-8",
                None,
                evidence("in", 3, "$identify", None, ["U3", "laptop"])
            ),
            case(
                "over_cap",
                "O-12",
                None,
                evidence("in", 7, "$merge", None, ["U5", ANON])
            ),
            case(
                "refused_alias",
                "O-9",
                Some("U5"),
                evidence("in", 6, "$create_alias", None, ["U6", "A"])
            ),
        ]
    );
    // L-5 and L-6
    let found = cases_of(&folder, "in --engine legacy");
    let rules: Vec<_> = found
        .iter()
        .map(|case| [&case["kind"], &case["rule"]])
        .collect();
    assert_eq!(
        json!(rules),
        json!([["loop", "L-5"], ["refused_alias", "L-6"]])
    );
}

#[test]
fn m_18_evidence_is_the_line_on_which_the_record_was() {
    let link = |time: u32, user: &str| {
        event(
            "A",
            &format!(r#""time":{time},"$device_id":"D1","$user_id":"{user}""#),
        )
    };
    // The later one of the two claims is in the first file.
    let array = format!(
        "[\n{},\n{}\n]",
        event("B", r#""time":9,"distinct_id":"x""#),
        link(5, "U2")
    );
    let folder = Folder::new();
    folder.write("a", array);
    folder.write("b.gz", gzip(link(1, "U1")));
    for (args, file, line, chosen) in [
        ("a b.gz --engine simplified", "b.gz", 1, "U2"),
        ("a b.gz --order-by time --engine simplified", "a", 3, "U1"),
    ] {
        let found = cases_of(&folder, args);
        assert_eq!(found.len(), 1, "{args}");
        assert_eq!(found[0]["chosen"], chosen, "{args}");
        assert_eq!(found[0]["evidence"][0]["file"], file, "{args}");
        assert_eq!(found[0]["evidence"][0]["line"], line, "{args}");
    }
}

#[test]
fn m_18_a_case_has_at_most_ten_lines_of_evidence_and_counts_all_events() {
    // U1 has D1, and twelve others say that they have it, in blocks of their own.
    let note = "x".repeat(100_000);
    let line = |user: u32| {
        event(
            "A",
            &format!(r#""$device_id":"D1","$user_id":"U{user}","note":"{note}""#),
        )
    };
    let other = |number: u32| event("B", &format!(r#""$device_id":"D2","$user_id":"V{number}""#));
    let lines: Vec<_> = (1..=13).map(line).chain((1..=3).map(other)).collect();
    let folder = Folder::with(&[("in", &lines.join("\n"))]);
    let found = cases_of(&folder, "in --engine simplified");
    let figures: Vec<_> = found
        .iter()
        .map(|case| json!([case["events"], case["evidence"].as_array().unwrap().len()]))
        .collect();
    assert_eq!(figures, [json!([12, 10]), json!([2, 2])]);
    assert_eq!(found[0]["evidence"][9]["line"], 11);
}

/// The events of the cases are the claims that the summary counts as rejected.
#[test]
fn m_18_every_rejected_claim_is_in_a_case() {
    let mut seed = 7_u64;
    let mut below = |limit: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % limit
    };
    let mut id = |users: bool| match users {
        true => format!("U{}", below(40)),
        false => format!("a1a1a1a1-0000-4000-8000-{:012}", below(80)),
    };
    let mut lines = Vec::new();
    for number in 0..3_000 {
        let (user, other, anon) = (id(true), id(true), id(false));
        lines.push(match number % 5 {
            0 => event(
                "$identify",
                &format!(r#""$identified_id":"{user}","$anon_id":"{anon}""#),
            ),
            1 => event(
                "$create_alias",
                &format!(r#""distinct_id":"{user}","alias":"{other}""#),
            ),
            2 => event("$merge", &format!(r#""$distinct_ids":["{user}","{anon}"]"#)),
            3 => event(
                "A",
                &format!(r#""$user_id":"{user}","$device_id":"{anon}""#),
            ),
            _ => "no event".to_owned(),
        });
    }
    let folder = Folder::with(&[("in", &lines.join("\n"))]);
    for engine in ["simplified", "original --max-cluster-ids 30", "legacy"] {
        let found = cases_of(&folder, &format!("in --engine {engine}"));
        let run = folder.run(&format!(
            "resolve in --engine {engine} -o out --summary json"
        ));
        let summary: Value = serde_json::from_str(run.stderr.lines().last().unwrap()).unwrap();
        let events: u64 = found
            .iter()
            .map(|case| case["events"].as_u64().unwrap())
            .sum();
        assert!(events > 0, "{engine}");
        assert_eq!(summary["rejections"], events, "{engine}");
    }
}

#[cfg(feature = "store")]
#[test]
fn m_18_claims_that_a_store_rejects_are_cases_of_the_events_that_make_them() {
    let link = |user: &str| event("A", &format!(r#""$device_id":"D1","$user_id":"{user}""#));
    let folder = Folder::with(&[("in", &link("U1")), ("today", &link("U2"))]);
    folder.run("ingest people in --engine simplified -q").ok();
    let run = "resolve today --store people --conflicts cases -o out -q";
    folder.run(run).ok();
    let found = cases(&folder, "cases");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["kind"], "contradicted");
    assert_eq!(found[0]["chosen"], "U1");
    // What was taken before is no case again.
    folder
        .run("ingest people in today -q --conflicts first")
        .ok();
    folder
        .run("ingest people in today -q --conflicts second")
        .ok();
    assert_eq!(folder.read("first").lines().count(), 1);
    assert_eq!(folder.read("second"), "");
}

#[test]
fn m_18_the_cases_replace_no_other_file() {
    let folder = Folder::with(&[("in", &event("A", r#""$device_id":"D1""#))]);
    for (args, error) in [
        (
            "--conflicts out",
            "--output and --conflicts name the same file",
        ),
        (
            "--conflicts refused",
            "--refused and --conflicts name the same file",
        ),
        ("--conflicts in", "--conflicts names the INPUT in"),
    ] {
        let run = format!("resolve in --engine simplified -o out --refused refused {args}");
        folder.run(&run).code(2).says(error);
    }
    assert_eq!(folder.names(), ["in"]);
}
