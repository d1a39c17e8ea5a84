//! A server in its own process.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use idmerge_benches::measure::bytes_and_lines;
use wait4::{ResourceUsage, Wait4 as _};

/// The token and the secret of the only project.
pub(crate) const TOKEN: &str = "shop";
pub(crate) const SECRET: &str = "secret-of-shop";

/// The time limit for the server to become ready.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A running server. Dropping it kills the server.
pub(crate) struct Serving {
    /// Nothing once it has stopped.
    child: Option<Child>,
    address: SocketAddr,
}

impl Serving {
    /// Starts a server with an empty folder, and waits until it is ready.
    pub(crate) fn start(program: &Path, data: &Path, engine: &str) -> Result<Self> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut command = Command::new(program);
        command.arg("serve").arg("--data").arg(data);
        command.args(["--engine", engine, "--token", TOKEN, "--secret", SECRET]);
        command.arg("--listen").arg(address.to_string());
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let mut serving = Self {
            child: Some(child),
            address,
        };
        let end = Instant::now() + TIMEOUT;
        while Instant::now() < end {
            let child = serving.child.as_mut().context("it runs")?;
            if let Some(status) = child.try_wait()? {
                bail!("the server did not start, {status}");
            }
            if ureq::get(serving.url("/readyz")).call().is_ok() {
                return Ok(serving);
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("the server is not ready after {TIMEOUT:?}")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The number of events in an export of all days.
    pub(crate) fn stored_events(&self) -> Result<u64> {
        let url = self.url("/api/2.0/export?from_date=2000-01-01&to_date=2099-12-31");
        let bearer = format!("Bearer {SECRET}");
        let answer = ureq::get(url).header("authorization", bearer).call()?;
        let (_, events) = bytes_and_lines(answer.into_body().into_reader())?;
        Ok(events as u64)
    }

    /// Stops the server with the signal that service managers send. Returns what it has used.
    pub(crate) fn stop(mut self) -> Result<ResourceUsage> {
        let child = self.child.take().context("it runs")?;
        let process = child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &process]).status()?;
        ensure!(sent.success(), "the server cannot be stopped");
        let used = child.wait4()?;
        ensure!(
            used.status.success(),
            "the server failed while it stopped, {}",
            used.status
        );
        Ok(used.rusage)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Fails if the server has already stopped.
            let _is_killed = child.kill();
            let _status = child.wait();
        }
    }
}
