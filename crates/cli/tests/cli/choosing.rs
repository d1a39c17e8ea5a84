//! `inspect`: which model a project has, and what each one would give.

use idmerge::{AnonIdFormat, Model, Settings};
use serde_json::{Value, json};

use crate::plain::{check_models, plain};
use crate::run::Folder;

const DEVICE: &str = "d0000000-0000-4000-8000-00000000000";

fn line(name: &str, properties: Value) -> String {
    json!({ "event": name, "properties": properties }).to_string() + "\n"
}

fn view(id: &str) -> String {
    line("View", json!({"distinct_id": id}))
}

fn alias(alias: &str, id: &str) -> String {
    line("$create_alias", json!({"distinct_id": id, "alias": alias}))
}

/// An event as SDKs send it after a login.
fn by(device: &str, user: &str) -> String {
    let ids = json!({"$device_id": device, "$user_id": user, "distinct_id": user});
    line("View", ids)
}

fn identify(user: &str, device: &str) -> String {
    line(
        "$identify",
        json!({"distinct_id": user, "$anon_distinct_id": device}),
    )
}

#[track_caller]
fn inspect(lines: &str) -> Value {
    let done = Folder::new()
        .pipe(lines, "inspect -q --format json")
        .code(0);
    serde_json::from_str(&done.stdout).unwrap()
}

fn funnel(report: &Value, model: &str) -> [i64; 3] {
    let funnel = &report["models"][model]["funnel"];
    ["converted_before", "converted", "gain"].map(|name| funnel[name].as_i64().unwrap())
}

#[test]
fn l_3_events_of_legacy_are_counted_at_their_arrival() {
    let d1 = &format!("{DEVICE}1");
    // After the alias, and before it.
    for (lines, users, joined) in [
        (view(d1) + &alias("ada", d1) + &view("ada"), 1, 1),
        (view("ada") + &alias("ada", d1) + &view("ada"), 2, 1),
        // The second device of a user is never joined: neither by `$identify` nor by an alias (L-6).
        (
            view(d1) + &alias("ada", d1) + &view("d2") + &identify("ada", "d2") + &view("ada"),
            2,
            2,
        ),
        (alias("ada", d1) + &alias("ada", "d2") + &view("ada"), 2, 1),
        // A chain.
        (alias("eve", "ada") + &alias("ada", d1) + &view("eve"), 2, 1),
    ] {
        let report = inspect(&lines);
        let legacy = &report["models"]["legacy"];
        assert_eq!(legacy["users"], users, "{lines}");
        assert_eq!(legacy["joined_events"], joined, "{lines}");
        check_models(&report, &lines);
    }
}

#[test]
fn a_user_converts_whose_first_event_is_anonymous() {
    let d1 = &format!("{DEVICE}1");
    let anonymous = format!("$device:{d1}");
    let login = identify("ada", &anonymous) + &by(d1, "ada");
    // [simplified, original, legacy]
    for (lines, converted) in [
        (view(&anonymous) + &login, [1, 1, 0]),
        // Retroactive, but the user was there before.
        (login.clone() + &view(&anonymous), [0, 0, 0]),
        (by("d2", "ada") + &view(&anonymous) + &login, [0, 0, 0]),
        // An alias at the sign-up.
        (view(d1) + &alias("ada", d1) + &view("ada"), [0, 1, 1]),
        // Before the alias: Legacy does not move what came before.
        (view(d1) + &view("ada") + &alias("ada", d1), [0, 1, 0]),
        // Users alone, and devices alone.
        (view("ada") + &view("ben"), [0, 0, 0]),
        (view(d1) + &view(&anonymous), [0, 0, 0]),
    ] {
        let report = inspect(&lines);
        let found = ["simplified", "original", "legacy"].map(|model| funnel(&report, model));
        assert_eq!(found, converted.map(|count| [0, count, count]), "{lines}");
        check_models(&report, &lines);
    }
    // An event may say that a user did it, under the ID of a device: no merge is needed there.
    let login = json!({"distinct_id": anonymous, "$device_id": d1, "$user_id": "ada"});
    let lines = view(&anonymous) + &line("Log In", login);
    let report = inspect(&lines);
    assert_eq!(funnel(&report, "simplified"), [0, 1, 1]);
    assert_eq!(funnel(&report, "original"), [1, 1, 0]);
    check_models(&report, &lines);
}

/// A pseudo-random number below `bound`.
fn below(state: &mut u64, bound: usize) -> usize {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*state >> 33).unwrap() % bound
}

/// Events with few IDs, so that they meet: users, devices of each form, aliases, logins, merges.
fn random_stream(seed: u64) -> String {
    let state = &mut seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut lines = String::new();
    for _ in 0..below(state, 40) {
        let user = ["ada", "ben", "c0ffee00-0000-4000-8000-000000000000"][below(state, 3)];
        let device = [
            "d0000000-0000-4000-8000-000000000001",
            "d0000000-0000-1000-8000-000000000002",
            "d3",
        ][below(state, 3)];
        let prefixed = format!("$device:{device}");
        let device_or_prefixed = [device, &prefixed][below(state, 2)];
        lines += &match below(state, 10) {
            0 => view(user),
            1 | 2 => view(device_or_prefixed),
            3 => by(device, user),
            4 => line(
                "View",
                json!({"$device_id": device, "distinct_id": prefixed}),
            ),
            5 => line("View", json!({"$device_id": device, "$user_id": prefixed})),
            6 => identify(user, device_or_prefixed),
            7 => alias(user, device_or_prefixed),
            8 => alias(["ada", "eve"][below(state, 2)], user),
            _ if below(state, 2) == 0 => line("$merge", json!({"$distinct_ids": [user, device]})),
            _ => line(
                "View",
                json!({
                    "distinct_id": user, "$distinct_id_before_identity": device_or_prefixed,
                    "$is_reshuffled": true,
                }),
            ),
        };
    }
    lines
}

#[test]
fn random_streams_give_what_plain_engines_give() {
    for seed in 0..60 {
        let lines = random_stream(seed);
        let report = inspect(&lines);
        for model in Model::ALL {
            let expected = plain(&Settings::of(model), &lines);
            assert_eq!(
                report["models"][model.name()],
                expected,
                "seed {seed}, {model}\n{lines}"
            );
        }
    }
}

#[test]
fn a_reset_is_missing_if_a_device_keeps_its_id_for_another_user() {
    let missing = |lines: &str| {
        let evidence = &inspect(lines)["evidence"];
        let missing = &evidence["missing_resets"];
        let [calls, devices, events] =
            ["calls", "devices", "events"].map(|name| missing[name].as_u64().unwrap());
        assert_eq!(evidence["devices_with_several_users"], devices);
        (calls, devices, events)
    };
    let d1 = &format!("{DEVICE}1");
    // A call of `reset()` gave the device a new ID.
    assert_eq!(missing(&(by("d1", "ada") + &by("d2", "ben"))), (0, 0, 0));
    assert_eq!(missing(&(by("d1", "ada") + &by("d1", "ada"))), (0, 0, 0));
    let both = by("d1", "ada") + &view("$device:d1") + &by("d1", "ben").repeat(3);
    assert_eq!(missing(&both), (1, 1, 3));
    // And back: two calls are missing, and the last event is of the first user.
    assert_eq!(missing(&(both.clone() + &by("d1", "ada"))), (2, 1, 3));
    assert_eq!(
        missing(&(both + &by("d2", "ada") + &by("d2", "ben"))),
        (2, 2, 4)
    );
    // By `$identify`, whether it is accepted or not, and by a sign-up in Legacy.
    assert_eq!(
        missing(&(identify("ada", "x") + &identify("ben", "$device:x"))),
        (1, 1, 1)
    );
    assert_eq!(missing(&(alias("ada", d1) + &alias("ben", d1))), (1, 1, 1));
    // In arrival order, whatever kind of claim.
    assert_eq!(
        missing(&(identify("ben", d1) + &by(d1, "ada") + &identify("ada", d1))),
        (1, 1, 2)
    );
    // The alias of a user shows no device.
    assert_eq!(
        missing(&(alias("ada", "u1") + &alias("ben", "u1"))),
        (0, 0, 0)
    );
    // At a login the SDK names the user who was logged in as the anonymous ID. That one is no device.
    let login = |user: &str, before: &str| {
        let ids = json!({
            "$device_id": "d1", "$user_id": user, "distinct_id": user, "$anon_distinct_id": before,
        });
        line("$identify", ids)
    };
    let logins = login("ada", "$device:d1")
        + &login("ben", "ada")
        + &login("ada", "ben")
        + &login("eve", "ada");
    assert_eq!(missing(&logins), (3, 1, 2));
    // If events do not name the device, that user stands for it.
    let named = by("d1", "ada") + &identify("ben", "ada");
    assert_eq!(missing(&named), (1, 1, 1));
}

/// `lint` divides the devices with several users into those that are shared and those that lack a reset.
#[test]
fn lint_finds_the_devices_that_inspect_counts() {
    let folder = Folder::new();
    let json =
        |args: &str| -> Value { serde_json::from_str(&folder.run(args).code(0).stdout).unwrap() };
    for seed in 1..4 {
        folder
            .run(&format!(
                "generate --workload web-login --events 6000 --seed {seed} --mistakes truth -q -o in"
            ))
            .ok();
        let counted =
            &json("inspect in -q --format json")["evidence"]["devices_with_several_users"];
        for engine in ["simplified", "original"] {
            let report = json(&format!("lint in -q --json --engine {engine}"));
            let findings = report["findings"].as_array().unwrap().iter();
            let kinds = ["missing-reset", "shared-device"];
            let of_kinds = findings.filter(|it| kinds.contains(&it["finding"].as_str().unwrap()));
            let found: u64 = of_kinds.map(|it| it["ids"].as_u64().unwrap()).sum();
            assert_eq!(counted, found, "seed {seed}, {engine}");
            assert!(found > 0, "seed {seed}, {engine}");
        }
    }
}

#[test]
fn clusters_over_the_limit_of_original_are_counted_without_it() {
    let device = |n: usize| format!("d0000000-0000-4000-8000-{n:012}");
    let over: String = (0..510).map(|n| identify("ada", &device(n))).collect();
    let exact: String = (1_000..1_499)
        .map(|n| identify("ben", &device(n)))
        .collect();
    let folder = Folder::with(&[("in", &(over + &exact))]);
    let report: Value =
        serde_json::from_str(&folder.run("inspect in -q --format json").ok()).unwrap();
    let unlimited = json!({"limit": 500, "clusters_over_limit": 1, "largest_cluster": 511});
    assert_eq!(report["original_without_limit"], unlimited);
    assert_eq!(report["models"]["original"]["largest_cluster"], 500);
    assert_eq!(report["models"]["original"]["rejections"]["errManyIDs"], 11);
    let args = "inspect in -q --format json --max-cluster-ids 499";
    let report: Value = serde_json::from_str(&folder.run(args).ok()).unwrap();
    let unlimited = json!({"limit": 499, "clusters_over_limit": 2, "largest_cluster": 511});
    assert_eq!(report["original_without_limit"], unlimited);
}

#[test]
fn anonymous_ids_are_counted_by_their_form() {
    let of_browsers = "1a208e57d475d5-06fbe9cae69ff1-17462c6f-1fa400-1a208e57d489c3";
    assert!(AnonIdFormat::Sdk.accepts(of_browsers));
    let uuid = "c0ffee00-0000-4000-8000-000000000000";
    let lines = view(&format!("{DEVICE}1"))
        + &view(&format!("$device:{DEVICE}1"))
        + &view(of_browsers)
        + &by("d0000000-0000-1000-8000-000000000000", "ada")
        + &by("my-device", "ada")
        // Users, whatever their form.
        + &by("my-device", uuid)
        + &alias("c0ffee00-0000-4000-8000-000000000001", "my-device")
        + &view("ada");
    let anonymous = json!({"uuid_v4": 1, "other_sdk_form": 2, "other_form": 1});
    assert_eq!(inspect(&lines)["evidence"]["anonymous_ids"], anonymous);
}

/// The verdict on some lines: the model and its likelihood.
fn verdict(lines: &str) -> (String, String) {
    let report = inspect(lines);
    let current = &report["current_model"];
    let text = |name: &str| current[name].as_str().unwrap_or("none").to_owned();
    (text("model"), text("likelihood"))
}

#[test]
fn the_current_model_is_a_likelihood_with_signs() {
    let d1 = &format!("{DEVICE}1");
    let is = |lines: &str, model: &str, likelihood: &str| {
        assert_eq!(
            verdict(lines),
            (model.to_owned(), likelihood.to_owned()),
            "{lines}"
        );
    };
    let with = |name: &str, value: Value| {
        line(
            "View",
            json!({"distinct_id": "ada", "mp_processing_time_ms": 1, name: value}),
        )
    };
    // Only one model leaves these.
    let reason = json!("errManyIDs");
    is(&with("$failure_reason", reason.clone()), "original", "high");
    is(
        &with("$identity_failure_reason", reason.clone()),
        "simplified",
        "high",
    );
    let merge = line("$merge", json!({"$distinct_ids": ["a", "b"]}));
    is(&merge, "original", "high");
    let moved_to_a_device = json!({"distinct_id": format!("$device:{d1}"),
        "$distinct_id_before_identity": "ada", "$is_reshuffled": true});
    is(&line("View", moved_to_a_device), "original", "high");
    // Signs of two models.
    let both = merge.clone() + &with("$identity_failure_reason", reason.clone());
    is(&both, "none", "none");
    let more = both + &with("$failure_reason", reason);
    is(&more, "original", "medium");
    // Weak signs.
    let identified = json!({"$identified_id": "ada", "$anon_id": d1});
    is(&line("$identify", identified), "original", "low");
    is(&by(d1, "ada"), "simplified", "low");
    // SDKs send this to every project.
    is(&(identify("ada", d1) + &by(d1, "ada")), "none", "none");
    is("", "none", "none");
    // An export that has aliases, and moved nothing.
    let aliased = json!({"distinct_id": d1, "alias": "ada", "mp_processing_time_ms": 1});
    is(&line("$create_alias", aliased), "legacy", "low");
}

#[test]
fn an_export_says_which_model_moved_its_ids() {
    let folder = Folder::new();
    for (workload, model) in [("identify", "original"), ("shared-device", "simplified")] {
        folder
            .run(&format!(
                "generate --workload {workload} --events 3000 -q -o in"
            ))
            .ok();
        let exported = folder.run(&format!("resolve in -q --engine {model}")).ok();
        let (found, likelihood) = verdict(&exported);
        assert_eq!((&*found, &*likelihood), (model, "high"), "{workload}");
    }
    // Logins that both models join: the export cannot say which of them moved the IDs.
    folder
        .run("generate --workload web-login --events 3000 -q -o in")
        .ok();
    let exported = folder.run("resolve in -q --engine simplified").ok();
    assert_eq!(verdict(&exported).0, "none");
}

#[test]
fn records_of_another_product_say_nothing_about_a_project() {
    let call = json!({"type": "identify", "messageId": "m", "anonymousId": "a", "userId": "ada"});
    let folder = Folder::with(&[("calls", &format!("{call}\n"))]);
    let report = folder
        .run("inspect calls --from segment --format json -q")
        .ok();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["current_model"]["likelihood"], "none");
    assert_eq!(report["current_model"]["signs"], json!([]));
    let page = folder.run("inspect calls --from segment -q").ok();
    assert!(page.contains("records of another product"), "{page}");
}

#[test]
fn the_page_fits_a_terminal_and_says_what_the_json_says() {
    let folder = Folder::new();
    for workload in ["identify", "shared-device", "cap"] {
        folder
            .run(&format!(
                "generate --workload {workload} --events 3000 -q -o in"
            ))
            .ok();
        folder.run("resolve in -q --engine original -o out").ok();
        let page = folder.run("inspect out -q").ok();
        for line in page.lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
        let report = folder.run("inspect out -q --format json").ok();
        let report: Value = serde_json::from_str(&report).unwrap();
        // The row of a figure has that of each model.
        for (row, field) in [
            ("users after", "/users"),
            ("anonymous first, then a user", "/funnel/converted"),
            ("events that join another ID", "/joined_events"),
        ] {
            let shown = page
                .lines()
                .find_map(|line| line.trim().strip_prefix(row))
                .unwrap();
            let shown: Vec<_> = shown
                .split_whitespace()
                .map(|it| it.replace(',', ""))
                .collect();
            let figures = ["simplified", "original", "legacy"]
                .map(|model| report["models"][model].pointer(field).unwrap().to_string());
            assert_eq!(shown, figures, "{row}");
        }
        let words = page.split_whitespace().collect::<Vec<_>>().join(" ");
        for sign in report["current_model"]["signs"].as_array().unwrap() {
            assert!(
                words.contains(sign["evidence"].as_str().unwrap()),
                "{sign}\n{page}"
            );
        }
        for lost in report["lost"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|it| it.as_array().unwrap())
        {
            assert!(words.contains(lost.as_str().unwrap()), "{lost}\n{page}");
        }
        assert!(
            words.contains("Legacy is for projects that have it"),
            "{page}"
        );
    }
}
