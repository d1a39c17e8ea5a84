//! `idmerge serve` on a full disk. The limit on the size of files takes the place of the disk.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::run::{Folder, signal, wait};
use crate::serve::{address, ask, started_by};

/// A server that may write files of 1 MiB.
fn limited(folder: &Folder) -> (Child, String) {
    let program = env!("CARGO_BIN_EXE_idmerge");
    let line = format!(
        "trap '' XFSZ; ulimit -S -f 2048 || exit 9; exec '{program}' serve --data data \
         --engine simplified --token SHOP --secret secret-of-shop --listen 127.0.0.1:0 --log-format off"
    );
    let mut command = Command::new("sh");
    command.arg("-c").arg(line).current_dir(folder.path(""));
    let (child, said) = started_by(&mut command, 1);
    (child, address(&said).to_owned())
}

/// Imports an event of 100 kB that hardly compresses.
fn import(address: &str, number: u32) -> String {
    let mut state = number;
    let mut hex = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from_digit(state >> 28, 16)
    };
    let text: String = (0..100_000).filter_map(|_| hex()).collect();
    let body = format!(
        r#"[{{"event":"A","properties":{{"distinct_id":"u","time":1700000000,"$insert_id":"i{number}","x":"{text}"}}}}]"#
    );
    let length = body.len();
    ask(
        address,
        &format!(
            "POST /import HTTP/1.0\r\nhost: x\r\nauthorization: Bearer secret-of-shop\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        ),
    )
}

/// Imports events until one is refused, and returns its number.
fn fill(address: &str) -> u32 {
    for number in 0..100 {
        let answer = import(address, number);
        if answer.starts_with("HTTP/1.0 503") {
            return number;
        }
        assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    }
    panic!("no event was refused");
}

fn ready(address: &str) -> String {
    ask(address, "GET /readyz HTTP/1.0\r\nhost: x\r\n\r\n")
}

#[test]
fn a_server_that_stops_while_a_project_cannot_write_says_so_and_fails() {
    let folder = Folder::new();
    let (child, address) = limited(&folder);
    fill(&address);
    let answer = ready(&address);
    assert!(answer.starts_with("HTTP/1.0 503"), "{answer}");
    assert!(answer.ends_with("project SHOP cannot write\n"), "{answer}");
    signal("TERM", child.id());
    let stderr = wait(child).code(1).stderr;
    let wanted = r#"project "SHOP" could not write when the server stopped"#;
    assert!(stderr.contains(wanted), "{stderr}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_recovers_by_itself_once_there_is_room() {
    let folder = Folder::new();
    let (child, address) = limited(&folder);
    let refused = fill(&address);
    let mut command = Command::new("prlimit");
    command.arg(format!("--pid={}", child.id()));
    assert!(command.arg("--fsize=unlimited").status().unwrap().success());
    let late = Instant::now() + Duration::from_secs(60);
    while !ready(&address).ends_with("ready\n") {
        assert!(Instant::now() < late, "{}", ready(&address));
        std::thread::yield_now();
    }
    for number in [0, refused, refused, refused + 1] {
        let answer = import(&address, number);
        assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    }
    let export = ask(
        &address,
        "GET /api/2.0/export?from_date=2020-01-01&to_date=2100-01-01 HTTP/1.0\r\nhost: x\r\n\
         authorization: Bearer secret-of-shop\r\n\r\n",
    );
    for number in 0..=refused + 1 {
        let id = format!(r#""$insert_id":"i{number}""#);
        assert_eq!(export.matches(&id).count(), 1, "{id}");
    }
    signal("TERM", child.id());
    wait(child).code(0);
}
