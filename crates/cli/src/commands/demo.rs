//! `idmerge demo`: a server with made-up people, which forgets everything at its end.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use idmerge_engines::Settings;
use idmerge_server::{Bounds, Config, Listen, Prepared, ProjectConfig};

use crate::args::demo::DemoArgs;
use crate::commands::serve::announce::reachable_host;
use crate::commands::serve::{kept, on_hangup};
use crate::report::say;

mod traffic;

use traffic::Traffic;

/// The token of the project.
const TOKEN: &str = "demo";

/// A free port, for this machine alone.
const LISTEN: &str = "127.0.0.1:0";

/// Serves until a signal stops it.
pub(crate) fn run(args: &DemoArgs) -> anyhow::Result<()> {
    let folder = DemoFolder::new()?;
    let secret = kept::random()?;
    let mut project = ProjectConfig::new(TOKEN, Settings::of(args.engine));
    project.secret = Some(secret.clone());
    let listen: Listen = match &args.listen {
        Some(listen) => listen.clone(),
        None => LISTEN.parse()?,
    };
    let config = Config {
        data: folder.path.clone(),
        listen,
        projects: vec![project],
        bounds: Bounds::STANDARD,
    };
    let mut traffic = None;
    let ended = idmerge_server::run(
        &config,
        on_hangup(),
        || folder.make(),
        |address| {
            let host = reachable_host(&config.listen, address);
            let url = format!("http://{host}:{}", address.port());
            match Traffic::start(args, &url, TOKEN, &secret) {
                Ok(started) => traffic = Some(started),
                Err(error) => say(format_args!("nobody comes to the demo: {error}")),
            }
            announce(args, &url, &secret, address);
        },
    );
    // Nobody sends any more before the folder is gone.
    drop(traffic);
    folder.remove()?;
    Ok(ended?)
}

/// Prints where the page is, and opens it if the arguments say so.
fn announce(args: &DemoArgs, url: &str, secret: &str, address: SocketAddr) {
    // A fragment is not sent to the server, and is in no log.
    let page = format!("{url}/#secret={secret}");
    let lines = format!(
        "idmerge listens on http://{address}\n\
         page:   {page}\n\
         token:  {TOKEN}\n\
         secret: {secret}\n\
         Watch Mara Quill: she logs in on her laptop and then on her phone, and two devices become one person.\n\
         Ctrl-C ends the demo and deletes everything.\n"
    );
    // The server also runs if stdout is closed.
    let _unheard = io::stdout().write_all(lines.as_bytes());
    let _unheard = io::stdout().flush();
    if args.open
        && let Err(error) = open::that_detached(&page)
    {
        say(format_args!(
            "the browser cannot be opened: {error}; the page is {url}/"
        ));
    }
}

/// A temporary folder. The server makes it once it handles signals, so that no signal leaves it behind.
struct DemoFolder {
    path: PathBuf,
}

impl DemoFolder {
    fn new() -> anyhow::Result<Self> {
        let name = format!("idmerge-demo-{}", kept::random()?);
        Ok(Self {
            path: std::env::temp_dir().join(name),
        })
    }

    fn make(&self) -> Prepared {
        // For its owner alone, and an error if somebody has it already.
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        Ok(builder.create(&self.path)?)
    }

    fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}

/// After an error too, such as a panic.
impl Drop for DemoFolder {
    fn drop(&mut self) {
        // What cannot be removed was reported.
        let _is_gone = self.remove();
    }
}
