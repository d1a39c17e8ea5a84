//! `store retract`: what is withdrawn, what it says, and what is left.

use serde_json::{Value, json};

use crate::run::{Done, Folder, run};

fn lines(done: &Done) -> Vec<Value> {
    let lines = done.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Runs `store retract` on the store `people`, with these arguments.
fn retract(folder: &Folder, arguments: &[&str]) -> Done {
    let mut command = folder.command("store retract people --who eve --why");
    command.arg("a test").args(arguments);
    run(command, "")
}

/// The members of the cluster of an ID.
fn members(folder: &Folder, id: &str) -> Value {
    let mut command = folder.command("store explain people");
    command.arg(id);
    lines(&run(command, "").code(0))[0]["members"].clone()
}

fn ingest(folder: &Folder, arguments: &str, events: &str) {
    folder
        .pipe(events, &format!("ingest people {arguments}"))
        .code(0);
}

fn merges(pairs: &[[&str; 2]]) -> String {
    let event = |pair| json!({"event": "$merge", "properties": {"$distinct_ids": pair}});
    let events: Vec<_> = pairs.iter().map(|pair| event(pair).to_string()).collect();
    events.join("\n")
}

fn links(pairs: &[[&str; 2]]) -> String {
    let event = |[device, user]: &[&str; 2]| {
        let properties = json!({"$device_id": device, "$user_id": user});
        json!({"event": "Log In", "properties": properties}).to_string()
    };
    pairs.iter().map(event).collect::<Vec<_>>().join("\n")
}

#[test]
fn lg_1_ids_stay_together_through_another_claim() {
    let folder = Folder::new();
    let events = merges(&[["a", "b"], ["b", "c"], ["a", "c"]]);
    ingest(&folder, "--engine original", &events);
    let done = retract(&folder, &["1"]).code(0);
    done.says("entry 1 is withdrawn by entry 4");
    let mut all: Vec<String> = serde_json::from_value(members(&folder, "a")).unwrap();
    all.sort_unstable();
    assert_eq!(all, ["a", "b", "c"]);
    // Without both of its claims a is alone.
    retract(&folder, &["3"]).code(0);
    assert_eq!(members(&folder, "a"), json!([]));
}

#[test]
fn lg_2_detach_withdraws_every_claim_that_names_an_id_in_one_entry() {
    let folder = Folder::new();
    let events = links(&[
        ["tablet", "ben"],
        ["tablet", "ada"],
        ["phone", "ben"],
        ["tablet", "eve"],
    ]);
    ingest(&folder, "--engine simplified", &events);
    let done = retract(&folder, &["--detach", "$device:tablet"]).code(0);
    let change = json!({"sequence": 5, "id": "$device:tablet", "from": "ben",
        "to": "$device:tablet"});
    assert_eq!(lines(&done), [change]);
    done.says(
        "3 claims that name $device:tablet are withdrawn by entry 5; 1 ID has another canonical ID now",
    );
    assert_eq!(members(&folder, "ben"), json!(["ben", "$device:phone"]));

    let log = lines(&folder.run("store log people --from 5"));
    let entry = json!({"sequence": 5, "retracted": 1, "also_retracted": [2, 4],
        "detached": "$device:tablet", "who": "eve", "why": "a test",
        "source": "idmerge store retract"});
    assert_eq!(log, [entry]);

    // It is withdrawn already, and a new event counts.
    let again = retract(&folder, &["--detach", "$device:tablet"]).code(0);
    again.says("every claim that names $device:tablet was already withdrawn by entry 5");
    ingest(&folder, "", &links(&[["tablet", "eve"]]));
    assert_eq!(members(&folder, "eve"), json!(["eve", "$device:tablet"]));

    // Undoing it brings back the first claim.
    retract(&folder, &["5"])
        .code(0)
        .says("entry 5 is withdrawn by entry 7");
    let all = json!(["ben", "$device:tablet", "$device:phone"]);
    assert_eq!(members(&folder, "ben"), all);
    retract(&folder, &["5"])
        .code(0)
        .says("entry 5 was already withdrawn by entry 7");
}

#[test]
fn lg_2_detach_takes_the_id_of_a_user_and_names_the_id_that_was_meant() {
    let folder = Folder::new();
    let events = links(&[["tablet", "ben"], ["phone", "ben"], ["phone", "ada"]]);
    ingest(&folder, "--engine simplified", &events);
    let done = retract(&folder, &["--detach", "tablet"]).code(1);
    done.says("the device $device:tablet is")
        .says("weighs names tablet; check the ID");
    retract(&folder, &["--detach", "ben"])
        .code(0)
        .says("2 claims that name ben are withdrawn by entry 4; 2 IDs have");
    assert_eq!(members(&folder, "ada"), json!(["ada", "$device:phone"]));
}

#[test]
fn lg_2_in_original_an_id_is_detached_with_or_without_the_prefix() {
    for id in ["b", "$device:b"] {
        let folder = Folder::new();
        let events = merges(&[["a", "b"], ["b", "c"], ["c", "d"], ["b", "a"]]);
        ingest(&folder, "--engine original", &events);
        let done = retract(&folder, &["--detach", id]).code(0);
        done.says("3 claims that name b are withdrawn by entry 5");
        assert_eq!(members(&folder, "c"), json!(["c", "d"]));
        assert_eq!(members(&folder, "a"), json!([]));
    }
}

#[test]
fn retract_needs_an_entry_or_an_id() {
    let folder = Folder::new();
    ingest(&folder, "--engine original", &merges(&[["a", "b"]]));
    retract(&folder, &[]).code(2).says("--detach");
    retract(&folder, &["1", "--detach", "a"])
        .code(2)
        .says("cannot be used with");
    retract(&folder, &["9"]).code(1).says("there is no entry 9");
    retract(&folder, &["--detach", "null"]).code(2).says("ID-4");
}

fn identify(user: &str, anon: &str) -> Value {
    json!({"event": "$identify", "properties": {"$identified_id": user, "$anon_id": anon}})
}

#[test]
fn lg_1_resolve_by_the_store_gives_the_answers_after_a_withdrawal() {
    let anon = "a0000000-0000-4000-8000-000000000001";
    let merge = |ids: [&str; 2]| json!({"event": "$merge", "properties": {"$distinct_ids": ids}});
    // Without the first event the second is accepted. With at most two IDs in a cluster, the third
    // is then rejected.
    let events = [
        identify("U1", anon),
        identify("U2", anon),
        merge(["U2", "B"]),
    ];
    let lines: Vec<_> = events.iter().map(|event| format!("{event}\n")).collect();
    let engine = "--engine original --max-cluster-ids 2";
    let rejected_in = |resolved: &str| -> Vec<bool> {
        let lines = resolved.lines();
        lines.map(|line| line.contains("$failure_reason")).collect()
    };
    for withdrawn in 1..=3 {
        let folder = Folder::new();
        ingest(&folder, engine, &lines.concat());
        retract(&folder, &[&withdrawn.to_string()]).code(0);
        let mut others = lines.clone();
        others.remove(withdrawn - 1);
        let others = others.concat();
        let truth = folder.pipe(others.as_str(), &format!("resolve {engine}"));
        let truth = truth.code(0).stdout;
        if withdrawn == 1 {
            assert_eq!(rejected_in(&truth), [false, true]);
        }
        let resolved = folder.pipe(others.as_str(), "resolve --store people");
        assert_eq!(resolved.code(0).stdout, truth, "without event {withdrawn}");
        // A claim that was withdrawn was not rejected, and counts again once that is undone.
        retract(&folder, &["4"]).code(0);
        let truth = folder.pipe(lines.concat(), &format!("resolve {engine}"));
        let resolved = folder.pipe(lines.concat(), "resolve --store people");
        assert_eq!(resolved.code(0).stdout, truth.code(0).stdout);
    }
}
