//! `secret_file` of a project and of a service account: the secret is in a file of its own.

use std::fs::{self, File};
use std::path::Path;

use idmerge_server::{Config, ProjectConfig};

/// The only project of a configuration file in `folder` with these lines; or the error.
fn read(folder: &Path, lines: &str) -> Result<ProjectConfig, String> {
    let text = format!("[[project]]\ntoken = \"T\"\nengine = \"original\"\n{lines}");
    let config = Config::read_in("data".into(), &text, folder);
    let mut config = config.map_err(|error| error.to_string())?;
    Ok(config.projects.remove(0))
}

fn with_files(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

#[test]
fn the_secrets_of_a_project_can_be_in_files_beside_the_configuration() {
    for bytes in [
        "a long sécret",
        "a long sécret\n",
        "a long sécret\r\n",
        "\u{feff}a long sécret\r\n",
    ] {
        let folder = with_files(&[("secret", bytes.as_bytes()), ("other", b" two  spaces \n")]);
        let lines = "secret_file = \"secret\"\n[[project.service_account]]\nuser = \"u\"\nsecret_file = \"other\"\n";
        let project = read(folder.path(), lines).unwrap();
        assert_eq!(
            project.secret.as_deref(),
            Some("a long sécret"),
            "{bytes:?}"
        );
        assert_eq!(project.service_accounts[0].secret, " two  spaces ");
        // An absolute path is taken as it is.
        let path = folder.path().join("secret");
        let project = read(Path::new("nowhere"), &format!("secret_file = {path:?}")).unwrap();
        assert_eq!(project.secret.as_deref(), Some("a long sécret"));
    }
}

#[test]
fn a_secret_and_a_file_at_once_are_an_error_that_names_both() {
    // The file is not even read.
    let folder = tempfile::tempdir().unwrap();
    let both = "secret = \"another secret\"\nsecret_file = \"secret\"\n";
    let error = read(folder.path(), both).unwrap_err();
    let wanted = "project \"T\" has both secret and secret_file; leave out one of them";
    assert_eq!(error, wanted);
    let account =
        |lines: &str| format!("[[project.service_account]]\nuser = \"warehouse\"\n{lines}");
    let error = read(folder.path(), &account(both)).unwrap_err();
    assert_eq!(
        error,
        "project \"T\": the service account \"warehouse\" has both secret and secret_file; leave out one of them"
    );
    let error = read(folder.path(), &account("")).unwrap_err();
    assert_eq!(
        error,
        "project \"T\": the service account \"warehouse\" has no secret; add secret or secret_file"
    );
}

#[test]
fn a_file_without_a_usable_secret_is_an_error_that_names_it() {
    let long = [b'x'; 5_000];
    let utf_16: Vec<u8> = "a long secret\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let marked = [b"\xff\xfe", &utf_16[..]].concat();
    let folder = with_files(&[
        ("empty", b""),
        ("line", b"\r\n"),
        ("mark", b"\xef\xbb\xbf"),
        ("two", b"one secret\ntwo secrets\n"),
        ("breaks", b"a long secret\n\n"),
        ("mac", b"one secret\rtwo secrets"),
        ("bytes", b"a secret \xff"),
        ("utf16", &utf_16),
        ("marked", &marked),
        ("tab", b"a long\tsecret"),
        ("long", &long),
        ("short", b"short\n"),
        ("token", b"T\n"),
    ]);
    // As long as a disk, without its room.
    let endless = File::create(folder.path().join("disk")).unwrap();
    endless.set_len(1 << 40).unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    for (name, wanted) in [
        ("empty", "/empty is empty; put the secret in it"),
        ("line", "/line is empty"),
        ("mark", "/mark is empty"),
        ("two", "/two has several lines"),
        ("breaks", "/breaks has several lines"),
        ("mac", "/mac has several lines"),
        ("bytes", "/bytes is not UTF-8"),
        ("utf16", "/utf16 has a control character"),
        ("marked", "/marked is not UTF-8"),
        ("tab", "/tab has a control character"),
        ("long", "/long has more than 4096 bytes"),
        ("disk", "/disk has more than 4096 bytes"),
        ("/dev/zero", "/dev/zero has more than 4096 bytes"),
        ("folder", "cannot read the secret from "),
        ("nowhere", "cannot read the secret from "),
        ("", "cannot read the secret from "),
    ] {
        let error = read(folder.path(), &format!("secret_file = {name:?}")).unwrap_err();
        assert!(error.starts_with("project \"T\": secret_file: "), "{error}");
        assert!(error.contains(wanted), "{name}: {error}");
        let account = format!("[[project.service_account]]\nuser = \"w\"\nsecret_file = {name:?}");
        let error = read(folder.path(), &account).unwrap_err();
        let start = "project \"T\": the service account \"w\": secret_file: ";
        assert!(
            error.starts_with(start) && error.contains(wanted),
            "{error}"
        );
    }
    for name in ["short", "token"] {
        let error = read(folder.path(), &format!("secret_file = {name:?}")).unwrap_err();
        assert!(error.contains("at least 8 bytes"), "{error}");
    }
}
