//! The first start of `idmerge serve`, and what later starts read of it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::thread;

use crate::run::{Done, Folder, run, signal, wait};
use crate::serve::{SERVE, address, ask, may_read, started, started_by};

const FILE: &str = "data/idmerge.toml";

fn stop(child: Child) -> Done {
    signal("TERM", child.id());
    wait(child).code(0)
}

fn said<'s>(said: &'s [String], label: &str) -> &'s str {
    let line = said.iter().find_map(|line| line.strip_prefix(label));
    line.unwrap_or_else(|| panic!("no {label} in {said:?}"))
        .trim()
}

fn mode(folder: &Folder, name: &str) -> u32 {
    fs::metadata(folder.path(name))
        .unwrap()
        .permissions()
        .mode()
        & 0o777
}

#[test]
fn later_starts_have_the_token_and_the_secret_of_the_first_one() {
    let folder = Folder::new();
    let (child, first) = started(&folder, &format!("{SERVE} --engine simplified"), 5);
    stop(child);
    let (token, secret) = (said(&first, "token:"), said(&first, "secret:"));
    assert_eq!([mode(&folder, "data"), mode(&folder, FILE)], [0o700, 0o600]);
    let kept = folder.read(FILE);

    for args in [
        "",
        "--engine simplified",
        &format!("--token {token} --secret {secret}"),
    ] {
        let (child, later) = started(&folder, &format!("{SERVE} {args}"), 2);
        assert_eq!(said(&later, "token:"), token);
        assert!(may_read(&later, secret));
        let done = stop(child);
        assert!(!done.stdout.contains(secret), "{}", done.stdout);
        assert!(done.stdout.contains(FILE), "{}", done.stdout);
    }
    assert_eq!(folder.read(FILE), kept);
    let projects = fs::read_dir(folder.path("data")).unwrap().count();
    assert_eq!(projects, 2, "one project and its file");
}

#[test]
fn a_token_without_a_secret_keeps_its_secret() {
    let folder = Folder::new();
    let shop = format!("{SERVE} --engine original --token shop");
    let (child, first) = started(&folder, &shop, 3);
    stop(child);
    let (child, later) = started(&folder, &shop, 2);
    assert!(may_read(&later, said(&first, "secret:")));
    stop(child);
}

#[test]
fn the_settings_of_the_first_start_are_kept() {
    let folder = Folder::with(&[("list", "test\n")]);
    let settings = "--max-cluster-ids 9 --anon-id-format sdk --max-id-bytes 99 --blocked-ids +list \
                    --profile-merge fill";
    let first =
        format!("{SERVE} --engine original --token shop --secret quoted\"secret\\ {settings}");
    stop(started(&folder, &first, 2).0);
    let (child, later) = started(&folder, SERVE, 2);
    assert!(may_read(&later, "quoted\"secret\\"));
    stop(child);
    stop(started(&folder, &first, 2).0);
}

#[test]
fn an_argument_that_contradicts_the_file_is_an_error_that_names_both() {
    let folder = Folder::with(&[("secret", "another secret\n"), ("list", "test\n")]);
    let first = "--engine original --token shop --secret secret-of-shop";
    stop(started(&folder, &format!("{SERVE} {first}"), 2).0);
    let kept = folder.read(FILE);
    for (args, says) in [
        (
            "--token other",
            "--token other contradicts the token \"shop\" in",
        ),
        (
            "--engine simplified",
            "--engine simplified contradicts engine = \"original\" of project \"shop\"",
        ),
        ("--secret another-secret", "--secret contradicts"),
        ("--secret-file secret", "--secret-file contradicts"),
        (
            "--max-cluster-ids 9",
            "--max-cluster-ids contradicts data/idmerge.toml: in project \"shop\" max_cluster_ids is 500, not 9",
        ),
        ("--anon-id-format sdk", "anon_id_format is uuid_v4, not sdk"),
        ("--max-id-bytes 9", "max_id_bytes is 255, not 9"),
        ("--blocked-ids +list", "\"test\" is not blocked"),
        ("--profile-merge fill", "--profile-merge fill contradicts"),
    ] {
        let done = folder
            .run(&format!("{SERVE} {args}"))
            .code(1)
            .says(says)
            .says(FILE);
        assert!(!done.stderr.contains("secret-of-shop"), "{}", done.stderr);
        assert_eq!(done.stdout, "");
    }
    let mut command = folder.command(SERVE);
    command.env("IDMERGE_SECRET", "another secret");
    run(command, "")
        .code(1)
        .says("IDMERGE_SECRET contradicts")
        .says(FILE);
    assert_eq!(folder.read(FILE), kept);
    folder
        .run(&format!("{SERVE} --secret a-secret --secret-file secret"))
        .code(2);
}

#[test]
fn a_secret_of_a_file_or_of_the_environment_is_needed_at_each_start() {
    let folder = Folder::with(&[("secret", "the secret of a file\n")]);
    fs::set_permissions(folder.path("secret"), fs::Permissions::from_mode(0o600)).unwrap();
    let by_file = format!("{SERVE} --engine simplified --token shop --secret-file secret");
    let (child, said) = started(&folder, &by_file, 2);
    assert!(may_read(&said, "the secret of a file"));
    assert_eq!(stop(child).stderr, "");
    assert!(!folder.read(FILE).contains("the secret of a file"));
    folder
        .run(SERVE)
        .code(1)
        .says("--secret-file or IDMERGE_SECRET");

    // It can change, and come from elsewhere.
    let mut command = folder.command(SERVE);
    command.env("IDMERGE_SECRET", "the next secret");
    let (child, said) = started_by(&mut command, 2);
    assert!(may_read(&said, "the next secret") && !may_read(&said, "the secret of a file"));
    stop(child);

    let bad: [(&str, &[u8], &str); 6] = [
        ("empty", b"\n", "empty is empty"),
        ("lines", b"a secret\nanother\n", "lines has several lines"),
        (
            "bytes",
            b"a secret \xff",
            "the secret in bytes is not UTF-8",
        ),
        ("long", &[b'x'; 5_000], "long has more than 4096 bytes"),
        ("short", b"short\n", "at least 8 bytes"),
        ("colon", b"a secret: long\n", "has a colon"),
    ];
    for (name, bytes, says) in bad {
        folder.write(name, bytes);
        let args = format!("{SERVE} --secret-file {name}");
        folder.run(&args).code(1).says(says);
    }
    folder
        .run(&format!("{SERVE} --secret-file nowhere"))
        .code(1)
        .says("nowhere");
    let mut command = folder.command(SERVE);
    command.env("IDMERGE_SECRET", "");
    run(command, "")
        .code(1)
        .says("IDMERGE_SECRET is set, but empty");

    fs::set_permissions(folder.path("secret"), fs::Permissions::from_mode(0o644)).unwrap();
    let (child, _) = started(&folder, &by_file, 2);
    let done = stop(child);
    assert!(done.stderr.contains("chmod 600 secret"), "{}", done.stderr);
}

/// Basic authentication would end it at the colon, so nobody could read or import.
#[test]
fn a_secret_with_a_colon_is_refused_at_the_first_start() {
    let folder = Folder::with(&[("secret", "long:secret\n")]);
    let says = "the secret of project \"shop\" has a colon, so no request could have it";
    let first = format!("{SERVE} --engine original --token shop");
    let by_variable = {
        let mut command = folder.command(&first);
        command.env("IDMERGE_SECRET", "long:secret");
        run(command, "")
    };
    for done in [
        folder.run(&format!("{first} --secret long:secret")),
        folder.run(&format!("{first} --secret-file secret")),
        by_variable,
    ] {
        done.code(2).says(says);
    }
    assert_eq!(folder.names(), ["secret"]);
}

#[test]
fn a_server_that_cannot_listen_leaves_nothing() {
    let folder = Folder::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let listen =
        |address: &str| format!("serve --data data --engine simplified --listen {address}");
    folder
        .run(&listen(&taken.to_string()))
        .code(1)
        .says("choose another address with --listen");
    folder
        .run(&listen("no-such-host.invalid:80"))
        .code(1)
        .says("no-such-host.invalid:80");
    for address in ["localhost", ":80", "localhost:http"] {
        folder
            .run(&listen(address))
            .code(2)
            .says("is not an address to listen on");
    }
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn a_host_name_and_the_bound_port_are_announced() {
    let folder = Folder::new();
    let args = "serve --data data --engine simplified --listen localhost:0 --log-format off";
    let (child, lines) = started(&folder, args, 7);
    let address = address(&lines);
    let port = address.strip_prefix("localhost:").unwrap();
    assert_ne!(port, "0");
    let page = said(&lines, "page:");
    assert_eq!(page, format!("http://localhost:{port}/"));
    let alive = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert!(ask(address, alive).contains("<html"));

    // The command that the server shows works as it is.
    let curl = said(&lines, "  curl ");
    let event = curl.split('\'').nth(1).unwrap();
    assert!(
        curl.starts_with(&format!("http://localhost:{port}/track -d 'data=")),
        "{curl}"
    );
    let head = "POST /track HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
                content-type: application/x-www-form-urlencoded\r\n";
    let request = format!("{head}content-length: {}\r\n\r\n{event}", event.len());
    assert!(ask(address, &request).ends_with("\r\n\r\n1"));
    let secret = said(&lines, "secret:");
    let question = format!(
        "GET /v1/users/ben/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {secret}\r\n\r\n"
    );
    assert!(ask(address, &question).contains(r#""event":"Test""#));
    stop(child);
}

#[test]
fn one_of_two_first_starts_wins_and_the_other_says_so() {
    let folder = Folder::new();
    let start = || {
        let mut command = folder.command(&format!("{SERVE} --engine simplified"));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    for _ in 0..8 {
        let children: Vec<Child> = (0..3).map(|_| start()).collect();
        let ids: Vec<u32> = children.iter().map(Child::id).collect();
        // All but the winner end by themselves.
        let ends = children
            .into_iter()
            .map(|child| thread::spawn(move || wait(child)));
        let ends: Vec<_> = ends.collect();
        while ends.iter().filter(|end| end.is_finished()).count() < 2 {
            thread::yield_now();
        }
        for (id, end) in ids.iter().zip(&ends) {
            if !end.is_finished() {
                signal("TERM", *id);
            }
        }
        let ends: Vec<Done> = ends.into_iter().map(|end| end.join().unwrap()).collect();
        let (won, lost): (Vec<_>, Vec<_>) = ends.iter().partition(|done| done.code == Some(0));
        assert_eq!(won.len(), 1);
        for done in lost {
            let says = ["another start of the server has just written", "in use"];
            assert!(
                says.iter().any(|says| done.stderr.contains(says)),
                "{}",
                done.stderr
            );
        }
        // The project of the winner, and no other.
        assert_eq!(fs::read_dir(folder.path("data")).unwrap().count(), 2);
        fs::remove_dir_all(folder.path("data")).unwrap();
    }
}

#[test]
fn a_data_folder_without_the_file_needs_the_token_of_its_project() {
    let folder = Folder::new();
    let first = format!("{SERVE} --engine simplified --token shop --secret secret-of-shop");
    stop(started(&folder, &first, 2).0);
    fs::remove_file(folder.path(FILE)).unwrap();
    let engine = format!("{SERVE} --engine simplified");
    folder
        .run(&engine)
        .code(1)
        .says("data has the project shop")
        .says("--token shop");
    let (child, _) = started(&folder, &format!("{engine} --token shop"), 2);
    stop(child);
    assert!(folder.read(FILE).contains("token = \"shop\""));
}

#[test]
fn a_configuration_file_takes_the_place_of_the_kept_one() {
    let config =
        "[[project]]\ntoken = \"one\"\nengine = \"simplified\"\nsecret = \"secret of one\"\n";
    let folder = Folder::with(&[("c.toml", config)]);
    let by_config = format!("{SERVE} --config c.toml");
    let (child, _) = started(&folder, &by_config, 2);
    assert_eq!(stop(child).stderr, "");
    assert!(!folder.path(FILE).exists());
    folder.write(FILE, config.replace("one", "two"));
    let (child, said) = started(&folder, &by_config, 2);
    assert!(may_read(&said, "secret of one") && !may_read(&said, "secret of two"));
    let done = stop(child);
    assert!(
        done.stderr.contains("data/idmerge.toml is not read"),
        "{}",
        done.stderr
    );
    // The kept file may have more than one project.
    folder.write(FILE, format!("{config}\n{}", config.replace("one", "two")));
    let (child, said) = started(&folder, SERVE, 2);
    assert!(may_read(&said, "secret of one") && may_read(&said, "secret of two"));
    stop(child);
    folder.write(FILE, "token = 1");
    folder
        .run(SERVE)
        .code(1)
        .says("data/idmerge.toml is not a valid configuration");
}

/// The configuration file that the help shows.
fn shown(folder: &Folder) -> String {
    let help = folder.run("serve --help").ok();
    let (_, after) = help.split_once("A configuration file").unwrap();
    let lines = after.lines().skip_while(|line| !line.starts_with("  "));
    let shown = lines.take_while(|line| line.is_empty() || line.starts_with("  "));
    shown.map(|line| format!("{line}\n")).collect()
}

/// The keys that a server reads, by the fields of its tables.
fn keys() -> Vec<String> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../server/src/config/file.rs");
    let source = fs::read_to_string(source).unwrap();
    let mut keys = Vec::new();
    for table in source.split("#[serde(deny_unknown_fields)]\n").skip(1) {
        let (table, _) = table.split_once("\n}\n").unwrap();
        let mut renamed = None;
        for line in table.lines().skip(1).map(str::trim) {
            if let Some((_, name)) = line.split_once("rename = \"") {
                renamed = name.split_once('"').map(|(name, _)| name.to_owned());
            } else if let Some((field, _)) = line.split_once(": ") {
                let name = field.rsplit(' ').next().unwrap().to_owned();
                keys.push(renamed.take().unwrap_or(name));
            }
        }
    }
    keys
}

#[test]
fn the_help_has_every_key_of_the_file_and_a_server_takes_what_it_shows() {
    let folder = Folder::with(&[("blocked.txt", "test\n")]);
    let shown = shown(&folder);
    let keys = keys();
    assert!(keys.len() > 20, "{keys:?}");
    let words: Vec<_> = shown
        .split(|c: char| !c.is_ascii_lowercase() && c != '_')
        .collect();
    for key in &keys {
        assert!(words.contains(&&**key), "{key} is not in:\n{shown}");
    }
    folder.write("c.toml", shown);
    let (child, said) = started(&folder, &format!("{SERVE} --config c.toml"), 2);
    assert!(may_read(&said, "a long secret"));
    stop(child);
}
