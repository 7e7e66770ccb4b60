//! Tells the service manager that started this process how it fares: the protocol of `sd_notify(3)`.
//!
//! ```text
//! drivers --Status--> watches --> notifier (a thread) --datagrams--> socket named by NOTIFY_SOCKET
//! ```
//!
//! `READY=1` once every shard has taken its first turn, `WATCHDOG=1` as often as was asked for while every shard
//! takes turns, `STOPPING=1` when the server begins to stop. Owned by [`Server`](crate::Server).

use std::ffi::{OsStr, OsString};
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::admin::LIVE_WITHIN;
use crate::report::Status;

/// How often is looked whether all shards serve, until they do.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Between two looks whether the server stops, if nobody wants to hear of its life.
const IDLE: Duration = Duration::from_millis(100);

/// What a service manager wants to be told, as the environment says.
#[derive(Debug)]
pub struct Notifier {
    socket: Socket,
    /// A process that is silent for so long is taken for hung; none: never.
    watchdog: Option<Duration>,
}

/// Why a service manager cannot be told anything.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotifyError {
    /// The name of the socket is none that this system has.
    #[error("NOTIFY_SOCKET is `{}`: expected a path, or a name after an @", .0.display())]
    Name(OsString),
    /// The time is no number of microseconds, or too short to keep.
    #[error("WATCHDOG_USEC is `{}`: expected microseconds, 10000 at least", .0.display())]
    Watchdog(OsString),
    /// There is no socket.
    #[error("cannot tell the service manager at `{}`: {}", .0.display(), .1)]
    Socket(OsString, io::Error),
}

/// The shortest watchdog time: pings come twice as often, and each takes a look at all shards.
const WATCHDOG_MIN: Duration = Duration::from_millis(10);

impl Notifier {
    /// Reads `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` by `variable`; `None` if nobody wants to be told.
    ///
    /// # Errors
    /// See [`NotifyError`].
    pub fn of(variable: impl Fn(&str) -> Option<OsString>) -> Result<Option<Self>, NotifyError> {
        let Some(name) = variable("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let process = std::process::id().to_string();
        // Without a number it is meant for whoever hears it.
        let is_ours = variable("WATCHDOG_PID").is_none_or(|id| *id == *process);
        let watchdog = variable("WATCHDOG_USEC").filter(|_| is_ours);
        let watchdog = watchdog.map(span).transpose()?;
        Ok(Some(Self {
            socket: Socket::open(&name)?,
            watchdog,
        }))
    }

    /// Starts to tell of a server whose shards stand as `shards` says, until `stopping` is true or its sender gone. Whoever
    /// stops it says so by [`Notifier::stopping`], as the process may end before this looks again.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub(crate) fn start(
        self: Arc<Self>,
        shards: Vec<watch::Receiver<Status>>,
        stopping: watch::Receiver<bool>,
    ) -> io::Result<()> {
        let thread = thread::Builder::new().name("notify".to_owned());
        let mut life = Life { shards, stopping };
        thread.spawn(move || self.tell_all(&mut life)).map(drop)
    }

    fn tell_all(&self, life: &mut Life) {
        while !life.all_turned() {
            if life.stops() {
                return;
            }
            thread::sleep(LOOK_EVERY);
        }
        self.tell("READY=1");
        // Twice as often as needed: one may be late.
        let every = self.watchdog.map_or(IDLE, |span| span / 2);
        let mut ping_at = Instant::now();
        while !life.stops() {
            if Instant::now() >= ping_at {
                ping_at = Instant::now() + every;
                if self.watchdog.is_some() && life.takes_turns() {
                    self.tell("WATCHDOG=1");
                }
            }
            thread::sleep(every.min(IDLE));
        }
    }

    /// The server begins to stop.
    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    fn tell(&self, state: &str) {
        if let Err(problem) = self.socket.send(state) {
            tracing::warn!(%problem, state, "the service manager is not told");
        }
    }
}

/// What is told of.
struct Life {
    shards: Vec<watch::Receiver<Status>>,
    stopping: watch::Receiver<bool>,
}

impl Life {
    /// True once each shard has told of a turn.
    fn all_turned(&self) -> bool {
        // Its first telling comes with its first turn. A sender that is gone makes none.
        let told = |shard: &watch::Receiver<Status>| shard.has_changed().unwrap_or(false);
        self.shards.iter().all(told)
    }

    /// True while no shard has gone without a turn for longer than one without work does.
    fn takes_turns(&self) -> bool {
        let turns = |shard: &watch::Receiver<Status>| shard.borrow().turned.elapsed() < LIVE_WITHIN;
        self.shards.iter().all(turns)
    }

    fn stops(&self) -> bool {
        *self.stopping.borrow() || self.stopping.has_changed().is_err()
    }
}

fn span(micros: OsString) -> Result<Duration, NotifyError> {
    let number = micros.to_str().and_then(|text| text.parse().ok());
    let span = number.map(Duration::from_micros);
    span.filter(|span| *span >= WATCHDOG_MIN)
        .ok_or(NotifyError::Watchdog(micros))
}

#[cfg(target_os = "linux")]
use linux::Socket;
#[cfg(not(target_os = "linux"))]
use none::Socket;

#[cfg(target_os = "linux")]
mod linux {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    use super::{NotifyError, OsStr, io};

    /// A socket, and whom it sends to.
    #[derive(Debug)]
    pub(super) struct Socket {
        socket: UnixDatagram,
        manager: SocketAddr,
    }

    impl Socket {
        /// `name` is a path, or after an @ the name of an abstract socket.
        pub(super) fn open(name: &OsStr) -> Result<Self, NotifyError> {
            let wrong = |_| NotifyError::Name(name.to_owned());
            let manager = match name.as_bytes() {
                [b'/', ..] => SocketAddr::from_pathname(name).map_err(wrong)?,
                [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest).map_err(wrong)?,
                _ => return Err(NotifyError::Name(name.to_owned())),
            };
            let failed = |error| NotifyError::Socket(name.to_owned(), error);
            let socket = UnixDatagram::unbound().map_err(failed)?;
            Ok(Self { socket, manager })
        }

        pub(super) fn send(&self, state: &str) -> io::Result<()> {
            let sent = self.socket.send_to_addr(state.as_bytes(), &self.manager);
            sent.map(drop)
        }
    }
}

/// Elsewhere no service manager asks for it.
#[cfg(not(target_os = "linux"))]
mod none {
    use super::{NotifyError, OsStr, io};

    #[derive(Debug)]
    pub(super) struct Socket;

    impl Socket {
        pub(super) fn open(name: &OsStr) -> Result<Self, NotifyError> {
            Err(NotifyError::Name(name.to_owned()))
        }

        pub(super) fn send(&self, _state: &str) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn notifier(variables: &[(&str, &str)]) -> Result<Option<Notifier>, NotifyError> {
        Notifier::of(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).into())
        })
    }

    #[test]
    fn a_watchdog_is_kept_if_it_is_meant_for_this_process() {
        let socket = ("NOTIFY_SOCKET", "@rejoin-test");
        let own = std::process::id().to_string();
        let watchdog = |variables: &[(&str, &str)]| {
            let all = [&[socket], variables].concat();
            notifier(&all).unwrap().unwrap().watchdog
        };
        let span = Some(Duration::from_millis(20));
        assert_eq!(watchdog(&[]), None);
        assert_eq!(watchdog(&[("WATCHDOG_USEC", "20000")]), span);
        let ours = [("WATCHDOG_USEC", "20000"), ("WATCHDOG_PID", &own)];
        assert_eq!(watchdog(&ours), span);
        let others = [("WATCHDOG_USEC", "20000"), ("WATCHDOG_PID", "1")];
        assert_eq!(watchdog(&others), None);
        assert!(notifier(&ours[..1]).unwrap().is_none(), "nobody listens");
        assert!(notifier(&[("NOTIFY_SOCKET", "")]).unwrap().is_none());
    }

    #[test]
    fn a_wrong_variable_is_named_with_what_was_expected() {
        let told = |variables: &[(&str, &str)]| notifier(variables).unwrap_err().to_string();
        let name = told(&[("NOTIFY_SOCKET", "vsock:2:1234")]);
        assert!(
            name.starts_with("NOTIFY_SOCKET is `vsock:2:1234`"),
            "{name}"
        );
        for wrong in ["0", "soon", "-1", "9999"] {
            let told = told(&[("NOTIFY_SOCKET", "@a"), ("WATCHDOG_USEC", wrong)]);
            assert!(
                told.starts_with(&format!("WATCHDOG_USEC is `{wrong}`")),
                "{told}"
            );
        }
    }
}
