//! Runs the server while clients use it.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use xshell::{Shell, cmd};

use crate::packages::metadata;

/// The time limit for the server to become ready, and to stop.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A running server. Dropping it kills the server.
pub(crate) struct Serving {
    child: Child,
    address: SocketAddr,
}

impl Serving {
    /// Starts the server that was built with a profile, `debug` or `release`, with an empty data folder
    /// and these projects. Waits until it is ready.
    pub(crate) fn start(
        sh: &Shell,
        root: &Path,
        profile: &str,
        folder: &Path,
        projects: &str,
    ) -> anyhow::Result<Self> {
        let data = folder.join("data");
        if data.exists() {
            fs::remove_dir_all(&data)
                .with_context(|| format!("cannot remove {}", data.display()))?;
        }
        fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
        let address = free_address().context("no port is free")?;
        let config = folder.join("projects.toml");
        fs::write(&config, format!("listen = \"{address}\"\n\n{projects}"))
            .with_context(|| format!("cannot write {}", config.display()))?;

        let target = metadata(&root.join("Cargo.toml"))?.target_directory;
        let program = target.join(profile).join("idmerge");
        let serve = cmd!(sh, "{program} serve --data {data} --config {config}");
        eprintln!("$ {serve}");
        let child = Command::from(serve).spawn()?;
        let mut serving = Self { child, address };
        serving.wait_until_ready()?;
        Ok(serving)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The number of the server's process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let end = Instant::now() + TIMEOUT;
        while Instant::now() < end {
            if let Ok(Some(status)) = self.child.try_wait() {
                bail!("the server did not start, {status}");
            }
            if is_ready(self.address).unwrap_or(false) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("the server is not ready after {TIMEOUT:?}")
    }

    /// Stops the server with the signal that service managers send.
    pub(crate) fn stop(mut self, sh: &Shell) -> anyhow::Result<()> {
        let process = self.child.id().to_string();
        cmd!(sh, "kill -TERM {process}").run()?;
        let end = Instant::now() + TIMEOUT;
        while Instant::now() < end {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => bail!("the server failed while it stopped, {status}"),
                _ => std::thread::sleep(Duration::from_millis(50)),
            }
        }
        bail!("the server has not stopped after {TIMEOUT:?}")
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Fails if the server has already stopped.
        let _is_killed = self.child.kill();
        let _status = self.child.wait();
    }
}

fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn is_ready(address: SocketAddr) -> io::Result<bool> {
    let second = Duration::from_secs(1);
    let mut stream = TcpStream::connect_timeout(&address, second)?;
    stream.set_read_timeout(Some(second))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: idmerge\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200 "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_ready_when_it_says_so() {
        for (answer, wanted) in [("200 OK", true), ("503 Service Unavailable", false)] {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let address = listener.local_addr().unwrap();
            let thread = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 1024];
                let length = stream.read(&mut request).unwrap();
                assert!(request[..length].starts_with(b"GET /readyz "));
                write!(stream, "HTTP/1.1 {answer}\r\n\r\n").unwrap();
            });
            assert_eq!(is_ready(address).unwrap(), wanted);
            thread.join().unwrap();
            assert!(is_ready(address).is_err());
        }
    }
}
