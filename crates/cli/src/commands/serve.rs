//! `idmerge serve`: the server that SDKs send events to.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context;
use idmerge_server::{Bounds, Config, OnHangup, ProjectConfig};

use crate::args::serve::{LogFormat, ServeArgs};
use crate::report::wrong_usage;
use crate::startup;

/// Serves until a signal stops it.
pub(crate) fn run(args: &ServeArgs) -> anyhow::Result<()> {
    let config = match &args.config {
        Some(path) => config_of_file(args, path)?,
        None => config_of_args(args)?,
    };
    start_log(args.log_format);
    let on_hangup = match startup::is_ignored(libc::SIGHUP) {
        true => OnHangup::Leave,
        false => OnHangup::Stop,
    };
    idmerge_server::run(&config, on_hangup, |address| {
        announce(args, &config, address);
    })?;
    Ok(())
}

fn config_of_file(args: &ServeArgs, path: &Path) -> anyhow::Result<Config> {
    let name = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let config = Config::read_in(args.data.clone(), &text, folder);
    let mut config = config.with_context(|| format!("{name} is not a valid configuration"))?;
    if let Some(listen) = args.listen {
        config.listen = listen;
    }
    Ok(config)
}

/// The configuration of one project, from the arguments.
fn config_of_args(args: &ServeArgs) -> anyhow::Result<Config> {
    let Some(model) = args.engine else {
        return Err(wrong_usage(format_args!("--engine or --config is needed")));
    };
    let settings = args.settings.settings(model)?;
    let mut project = ProjectConfig::new(or_random(args.token.as_ref())?, settings);
    project.secret = Some(or_random(args.secret.as_ref())?);
    project.profile_merge = args.profile_merge.unwrap_or_default();
    let config = Config {
        data: args.data.clone(),
        listen: args.listen.unwrap_or(Config::LOCAL),
        projects: vec![project],
        bounds: Bounds::STANDARD,
    };
    match config.check() {
        Ok(()) => Ok(config),
        Err(error) => Err(wrong_usage(format_args!("{error}"))),
    }
}

/// The given text, or else 128 random bits in hexadecimal.
fn or_random(given: Option<&String>) -> anyhow::Result<String> {
    if let Some(given) = given {
        return Ok(given.clone());
    }
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).context("the system has no randomness for a token or a secret")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Prints the address, and the token and secret that were generated.
fn announce(args: &ServeArgs, config: &Config, address: SocketAddr) {
    let mut lines = format!("idmerge listens on http://{address}\n");
    if let ([project], None) = (&config.projects[..], &args.config) {
        lines += &format!("token:  {}\n", project.token);
        // Do not print a secret that was given: stdout may be logged.
        if let (Some(secret), None) = (&project.secret, &args.secret) {
            lines += &format!("secret: {secret}\n");
        }
    }
    // The server also runs if stdout is closed.
    let _unheard = io::stdout().write_all(lines.as_bytes());
    let _unheard = io::stdout().flush();
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
