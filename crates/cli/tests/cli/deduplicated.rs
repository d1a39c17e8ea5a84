//! `resolve --dedup` writes what `resolve` writes of the same events without their duplicates (AR-2, A-7), and analyses
//! count the same.

use crate::run::{Folder, gzip};

/// Events, and after some of them a duplicate of an earlier one, near or far away, with other properties. `true` if it is
/// a duplicate.
fn events(count: u32) -> Vec<(String, bool)> {
    let note = "x".repeat(700);
    let event = |number: u32, note: &str| {
        let device = number * 7 % 1_009;
        let time = 1_700_000_000 + number;
        match number % 13 {
            0 => format!(
                r#"{{"event":"$identify","properties":{{"$identified_id":"U{device}","$anon_id":"a1a1a1a1-0000-4000-8000-{device:012}","time":{time},"$insert_id":"i-{number}","note":"{note}"}}}}"#
            ),
            // Next to each other: events of one length whose IDs are in different places.
            1..5 => {
                let ids = [
                    format!(r#""$user_id":"U{:04}""#, device / 2),
                    format!(r#""$device_id":"D{device:07}""#),
                ];
                let [one, other] = [
                    &ids[usize::from(number.is_multiple_of(2))],
                    &ids[usize::from(!number.is_multiple_of(2))],
                ];
                format!(
                    r#"{{"event":"Log In","properties":{{{one},{other},"time":{time},"$insert_id":"i-{number:05}","note":"{note}"}}}}"#
                )
            }
            // The ID is written with an escape.
            5 => format!(
                r#"{{"event":"A","properties":{{"$device_id":"\u0044{device}","time":{time},"$insert_id":"i-{number}","note":"{note}"}}}}"#
            ),
            _ => format!(
                r#"{{"properties":{{"note":"{note}","time":{time},"$insert_id":"i-{number}","$device_id":"D{device}"}},"event":"ü"}}"#
            ),
        }
    };
    let mut events = Vec::new();
    for number in 0..count {
        events.push((event(number, &note), false));
        if number % 5 == 3 {
            events.push((event(number, "again"), true));
        }
        if number % 17 == 16 {
            events.push((event(number / 2, "much later"), true));
        }
    }
    events
}

/// Two inputs: with duplicates, and without. Lines that cannot be used are among them.
fn inputs() -> (Vec<u8>, Vec<u8>) {
    let (mut all, mut first) = (Vec::new(), Vec::new());
    for (index, (event, is_duplicate)) in events(2_000).into_iter().enumerate() {
        let more: &[u8] = match index {
            100 => b"\n",
            700 => b"no event\n",
            // A letter in Latin-1: a line, and with it the block, is not UTF-8.
            1_400 => b"{\"event\":\"\xfc\",\"properties\":{}}\r\n",
            1_900 => b"{\"event\":\"A\",\"properties\":{\"$user_id\":true}}\n",
            _ => b"",
        };
        let line = [event.as_bytes(), b"\n", more].concat();
        all.extend_from_slice(&line);
        first.extend_from_slice(if is_duplicate { more } else { &line });
    }
    (all, first)
}

#[test]
fn ar_2_every_duplicate_is_left_out_and_nothing_else() {
    let (all, first) = inputs();
    let folder = Folder::new();
    let middle = all.len() / 2;
    let middle = middle
        + all[middle..]
            .iter()
            .position(|byte| *byte == b'\n')
            .unwrap()
        + 1;
    folder.write("a", &all[..middle]);
    folder.write("b.gz", gzip(&all[middle..]));
    folder.write("all", &all);
    folder.write("first", &first);
    for engine in ["simplified", "original"] {
        let rest = format!("-q --engine {engine} --refused");
        let wanted = folder.run(&format!("resolve first {rest} wanted")).ok();
        assert_eq!(wanted.lines().count(), 2_000, "{engine}");
        let refused = folder.read("wanted").lines().count();
        assert_eq!(refused, 3, "{engine}");
        for run in [
            "idmerge resolve a b.gz --dedup",
            "idmerge resolve all --dedup",
            "idmerge resolve all --from auto --dedup",
            "cat all | idmerge resolve --dedup",
        ] {
            let found = folder.shell(&format!("{run} {rest} found")).ok();
            assert!(found == wanted, "{run} {engine}");
            assert_eq!(folder.read("found").lines().count(), refused, "{run}");
        }
    }
}

/// Where the events are is kept in 4 MiB of memory, and then in a temporary file.
#[test]
fn ar_2_duplicates_are_left_out_also_if_nothing_can_be_kept_for_the_second_reading() {
    let folder = Folder::new();
    let event = |number: u32| {
        format!(
            "{{\"event\":\"A\",\"properties\":{{\"$user_id\":\"U\",\"time\":5,\"$insert_id\":\"i{number}\"}}}}\n"
        )
    };
    // Each third event is one that was there before.
    let all: String = (0..450_000)
        .map(|number| event(number - number % 3 / 2))
        .collect();
    folder.write("all", all);
    for before in ["", "TMPDIR=missing"] {
        let done = folder.shell(&format!(
            "{before} idmerge resolve all -q --dedup --engine simplified > out && wc -l < out && sort -u out | wc -l"
        ));
        assert_eq!(done.ok(), "300000\n300000\n", "{before}");
    }
}

#[test]
fn ar_2_analyses_count_as_without_the_duplicates() {
    let (all, first) = inputs();
    let folder = Folder::new();
    folder.write("all", all);
    folder.write("first", first);
    for engine in ["simplified", "original", "legacy"] {
        for analysis in ["uniques --by event", "funnel --steps A --steps ü"] {
            let run = |before: &str, args: &str| {
                folder
                    .shell(&format!(
                        "{before} idmerge {analysis} -q --engine {engine} {args}"
                    ))
                    .ok()
            };
            let wanted = run("", "first");
            assert_eq!(run("", "all --dedup"), wanted, "{analysis} {engine}");
            // Nothing can be kept for the second reading.
            let found = run("TMPDIR=missing", "all --dedup");
            assert_eq!(found, wanted, "{analysis} {engine}");
        }
    }
}
