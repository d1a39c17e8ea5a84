//! `idmerge serve`: the server that SDKs send events to.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::Path;

use anyhow::Context;
use idmerge_server::{Config, OnHangup};

use crate::args::serve::{LogFormat, ServeArgs};
use crate::report::say;
use crate::startup;

pub(crate) mod announce;
mod contradiction;
pub(crate) mod kept;
mod secret;

use kept::Kept;

/// Serves until a signal stops it.
pub(crate) fn run(args: &ServeArgs) -> anyhow::Result<()> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    startup::give_memory_back();
    // First, because reading the configuration can warn.
    start_log(args.log_format);
    let (config, kept) = match &args.config {
        Some(path) => (config_of_file(args, path)?, None),
        None => {
            let kept = Kept::of_args(args)?;
            (kept.config.clone(), Some(kept))
        }
    };
    let prepare = || kept.as_ref().map_or(Ok(()), Kept::prepare);
    idmerge_server::run(&config, on_hangup(), prepare, |address| {
        announce::announce(&config, kept.as_ref(), address);
    })?;
    Ok(())
}

/// Whether the server stops when its terminal closes.
pub(crate) fn on_hangup() -> OnHangup {
    match startup::is_ignored(libc::SIGHUP) {
        true => OnHangup::Leave,
        false => OnHangup::Stop,
    }
}

fn config_of_file(args: &ServeArgs, path: &Path) -> anyhow::Result<Config> {
    let name = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let config = Config::read_in(args.data.clone(), &text, folder);
    let mut config = config.with_context(|| format!("{name} is not a valid configuration"))?;
    if let Some(listen) = &args.listen {
        config.listen = listen.clone();
    }
    let kept = kept::path_in(&args.data);
    let is_same = || Some(fs::canonicalize(&kept).ok()? == fs::canonicalize(path).ok()?);
    if kept.exists() && is_same() != Some(true) {
        say(format_args!(
            "warning: {} is not read, because of --config {name}",
            kept.display()
        ));
    }
    Ok(config)
}

fn start_log(format: LogFormat) {
    let log = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_max_level(tracing_subscriber::filter::LevelFilter::INFO);
    match format {
        LogFormat::Plain => log.init(),
        LogFormat::Json => log.json().init(),
        LogFormat::Off => {}
    }
}
