//! Tests the package of Python on Spark: on executors of this machine, and on Sail through Spark Connect, with one process and
//! as a cluster.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, bail};
use xshell::cmd;

use super::wheel::pytest;
use crate::output::Output;
use crate::shell_at;

/// How long Sail may take to start.
const START_TIME_MAX: Duration = Duration::from_secs(60);

/// The environment with Spark.
pub(super) fn venv(folder: &Path) -> PathBuf {
    folder.join("spark")
}

/// The environment with Sail. It has another version of the client.
pub(super) fn sail_venv(folder: &Path) -> PathBuf {
    folder.join("sail")
}

/// Builds the package once, and runs its tests of Spark in both environments.
pub(super) fn run(root: &Path, folder: &Path, output: &mut Output) -> anyhow::Result<()> {
    let sh = shell_at(root)?;
    let wheels = folder.join("wheels");
    sh.remove_path(&wheels)?;
    let pip = venv(folder).join("bin/pip");
    output.run(cmd!(
        sh,
        "{pip} wheel --no-deps --disable-pip-version-check --wheel-dir {wheels} ./python"
    ))?;
    let wheel = sh.read_dir(&wheels)?.pop();
    let wheel = wheel.context("pip has built no package")?;

    let mut tests = |venv: &Path, remote: Option<&str>| {
        let pip = venv.join("bin/pip");
        // The version is the same after each change.
        let options = [
            "--force-reinstall",
            "--no-deps",
            "--quiet",
            "--disable-pip-version-check",
        ];
        output.run(cmd!(sh, "{pip} install {options...} {wheel}"))?;
        let pytest = pytest(&sh, root, venv, &["python/tests/spark"])?;
        output.run(match remote {
            Some(remote) => pytest.env("SPARK_REMOTE", remote),
            None => pytest,
        })
    };
    tests(&venv(folder), None)?;
    for mode in ["local", "local-cluster"] {
        let sail = Sail::start(folder, mode)?;
        tests(&sail_venv(folder), Some(&sail.url))?;
    }
    Ok(())
}

/// A server of Sail, which is killed when it is dropped.
struct Sail {
    server: Child,
    url: String,
}

impl Sail {
    /// In the mode `local-cluster` two workers, in the process of the server, run the tasks.
    fn start(folder: &Path, mode: &str) -> anyhow::Result<Self> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let log = fs::File::create(folder.join("sail.log"))?;
        let server = Command::new(sail_venv(folder).join("bin/sail"))
            .args(["spark", "server", "--ip", "127.0.0.1", "--port"])
            .arg(port.to_string())
            .env("SAIL_MODE", mode)
            .env("SAIL_CLUSTER__WORKER_INITIAL_COUNT", "2")
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start Sail")?;
        let url = format!("sc://127.0.0.1:{port}");
        let mut sail = Self { server, url };
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = sail.server.try_wait()? {
                bail!(
                    "Sail has ended with {status}; see sail.log in {}",
                    folder.display()
                );
            }
            if started.elapsed() > START_TIME_MAX {
                bail!("Sail does not listen; see sail.log in {}", folder.display());
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(sail)
    }
}

impl Drop for Sail {
    fn drop(&mut self) {
        // A server that has ended cannot be killed, which is as well.
        let _killed = self.server.kill();
        let _ended = self.server.wait();
    }
}
