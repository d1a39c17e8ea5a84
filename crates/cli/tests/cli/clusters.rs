//! `idmerge clusters` and `idmerge cluster`: the IDs of each person, and their order.

use crate::run::Folder;

const ANON: &str = "a1a1a1a1-0000-4000-8000-00000000000";

#[track_caller]
fn clusters(args: &str, lines: &str) -> String {
    Folder::new().pipe(lines, &format!("clusters {args}")).ok()
}

fn link(device: &str, user: &str) -> String {
    format!(
        "{{\"event\":\"A\",\"properties\":{{\"$device_id\":\"{device}\",\"$user_id\":\"{user}\"}}}}\n"
    )
}

fn merge(first: &str, second: &str) -> String {
    format!(
        "{{\"event\":\"$merge\",\"properties\":{{\"$distinct_ids\":[\"{first}\",\"{second}\"]}}}}\n"
    )
}

fn identify(identified: &str, anon: &str) -> String {
    format!(
        "{{\"event\":\"$identify\",\"properties\":{{\"distinct_id\":\"{identified}\",\"$anon_id\":\"{anon}\"}}}}\n"
    )
}

#[test]
fn s_10_clusters_are_in_the_order_of_their_first_device() {
    // U3 comes first but gets a device last; U1 is the first user with two devices.
    let lines = [
        "{\"event\":\"A\",\"properties\":{\"$user_id\":\"U3\"}}\n".to_owned(),
        link("z", "U2"),
        link("b", "U1"),
        link("a", "U1"),
        link("y", "U2"),
        link("b", "U3"),
        link("c", "U3"),
    ];
    assert_eq!(
        clusters("--engine simplified", &lines.concat()),
        r#"{"canonical":"U2","members":["U2","$device:z","$device:y"]}
{"canonical":"U1","members":["U1","$device:b","$device:a"]}
{"canonical":"U3","members":["U3","$device:c"]}
"#
    );
}

#[test]
fn o_17_clusters_are_ordered_by_their_oldest_member_and_members_by_age() {
    let lines = [
        merge("a", "b"),
        merge("c", "d"),
        merge("e", "f"),
        merge("f", "a"),
    ];
    // e and f join the cluster of a, which comes before that of c; they are younger than b.
    assert_eq!(
        clusters("--engine original", &lines.concat()),
        r#"{"canonical":"a","members":["a","b","e","f"]}
{"canonical":"c","members":["c","d"]}
"#
    );
}

#[test]
fn o_15_the_oldest_identified_member_is_canonical() {
    let lines = [
        merge("a", "b"),
        identify("U2", &format!("{ANON}1")),
        identify("U1", &format!("{ANON}2")),
        merge("U1", "a"),
        merge("U2", "U1"),
    ];
    // U2 is older than U1, though it joined last.
    assert_eq!(
        clusters("--engine original", &lines.concat()),
        format!(
            "{{\"canonical\":\"U2\",\"members\":[\"a\",\"b\",\"U2\",\"{ANON}1\",\"U1\",\"{ANON}2\"]}}\n"
        )
    );
}

#[test]
fn o_14_a_rejected_event_makes_no_id_older() {
    // "b" is rejected for its form, and enters the state with the third event.
    let lines = [identify("U1", "b"), merge("a", "c"), merge("b", "a")];
    assert_eq!(
        clusters("--engine original", &lines.concat()),
        "{\"canonical\":\"a\",\"members\":[\"a\",\"c\",\"b\"]}\n"
    );
}

#[test]
fn o_12_the_limit_of_a_cluster_is_a_setting() {
    let lines = [merge("a", "b"), merge("a", "c"), merge("a", "d")].concat();
    let args = "--engine original --max-cluster-ids";
    assert_eq!(
        clusters(&format!("{args} 3"), &lines),
        "{\"canonical\":\"a\",\"members\":[\"a\",\"b\",\"c\"]}\n"
    );
    assert_eq!(clusters(&format!("{args} 1"), &lines), "");
}

#[test]
fn o_8_the_form_of_anonymous_ids_is_a_setting() {
    let version_1 = "c9a646d3-9c61-11ec-b909-0242ac120002";
    let old_browser = "1a208d979df0-05585c45d5bb8f-17462c6f-1fa400-1a208d979e0368";
    let lines = [
        identify("U4", &format!("{ANON}4")),
        identify("U1", version_1),
        identify("U0", old_browser),
        identify("U9", "9"),
    ];
    for (format, users) in [
        ("", "U4"),
        ("--anon-id-format uuid_v4", "U4"),
        ("--anon-id-format guid", "U4 U1"),
        ("--anon-id-format sdk", "U4 U1 U0"),
    ] {
        let out = clusters(&format!("--engine original {format}"), &lines.concat());
        let canonical = |line: &str| crate::run::text_of(line, "canonical");
        let found: Vec<_> = out.lines().map(canonical).collect();
        assert_eq!(found.join(" "), users, "{format}");
    }
}

#[test]
fn an_id_that_needs_escapes_is_written_as_json() {
    assert_eq!(
        clusters("--engine original", &merge(r#"\u00e9\"\\ \n"#, "\u{1f600}")),
        "{\"canonical\":\"é\\\"\\\\ \\n\",\"members\":[\"é\\\"\\\\ \\n\",\"\u{1f600}\"]}\n"
    );
}

#[test]
fn without_a_link_there_is_no_cluster() {
    let lines = "{\"event\":\"A\",\"properties\":{\"$user_id\":\"U1\"}}\n";
    assert_eq!(clusters("--engine simplified", lines), "");
    assert_eq!(clusters("--engine original", lines), "");
}

#[test]
fn refused_lines_are_reported_and_the_rest_counts() {
    let lines = [&link("D1", "U1"), "no\n", &link("null", "U2")].concat();
    let done = Folder::new()
        .pipe(lines, "clusters --engine simplified")
        .code(0);
    assert_eq!(
        done.stdout,
        "{\"canonical\":\"U1\",\"members\":[\"U1\",\"$device:D1\"]}\n"
    );
    done.says("idmerge: 2 lines were refused:\n")
        .says("idmerge:   -, line 2: not JSON")
        .says("idmerge:   -, line 3: $device_id \"null\" is a blocked value, not an ID; leave the property out until there is an ID (ID-4)\n");
}

/// The cluster of one ID.
#[track_caller]
fn cluster(engine: &str, id: &str, lines: &str) -> (String, String) {
    let folder = Folder::with(&[("in", lines)]);
    let done = folder
        .run(&format!("cluster {id} in --engine {engine}"))
        .code(0);
    (done.stdout, done.stderr)
}

#[test]
fn s_9_the_cluster_of_any_member() {
    let lines = [link("D1", "U1"), link("D2", "U1"), link("D3", "U3")].concat();
    let all = "{\"canonical\":\"U1\",\"members\":[\"U1\",\"$device:D1\",\"$device:D2\"]}\n";
    for id in ["U1", "$device:D1", "$device:D2"] {
        assert_eq!(
            cluster("simplified", id, &lines),
            (all.to_owned(), String::new())
        );
    }
}

#[test]
fn o_1_the_cluster_of_a_device_by_either_spelling() {
    let lines = identify("U1", &format!("$device:{ANON}1"));
    let all = format!("{{\"canonical\":\"U1\",\"members\":[\"U1\",\"{ANON}1\"]}}\n");
    for id in ["U1", &format!("{ANON}1"), &format!("$device:{ANON}1")] {
        assert_eq!(
            cluster("original", id, &lines),
            (all.clone(), String::new())
        );
    }
}

#[test]
fn o_16_an_id_in_no_cluster_is_its_own() {
    let lines = link("D1", "U1");
    for (engine, id, canonical) in [
        ("simplified", "D2", "D2"),
        ("simplified", "$device:D9", "$device:D9"),
        ("original", "$device:D9", "D9"),
        ("original", "-5", "-5"),
    ] {
        assert_eq!(
            cluster(engine, id, &lines),
            (
                format!("{{\"canonical\":\"{canonical}\",\"members\":[]}}\n"),
                format!("idmerge: {canonical} is in no cluster\n"),
            )
        );
    }
}

#[test]
fn id_7_a_text_that_is_not_an_id_is_wrong_usage() {
    let too_long = "x".repeat(256);
    for (engine, id, says) in [
        (
            "simplified",
            "Null",
            "the ID \"Null\" is a blocked value (ID-4; ",
        ),
        ("simplified", "$device:", "(ID-5; "),
        ("original", "$device:$device:D1", "(O-1; "),
        ("original", &too_long, "(ID-2; "),
    ] {
        // The ID is checked before the input, which does not exist.
        let args = format!("cluster {id} missing --engine {engine}");
        let done = Folder::new().run(&args).code(2).says(says);
        assert_eq!(done.stdout, "");
    }
    let folder = Folder::new();
    let mut command = folder.command("cluster --engine simplified");
    command.arg("");
    crate::run::run(command, "")
        .code(2)
        .says("the ID is empty; give a distinct_id (ID-2; ");
}

#[test]
fn an_id_that_only_lacks_the_prefix_of_a_device_says_so() {
    let lines = link("D1", "U1");
    let bare = "idmerge: D1 is in no cluster, but the device $device:D1 is: the ID of a device has the \
                prefix $device: (quote it, as in '$device:D1')\n";
    let too_much = "idmerge: $device:U1 is in no cluster, but the user ID U1 is: leave the prefix \
                    $device: out\n";
    for (id, says) in [("D1", bare), ("$device:U1", too_much)] {
        let (stdout, stderr) = cluster("simplified", id, &lines);
        assert_eq!(
            stdout,
            format!("{{\"canonical\":\"{id}\",\"members\":[]}}\n")
        );
        assert_eq!(stderr, says);
        #[cfg(feature = "store")]
        {
            let folder = Folder::with(&[("in", &lines)]);
            folder.run("ingest st in -q --engine simplified").ok();
            for command in [
                format!("cluster {id} --store st"),
                format!("store explain st {id}"),
                format!("store explain st U1 {id}"),
                format!("store explain st {id} U1"),
                format!("store as-of st 1 {id}"),
            ] {
                assert_eq!(folder.run(&command).code(0).stderr, says, "{command}");
            }
            for command in ["store explain st U1 $device:D1", "store as-of st 1 U1"] {
                assert_eq!(folder.run(command).code(0).stderr, "", "{command}");
            }
        }
    }
    // Before the link there is no cluster.
    #[cfg(feature = "store")]
    {
        let folder = Folder::with(&[("in", &lines)]);
        folder.run("ingest st in -q --engine simplified").ok();
        let done = folder.run("store as-of st 0 D1").code(0);
        assert_eq!(done.stderr, "");
    }
}
