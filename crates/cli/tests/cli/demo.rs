//! `idmerge demo`, from nothing to two devices that become one person, and to nothing again.

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::run::{DEFAULT_SIGNALS, Folder, signal, wait};
use crate::serve::{address, ask, started_by};

/// How long a test waits for what takes a few seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// The secret that the demo has printed.
fn secret(said: &[String]) -> &str {
    said[3].strip_prefix("secret: ").unwrap()
}

fn query(said: &[String], path: &str) -> Value {
    let request = format!(
        "GET {path} HTTP/1.0\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n",
        secret(said)
    );
    let answer = ask(address(said), &request);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 200 "), "{answer}");
    serde_json::from_str(body).unwrap()
}

/// Starts a demo whose temporary files are in `folder/tmp`.
fn demo(folder: &Folder, args: &str) -> (std::process::Child, Vec<String>) {
    fs::create_dir_all(folder.path("tmp")).unwrap();
    let mut command = folder.command_by(DEFAULT_SIGNALS, &format!("demo {args}"));
    command.env("TMPDIR", folder.path("tmp"));
    started_by(&mut command, 6)
}

fn temporary(folder: &Folder) -> usize {
    fs::read_dir(folder.path("tmp")).unwrap().count()
}

#[test]
fn two_devices_become_one_person_and_nothing_is_left_behind() {
    for (engine, end) in [
        ("simplified", "TERM"),
        ("original", "INT"),
        ("legacy", "HUP"),
    ] {
        let folder = Folder::new();
        let (child, said) = demo(&folder, &format!("--speed 30 --engine {engine}"));
        assert_eq!(temporary(&folder), 1);
        let page = format!(
            "page:   http://{}/#secret={}",
            address(&said),
            secret(&said)
        );
        assert_eq!(said[1], page);
        let late = Instant::now() + PATIENCE;
        let mara = loop {
            let found = query(&said, "/v1/search?q=mara%20quill");
            let mara = found["users"][0].clone();
            // In Legacy what the second device sent before the login stays apart.
            let devices = if engine == "legacy" { 1 } else { 2 };
            if mara["devices"]
                .as_array()
                .is_some_and(|all| all.len() == devices)
            {
                break mara;
            }
            assert!(Instant::now() < late, "{found}");
        };
        assert_eq!(mara["name"], "Mara Quill", "{mara}");
        let labels: Vec<_> = mara["devices"]
            .as_array()
            .unwrap()
            .iter()
            .map(|device| device["label"].as_str().unwrap())
            .collect();
        assert!(labels.contains(&"Chrome on Mac"), "{labels:?}");
        // There were people before.
        assert!(query(&said, "/v1/users")["users"].as_array().unwrap().len() > 20);
        signal(end, child.id());
        wait(child).code(0);
        assert_eq!(temporary(&folder), 0, "{engine} {end}");
    }
}

#[test]
fn a_demo_that_cannot_listen_leaves_nothing_behind() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = Folder::new();
    fs::create_dir_all(folder.path("tmp")).unwrap();
    let mut command = folder.command(&format!("demo --listen {}", taken.local_addr().unwrap()));
    command.env("TMPDIR", folder.path("tmp"));
    crate::run::run(command, "").code(1).says("cannot listen");
    assert_eq!(temporary(&folder), 0);
}

#[test]
fn a_speed_is_a_number_in_a_range() {
    for speed in ["0", "101", "fast", "NaN"] {
        let folder = Folder::new();
        folder
            .run(&format!("demo --speed {speed}"))
            .code(2)
            .says("from 0.1 to 100");
    }
}
