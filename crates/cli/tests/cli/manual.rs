//! Completion scripts and pages for `man`, checked by the shells and by `man` if they are installed.

use std::process::Command;

use crate::run::{Done, Folder, run};

const SHELLS: [&str; 5] = ["bash", "zsh", "fish", "powershell", "elvish"];

/// The commands that the help lists.
pub(crate) fn commands(folder: &Folder) -> Vec<String> {
    let help = folder.run("--help").ok();
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = lines.take_while(|line| !line.is_empty());
    let names: Vec<_> = names
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect();
    assert!(names.len() > 5, "{help}");
    names
}

/// Runs a program in the folder. `None` if it is not installed.
fn installed(folder: &Folder, program: &str, args: &[&str]) -> Option<Done> {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .output()
        .unwrap();
    if !found.status.success() {
        return None;
    }
    let mut command = Command::new(program);
    command.args(args).current_dir(folder.path(""));
    Some(run(command, ""))
}

#[test]
fn the_script_of_each_shell_has_every_command_and_the_shell_can_read_it() {
    let folder = Folder::new();
    let commands = commands(&folder);
    for shell in SHELLS {
        let script = folder.run(&format!("completions {shell}")).ok();
        for command in &commands {
            assert!(script.contains(&**command), "{shell}: {command}");
        }
        assert!(script.contains("max-line-bytes"), "{shell}");
        folder.write("script", script);
        if ["bash", "zsh", "fish"].contains(&shell)
            && let Some(read) = installed(&folder, shell, &["-n", "script"])
        {
            assert_eq!(read.code(0).stderr, "", "{shell}");
        }
    }
    folder
        .run("completions tcsh")
        .code(2)
        .says("[possible values: bash, elvish, fish, powershell, zsh]");
}

#[test]
fn bash_completes_commands_and_options() {
    let folder = Folder::new();
    folder.write("script", folder.run("completions bash").ok());
    let complete = |words: &str| {
        let script = format!(
            "source ./script; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _idmerge idmerge \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; \
             echo \"${{COMPREPLY[@]}}\""
        );
        let done = installed(&folder, "bash", &["-c", &script])?;
        Some(done.ok().trim().to_owned())
    };
    for (words, expected) in [
        ("idmerge res", "resolve"),
        ("idmerge resolve --eng", "--engine"),
        ("idmerge resolve --engine s", "simplified"),
        ("idmerge completions z", "zsh"),
        #[cfg(feature = "store")]
        ("idmerge store exp", "explain"),
    ] {
        if let Some(completed) = complete(words) {
            assert_eq!(completed, expected, "{words}");
        }
    }
}

#[test]
fn man_prints_one_page_or_writes_one_for_each_command() {
    let folder = Folder::new();
    let page = folder.run("man").ok();
    assert!(page.contains("Decide which events belong to one person"));
    let page = folder.run("man resolve").ok();
    assert!(page.contains(".TH idmerge-resolve 1"), "{page}");
    assert!(page.contains("max\\-line\\-bytes"), "{page}");
    folder.run("man -o pages/man1").ok();
    let commands = commands(&folder);
    for command in &commands {
        let name = format!("pages/man1/idmerge-{command}.1");
        let page = folder.read(&name);
        assert_eq!(page, folder.run(&format!("man {command}")).ok(), "{name}");
        // A page names the other pages as they are called.
        let main = folder.read("pages/man1/idmerge.1");
        assert!(main.contains(&format!("idmerge\\-{command}(1)")), "{main}");
    }
    #[cfg(feature = "store")]
    assert!(
        folder
            .read("pages/man1/idmerge-store-explain.1")
            .contains("\\fB")
    );
    folder
        .run("man frobnicate")
        .code(2)
        .says("there is no command 'frobnicate'");
    folder
        .run("man resolve -o pages")
        .code(2)
        .says("cannot be used with");
    folder.write("file", "");
    folder
        .run("man -o file")
        .code(1)
        .says("cannot create the folder file");
}

#[test]
fn man_can_show_every_page() {
    let folder = Folder::new();
    folder.run("man -o .").ok();
    let names = folder.names();
    assert!(names.len() > 5);
    for name in &names {
        let page = format!("./{name}");
        let Some(shown) = installed(&folder, "man", &["--warnings", "-l", &page]) else {
            return;
        };
        // Containers have a `man` that only says that there are no pages.
        if shown.code != Some(0) || !shown.stdout.contains("SYNOPSIS") {
            return;
        }
        assert_eq!(shown.stderr, "", "{name}");
        assert!(!shown.stdout.contains("\\f"), "{name}");
        // An example is one line, to be copied.
        let command = name.trim_start_matches("idmerge").trim_end_matches(".1");
        let command = command.replace('-', " ").replace("as of", "as-of");
        let help = folder.run(&format!("{command} --help")).ok();
        let examples = help.lines().filter(|line| line.starts_with("  idmerge "));
        for example in examples {
            assert!(shown.stdout.contains(example.trim()), "{name}: {example}");
        }
    }
}
