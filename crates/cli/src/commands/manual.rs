//! `idmerge man` and `idmerge completions`: the command's pages for `man`, and its completion scripts.

use std::path::Path;
use std::{fs, mem};

use anyhow::Context;
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::args::Args;
use crate::args::help::{CompletionsArgs, ManArgs};
use crate::output::destination::{Destination, Output};
use crate::report::wrong_usage;

pub(crate) fn complete(args: &CompletionsArgs) -> anyhow::Result<()> {
    // Into memory first: `clap_complete` panics if it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "idmerge", &mut script);
    write(Destination::STDOUT, &script)
}

pub(crate) fn man(args: &ManArgs) -> anyhow::Result<()> {
    let mut command = Args::command();
    command.build();
    if let Some(folder) = &args.output {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create the folder {}", folder.display()))?;
        return write_pages(&command, folder);
    }
    let command = find(&command, &args.topic)?;
    write(Destination::STDOUT, &page(command)?.1)
}

/// Writes the page of a command, and those of its subcommands.
fn write_pages(command: &Command, folder: &Path) -> anyhow::Result<()> {
    let (name, page) = page(command)?;
    write(Destination::of(Some(&folder.join(name)))?, &page)?;
    let mut inner = command.get_subcommands().filter(|it| !it.is_hide_set());
    inner.try_for_each(|inner| write_pages(inner, folder))
}

/// The file name of a command's page, and its text.
fn page(command: &Command) -> anyhow::Result<(String, Vec<u8>)> {
    let man = Man::new(command.clone())
        .manual("idmerge")
        .source(concat!("idmerge ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    man.render_options_section(&mut text)?;
    if let Some(examples) = command.get_after_help() {
        examples_section(&examples.to_string()).to_writer(&mut text)?;
    }
    Ok((man.get_filename(), text))
}

/// The examples, and the text after them. `clap_mangen` would wrap the lines of the examples.
fn examples_section(text: &str) -> Roff {
    let mut roff = Roff::new();
    let mut is_example = false;
    for line in text.lines() {
        let was_example = mem::replace(&mut is_example, line.starts_with("  "));
        if is_example != was_example {
            roff.control(if is_example { "nf" } else { "fi" }, []);
        }
        match line {
            "Example:" | "Examples:" => roff.control("SH", ["EXAMPLES"]),
            "" => roff.control("PP", []),
            line => roff.text([roman(line)]),
        };
    }
    roff
}

fn find<'c>(mut command: &'c Command, topic: &[String]) -> anyhow::Result<&'c Command> {
    for name in topic {
        command = command.find_subcommand(name).ok_or_else(|| {
            wrong_usage(format_args!(
                "there is no command '{}'; `idmerge --help` lists the commands",
                topic.join(" ")
            ))
        })?;
    }
    Ok(command)
}

fn write(destination: Destination, text: &[u8]) -> anyhow::Result<()> {
    let mut output = Output::create(destination)?;
    output.write(text)?;
    output.finish()
}
