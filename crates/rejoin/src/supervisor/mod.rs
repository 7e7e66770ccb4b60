//! `serve --supervise`: a parent that runs the server as its child, and starts it again when it dies.
//!
//! ```text
//! supervisor -- pipe to standard input --> child: serve, with the same flags
//!     ^   '---- SIGHUP ------------------------^ |
//!     '------- its end, and where it listens ----'
//! ```
//!
//! The next child starts only once the last one is gone: its end has been waited for. Stopping closes the pipe,
//! upon which the child stops in order. If the supervisor itself dies, the pipe closes too, and on Linux the system
//! kills the child at once.

mod back_off;
mod child;
mod parent;

use std::net::SocketAddr;
use std::process::ExitStatus;
use std::time::Duration;

use rejoin_server::{ReloadSignals, StopSignals};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::exit::{Exit, Failure};
use crate::server_args::ServeArgs;

pub(crate) use parent::{die_with, patiently};

use back_off::{BackOff, is_for_good};
use child::{Child, Start};

/// How long a child may take to stop in order: it tells its players for a second, and syncs.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// What a supervisor listens to.
struct Wishes {
    end: End,
    reload: ReloadSignals,
}

/// What asks it to stop.
struct End {
    signals: StopSignals,
    /// The end of its own standard input, if it was asked to heed that.
    parent: Option<oneshot::Receiver<()>>,
}

/// Runs servers one after the other until one ends for good.
///
/// # Errors
/// It cannot be started, or has ended with another code than 0. That it has told itself.
pub(crate) fn run(args: &ServeArgs, parent: Option<oneshot::Receiver<()>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Internal, format!("no async runtime: {error}")))?;
    // Children are started in this thread, the main one: the system takes the end of the thread that started a
    // process for the death of its parent.
    runtime.block_on(async {
        let no_signals = |error| Failure::new(Exit::Internal, format!("no signals: {error}"));
        let wishes = Wishes {
            end: End {
                signals: StopSignals::listen().map_err(no_signals)?,
                parent,
            },
            reload: ReloadSignals::listen().map_err(no_signals)?,
        };
        supervise(args, wishes).await
    })
}

async fn supervise(args: &ServeArgs, mut wishes: Wishes) -> Result<(), Failure> {
    let mut start = Start::of(args)?;
    let mut back_off = BackOff::default();
    let mut count = 0_u64;
    loop {
        let mut child = start.child()?;
        let status = tokio::select! {
            () = wishes.end.asked() => return stopped(child, wishes).await,
            status = child.ended(&mut wishes.reload) => status?,
        };
        start.again_at = start.again_at.or(child.listens_at());
        let exit = status.code().and_then(Exit::of_code);
        let has_served = start.again_at.is_some();
        if let Some(exit) = exit.filter(|exit| is_for_good(*exit, has_served)) {
            return ended_with(exit);
        }
        count += 1;
        let pause = back_off.on_death(child.served());
        tracing::warn!(
            cause = cause(status),
            ?pause,
            count,
            "the server died and is started again"
        );
        tokio::select! {
            () = wishes.end.asked() => return Ok(()),
            () = sleep(pause) => {}
        }
    }
}

/// Ends a child in order, or by force if it does not come to its end or is asked a second time.
async fn stopped(mut child: Child, mut wishes: Wishes) -> Result<(), Failure> {
    child.stop();
    let status = tokio::select! {
        status = timeout(STOP_WITHIN, child.ended(&mut wishes.reload)) => status.ok(),
        _ = wishes.end.signals.recv() => None,
    };
    let Some(status) = status else {
        child.kill().await;
        return Err(Failure::new(
            Exit::Internal,
            "the server did not stop and was killed",
        ));
    };
    let status = status?;
    match status.code().and_then(Exit::of_code) {
        Some(exit) => ended_with(exit),
        None => {
            let text = format!("the server died while it stopped: {}", cause(status));
            Err(Failure::new(Exit::Internal, text))
        }
    }
}

/// The end of the child is that of its supervisor. Its one line has been said.
fn ended_with(exit: Exit) -> Result<(), Failure> {
    if exit == Exit::Success {
        return Ok(());
    }
    Err(Failure::told(exit))
}

impl End {
    /// Waits for whatever asks for the end first.
    async fn asked(&mut self) {
        let parent_gone = async {
            match &mut self.parent {
                // An error means that the watching thread is gone: as good as an answer.
                Some(gone) => drop(gone.await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            signal = self.signals.recv() => tracing::debug!(signal, "the server is asked to stop"),
            () = parent_gone => tracing::debug!("the server is asked to stop: standard input closed"),
        }
    }
}

/// Why a process ended, for the log.
fn cause(status: ExitStatus) -> String {
    // As `signal: 9 (SIGKILL)` or `exit status: 70`.
    status.to_string()
}

/// Where a server listens, as its first line says: `listening on rejoin://127.0.0.1:41234`.
pub(crate) fn read_address(line: &str) -> Option<(rejoin_client::ServerAddress, SocketAddr)> {
    let address: rejoin_client::ServerAddress = line.strip_prefix("listening on ")?.parse().ok()?;
    let socket = SocketAddr::new(address.host.parse().ok()?, address.port);
    Some((address, socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_first_line_tells_where_it_listens() {
        let (address, socket) = read_address("listening on rejoin://127.0.0.1:41234").unwrap();
        assert_eq!(address.to_string(), "rejoin://127.0.0.1:41234");
        assert_eq!(socket.to_string(), "127.0.0.1:41234");
        assert_eq!(read_address("cannot bind"), None);
    }
}
