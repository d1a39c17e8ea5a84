//! `idmerge serve`, from its start to its end by a signal.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use crate::run::{DEFAULT_SIGNALS, Folder, signal, wait};

/// Starts a server and reads the first lines of its output.
pub(crate) fn started(folder: &Folder, args: &str, lines: usize) -> (Child, Vec<String>) {
    started_by(&mut folder.command(args), lines)
}

/// Starts a server by this command.
pub(crate) fn started_by(command: &mut Command, lines: usize) -> (Child, Vec<String>) {
    let command = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Read byte by byte, so that the rest is left for `wait`.
    let mut stdout = BufReader::with_capacity(1, child.stdout.take().unwrap());
    let said: Vec<String> = (0..lines)
        .map(|_| {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            line.trim_end().to_owned()
        })
        .collect();
    child.stdout = Some(stdout.into_inner());
    (child, said)
}

pub(crate) fn ask(address: &str, request: &str) -> String {
    try_ask(address, request).unwrap()
}

/// Whether the secret may read.
pub(crate) fn may_read(said: &[String], secret: &str) -> bool {
    let question = format!(
        "GET /v1/ids/a HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {secret}\r\n\r\n"
    );
    let answer = ask(address(said), &question);
    let is_refused = answer.starts_with("HTTP/1.1 401 ");
    assert!(
        is_refused || answer.starts_with("HTTP/1.1 200 "),
        "{answer}"
    );
    !is_refused
}

pub(crate) fn try_ask(address: &str, request: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

pub(crate) fn address(said: &[String]) -> &str {
    said[0].strip_prefix("idmerge listens on http://").unwrap()
}

pub(crate) const SERVE: &str = "serve --data data --listen 127.0.0.1:0 --log-format off";

#[test]
fn accepted_events_are_there_after_a_restart() {
    let folder = Folder::new();
    let (child, said) = started(&folder, &format!("{SERVE} --engine simplified"), 3);
    let token = said[1].strip_prefix("token:  ").unwrap();
    let secret = said[2].strip_prefix("secret: ").unwrap();
    assert!(token.len() == 32 && secret.len() == 32 && token != secret);
    let event = format!(
        r#"{{"event":"A","properties":{{"token":"{token}","$device_id":"d","$user_id":"u"}}}}"#
    );
    let head = "POST /track HTTP/1.1\r\nhost: x\r\nconnection: close\r\n";
    let answer = ask(
        address(&said),
        &format!("{head}content-length: {}\r\n\r\n{event}", event.len()),
    );
    assert!(answer.ends_with("\r\n\r\n1"), "{answer}");
    signal("TERM", child.id());
    wait(child).ok();

    // The store of the project is one that `idmerge store` can read.
    let log = folder.run(&format!("store log data/{token}")).ok();
    assert!(
        log.contains(r#""device":"d","user":"u","answer":"merged""#),
        "{log}"
    );

    let given = format!("{SERVE} --engine simplified --token {token} --secret {secret}");
    let (child, said) = started(&folder, &given, 2);
    let question = format!(
        "GET /v1/ids/%24device%3Ad HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {secret}\r\n\r\n"
    );
    let answer = ask(address(&said), &question);
    assert!(answer.contains(r#""distinct_id":"u""#), "{answer}");
    signal("INT", child.id());
    // A secret that was given is not printed.
    let done = wait(child);
    assert!(!done.stdout.contains(secret));
    done.ok();

    let other = format!("{SERVE} --engine original --token {token} --secret {secret}");
    folder.run(&other).code(1).says("a new token");
}

#[test]
fn a_server_stops_when_its_terminal_closes_unless_it_was_started_to_stay() {
    let folder = Folder::new();
    let args = format!("{SERVE} --engine simplified");
    let (child, _) = started_by(&mut folder.command_by(DEFAULT_SIGNALS, &args), 3);
    signal("HUP", child.id());
    wait(child).ok();

    let (child, said) = started_by(&mut folder.command_by(&["nohup"], &args), 3);
    signal("HUP", child.id());
    let alive = "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert!(ask(address(&said), alive).starts_with("HTTP/1.1 200 "));
    signal("TERM", child.id());
    wait(child).ok();
}

#[test]
fn a_configuration_has_several_projects() {
    let config = "
        [[project]]
        token = \"one\"
        engine = \"simplified\"
        secret = \"secret of one\"

        [[project]]
        token = \"two\"
        engine = \"original\"
        anon_id_format = \"sdk\"
        secret = \"secret of two\"
    ";
    let folder = Folder::with(&[("c.toml", config), ("bad.toml", "[[project]]\ntoken = 1\n")]);
    let (child, said) = started(&folder, &format!("{SERVE} --config c.toml"), 1);
    let ready = "GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert!(ask(address(&said), ready).starts_with("HTTP/1.1 200 "));
    signal("TERM", child.id());
    wait(child).ok();
    for token in ["one", "two"] {
        assert!(folder.path("data").join(token).is_dir());
    }
    folder
        .run(&format!("{SERVE} --config bad.toml"))
        .code(1)
        .says("bad.toml");
    folder
        .run(&format!("{SERVE} --config c.toml --engine original"))
        .code(2);
    folder.run(SERVE).code(2).says("--engine");
    let foreign = format!("{SERVE} --engine simplified --max-cluster-ids 9");
    folder.run(&foreign).code(2).says("--max-cluster-ids");
}
