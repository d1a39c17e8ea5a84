//! Who can read the files that the program makes: their owner alone, whatever the umask, except for what a
//! user asked to be written.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::run::{Folder, signal, wait};
use crate::serve::{address, ask, started, started_by};

const EVENT: &str =
    "{\"event\":\"A\",\"properties\":{\"$device_id\":\"tablet\",\"$user_id\":\"u\"}}\n";

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Checks that a folder and all in it are for their owner alone. Returns the number of files.
#[track_caller]
fn assert_private(folder: &Path) -> usize {
    let mode_of_folder = mode(folder);
    assert_eq!(
        mode_of_folder,
        0o700,
        "{}: {mode_of_folder:o}",
        folder.display()
    );
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files += assert_private(&path);
        } else {
            let mode = mode(&path);
            assert_eq!(mode, 0o600, "{}: {mode:o}", path.display());
            files += 1;
        }
    }
    files
}

#[test]
fn only_the_owner_can_read_a_store_and_what_is_made_of_it() {
    let folder = Folder::with(&[("in", EVENT)]);
    let lines = "
        set -e
        umask 0
        idmerge ingest deep/people in --engine simplified
        idmerge store backup deep/people copy
        chmod 644 copy
        idmerge store restore copy again
        idmerge resolve in --engine simplified -o resolved
    ";
    folder.shell(lines).ok();
    for (store, files) in [("deep", 1), ("again", 1)] {
        assert_eq!(assert_private(&folder.path(store)), files, "{store}");
    }
    // A user shares the output as the umask says.
    assert_eq!(mode(&folder.path("resolved")), 0o666);

    folder
        .shell("umask 0; rm copy; idmerge store backup again copy")
        .ok();
    assert_eq!(mode(&folder.path("copy")), 0o600);

    // A repair makes a new file, and keeps the damaged one.
    let store = folder.path("again/store.redb");
    let mut bytes = fs::read(&store).unwrap();
    let places: Vec<usize> = bytes
        .windows(6)
        .enumerate()
        .filter(|(_, it)| it == b"tablet")
        .map(|it| it.0)
        .collect();
    for at in places {
        bytes[at] ^= 1;
    }
    fs::write(&store, bytes).unwrap();
    folder.shell("umask 0; idmerge store repair again").ok();
    assert_eq!(assert_private(&folder.path("again")), 2);
}

#[test]
fn only_the_owner_can_read_the_data_of_a_server() {
    let folder = Folder::new();
    let serve = "serve --data deep/data --engine simplified --listen 127.0.0.1:0 --log-format off";
    let mut shell = Command::new("sh");
    let program = folder.command(serve);
    shell
        .args(["-c", "umask 0; exec \"$0\" \"$@\""])
        .arg(program.get_program());
    shell.args(program.get_args()).current_dir(folder.path(""));
    let (child, said) = started_by(&mut shell, 2);
    let token = said[1].strip_prefix("token:  ").unwrap();
    let event = EVENT.replace(
        "\"$device_id\"",
        &format!("\"token\":\"{token}\",\"$device_id\""),
    );
    let head = "POST /track HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n";
    let request = format!("{head}content-length: {}\r\n\r\n{event}", event.len());
    assert!(ask(address(&said), &request).ends_with("\r\n\r\n1"));
    // A running server also has a socket there.
    let files = assert_private(&folder.path("deep"));
    assert!(files >= 2, "idmerge.toml and the store");
    signal("TERM", child.id());
    wait(child).ok();
    assert_private(&folder.path("deep"));
}

#[test]
fn a_server_warns_of_a_data_folder_that_everybody_can_open() {
    let folder = Folder::new();
    fs::create_dir(folder.path("data")).unwrap();
    let serve = "serve --data data --engine simplified --listen 127.0.0.1:0";
    for (mode_of_data, warns) in [(0o755, true), (0o750, false), (0o700, false)] {
        fs::set_permissions(
            folder.path("data"),
            fs::Permissions::from_mode(mode_of_data),
        )
        .unwrap();
        let (child, _) = started(&folder, serve, 2);
        signal("TERM", child.id());
        let done = wait(child).code(0);
        let found = done
            .stderr
            .contains("every user of this machine can open the data folder");
        assert_eq!(found, warns, "{mode_of_data:o}: {}", done.stderr);
        // The folder is the user's.
        assert_eq!(mode(&folder.path("data")), mode_of_data);
    }
}
