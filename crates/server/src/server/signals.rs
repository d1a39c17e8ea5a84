//! The signals that stop a server, on a thread of their own: they are seen at once, whatever the threads
//! that answer requests are doing.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use tokio::sync::oneshot;

use super::OnHangup;

/// Waits for a signal until it is dropped.
pub(super) struct SignalThread {
    handle: Handle,
    /// Dropped first, so that the thread stops waiting.
    ended: Option<mpsc::Sender<Never>>,
    thread: Option<JoinHandle<()>>,
}

/// What the channel carries: no value, because only its end counts.
#[derive(PartialEq)]
enum Never {}

/// What a signal starts.
pub(super) struct Signalled {
    /// The signal has come.
    pub(super) stop: oneshot::Receiver<()>,
    /// The time to stop is over.
    pub(super) late: oneshot::Receiver<()>,
}

impl SignalThread {
    /// Installs the handlers. `stop_timeout` after a signal the server is late.
    pub(super) fn start(
        on_hangup: OnHangup,
        stop_timeout: Duration,
    ) -> io::Result<(Self, Signalled)> {
        let hangup = (on_hangup == OnHangup::Stop).then_some(SIGHUP);
        let mut signals = Signals::new([SIGTERM, SIGINT].into_iter().chain(hangup))?;
        let handle = signals.handle();
        let (send_stop, stop) = oneshot::channel();
        let (send_late, late) = oneshot::channel();
        let (ended, has_ended) = mpsc::channel::<Never>();
        let thread = thread::Builder::new().name("signals".to_owned());
        let thread = thread.spawn(move || {
            if signals.forever().next().is_none() {
                return;
            }
            // If the server has ended by itself, the receivers are gone.
            let _is_received = send_stop.send(());
            if has_ended.recv_timeout(stop_timeout) == Err(RecvTimeoutError::Timeout) {
                let _is_received = send_late.send(());
            }
        })?;
        let itself = Self {
            handle,
            ended: Some(ended),
            thread: Some(thread),
        };
        Ok((itself, Signalled { stop, late }))
    }
}

impl Drop for SignalThread {
    fn drop(&mut self) {
        self.handle.close();
        drop(self.ended.take());
        if let Some(thread) = self.thread.take() {
            // It does not panic.
            drop(thread.join());
        }
    }
}
