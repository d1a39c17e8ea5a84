//! `secret_file` in the configuration of `idmerge serve`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::run::{Folder, signal, wait};
use crate::serve::{SERVE, may_read, started};

fn set_mode(folder: &Folder, name: &str, mode: u32) {
    fs::set_permissions(folder.path(name), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_path_starts_from_the_configuration_and_an_open_file_is_warned_of() {
    let folder = Folder::new();
    fs::create_dir(folder.path("conf")).unwrap();
    let table =
        "[[project]]\ntoken = \"shop\"\nengine = \"simplified\"\nsecret_file = \"secret\"\n";
    folder.write("conf/projects.toml", table.as_bytes());
    folder.write("conf/real", b"the secret of a file\r\n");
    symlink("real", folder.path("conf/secret")).unwrap();
    let serve = "serve --data data --listen 127.0.0.1:0 --config conf/projects.toml";
    for (mode, is_warned) in [(0o600, false), (0o640, false), (0o644, true)] {
        set_mode(&folder, "conf/real", mode);
        let (child, said) = started(&folder, serve, 2);
        assert!(may_read(&said, "the secret of a file"));
        signal("TERM", child.id());
        let done = wait(child).code(0);
        let warning = "project \"shop\": every user of this machine can read the secret in conf/secret: \
                       chmod 600 conf/secret";
        assert_eq!(done.stderr.contains(warning), is_warned, "{}", done.stderr);
        assert!(!done.stderr.contains("the secret of a file"));
    }
    fs::remove_file(folder.path("conf/real")).unwrap();
    folder
        .run(serve)
        .code(1)
        .says("conf/projects.toml is not a valid configuration")
        .says("project \"shop\": secret_file: cannot read the secret from conf/secret");
}

#[test]
fn the_file_of_the_first_start_can_name_a_file_too() {
    let folder = Folder::with(&[("secret", "another secret\n")]);
    let first = format!("{SERVE} --engine simplified --token shop --secret secret-of-shop");
    let (child, _) = started(&folder, &first, 2);
    signal("TERM", child.id());
    wait(child).code(0);
    let kept = folder.read("data/idmerge.toml");
    let line = "secret = \"secret-of-shop\"";
    assert!(kept.contains(line), "{kept}");
    folder.write(
        "data/idmerge.toml",
        kept.replace(line, "secret_file = \"../secret\"").as_bytes(),
    );
    set_mode(&folder, "secret", 0o600);
    let (child, said) = started(&folder, SERVE, 2);
    assert!(may_read(&said, "another secret") && !may_read(&said, "secret-of-shop"));
    signal("TERM", child.id());
    wait(child).code(0);
    folder
        .run(&format!("{SERVE} --secret secret-of-shop"))
        .code(1)
        .says("--secret contradicts data/idmerge.toml");
    folder.write(
        "data/idmerge.toml",
        kept.replace(line, &format!("{line}\nsecret_file = \"../secret\""))
            .as_bytes(),
    );
    folder
        .run(SERVE)
        .code(1)
        .says("project \"shop\" has both secret and secret_file");
}
