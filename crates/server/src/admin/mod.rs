//! The operators' port: `/livez`, `/readyz`, `/metrics` and `/rooms`, for whoever is on this machine.
//!
//! ```text
//! drivers --Status, ten times a second--> watches --> answers    (a thread of its own)
//! shards --rooms--> SharedDirectory -------------------^
//! ```
//!
//! Off unless an address is given, and read only. It has its own thread, so that it neither waits for a turn nor
//! holds one up. Owned by [`Server`](crate::Server).

mod answers;
mod metrics;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use tokio::sync::watch;

use crate::directory::SharedDirectory;
use crate::report::Status;

/// The port, taken and not yet answered.
#[derive(Debug)]
pub(crate) struct Port {
    listener: TcpListener,
}

/// Why there is no operators' port.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for operators on {address}: {source}")]
pub struct AdminError {
    /// The address that was asked for.
    pub address: SocketAddr,
    /// The system's reason.
    pub source: io::Error,
}

impl Port {
    /// Takes the port.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub(crate) fn bind(address: SocketAddr) -> Result<Self, AdminError> {
        let bind = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        let listener = bind().map_err(|source| AdminError { address, source })?;
        Ok(Self { listener })
    }

    /// The address that was bound, with the real port.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until nobody tells a status any more.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub(crate) fn answer(
        self,
        status: Vec<watch::Receiver<Status>>,
        directory: SharedDirectory,
    ) -> io::Result<()> {
        let answer = move || {
            if let Err(problem) = serve(self.listener, status, directory) {
                tracing::error!(%problem, "the operators' port is closed");
            }
        };
        // It ends with the process, or when the driver drops its end of the watch.
        let thread = thread::Builder::new().name("admin".to_owned());
        thread.spawn(answer).map(drop)
    }
}

fn serve(
    listener: TcpListener,
    status: Vec<watch::Receiver<Status>>,
    directory: SharedDirectory,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let mut told = status.first().cloned();
        let over = async move {
            while let Some(told) = &mut told
                && told.changed().await.is_ok()
            {}
        };
        let answers = answers::router(answers::Sources { status, directory });
        tokio::select! {
            served = async { axum::serve(listener, answers).await } => served,
            () = over => Ok(()),
        }
    })
}

/// A loop that took no turn for so long hangs: half of the time after which the watchdog ends the process by
/// default, and more than a loop without work waits.
pub(crate) const LIVE_WITHIN: Duration = Duration::from_millis(2_500);
