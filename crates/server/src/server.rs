//! Starts, runs and stops a server.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::app::App;
use crate::config::Config;
use crate::error::ServeError;
use crate::http::listen::listen;
use crate::http::listeners::Listeners;
use crate::privacy::runner;
use crate::projects;
use crate::routes::routes;
use crate::store::socket::{BackupSocket, Served};

mod closing;
mod signals;

use closing::Plan;
use signals::SignalThread;

/// A server that listens. It answers requests once [`run`](Self::run) is called.
pub struct Server {
    listeners: Listeners,
    backup_sockets: Vec<BackupSocket>,
    app: Arc<App>,
}

impl Server {
    /// Listens, and opens every project, creating those that do not exist. If it cannot listen, it
    /// creates nothing.
    ///
    /// # Errors
    ///
    /// [`ServeError::Config`] if `config` has an error, [`ServeError::Open`] if a project cannot be
    /// opened, [`ServeError::Changed`] if it has data of another engine or of other settings, and
    /// [`ServeError::Listen`] if the address is in use.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime.
    pub async fn bind(config: &Config) -> Result<Self, ServeError> {
        Self::bind_and_prepare(config, || Ok(())).await
    }

    /// As [`bind`](Self::bind), with a step between listening and opening the projects.
    async fn bind_and_prepare(
        config: &Config,
        prepare: impl FnOnce() -> Prepared,
    ) -> Result<Self, ServeError> {
        config.check()?;
        let listeners = Listeners::bind(&config.listen).map_err(|source| ServeError::Listen {
            listen: config.listen.clone(),
            source,
        })?;
        prepare().map_err(ServeError::Prepare)?;
        let config = config.clone();
        let bounds = config.bounds.clone();
        // A signal must not wait for it.
        let opened = tokio::task::spawn_blocking(move || projects::open(&config)).await;
        let opened = opened.map_err(|error| ServeError::System(io::Error::other(error)))?;
        let app = App::new(opened?, bounds);
        // Once the caller knows that the server listens, a backup must not find the socket of a server
        // that was killed.
        let backup_sockets = app.projects.iter().filter_map(|open| {
            BackupSocket::open(Served {
                project: open.project.clone(),
                backups: open.backups.clone(),
                write_timeout: app.bounds.write_timeout,
                cancellation: app.cancellation.clone(),
            })
        });
        Ok(Self {
            listeners,
            backup_sockets: backup_sockets.collect(),
            app: Arc::new(app),
        })
    }

    /// The address that the server listens on; the first one if its host has several.
    pub fn address(&self) -> SocketAddr {
        self.addresses()[0]
    }

    /// All addresses that the server listens on. They have the same port.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.listeners.addresses()
    }

    /// Answers requests until `stop` completes. Then it accepts no more connections, answers the
    /// open requests (for at most [`Bounds::drain_timeout`](crate::Bounds::drain_timeout)), closes the
    /// connections that are left and every project, and returns. Requests that wait for a commit are refused
    /// with status 503 after two fifths of that time. Everything that it acknowledged is on disk.
    ///
    /// # Errors
    ///
    /// [`ServeError::Close`] if a project cannot write, or its file cannot be closed.
    ///
    /// # Panics
    ///
    /// A request with a long body panics on a runtime with a single thread: it is decoded in
    /// [`tokio::task::block_in_place`].
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
        let app = Arc::clone(&self.app);
        let bounds = &app.bounds;
        let plan = Plan::new(bounds.drain_timeout, bounds.stop_timeout);
        let stopping = Notify::new();
        let stop = async {
            stop.await;
            app.stop();
            tracing::info!("stopping: answering open requests, accepting no new ones");
            stopping.notify_one();
        };
        let refuse = async {
            stopping.notified().await;
            plan.carry_out(&app).await;
            std::future::pending::<()>().await;
        };
        let routes = routes(Arc::clone(&self.app));
        let mut background = JoinSet::new();
        background.spawn(Arc::clone(&self.app).warn_regularly());
        background.spawn(runner::run(Arc::clone(&self.app)));
        tokio::select! {
            () = listen(self.listeners, routes, &self.app, stop) => {}
            () = refuse => {}
        }
        drop((self.backup_sockets, background));
        app.warn();
        let ends_snapshots = Instant::now() + plan.snapshot_time();
        let closing = Arc::clone(&app);
        let close = move || closing::close(&closing, &|| Instant::now() < ends_snapshots);
        let closed = tokio::task::spawn_blocking(close).await;
        closed.unwrap_or_else(|error| Err(ServeError::System(io::Error::other(error))))
    }
}

/// How long a stopped server waits for queries that nobody waits for.
const QUERY_TIMEOUT: Duration = Duration::from_secs(1);

/// Whether a server stops when its terminal closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnHangup {
    /// SIGHUP stops the server as SIGTERM does.
    Stop,
    /// The server leaves SIGHUP as it is. Use this if the process was started to ignore it, as by
    /// `nohup`.
    Leave,
}

/// The result of preparing the data folder.
pub type Prepared = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// Runs a server until the process gets SIGTERM or SIGINT, or SIGHUP if that is to stop it.
///
/// `prepare` is called once the server listens, before it makes or opens a project: what it makes in the
/// data folder is not left behind by a server that cannot listen. `is_ready` is called with the address
/// that the server listens on, before the first request is answered.
///
/// # Errors
///
/// The errors of [`Server::bind`] and [`Server::run`], [`ServeError::Prepare`] if `prepare` fails, and
/// [`ServeError::System`] if the system refuses a thread or a signal handler.
///
/// # Panics
///
/// Panics inside of a tokio runtime, because it starts its own.
pub fn run(
    config: &Config,
    on_hangup: OnHangup,
    prepare: impl FnOnce() -> Prepared,
    is_ready: impl FnOnce(SocketAddr),
) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(ServeError::System)?;
    let result = runtime.block_on(async {
        // Install the handlers before `is_ready`: a signal after it must not kill the process.
        let stop_timeout = config.bounds.stop_timeout;
        let signals = SignalThread::start(on_hangup, stop_timeout.saturating_sub(QUERY_TIMEOUT));
        let (_signals, signalled) = signals.map_err(ServeError::System)?;
        let serve = async {
            let server = Server::bind_and_prepare(config, prepare).await?;
            is_ready(server.address());
            let stop = async {
                // An error means that the thread has ended, which it does after this.
                drop(signalled.stop.await);
            };
            server.run(stop).await
        };
        let mut serve = Box::pin(serve);
        tokio::select! {
            result = &mut serve => result,
            Ok(()) = signalled.late => {
                tracing::warn!(
                    "stopped before everything was closed, because of the time that it took; every \
                     acknowledged event is on the disk, and the next start takes longer"
                );
                // Dropping it would wait for what is late. The process ends soon.
                std::mem::forget(serve);
                Ok(())
            }
        }
    });
    // A query whose client is gone can still run. It only reads, so nothing waits for it.
    runtime.shutdown_timeout(QUERY_TIMEOUT);
    result
}
