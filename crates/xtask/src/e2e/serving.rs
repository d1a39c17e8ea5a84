//! A server of the real program, for as long as the scripts run.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::cannot;
use crate::failure::Failure;
use crate::program::{cargo, run, said, start};

/// How long it may take until it answers, and until it has stopped.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that runs. Where it is dropped it is killed.
pub(super) struct Serving {
    child: Child,
    address: SocketAddr,
}

impl Serving {
    /// Starts it with a folder that is empty and a configuration of these projects.
    pub(super) fn start(root: &Path, folder: &Path, projects: &str) -> Result<Self, Failure> {
        let data = folder.join("data");
        if data.exists() {
            fs::remove_dir_all(&data).map_err(|error| cannot("remove", &data, &error))?;
        }
        fs::create_dir_all(&data).map_err(|error| cannot("make", &data, &error))?;
        let address = free_address().map_err(|e| Failure::new(format!("no port is free: {e}")))?;
        let config = folder.join("projects.toml");
        fs::write(&config, format!("listen = \"{address}\"\n\n{projects}"))
            .map_err(|error| cannot("write", &config, &error))?;

        let mut command = Command::new(program(root)?);
        command.arg("serve").arg("--data").arg(&data);
        command.arg("--config").arg(&config);
        let child = start(&mut command)?;
        let mut serving = Self { child, address };
        serving.wait_until_ready()?;
        Ok(serving)
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn wait_until_ready(&mut self) -> Result<(), Failure> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(Failure::new(format!("the server did not start, {status}")));
            }
            if is_ready(self.address).unwrap_or(false) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(Failure::new(format!(
            "the server is not ready after {PATIENCE:?}"
        )))
    }

    /// Asks it to end, as a system does, and sees that it does.
    pub(super) fn stop(mut self) -> Result<(), Failure> {
        run(Command::new("kill").args(["-TERM", &self.child.id().to_string()]))?;
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => {
                    return Err(Failure::new(format!("the server ended badly, {status}")));
                }
                _ => std::thread::sleep(Duration::from_millis(50)),
            }
        }
        Err(Failure::new(format!(
            "the server has not stopped after {PATIENCE:?}"
        )))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // One that ended is not there to be killed.
        let _is_killed = self.child.kill();
        let _status = self.child.wait();
    }
}

/// Where cargo has put the program.
fn program(root: &Path) -> Result<PathBuf, Failure> {
    let metadata = said(&mut cargo(root, "metadata --no-deps --format-version 1"));
    metadata
        .as_deref()
        .and_then(target_directory)
        .map(|target| Path::new(&target).join("debug/idmerge"))
        .ok_or_else(|| Failure::new("cargo does not say where it builds"))
}

/// The folder that cargo builds in, of what `cargo metadata` says.
fn target_directory(metadata: &str) -> Option<String> {
    let (_, rest) = metadata.split_once("\"target_directory\":\"")?;
    let (path, _) = rest.split_once('"')?;
    Some(path.replace("\\\\", "\\"))
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
    fn cargo_says_where_it_builds() {
        let said = r#"{"packages":[],"target_directory":"/tree/target","version":1}"#;
        assert_eq!(target_directory(said).as_deref(), Some("/tree/target"));
        assert_eq!(target_directory("{}"), None);
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(program(root).unwrap().ends_with("debug/idmerge"));
    }

    #[test]
    fn only_who_says_so_is_ready() {
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
