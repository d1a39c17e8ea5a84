//! The arguments of `serve`.

#![allow(
    clippy::doc_markdown,
    reason = "doc comments are help text, and a terminal shows backticks as they are"
)]

use std::path::PathBuf;

use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use idmerge_engines::Model;
use idmerge_server::{Listen, ProfileMerge};

use crate::args::engine::{SETTINGS, SettingsArgs};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge serve --data data --engine simplified
  idmerge serve --data data
  idmerge serve --data data --engine original --token shop --secret-file FILE
  idmerge serve --data data --config projects.toml --listen 0.0.0.0:8080

Without --config there is one project. The first start writes its token, secret and settings to \
DATA/idmerge.toml, for its owner alone, and prints what it generated. Later starts read that file, so \
--data is enough; an argument that contradicts it is an error. To change the secret or add a project, \
edit the file.

A secret that comes from --secret-file or the variable IDMERGE_SECRET is not written: give it at each \
start. The list of processes shows --secret to every user of the machine.

A configuration file (DATA/idmerge.toml is one) has a [[project]] for each project, which must have \
a token and an engine. Keys for the whole server come first. All of them:

  listen = \"127.0.0.1:8080\"      # --listen overrides it
  connections_max = 16384        # more wait until one closes
  connections_per_address_max = 12288   # three quarters of it; more get 503
  body_bytes_in_memory_max = 268435456  # of all request bodies together
  page_cache_mib_max = 256       # of all databases together, in equal parts
  erasure_delay_s = 60           # how long a deletion of people waits

  [[project]]
  token = \"shop\"                 # sent by SDKs with each event; not secret
  project_id = \"12345\"           # needed if an account is in several projects
  engine = \"original\"            # simplified, original or legacy; it stays
  secret = \"a long secret\"       # to import and read; or secret_file = \"FILE\"
  max_cluster_ids = 500          # Original only
  anon_id_format = \"sdk\"         # Original only
  max_id_bytes = 255             # longer IDs are refused
  blocked_ids = \"+blocked.txt\"   # as --blocked-ids; path from here
  profile_merge = \"fill\"         # or \"vendor\"; later merges follow it
  token_may_import = true        # false: the token cannot import
  token_may_merge = false        # true: a $merge needs no secret
  token_may_alias = true         # false: a $create_alias needs a secret
  calls_as = \"direct\"            # or \"mixpanel\": as --as, for SDKs of CDPs
  max_ids = 50000000             # more IDs are refused: they take memory

  [[project.service_account]]
  user = \"warehouse\"
  secret = \"another long secret\" # or secret_file = \"FILE\"

On SIGTERM, SIGINT or SIGHUP the server answers open requests and exits with code 0 (1 if a project cannot \
write). No accepted event is lost. Start it with nohup to keep it when its terminal closes.")]
pub(crate) struct ServeArgs {
    /// The folder for all data; each project has a folder in it
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,

    /// Read the projects from FILE, in TOML, and not from DATA/idmerge.toml
    #[arg(long, value_name = "FILE")]
    #[arg(conflicts_with_all = ["engine", "token", "secret", "secret_file", "profile_merge"])]
    #[arg(conflicts_with_all = SETTINGS)]
    pub(crate) config: Option<PathBuf>,

    /// The model of ID Merge; needed at the first start
    #[arg(long, value_enum)]
    pub(crate) engine: Option<Model>,

    /// The host or IP address, and the port, to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: Option<Listen>,

    /// The token that SDKs send with each event [default: generated]
    #[arg(long)]
    pub(crate) token: Option<String>,

    /// The secret for imports and queries [default: $IDMERGE_SECRET, or generated]
    #[arg(long, conflicts_with = "secret_file")]
    pub(crate) secret: Option<String>,

    /// Read the secret from FILE; a line break at its end is left out
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) settings: SettingsArgs,

    /// How a merge combines the profiles of two users [default: vendor]
    #[arg(long, value_name = "HOW", value_parser = profile_merge_parser())]
    pub(crate) profile_merge: Option<ProfileMerge>,

    /// The format of the log on stderr
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Plain)]
    pub(crate) log_format: LogFormat,
}

/// Parses the name of a way to merge profiles; the help explains each.
fn profile_merge_parser() -> impl TypedValueParser<Value = ProfileMerge> {
    let values = ProfileMerge::ALL.map(|merge| {
        PossibleValue::new(merge.name()).help(match merge {
            ProfileMerge::Fill => {
                "The profile that remains takes the properties that it lacks from the other"
            }
            _ => "Only one profile remains, unchanged (P-2, P-3)",
        })
    });
    PossibleValuesParser::new(values)
        .try_map(|name| ProfileMerge::of_name(&name).ok_or("not a way to merge profiles"))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Text, one message a line
    Plain,
    /// JSON, one object a line
    Json,
    /// No log
    Off,
}
