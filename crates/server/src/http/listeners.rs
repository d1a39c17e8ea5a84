//! The sockets that a server listens on: one for each address of its host.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::Poll;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::config::Listen;

/// How many connections may wait in the queue of the system. When it is full, the system drops the
/// attempts of clients, which try again a second later.
const BACKLOG: u32 = 4_096;

/// How often a free port is looked for that is free on every address of a host.
const ATTEMPTS: usize = 8;

/// The sockets that a server listens on, at least one. All have the same port.
pub(crate) struct Listeners {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    /// The listener that is asked first, so that none of them has to wait for the others.
    next: usize,
}

impl Listeners {
    /// Listens on every address that the host has. An address that this machine does not have, such as
    /// that of IPv6 where it is switched off, is passed over if another one can be used.
    pub(crate) fn bind(listen: &Listen) -> io::Result<Self> {
        let addresses = listen.addresses()?;
        let mut attempts = 1..=ATTEMPTS;
        loop {
            let bound = Self::bind_each(&addresses);
            // The system chose a port for the first address that another program has on the second.
            let may_try_again = listen.port() == 0 && addresses.len() > 1;
            match bound {
                Err(error)
                    if error.kind() == io::ErrorKind::AddrInUse
                        && may_try_again
                        && attempts.next().is_some() => {}
                bound => return bound,
            }
        }
    }

    fn bind_each(addresses: &[SocketAddr]) -> io::Result<Self> {
        let mut bound = Self {
            listeners: Vec::new(),
            addresses: Vec::new(),
            next: 0,
        };
        let mut unavailable = None;
        for &(mut address) in addresses {
            if let Some(first) = bound.addresses.first() {
                address.set_port(first.port());
            }
            match listener(address) {
                Ok(listener) => {
                    bound.addresses.push(listener.local_addr()?);
                    bound.listeners.push(listener);
                }
                Err(error) if is_unavailable(&error) => {
                    tracing::warn!(%address, %error, "this machine does not have an address of the host");
                    unavailable = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        match unavailable {
            Some(error) if bound.listeners.is_empty() => Err(error),
            _ => Ok(bound),
        }
    }

    /// The addresses, at least one.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Accepts a connection on any of the sockets. No connection is lost if the future is dropped.
    pub(crate) async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|context| {
            let count = self.listeners.len();
            for _ in 0..count {
                let listener = &self.listeners[self.next];
                self.next = (self.next + 1) % count;
                if let Poll::Ready(accepted) = listener.poll_accept(context) {
                    return Poll::Ready(accepted);
                }
            }
            Poll::Pending
        })
        .await
    }
}

fn listener(listen: SocketAddr) -> io::Result<TcpListener> {
    let socket = match listen {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Otherwise a restarted server could not bind the address for a minute.
    socket.set_reuseaddr(true)?;
    socket.bind(listen)?;
    socket.listen(BACKLOG)
}

/// Whether the machine does not have an address, or not its family.
fn is_unavailable(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.kind() == io::ErrorKind::Unsupported
        || error.raw_os_error() == Some(EAFNOSUPPORT)
}

/// `EAFNOSUPPORT`: the standard library has no kind for it.
const EAFNOSUPPORT: i32 = if cfg!(target_os = "linux") { 97 } else { 47 };
