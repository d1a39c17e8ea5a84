//! `resolve --from` keeps the events of its first pass for the second one, and writes the same as commands that
//! read their input once.

use crate::run::{Folder, gzip};

/// Calls of Segment: every user has two devices, and the second device has had another user before.
fn calls(count: u32) -> Vec<String> {
    let note = "x".repeat(1_000);
    let call = |number: u32| {
        let (user, device) = (number % 5_000 / 2, number * 7 % 9_001);
        let user = match number % 3 {
            0 => format!("\"U{user}\""),
            _ => "null".to_owned(),
        };
        // Some messages are delivered twice.
        let message = number - number % 50 / 49;
        let kind = if number.is_multiple_of(11) {
            "identify"
        } else {
            "track"
        };
        format!(
            r#"{{"type":"{kind}","event":"A","anonymousId":"D{device}","userId":{user},"messageId":"m-{message}","timestamp":"2024-05-01T12:00:00Z","properties":{{"price":{number},"$failure_reason":"old","title":"a \"b\" ü"}},"context":{{"page":"https://shop.example.com/a/long/path/{number}","note":"{note}"}}}}"#
        )
    };
    (0..count).map(call).collect()
}

/// Inputs of many blocks, with lines that cannot be used among the others: one is too long to be read.
fn folder() -> Folder {
    let mut calls = calls(5_000);
    calls.insert(40, String::new());
    calls.insert(2_000, r#"{"type":"track","userId":true}"#.to_owned());
    calls.insert(2_500, format!(r#"{{"type":"{}"}}"#, "x".repeat(600_000)));
    calls.insert(4_000, r#"{"type":"delete"}"#.to_owned());
    let (first, second) = calls.split_at(3_000);
    let folder = Folder::new();
    folder.write("a", first.join("\n"));
    folder.write("b.gz", gzip(second.join("\n")));
    folder
}

const FROM: &str = "a b.gz -q --from segment --max-line-bytes 500000";

#[test]
fn a_1_resolve_writes_what_a_command_of_one_pass_writes() {
    let folder = folder();
    // In Original the state does not tell why each event was rejected, so a store is no second opinion there.
    folder
        .run(&format!("ingest people {FROM} --engine simplified"))
        .ok();
    let wanted = folder
        .run(&format!("resolve {FROM} --store people --refused wanted"))
        .ok();
    assert!(wanted.lines().count() > 4_500);
    let found = folder
        .run(&format!(
            "resolve {FROM} --engine simplified --refused found"
        ))
        .ok();
    assert!(found == wanted, "{found:.2000}\n{wanted:.2000}");
    assert_eq!(folder.read("found"), folder.read("wanted"));
    assert_eq!(folder.read("found").lines().count(), 2);
}

#[test]
fn a_1_events_that_cannot_be_kept_are_made_again() {
    let folder = folder();
    for engine in ["simplified", "original"] {
        let wanted = folder
            .run(&format!("resolve {FROM} --engine {engine}"))
            .ok();
        let found = folder
            .shell(&format!(
                "TMPDIR=missing idmerge resolve {FROM} --engine {engine}"
            ))
            .ok();
        assert!(found == wanted, "{engine}");
    }
}

#[test]
fn a_1_rows_of_a_table_and_calls_in_an_array_are_kept_too() {
    let folder = Folder::new();
    let rows: String = (0..20_000)
        .map(|number| format!("U{},D{number},A{number}\n", number % 700))
        .collect();
    folder.write("rows", format!("user,device,event\n{rows}"));
    folder.write("array", format!("[{}]", calls(5_000).join(",\n")));
    for (store, input) in [
        (
            "rows",
            "rows --from csv --map user=user,device=device,event=event",
        ),
        ("array", "array --from auto"),
    ] {
        folder
            .run(&format!(
                "ingest store-{store} {input} -q --engine simplified"
            ))
            .ok();
        let wanted = folder
            .run(&format!("resolve {input} -q --store store-{store}"))
            .ok();
        assert!(wanted.lines().count() > 4_000);
        let found = folder
            .run(&format!("resolve {input} -q --engine simplified"))
            .ok();
        assert!(found == wanted, "{store}");
    }
}

/// 80 MB of events, in 80 MB: 4 MiB of them and what every run needs.
#[cfg(target_os = "linux")]
#[test]
fn a_1_kept_events_take_bounded_memory() {
    let folder = Folder::new();
    let padding = "x".repeat(200_000);
    let call = |number: u32| {
        format!(
            r#"{{"type":"track","event":"A","userId":"U{number}","messageId":"{number}","properties":{{"p":"{padding}"}}}}"#
        ) + "\n"
    };
    let all: String = (0..400).map(call).collect();
    folder.write("in.zst", crate::run::zstd(all));
    let run = folder.shell(
        "ulimit -d 80000 || exit 9\n\
         idmerge resolve in.zst -q --strict --from segment --engine simplified | wc -l",
    );
    assert_eq!(run.ok().trim(), "400");
}
