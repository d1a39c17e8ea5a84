//! Starts, runs and stops a server.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use crate::app::App;
use crate::config::Config;
use crate::error::ServeError;
use crate::http::listen::listen;
use crate::http::listeners::Listeners;
use crate::projects;
use crate::routes::routes;
use crate::store::socket::BackupSocket;

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
        Self::bind_and_prepare(config, || Ok(()))
    }

    /// As [`bind`](Self::bind), with a step between listening and opening the projects.
    fn bind_and_prepare(
        config: &Config,
        prepare: impl FnOnce() -> Prepared,
    ) -> Result<Self, ServeError> {
        config.check()?;
        let listeners = Listeners::bind(&config.listen).map_err(|source| ServeError::Listen {
            listen: config.listen.clone(),
            source,
        })?;
        prepare().map_err(ServeError::Prepare)?;
        let app = App::new(projects::open(config)?, config.bounds.clone());
        // Once the caller knows that the server listens, a backup must not find the socket of a server
        // that was killed.
        let backup_sockets = app.projects.iter().filter_map(|open| {
            let (project, backups) = (open.project.clone(), open.backups.clone());
            BackupSocket::open(project, backups, app.bounds.write_timeout)
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
    /// connections that are left and every project, and returns. Everything that it acknowledged is on
    /// disk.
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
        let stop = async {
            stop.await;
            app.stop();
            tracing::info!("stopping: answering open requests, accepting no new ones");
        };
        let routes = routes(Arc::clone(&self.app));
        let mut warnings = JoinSet::new();
        warnings.spawn(Arc::clone(&self.app).warn_regularly());
        listen(self.listeners, routes, &self.app, stop).await;
        drop((self.backup_sockets, warnings));
        self.app.warn();
        let mut closed = Ok(());
        for open in &self.app.projects {
            if let Err(source) = open.project.close() {
                let error: &dyn std::error::Error = &source;
                tracing::error!(
                    project = open.config.token,
                    error,
                    "a project could not be closed"
                );
                closed = closed.and(Err(ServeError::Close {
                    token: open.config.token.clone(),
                    source: source.into(),
                }));
            }
        }
        closed
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
        let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::System)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::System)?;
        let mut hangup = match on_hangup {
            OnHangup::Stop => Some(signal(SignalKind::hangup()).map_err(ServeError::System)?),
            OnHangup::Leave => None,
        };
        let hung_up = async move {
            match &mut hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        let server = Server::bind_and_prepare(config, prepare)?;
        is_ready(server.address());
        server
            .run(async move {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                    _ = hung_up => {}
                }
            })
            .await
    });
    // A query whose client is gone can still run. It only reads, so nothing waits for it.
    runtime.shutdown_timeout(QUERY_TIMEOUT);
    result
}
