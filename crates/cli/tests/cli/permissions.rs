//! Who can read the files that the program makes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::run::{Folder, signal, wait};
use crate::serve::started;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
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
