//! `idmerge serve`: what SDKs send is taken over HTTP, and who is who is answered.

#![allow(
    clippy::doc_markdown,
    reason = "here a doc comment is the help text, and a terminal shows backticks as they are"
)]

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::ValueEnum;
use idmerge_original::AnonIdFormat;
use idmerge_server::{Bounds, Config, EngineName, ProjectConfig};

use crate::args::wrong_usage;
use crate::model::Engine;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge serve --data data --engine simplified
  idmerge serve --data data --engine original --token shop --secret \"$SECRET\"
  idmerge serve --data data --config projects.toml --listen 0.0.0.0:8080

Without --config there is one project. What is not given for it is made up and printed; say the
same token and secret the next time. A configuration has a [[project]] for each:

  [[project]]
  token = \"shop\"                 # what SDKs send along; no secret
  engine = \"original\"            # or simplified; fixed once there is data
  secret = \"a long secret\"       # to import and to read
  max_cluster_ids = 500          # Original only
  anon_id_format = \"sdk\"         # Original only

  [[project.service_account]]
  user = \"warehouse\"
  secret = \"another long secret\"

SIGTERM and SIGINT: open requests are answered, what was taken is on disk, exit code 0.")]
pub(crate) struct ServeArgs {
    /// Keep everything in DIR, a folder for each project
    #[arg(long, value_name = "DIR")]
    data: PathBuf,

    /// Read the projects from FILE, in TOML
    #[arg(long, value_name = "FILE", conflicts_with_all = ["engine", "token", "secret"])]
    config: Option<PathBuf>,

    /// The model of ID Merge of the one project
    #[arg(long, value_enum, required_unless_present = "config")]
    engine: Option<Engine>,

    /// Where to listen [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,

    /// What the SDKs of the one project send along [default: made up]
    #[arg(long)]
    token: Option<String>,

    /// What imports to the one project and reads it [default: made up]
    #[arg(long)]
    secret: Option<String>,

    /// How many IDs a cluster may have, in Original [default: 500]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    #[arg(conflicts_with = "config")]
    max_cluster_ids: Option<u32>,

    /// Which anonymous IDs $identify takes, in Original: uuid_v4, guid or sdk [default: uuid_v4]
    #[arg(long, value_name = "FORMAT", conflicts_with = "config")]
    anon_id_format: Option<AnonIdFormat>,

    /// How to log, on stderr
    #[arg(long, value_enum, default_value_t = LogFormat::Plain)]
    log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people
    Plain,
    /// A JSON object a line
    Json,
    /// Nothing
    Off,
}

/// Serves until it is told to stop.
pub(crate) fn run(args: &ServeArgs) -> anyhow::Result<()> {
    let config = match &args.config {
        Some(path) => config_of_file(args, path)?,
        None => config_of_one(args)?,
    };
    start_log(args.log_format);
    idmerge_server::run(&config, |address| announce(args, &config, address))?;
    Ok(())
}

fn config_of_file(args: &ServeArgs, path: &PathBuf) -> anyhow::Result<Config> {
    let name = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    let config = Config::read(args.data.clone(), &text);
    let mut config = config.with_context(|| format!("{name} is not a configuration"))?;
    if let Some(listen) = args.listen {
        config.listen = listen;
    }
    Ok(config)
}

fn config_of_one(args: &ServeArgs) -> anyhow::Result<Config> {
    let engine = match args.engine {
        Some(Engine::Simplified) => EngineName::Simplified,
        Some(Engine::Original) => EngineName::Original,
        None => wrong_usage(format_args!("--engine or --config is needed")),
    };
    let given_or_made_up = |given: &Option<String>| match given {
        Some(given) => Ok(given.clone()),
        None => made_up(),
    };
    let mut project = ProjectConfig::new(given_or_made_up(&args.token)?, engine);
    project.secret = Some(given_or_made_up(&args.secret)?);
    project.max_cluster_ids = args.max_cluster_ids;
    project.anon_id_format = args.anon_id_format;
    let config = Config {
        data: args.data.clone(),
        listen: args.listen.unwrap_or(Config::LOCAL),
        projects: vec![project],
        bounds: Bounds::STANDARD,
    };
    if let Err(error) = config.check() {
        wrong_usage(format_args!("{error}"));
    }
    Ok(config)
}

/// 128 bits that nobody can guess, in hexadecimal.
fn made_up() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).context("the system has no randomness for a token or a secret")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Says where it listens, and what was made up.
fn announce(args: &ServeArgs, config: &Config, address: SocketAddr) {
    let mut lines = format!("idmerge listens on http://{address}\n");
    if let ([project], None) = (&config.projects[..], &args.config) {
        lines += &format!("token:  {}\n", project.token);
        // A secret that was given stays where it came from.
        if let (Some(secret), None) = (&project.secret, &args.secret) {
            lines += &format!("secret: {secret}\n");
        }
    }
    // Where nobody listens there is nothing to be done about it.
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
