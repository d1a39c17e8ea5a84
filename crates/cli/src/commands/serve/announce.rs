//! The lines on stdout of a server that has started.

use std::io::{self, Write};
use std::net::SocketAddr;

use idmerge_server::{Config, Listen};

use super::kept::Kept;

/// Prints the addresses, and for a server without `--config` its token, a secret that was generated at
/// this start, and how to send a first event.
pub(super) fn announce(config: &Config, kept: Option<&Kept>, address: SocketAddr) {
    let port = address.port();
    let mut lines = format!(
        "idmerge listens on http://{}:{port}\n",
        config.listen.host()
    );
    let url = format!("http://{}:{port}", reachable_host(&config.listen, address));
    if let (Some(kept), [project]) = (kept, &config.projects[..]) {
        lines += &format!("token:  {}\n", project.token);
        match &project.secret {
            // A secret that was given is not printed: stdout may be logged.
            Some(secret) if kept.has_new_secret => lines += &format!("secret: {secret}\n"),
            _ => {}
        }
    }
    lines += &format!("page:   {url}/\n");
    if let Some(kept) = kept {
        lines += &format!("config: {}\n", kept.path.display());
    }
    if let (Some(_), [project]) = (kept, &config.projects[..]) {
        lines += &format!(
            "Send a first event, and look for \"ben\" on the page:\n  \
             curl {url}/track -d 'data={{\"event\":\"Test\",\"properties\":{{\"token\":\"{}\",\
             \"distinct_id\":\"ben\"}}}}'\n",
            project.token
        );
    }
    // The server also runs if stdout is closed.
    let _unheard = io::stdout().write_all(lines.as_bytes());
    let _unheard = io::stdout().flush();
}

/// The host by which a program on this machine reaches the server.
pub(crate) fn reachable_host(listen: &Listen, address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(address) if address.ip().is_unspecified() => "127.0.0.1".to_owned(),
        SocketAddr::V6(address) if address.ip().is_unspecified() => "[::1]".to_owned(),
        _ => listen.host().to_owned(),
    }
}
