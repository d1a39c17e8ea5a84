//! The files in `deploy/` name what is there: the commands in them run.

use std::fs;
use std::process::Command;

use crate::run::{Folder, run, signal, wait};
use crate::serve::{address, started};

fn repository(path: &str) -> String {
    let path = format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn deploy(file: &str) -> String {
    repository(&format!("deploy/{file}"))
}

/// The rest of the only line that begins with this.
#[track_caller]
fn line<'t>(text: &'t str, start: &str) -> &'t str {
    let mut found = text.lines().filter_map(|line| line.strip_prefix(start));
    let rest = found
        .next()
        .unwrap_or_else(|| panic!("no line with {start}"));
    assert_eq!(found.next(), None, "two lines with {start}");
    rest
}

#[track_caller]
fn assert_known(args: &[String]) {
    let help = Folder::new().run("serve --help").ok();
    for option in args.iter().filter(|arg| arg.starts_with("--")) {
        assert!(
            help.contains(&format!("{option} <")),
            "{option} is not in serve --help"
        );
    }
}

/// Runs `serve` with the arguments of a file, in which each pair of texts is replaced.
fn serves(args: &[String], pairs: &[[&str; 2]]) {
    assert_known(args);
    let folder = Folder::with(&[("secret", "a long secret\n")]);
    let replaced = pairs.iter().fold(args.join(" "), |args, [text, new]| {
        assert!(args.contains(text), "{text} is not in {args}");
        args.replace(text, new)
    });
    let (child, said) = started(&folder, &replaced, 2);
    assert!(!address(&said).is_empty());
    signal("TERM", child.id());
    wait(child).ok();
    assert!(folder.path("data/idmerge.toml").exists());
}

#[test]
fn the_command_of_the_unit_runs() {
    let unit = deploy("idmerge.service");
    let command: Vec<String> = line(&unit, "ExecStart=")
        .split(' ')
        .map(str::to_owned)
        .collect();
    assert_eq!(command[..2], ["/usr/local/bin/idmerge", "serve"]);
    let state = format!("/var/lib/{}", line(&unit, "StateDirectory="));
    let credential = line(&unit, "LoadCredential=").split_once(':').unwrap().0;
    serves(
        &command[1..],
        &[
            [&state, "data"],
            [
                &format!("${{CREDENTIALS_DIRECTORY}}/{credential}"),
                "secret",
            ],
            ["127.0.0.1:8080", "127.0.0.1:0"],
        ],
    );
}

/// What systemd says about a unit. `None` if it is not installed here.
fn said_by_systemd(unit: &str) -> Option<Vec<String>> {
    let folder = Folder::with(&[("idmerge.service", unit)]);
    let mut command = Command::new("systemd-analyze");
    command.arg("verify").arg(folder.path("idmerge.service"));
    let said = command.output().ok()?.stderr;
    let said = String::from_utf8_lossy(&said).into_owned();
    // It may have something to say about other units of the machine.
    let of_unit = said.lines().filter(|line| line.contains("idmerge"));
    Some(of_unit.map(str::to_owned).collect())
}

#[test]
fn systemd_knows_every_setting_of_the_unit() {
    let program = format!("ExecStart={} ", env!("CARGO_BIN_EXE_idmerge"));
    let unit = deploy("idmerge.service").replace("ExecStart=/usr/local/bin/idmerge ", &program);
    let wrong = unit.replace("ProtectProc=", "ProtectPorc=");
    // A systemd that sees nothing there cannot check a unit in this environment.
    if said_by_systemd(&wrong).is_some_and(|said| !said.is_empty()) {
        assert_eq!(said_by_systemd(&unit).unwrap(), [""; 0]);
    }
}

#[test]
fn the_image_runs_what_it_builds() {
    let file = deploy("Dockerfile");
    let entry: Vec<String> = serde_json::from_str(line(&file, "ENTRYPOINT ")).unwrap();
    assert_eq!(entry[..2], ["/usr/local/bin/idmerge", "serve"]);
    let (data, port) = (line(&file, "VOLUME "), line(&file, "EXPOSE "));
    let example = line(&file, "#   docker run ");
    assert!(example.contains(&format!(
        "-p 127.0.0.1:{port}:{port} -v idmerge:{data} idmerge "
    )));
    let mut args = entry[1..].to_vec();
    args.extend(
        example
            .rsplit_once(" idmerge ")
            .unwrap()
            .1
            .split(' ')
            .map(str::to_owned),
    );
    let listen = format!("0.0.0.0:{port}");
    serves(&args, &[[data, "data"], [&listen, "127.0.0.1:0"]]);

    // Kubernetes takes only a number for proof that this is not root.
    let user = line(&file, "USER ");
    let (uid, gid) = user.split_once(':').unwrap();
    assert!(file.contains(&format!(" --uid {uid} ")) && file.contains(&format!(" --gid {gid} ")));
    assert!(repository("docs/deploy.md").contains(&format!("as the user {uid}")));

    let build = line(&file, "RUN cargo build ");
    assert_eq!(build, "--profile dist --locked -p idmerge");
    assert!(repository("Cargo.toml").contains("\n[profile.dist]\n"));
    let built = line(&file, "COPY --from=build ");
    assert_eq!(built, "/src/target/dist/idmerge /usr/local/bin/idmerge");
    let toolchain = line(&file, "ENV RUSTUP_TOOLCHAIN=");
    assert!(line(&file, "FROM rust:").starts_with(&format!("{toolchain}-slim-")));
    let channel = format!("channel = \"{toolchain}\"");
    assert!(
        repository("rust-toolchain.toml").contains(&channel),
        "{channel}"
    );
}

#[test]
fn the_health_check_of_the_image_asks_the_server() {
    let file = deploy("Dockerfile");
    let (_, check) = line(&file, "HEALTHCHECK ").split_once(" CMD ").unwrap();
    let check: Vec<String> = serde_json::from_str(check).unwrap();
    let port = line(&file, "EXPOSE ");
    let folder = Folder::new();
    let args = "serve --data data --engine simplified --listen 127.0.0.1:0 --log-format off";
    let (child, said) = started(&folder, args, 2);
    let bound = address(&said).rsplit_once(':').unwrap().1;
    let is_healthy = || {
        let mut command = Command::new(&check[0]);
        for arg in &check[1..] {
            command.arg(arg.replace(
                &format!("127.0.0.1/{port} "),
                &format!("127.0.0.1/{bound} "),
            ));
        }
        run(command, "").code == Some(0)
    };
    assert!(is_healthy());
    signal("TERM", child.id());
    wait(child).ok();
    assert!(!is_healthy());
}

#[test]
fn the_proxies_allow_what_the_server_takes() {
    let nginx = deploy("nginx.conf");
    let caddy = deploy("Caddyfile");
    // Limits::DOCUMENTED of idmerge-wire, and the head of `http/listen.rs`.
    assert_eq!(line(&nginx, "    client_max_body_size "), "10m;");
    assert_eq!(
        line(&caddy, "\t\tmax_size "),
        (10 * 1024 * 1024).to_string()
    );
    assert_eq!(line(&nginx, "    large_client_header_buffers "), "4 128k;");
    for proxy in [&nginx, &caddy] {
        assert!(proxy.contains("127.0.0.1:8080"));
        assert!(proxy.contains("/metrics"));
    }
}
