//! The arguments of `demo`.

use idmerge_engines::Model;
use idmerge_server::Listen;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge demo
  idmerge demo --open
  idmerge demo --engine original --speed 10 --listen 127.0.0.1:8080

The people, their names and what they buy are made up. Within half a minute Mara Quill logs in on her \
laptop and then on her phone, and two devices become one person. Everything is in a temporary folder, \
which is deleted at the end: on Ctrl-C, SIGTERM or SIGHUP.")]
pub(crate) struct DemoArgs {
    /// The model of ID Merge
    #[arg(long, value_enum, default_value_t = Model::Simplified)]
    pub(crate) engine: Model,

    /// The host or IP address, and the port, to listen on [default: a free port of 127.0.0.1]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: Option<Listen>,

    /// How fast the people are: at 1 they send 3 events a second; from 0.1 to 100
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = speed)]
    pub(crate) speed: f64,

    /// Open the page in the browser
    #[arg(long)]
    pub(crate) open: bool,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (0.1..=100.0).contains(&speed) => Ok(speed),
        _ => Err("a number from 0.1 to 100".to_owned()),
    }
}
