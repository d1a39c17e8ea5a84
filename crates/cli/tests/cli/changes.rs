//! Inputs that change while the program reads them.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{Read, Write};
use std::process::Stdio;

use crate::run::{Done, Folder, event, event_names, gzip, mkfifo, wait, zstd};

/// Runs the program with the inputs `in` and `pipe`, and calls `change` when it opens the pipe. If `in`
/// is the first input, it was read by then, but not for the second time.
#[track_caller]
fn changed_when_the_pipe_opens(folder: &Folder, args: &str, change: impl FnOnce(&Folder)) -> Done {
    let pipe = folder.path("pipe");
    mkfifo(&pipe);
    let child = folder
        .command(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = OpenOptions::new().write(true).open(pipe).unwrap();
    change(folder);
    pipe.write_all(event("end").as_bytes()).unwrap();
    drop(pipe);
    wait(child)
}

const RESOLVE: &str = "resolve in pipe -q --engine simplified --refused refused";

/// Checks that `resolve` notices a change between its passes, and writes nothing.
#[track_caller]
fn is_noticed(before: impl AsRef<[u8]>, change: impl Fn(&Folder), says: &str) {
    is_noticed_by(RESOLVE, before, change, says);
}

/// As [`is_noticed`], with these arguments.
#[track_caller]
fn is_noticed_by(resolve: &str, before: impl AsRef<[u8]>, change: impl Fn(&Folder), says: &str) {
    let says = format!(
        "in changed while idmerge read it: {says}; copy the file, and run idmerge on the copy"
    );
    for output in ["", " -o out"] {
        let folder = Folder::with(&[("out", "old\n")]);
        folder.write("in", &before);
        let args = format!("{resolve}{output}");
        changed_when_the_pipe_opens(&folder, &args, &change).fails_with(&says);
        assert_eq!(folder.read("out"), "old\n");
        let names = folder.names();
        assert!(!names.contains(&"refused".to_owned()), "{names:?}");
    }
}

fn append(folder: &Folder, text: &str) {
    let mut file = OpenOptions::new().append(true).open(folder.path("in"));
    file.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
}

/// Writes other bytes over the end of the file, and then sets its time back.
fn edit_secretly(folder: &Folder, end: &[u8]) {
    use std::os::unix::fs::FileExt;
    let file = OpenOptions::new()
        .write(true)
        .open(folder.path("in"))
        .unwrap();
    let before = file.metadata().unwrap();
    let start = before.len() - end.len() as u64;
    file.write_all_at(end, start).unwrap();
    let times = FileTimes::new().set_modified(before.modified().unwrap());
    file.set_times(times).unwrap();
    let now = file.metadata().unwrap();
    assert_eq!(now.len(), before.len());
    assert_eq!(now.modified().unwrap(), before.modified().unwrap());
}

#[test]
fn another_size_between_the_passes_is_an_error() {
    let events = event("a").repeat(2);
    let bytes = events.len();
    let now = bytes + event("late").len();
    is_noticed(
        &events,
        |folder| append(folder, &event("late")),
        &format!("its size in bytes was {bytes}, and is {now} now"),
    );
    is_noticed(
        &events,
        |folder| folder.write("in", event("a")),
        &format!("its size in bytes was {bytes}, and is {} now", bytes / 2),
    );
}

#[test]
fn another_time_between_the_passes_is_an_error() {
    let other = event("b").repeat(2);
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    let write = |folder: &Folder| {
        folder.write("in", &other);
        let file = File::options().write(true).open(folder.path("in")).unwrap();
        file.set_times(FileTimes::new().set_modified(long_ago))
            .unwrap();
    };
    is_noticed(
        event("a").repeat(2),
        write,
        "its modification time has changed",
    );
}

#[test]
fn other_content_of_the_same_size_and_time_between_the_passes_is_an_error() {
    let says = "its content is not the same";
    // One ID has changed, in each form of an input.
    let pair = |user: &str| {
        event("a") + &format!(r#"{{"event":"b","properties":{{"$user_id":"{user}"}}}}"#)
    };
    let array = |user: &str| format!("[{}]", pair(user).replace('\n', ","));
    let long = |user: &str| event("a") + &"x".repeat(17 << 20) + user;
    let stored = |text: String| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    for texts in [
        [pair("U1"), pair("U2")].map(String::into_bytes),
        [array("U1"), array("U2")].map(String::into_bytes),
        [long("1"), long("2")].map(String::into_bytes),
        [pair("U1"), pair("U2")].map(stored),
        [pair("U1"), pair("U2")].map(zstd),
    ] {
        let [before, after] = texts;
        assert_eq!(before.len(), after.len());
        is_noticed(&before, |folder| edit_secretly(folder, &after), says);
    }
}

#[test]
fn other_content_is_an_error_also_if_duplicates_were_left_out() {
    let resolve = format!("{RESOLVE} --dedup");
    let event = |user: &str, id: &str| {
        format!(r#"{{"event":"b","properties":{{"$user_id":"{user}","$insert_id":"{id}"}}}}"#)
            + "\n"
    };
    let [before, after] = ["U1", "U2"].map(|user| event("U", "i").repeat(3) + &event(user, "j"));
    let nothing = changed_when_the_pipe_opens(&Folder::with(&[("in", &before)]), &resolve, |_| {});
    assert_eq!(nothing.ok().lines().count(), 3);
    let change = |folder: &Folder| edit_secretly(folder, after.as_bytes());
    is_noticed_by(&resolve, &before, change, "its content is not the same");
}

#[test]
fn another_file_between_the_passes_is_an_error() {
    let rename = |folder: &Folder| {
        fs::rename(folder.path("in"), folder.path("rotated")).unwrap();
        folder.write("in", event("b").repeat(2));
    };
    is_noticed(
        event("a").repeat(2),
        rename,
        "another file has its name now",
    );
    let remove = |folder: &Folder| fs::remove_file(folder.path("in")).unwrap();
    is_noticed(event("a"), remove, "the file was removed or renamed");
}

#[test]
fn compressed_data_that_is_cut_between_the_passes_has_changed_and_is_not_damaged() {
    let events = gzip(event("a").repeat(1_000));
    let half = events[..events.len() / 2].to_vec();
    let says = format!(
        "its size in bytes was {}, and is {} now",
        events.len(),
        half.len()
    );
    is_noticed(&events, |folder| folder.write("in", &half), &says);
}

#[test]
fn another_link_or_permission_is_no_change() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::with(&[("in", &event("a"))]);
    let done = changed_when_the_pipe_opens(&folder, RESOLVE, |folder| {
        let file = folder.path("in");
        fs::hard_link(&file, folder.path("backup")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
        fs::rename(&file, folder.path("moved")).unwrap();
        fs::rename(folder.path("moved"), &file).unwrap();
    });
    assert_eq!(event_names(&done.ok()), ["a", "end"]);
}

#[test]
fn a_change_during_the_second_pass_ends_the_output_before_it() {
    // Much more than pipes, buffers and threads hold.
    let lines: Vec<_> = (0..300_000).map(|n| event(&format!("{n:06}"))).collect();
    let folder = Folder::with(&[("in", &lines.concat())]);
    let mut child = folder
        .command("resolve in -q --engine simplified")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 100];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut first)
        .unwrap();
    edit_secretly(&folder, event("other!").as_bytes());
    let done = wait(child)
        .code(1)
        .says("idmerge: in changed while idmerge read it: its content is not the same; copy");
    let written = String::from_utf8(first.to_vec()).unwrap() + &done.stdout;
    assert!(written.len() < lines.concat().len());
    assert!(lines.concat().starts_with(&written));
}

#[test]
fn a_command_that_reads_once_notices_all_but_growth() {
    let events = event("a").repeat(2);
    for (args, is_store) in [
        ("clusters pipe in -q --engine simplified", false),
        ("ingest store pipe in -q --engine simplified", true),
    ] {
        if is_store && cfg!(not(feature = "store")) {
            continue;
        }
        let run = |change: &dyn Fn(&Folder)| {
            let folder = Folder::with(&[("in", &events)]);
            changed_when_the_pipe_opens(&folder, args, change)
        };
        let starts = "in changed while idmerge read it: ";
        let ends = "; copy the file, and run idmerge on the copy";
        let bytes = events.len();
        let shorter = format!(
            "{starts}its size in bytes was {bytes}, and is {} now{ends}",
            bytes / 2
        );
        run(&|folder| folder.write("in", event("a"))).fails_with(&shorter);
        let secretly = format!("{starts}its modification time has changed{ends}");
        run(&|folder| {
            folder.write("in", event("b").repeat(2));
            let file = File::options().write(true).open(folder.path("in")).unwrap();
            let times = FileTimes::new().set_modified(std::time::SystemTime::UNIX_EPOCH);
            file.set_times(times).unwrap();
        })
        .fails_with(&secretly);
        run(&|folder| append(folder, "half a line")).ok();
    }
}
