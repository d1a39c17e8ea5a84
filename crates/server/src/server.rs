//! A server: bound, run, and stopped.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};

use crate::app::App;
use crate::config::Config;
use crate::error::ServeError;
use crate::http::listen::listen;
use crate::projects;
use crate::routes::routes;

/// A server that listens and does not answer yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    app: Arc<App>,
}

impl Server {
    /// Opens every project and listens.
    ///
    /// # Errors
    ///
    /// A project does not open, or its engine is not the one that it holds data of; or the address
    /// is in use.
    pub async fn bind(config: &Config) -> Result<Self, ServeError> {
        config.check()?;
        let app = App::new(projects::open(config)?, config.bounds.clone());
        let failed = |source| ServeError::Listen {
            listen: config.listen,
            source,
        };
        let listener = listener(config.listen).map_err(failed)?;
        Ok(Self {
            address: listener.local_addr().map_err(failed)?,
            listener,
            app: Arc::new(app),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until it is told to stop; then open requests are answered, and what they brought is
    /// safe, before this returns. It has to run on several threads.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let app = Arc::clone(&self.app);
        let stop = async {
            stop.await;
            app.stop();
            tracing::info!("stopping: open requests are answered, new ones are not taken");
        };
        let bounds = &self.app.bounds;
        listen(self.listener, routes(Arc::clone(&self.app)), bounds, stop).await;
        for open in &self.app.projects {
            if let Err(error) = open.project.close() {
                let error: &dyn std::error::Error = &error;
                tracing::error!(
                    project = open.config.token,
                    error,
                    "a project was not closed"
                );
            }
        }
    }
}

/// Connections that may wait in the system's queue: where it is full, a client hears nothing and
/// tries again a second later.
const BACKLOG: u32 = 4_096;

fn listener(listen: SocketAddr) -> io::Result<TcpListener> {
    let socket = match listen {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // So that a server can be started again at once.
    socket.set_reuseaddr(true)?;
    socket.bind(listen)?;
    socket.listen(BACKLOG)
}

/// Runs a server until the system asks it to end, by SIGTERM or SIGINT.
///
/// # Errors
///
/// As [`Server::bind`]; or the system gives no threads.
pub fn run(config: &Config, is_ready: impl FnOnce(SocketAddr)) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(ServeError::System)?;
    runtime.block_on(async {
        // Before anybody is told that it is ready, so that no signal is lost.
        let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::System)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::System)?;
        let server = Server::bind(config).await?;
        is_ready(server.address());
        server
            .run(async move {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            })
            .await;
        Ok(())
    })
}
